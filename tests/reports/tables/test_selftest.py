"""Whether a metric can tell good from bad here, as a report says it."""

from dataclasses import replace

import pandas as pd
import pytest

from xaibench.reports.content.sections import sections
from xaibench.reports.format.numbers import TIMES
from xaibench.reports.format.replicates import SEEDS
from xaibench.reports.tables import selftest
from xaibench.reports.tables.selftest import comparisons, outcomes, selftest_sentence
from xaibench.reports.tables.table import CANNOT

DELETION = "deletion_logit_difference"


def told(table):
    return {row[0].text: [cell.text for cell in row[1:]] for row in table.rows}


@pytest.fixture
def blind(make):
    return make(models=("cnn", "attngen"), blind=(("attngen", "auprc"),))


def test_the_outcomes_have_a_row_a_metric_and_operator_and_a_column_a_model(blind):
    table = outcomes(blind)
    assert table.header == ("Metric", "cnn", "attngen")
    deletion = [f"deletion (logit difference), {operator}" for operator in ("n", "uniform")]
    assert list(told(table)) == [*deletion, "AUPRC", "relevance mass"]
    assert told(table)["AUPRC"] == ["passes", CANNOT]
    assert told(table)["relevance mass"] == ["passes", "passes"]


def test_a_failure_gives_its_reason_below_the_table(blind):
    assert outcomes(blind).notes == {"the oracle is not above random": "a"}


def test_the_differences_are_with_intervals_over_sequences_and_counts(blind):
    table = comparisons(blind, "attngen")
    low = "\u22121.00 [\u22121.15, \u22120.85] ▼"
    assert told(table)["AUPRC"] == [low, low, "0.10 [\u22120.05, 0.25] ≈", CANNOT, f"11 {TIMES} 5"]
    assert table.header[-1] == SEEDS.counted


def test_many_outcomes_open_on_a_click(run):
    more = [run.selftest.assign(operator=f"own {k}") for k in range(14)]
    assert not outcomes(run).folded
    assert outcomes(replace(run, selftest=pd.concat(more))).folded


def test_what_could_not_be_tested_is_not_known_and_says_why(run):
    unknown = run.selftest.assign(passed="unknown", reason="there are no pairs of values")
    table = outcomes(replace(run, selftest=unknown))
    assert table.rows[0][1].text.startswith("not known")
    assert list(table.notes) == ["there are no pairs of values"]


def test_how_many_pass_is_stated_of_every_model(blind):
    assert selftest_sentence(blind) == "4 of 4 pass on cnn, 3 of 4 pass on attngen."


def test_a_metric_passes_under_some_operators_only(run):
    rows = run.selftest
    failed = rows["passed"].mask((rows["metric"] == DELETION) & (rows["operator"] == "n"), "no")
    own = replace(run, selftest=rows.assign(passed=failed))
    assert selftest.operators_that_pass(own, "cnn", DELETION) == ["uniform"]
    assert selftest.tested(own, "cnn", DELETION, "n").failed
    assert not selftest.tested(own, "cnn", DELETION, "uniform").failed


def test_a_run_without_controls_has_no_self_test(make):
    results = make(controls=False)
    assert outcomes(results) is None
    assert comparisons(results, "cnn") is None
    assert selftest_sentence(results) == ""
    assert selftest.tested(results, "cnn", DELETION, "uniform").passed == ""
    found = {section.anchor: section for section in sections(results)}
    assert not set(found) & {"controls", "operators", "agreement", "complexity"}
    assert [table.caption for table in found["selftest"].tables] == ["What the guards measured"]
    assert "oracle" not in found["selftest"].paragraphs[0]
