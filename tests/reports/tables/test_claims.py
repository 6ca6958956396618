import numpy as np
import pandas as pd
import pytest

from xaibench.reports.format.numbers import ABSENT
from xaibench.reports.tables.claims import claims_tables, rules
from xaibench.results.schema import COLUMNS

RULE = "holds if the interval lies above 0"


def row(**changed):
    return {
        **{"claim": "AttnGen is faster", "published": "faster", "quantity": "epochs"},
        **{"mean": 1.5, "low": 0.25, "high": 2.75, "seeds": 5, "sequences": 0},
        **{
            "test": "crossed t over seeds and sequences",
            "p": 0.02,
            "p_holm": 0.04,
            "verdict": "holds",
        },
        **{"rule": RULE, "caveat": "on a stand-in", **changed},
    }


@pytest.fixture
def told():
    def made(*rows):
        return pd.DataFrame(rows, columns=list(COLUMNS["claims.csv"]))

    return made


def test_a_claim_is_beside_its_verdict_and_what_was_measured(told):
    shown, behind = claims_tables(told(row(), row(claim="masking helps", sequences=3000)))
    assert [cell.text for cell in shown.rows[0]] == [
        *("AttnGen is faster", "holds", "faster", "epochs", "1.500 [0.250, 2.750]", "0.040")
    ]
    assert behind.folded
    assert [row[2].text for row in behind.rows] == ["5 seeds", "5 seeds, 3,000 sequences"]


def test_what_could_not_be_measured_says_why(told):
    none = dict.fromkeys(("mean", "low", "high", "p", "p_holm"), np.nan)
    shown, behind = claims_tables(
        told(row(**none, seeds=0, quantity="", test="", caveat="no such model"))
    )
    assert shown.rows[0][4].note == "no such model"
    words = [cell.text for cell in behind.rows[0]]
    assert words == ["AttnGen is faster", ABSENT, ABSENT, "no such model"]


def test_a_rule_is_shown_once_with_all_its_claims(told):
    every = told(row(), row(), row(claim="CNN is slower"), row(claim="nothing", rule=""))
    assert rules(every) == f"AttnGen is faster; CNN is slower: {RULE}."


def test_a_run_that_tests_no_claims_has_no_tables(told):
    assert claims_tables(told()) == []
