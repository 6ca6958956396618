"""Numbers that differ by rounding alone are equal to every test and every rank."""

import numpy as np
import pytest

from xaibench.analysis.panels import CrossedValues, minus
from xaibench.statistics.effect_sizes import cliffs_delta
from xaibench.statistics.paired import paired_t, wilcoxon
from xaibench.statistics.ranks import friedman, rank
from xaibench.statistics.rounding import all_equal, largest, subtracted, without_rounding

FIFTHS = np.array([0.2, 0.4, 0.6, 0.8, 1.0])


def summed_in_every_order(count: int) -> np.ndarray:
    """The same mean, to the last bits another, of the same fifths."""
    source = np.random.default_rng(0)
    orders = [source.permutation(np.repeat(FIFTHS, 7) / 3) for _ in range(count)]
    means = np.array([np.add.accumulate(each)[-1] / 35 for each in orders])
    assert np.ptp(means) > 0
    return means


def test_means_of_the_same_numbers_are_all_equal() -> None:
    assert all_equal(summed_in_every_order(5))


def test_means_of_zero_are_equal_by_the_size_of_what_they_are_means_of() -> None:
    near_zero = np.array([1e-18, -3e-18, 0.0, 2e-18])
    assert not all_equal(near_zero)
    assert all_equal(near_zero, size=0.8)
    assert np.isnan(paired_t(near_zero, size=0.8).p)


def test_equal_values_become_the_smallest_of_them_and_others_stay() -> None:
    numbers = np.array([0.3, np.nan, 0.1 + 0.2, -0.5, 0.3 + 1e-9])
    np.testing.assert_array_equal(without_rounding(numbers), [0.3, np.nan, 0.3, -0.5, 0.3 + 1e-9])


def test_rows_are_looked_at_one_by_one() -> None:
    rows = np.array([[1e6, 1e-9, 2e-9], [1.0, 1e-9, 2e-9]])
    equal = without_rounding(rows, axis=1)
    assert equal[0, 1] == equal[0, 2]
    assert equal[1, 1] != equal[1, 2]


@pytest.mark.parametrize("shape", [(0,), (0, 3)])
def test_nothing_stays_nothing(shape) -> None:
    assert without_rounding(np.empty(shape)).shape == shape
    assert largest(np.empty(shape)) == 0


def test_equal_methods_share_every_rank() -> None:
    blocks = np.stack([summed_in_every_order(40) for _ in range(3)], axis=1)
    blocks[:, 1] = blocks[::-1, 1]
    found = friedman(blocks)
    assert found.mean_ranks.tolist() == [2, 2, 2]
    assert found.reason == "all methods are equal in every block"
    assert rank(summed_in_every_order(4)).tolist() == [1, 1, 1, 1]


def test_infinity_is_no_size_that_others_are_rounded_by() -> None:
    assert rank([np.inf, 1, 2, -np.inf, np.inf]).tolist() == [1, 4, 3, 5, 1]
    numbers = np.array([[np.inf, 0.1 + 0.2, 0.3], [-np.inf, np.nan, -np.inf]])
    expected = [[np.inf, 0.3, 0.3], [-np.inf, np.nan, -np.inf]]
    np.testing.assert_array_equal(without_rounding(numbers, axis=1), expected)


def test_signed_ranks_and_pairs_won_do_not_come_from_last_bits() -> None:
    means = summed_in_every_order(9)
    assert cliffs_delta(means, means[::-1]) == 0
    tied = wilcoxon([0.1 + 0.2, -0.3, 0.3, 0.5])
    assert tied.statistic == wilcoxon([0.3, -0.3, 0.3, 0.5]).statistic
    assert wilcoxon([1e-18, -1e-17, 1.0]).pairs == 3


def test_a_difference_of_equals_is_zero() -> None:
    first, second = np.array([[0.1 + 0.2, 1.0]]), np.array([[0.3, 0.5]])
    assert subtracted(first, second).tolist() == [[0.0, 0.5]]
    places = np.arange(1), np.arange(2)
    assert minus(CrossedValues(first, *places), CrossedValues(second, *places)).values.tolist() == [
        [0.0, 0.5]
    ]
