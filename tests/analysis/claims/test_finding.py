import numpy as np
import pytest
from scipy import stats

from xaibench.analysis.claims.finding import (
    FAILS,
    HOLDS,
    UNDECIDED,
    Claim,
    above,
    all_of,
    not_measured,
    of_estimate,
    over_seeds,
)

WORDS = Claim("faster", "faster (no number)", "epochs")


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [
        (0.001, 0.004, HOLDS),
        (0.0, 0.004, UNDECIDED),
        (-0.003, 0.0019, FAILS),
        (-0.003, 0.002, UNDECIDED),
        (np.nan, np.nan, UNDECIDED),
    ],
)
def test_a_claim_of_more_holds_above_0_and_fails_where_all_is_less_than_what_counts(
    low, high, verdict
):
    assert above(low, high, least=0.002) == verdict


@pytest.mark.parametrize(
    ("parts", "whole"),
    [
        ([HOLDS, HOLDS], HOLDS),
        ([HOLDS, UNDECIDED], UNDECIDED),
        ([HOLDS, FAILS], FAILS),
        ([UNDECIDED, FAILS], FAILS),
    ],
)
def test_a_claim_of_parts_is_no_better_than_the_worst(parts, whole):
    assert all_of(parts) == whole


def test_a_number_a_seed_is_tested_by_t():
    """R: t.test(c(1, 2, 4)) gives p = 0.1181, interval -1.461 to 6.128."""
    found = over_seeds(WORDS, np.array([1.0, np.nan, 2.0, 4.0]), "rule")
    expected = stats.ttest_1samp([1, 2, 4], 0)
    assert (found.seeds, found.sequences, found.verdict) == (3, 0, UNDECIDED)
    assert found.p == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(expected.confidence_interval(0.95))
    assert found.p == pytest.approx(0.1181, abs=1e-4)


@pytest.mark.parametrize("differences", [[np.nan, np.nan], [2.0], [1.0, 1.0], [1.0] * 5])
def test_too_few_seeds_tell_nothing_nor_do_seeds_that_agree_to_the_digit(differences):
    found = over_seeds(WORDS, np.array(differences), "rule")
    assert np.isnan(found.p)
    assert found.verdict == UNDECIDED


def test_an_estimate_is_turned_to_the_side_of_the_claim():
    row = {"mean": -0.03, "low": -0.05, "high": -0.01, "p": 0.01, "seeds": 5, "sequences": 9}
    found = of_estimate(WORDS, row, "rule", sign=-1)
    assert (found.mean, found.low, found.high) == (0.03, 0.01, 0.05)
    assert found.verdict == HOLDS
    assert of_estimate(WORDS, row, "rule").verdict == FAILS


def test_what_the_run_does_not_tell_says_why():
    found = not_measured("claim", "published", "no such model")
    assert (found.verdict, found.caveat) == (UNDECIDED, "no such model")
