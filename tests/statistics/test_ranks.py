"""Ranks, and what more than chance orders."""

import numpy as np
import pytest
from scipy import stats
from simulated import generator, values
from statsmodels.stats.libqsturng import qsturng

from xaibench.statistics.ranks import best_shares, critical_difference, friedman, rank
from xaibench.statistics.resampling import draw

# fmt: off
ROUNDING_TIMES = np.array([
    5.40, 5.50, 5.55, 5.85, 5.70, 5.75, 5.20, 5.60, 5.50, 5.55, 5.50, 5.40, 5.90, 5.85, 5.70,
    5.45, 5.55, 5.60, 5.40, 5.40, 5.35, 5.45, 5.50, 5.35, 5.25, 5.15, 5.00, 5.85, 5.80, 5.70,
    5.25, 5.20, 5.10, 5.65, 5.55, 5.45, 5.60, 5.35, 5.45, 5.05, 5.00, 4.95, 5.50, 5.50, 5.40,
    5.45, 5.55, 5.50, 5.55, 5.55, 5.35, 5.45, 5.50, 5.55, 5.50, 5.45, 5.25, 5.65, 5.60, 5.40,
    5.70, 5.65, 5.55, 6.30, 6.30, 6.25,
]).reshape(22, 3)
"""Three ways of rounding first base: Hollander & Wolfe 1973, R's ``?friedman.test``."""
# fmt: on


def test_rank_one_is_the_best_and_undefined_is_not_ranked() -> None:
    means = np.array([0.4, np.nan, 0.1, 0.4, 0.9])
    np.testing.assert_equal(rank(-means), [2, np.nan, 1, 2, 4])
    np.testing.assert_equal(rank(means), [2, np.nan, 4, 2, 1])


def test_where_all_is_undefined_nothing_is_ranked() -> None:
    assert np.isnan(rank([np.nan, np.nan])).all()
    assert rank([]).tolist() == []


# Friedman


def test_friedman_is_that_of_r_for_the_rounding_times() -> None:
    # R: friedman.test(RoundingTimes): chi-squared = 11.143, df = 2, p-value = 0.003805
    found = friedman(-ROUNDING_TIMES)
    assert found.statistic == pytest.approx(11.143, abs=5e-4)
    assert found.p == pytest.approx(0.003805, abs=5e-7)
    assert (found.blocks, found.dropped, found.reason) == (22, 0, "")
    # the narrow angle (first column), round out and wide angle have rank sums 53, 47, 32 in turn
    np.testing.assert_allclose(found.mean_ranks * 22, [53, 47, 32])


def test_the_best_method_has_the_smallest_mean_rank() -> None:
    table = np.arange(5)[:, None] + np.array([0.3, 0.9, 0.1, 0.5])
    assert friedman(table).mean_ranks.tolist() == [3, 1, 4, 2]
    assert friedman(-table).mean_ranks.tolist() == [2, 4, 1, 3]


def test_a_block_with_a_hole_is_dropped_and_counted() -> None:
    holed = np.insert(ROUNDING_TIMES, [3, 9], 7.0, axis=0)
    holed[3, 2] = holed[10] = np.nan
    found, whole = friedman(-holed), friedman(-ROUNDING_TIMES)
    assert (found.blocks, found.dropped) == (22, 2)
    assert (found.statistic, found.p) == (whole.statistic, whole.p)
    np.testing.assert_array_equal(found.mean_ranks, whole.mean_ranks)


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        (np.ones((4, 3)), "all methods are equal in every block"),
        (np.eye(3)[:1], "one block: no test"),
        (np.full((2, 3), np.nan), "no block: no test"),
        (np.eye(4)[:, :2], "two methods: a paired test says more"),
        (np.eye(4)[:, :1], "one method: no test"),
    ],
)
def test_what_cannot_be_ranked_has_no_test_and_says_why(table, reason) -> None:
    found = friedman(table)
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason == reason
    assert found.mean_ranks.shape == (table.shape[1],)


def test_two_methods_still_have_mean_ranks_and_a_critical_difference() -> None:
    found = friedman(np.array([[2.0, 1], [3, 1], [5, 5], [4, 1]]))
    assert found.mean_ranks.tolist() == [1.125, 1.875]
    # of two methods it is that of the sign test's normal approximation
    assert found.critical_difference == pytest.approx(stats.norm.ppf(0.975) / np.sqrt(4))


def test_the_critical_differences_are_those_of_demsars_table() -> None:
    # Demsar 2006, table 5(a): q at .05 for 2 to 10 classifiers
    table = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]
    for methods, q in enumerate(table, start=2):
        found = critical_difference(methods, 17) / np.sqrt(methods * (methods + 1) / (6 * 17))
        # the table cuts some of its digits off rather than rounding them
        assert found == pytest.approx(q, abs=1e-3)


@pytest.mark.parametrize("methods", [3, 14, 40])
def test_the_critical_difference_is_that_of_the_studentised_range_of_statsmodels(methods) -> None:
    q = qsturng(0.9, methods, np.inf) / np.sqrt(2)
    found = critical_difference(methods, 9, level=0.9)
    # qsturng interpolates to three digits or so
    assert found == pytest.approx(q * np.sqrt(methods * (methods + 1) / 54), rel=2e-3)


@pytest.mark.parametrize(("methods", "blocks"), [(1, 9), (4, 1), (4, 0)])
def test_there_is_no_critical_difference_without_two_methods_and_two_blocks(
    methods, blocks
) -> None:
    assert np.isnan(critical_difference(methods, blocks))


def test_where_methods_are_alike_one_family_in_twenty_has_ranks_that_far_apart() -> None:
    source, runs = np.random.default_rng(6), 300
    apart, tests = 0, 0
    for _ in range(runs):
        found = friedman(source.normal(size=(25, 6)))
        apart += np.ptp(found.mean_ranks) > found.critical_difference
        tests += found.p <= 0.05
    # three standard errors of 300 families
    assert apart / runs == pytest.approx(0.05, abs=0.038)
    assert tests / runs == pytest.approx(0.05, abs=0.038)


# The probability of being best


def three_methods() -> np.ndarray:
    common = values(0.3, 1, 0.5, (4, 19))
    return np.stack(
        [common + shift + values(0.1, 0.3, 0.2, (4, 19), shift) for shift in (1, 2, 3)]
    ) - np.array([0.9, 1.9, 3.0]).reshape(3, 1, 1)


def slow_shares(table, draws) -> list[float]:
    wins = np.zeros(len(table))
    for columns, rows in zip(draws.sequence_counts, draws.seed_counts, strict=True):
        drawn = [np.repeat(np.repeat(each, rows, axis=0), columns, axis=1) for each in table]
        means = np.array([each.mean() for each in drawn])
        best = np.isclose(means, means.max(), rtol=1e-12)
        wins += best / best.sum()
    return list(wins / len(draws.sequence_counts))


def test_the_shares_are_those_of_the_draws_one_by_one() -> None:
    table, draws = three_methods(), draw(generator(), 4, 19, resamples=400, flips=0)
    found = best_shares(table, draws)
    assert found == pytest.approx(slow_shares(table, draws))
    assert 0.02 < min(found) < max(found) < 0.9
    assert sum(found) == pytest.approx(1)


def test_equals_share_a_draw() -> None:
    table, draws = three_methods(), draw(generator(), 4, 19, resamples=200, flips=0)
    plain = best_shares(table, draws)
    twice = best_shares(table[[0, 0, 1, 2, 0]], draws)
    np.testing.assert_allclose(twice, [plain[0] / 3, plain[0] / 3, *plain[1:], plain[0] / 3])


def test_a_method_that_is_always_best_has_share_one() -> None:
    table = three_methods()
    table[1] += 100
    draws = draw(generator(), 4, 19, resamples=50, flips=0)
    assert best_shares(table, draws).tolist() == [0, 1, 0]


def test_methods_meet_on_the_sequences_that_all_of_them_have() -> None:
    table, draws = three_methods(), draw(generator(), 4, 19, resamples=300, flips=0)
    holed = table.copy()
    # without the two sequences on which it does well, the last method does not win
    holed[2, :, 5:7] += 1e3
    holed[0, 1, 5] = holed[1, 3, 6] = np.nan
    keeping = np.delete(np.arange(19), [5, 6])
    less = draw(generator(), 4, 17, resamples=300, flips=0)
    # other draws: five standard errors of a share of 300
    np.testing.assert_allclose(
        best_shares(holed, draws), best_shares(table[:, :, keeping], less), atol=0.15
    )
    assert best_shares(np.nan_to_num(holed), draws)[2] > 0.8


def test_a_method_without_values_is_out_of_the_contest() -> None:
    table, draws = three_methods(), draw(generator(), 4, 19, resamples=200, flips=0)
    failed = np.insert(table, 1, np.nan, axis=0)
    np.testing.assert_allclose(
        best_shares(failed, draws), np.insert(best_shares(table, draws), 1, np.nan)
    )


def test_where_no_sequence_is_common_nobody_is_best() -> None:
    table, draws = three_methods(), draw(generator(), 4, 19, resamples=20, flips=0)
    table[0, 0, :10] = table[1, 0, 10:] = np.nan
    assert np.isnan(best_shares(table, draws)).all()
    assert np.isnan(best_shares(np.full((3, 4, 19), np.nan), draws)).all()
