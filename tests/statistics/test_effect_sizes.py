"""How large a difference is."""

import numpy as np
import pytest
from scipy import stats

from xaibench.statistics.effect_sizes import cliffs_delta, d_z

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's extra hours, second drug less first (R: ``sleep``)."""


def slow_delta(first, second) -> float:
    signs = [np.sign(one - other) for one in first for other in second]
    return float(np.mean(signs))


def test_d_z_is_t_over_the_root_of_the_pairs() -> None:
    # R: t.test(extra ~ group, data = sleep, paired = TRUE)$statistic is -4.0621
    assert d_z(SLEEP) == pytest.approx(4.0621 / np.sqrt(10), abs=1e-5)
    assert d_z(np.negative(SLEEP)) == -d_z(SLEEP)


def test_d_z_leaves_undefined_differences_out() -> None:
    assert d_z([np.nan, *SLEEP, np.nan]) == d_z(SLEEP)


@pytest.mark.parametrize("few", [[], [np.nan], [3.0], [0.1 * 3, 0.3, 0.3]])
def test_d_z_of_fewer_than_two_or_of_equals_is_undefined(few) -> None:
    assert np.isnan(d_z(few))


@pytest.mark.parametrize("sizes", [(7, 11), (1, 5), (30, 29)])
def test_cliffs_delta_is_that_of_all_pairs_one_by_one_with_ties(sizes) -> None:
    source = np.random.default_rng(0)
    first, second = (source.integers(0, 9, size).astype(float) for size in sizes)
    assert cliffs_delta(first, second) == pytest.approx(slow_delta(first, second), abs=1e-12)
    assert cliffs_delta(second, first) == pytest.approx(-slow_delta(first, second), abs=1e-12)


def test_cliffs_delta_is_that_of_the_u_statistic_of_scipy() -> None:
    source = np.random.default_rng(1)
    first, second = source.normal(0.4, 1, 400), source.normal(0, 1, 300)
    u = stats.mannwhitneyu(first, second).statistic
    assert cliffs_delta(first, second) == pytest.approx(2 * u / (400 * 300) - 1)


def test_cliffs_delta_is_one_where_all_are_larger_and_zero_where_all_are_equal() -> None:
    assert cliffs_delta([4, 5, 6], [1, 3]) == 1
    assert cliffs_delta([1, 3], [4, 5, 6]) == -1
    assert cliffs_delta([2, 2, 2], [2, 2]) == 0


def test_cliffs_delta_does_not_depend_on_the_unit() -> None:
    first, second = np.random.default_rng(2).normal(0, 1, (2, 13))
    assert cliffs_delta(np.exp(first), np.exp(second)) == cliffs_delta(first, second)


def test_cliffs_delta_leaves_undefined_out_and_of_nothing_is_undefined() -> None:
    assert cliffs_delta([np.nan, 1, 2], [0, np.nan]) == 1
    assert np.isnan(cliffs_delta([np.nan], [1.0]))
    assert np.isnan(cliffs_delta([1.0], []))
