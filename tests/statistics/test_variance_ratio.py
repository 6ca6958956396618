"""Two variances of pairs, against the definition of the test."""

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.variance_ratio import ratio_of_deviations

FIRST = np.array([0.961, 0.943, 0.972, 0.955, 0.964, 0.931])
SECOND = np.array([0.958, 0.951, 0.963, 0.957, 0.955, 0.949])


def by_definition(first, second):
    """The correlation of sum and difference (*Pitman 1939*)."""
    return stats.pearsonr(first + second, first - second).pvalue


def test_the_ratio_is_tested_by_the_correlation_of_sum_and_difference() -> None:
    found = ratio_of_deviations(FIRST, SECOND)
    assert found.ratio == pytest.approx(FIRST.std(ddof=1) / SECOND.std(ddof=1))
    assert found.p == pytest.approx(by_definition(FIRST, SECOND))
    assert found.reason == ""


@pytest.mark.parametrize("level", [0.5, 0.95])
def test_the_interval_ends_at_the_ratios_that_are_just_not_rejected(level) -> None:
    found = ratio_of_deviations(FIRST, SECOND, level=level)
    for end in (found.low, found.high):
        assert by_definition(FIRST, end * SECOND) == pytest.approx(1 - level)
    assert found.low < found.ratio < found.high


def test_turning_the_two_turns_the_ratio() -> None:
    found, turned = ratio_of_deviations(FIRST, SECOND), ratio_of_deviations(SECOND, FIRST)
    assert turned.ratio == pytest.approx(1 / found.ratio)
    assert (turned.low, turned.high) == pytest.approx((1 / found.high, 1 / found.low))
    assert turned.p == pytest.approx(found.p)


def test_the_interval_covers_the_ratio_of_correlated_normals() -> None:
    """Two standard errors of 800 draws around .95 are .015."""
    generator = np.random.default_rng(3)
    shared, own = generator.normal(size=(800, 1, 5)), generator.normal(size=(800, 2, 5))
    values = 0.8 * shared + 0.6 * own
    found = [ratio_of_deviations(2 * first, second) for first, second in values]
    covered = np.mean([each.low <= 2 <= each.high for each in found])
    assert covered == pytest.approx(0.95, abs=0.016)


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ([1, 2], [3, 5], "fewer than three pairs"),
        ([1, 1, 1], [3, 5, 4], "does not vary"),
        ([1, 2, 4], [0.1, 0.1, 0.1], "does not vary"),
    ],
)
def test_what_does_not_vary_and_two_pairs_have_no_ratio(first, second, reason) -> None:
    found = ratio_of_deviations(first, second)
    assert np.isnan(found[:4]).all()
    assert reason in found.reason


def test_one_that_is_the_other_scaled_is_told_without_error() -> None:
    found = ratio_of_deviations(3 * SECOND, SECOND)
    assert (found.low, found.high) == pytest.approx((3, 3), rel=1e-6)
    assert found.p == pytest.approx(0, abs=1e-9)


def test_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the shape of first \(3,\), got \(2,\)"):
        ratio_of_deviations([1, 2, 3], [1, 2])
