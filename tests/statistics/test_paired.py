"""Tests of paired differences."""

from itertools import product

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats import contingency_tables

from xaibench.statistics import paired
from xaibench.statistics.resampling import draw

SLEEP = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4]
"""Student's extra hours, second drug less first (R: ``sleep``)."""


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


def flipped(differences) -> paired.Test:
    return paired.sign_flips(differences, generator())


def slow_flips(differences) -> float:
    """The share of all signs under which the sum is as far from 0."""
    far = abs(sum(differences)) - 1e-9
    sums = [abs(np.dot(signs, differences)) for signs in product([-1, 1], repeat=len(differences))]
    return float(np.mean([total >= far for total in sums]))


# Student's t


def test_t_is_that_of_student_for_his_sleepers() -> None:
    # R: t.test(extra ~ group, data = sleep, paired = TRUE): t = -4.0621, df = 9, p = 0.002833
    found = paired.paired_t(SLEEP)
    assert found.statistic == pytest.approx(4.0621, abs=5e-5)
    assert found.p == pytest.approx(0.002833, abs=5e-7)
    assert (found.pairs, found.reason) == (10, "")
    assert np.isnan(found.smallest)


def test_paired_t_is_that_of_scipy_to_the_bit():
    source = np.random.default_rng(0)
    for size in (2, 3, 5, 8, 9, 17, 200):
        known = source.normal(source.normal(), 10 ** source.uniform(-6, 3), size)
        found, wanted = paired.paired_t(known), stats.ttest_1samp(known, 0)
        assert (found.statistic, found.p) == (wanted.statistic, wanted.pvalue)


def test_equal_differences_have_no_t() -> None:
    found = paired.paired_t([0.3, 0.1 + 0.2, 0.3])
    assert np.isnan([found.statistic, found.p]).all()
    assert found.reason == "the differences are all equal: no t"


# Wilcoxon's signed ranks


def test_signed_ranks_are_those_of_the_depression_data_in_r() -> None:
    # R: wilcox.test(x, y, paired = TRUE) of ?wilcox.test: V = 40 of 45, p = 0.03906
    x = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    y = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    found = paired.wilcoxon(np.subtract(x, y))
    assert (found.statistic, found.pairs) == (45 - 40, 9)
    assert found.p == pytest.approx(0.03906, abs=5e-6)
    assert found.smallest == 2 / 2**9


def test_signed_ranks_with_ties_and_zeros_are_exact_for_few_pairs() -> None:
    differences = np.array([1.0, 1, -1, 2, 0, 3, 2, 0, 4])
    ranks = stats.rankdata(np.abs(differences)) * (differences != 0)
    totals = [np.dot(signs, ranks) for signs in product([0, 1], repeat=9)]
    observed = ranks[differences > 0].sum()
    expected = 2 * np.mean([total >= observed for total in totals])
    found = paired.wilcoxon(differences)
    assert found.p == pytest.approx(expected)
    assert (found.pairs, found.smallest) == (9, 2 / 2**7)


def test_signed_ranks_of_many_pairs_are_those_of_scipy_with_pratts_zeros() -> None:
    differences = np.random.default_rng(0).normal(0.2, 1, 70).round(1)
    assert (differences == 0).any()
    expected = stats.wilcoxon(differences, zero_method="pratt", method="asymptotic")
    assert paired.wilcoxon(differences).p == pytest.approx(expected.pvalue)


def test_signed_ranks_do_not_depend_on_how_far_the_farthest_is() -> None:
    moved = [*SLEEP[:8], 460.0, SLEEP[9]]
    assert paired.wilcoxon(moved) == paired.wilcoxon(SLEEP)


def test_differences_that_are_all_zero_have_no_ranks() -> None:
    found = paired.wilcoxon(np.zeros(6))
    assert np.isnan(found.p)
    assert (found.pairs, found.reason) == (6, "the differences are all zero: no ranks")


# Sign flips


@pytest.mark.parametrize("pairs", [2, 5, 12])
def test_few_sign_flips_are_all_tried(pairs) -> None:
    differences = np.random.default_rng(pairs).normal(0.5, 1, pairs)
    found = flipped(differences)
    assert found.p == pytest.approx(slow_flips(differences))
    assert found.p == pytest.approx(
        stats.permutation_test(
            (differences,), np.mean, permutation_type="samples", n_resamples=np.inf
        ).pvalue
    )
    assert found.statistic == pytest.approx(differences.mean())
    assert (found.pairs, found.smallest) == (pairs, 2 / 2**pairs)


def test_the_smallest_p_is_reached_where_all_differences_have_one_sign() -> None:
    clear = [3.0, 1.0, 2.0, 5.0, 4.0]
    for found in (flipped(clear), paired.wilcoxon(clear)):
        assert found.p == found.smallest == 0.0625


def test_many_sign_flips_are_those_given_or_as_many_drawn() -> None:
    differences = np.random.default_rng(1).normal(0.3, 1, 31)
    signs = draw(generator(), 1, 31, resamples=1, flips=799).signs
    far = np.abs(signs @ differences) >= abs(differences.sum())
    given = paired.sign_flips(differences, signs)
    assert given.p == (far.sum() + 1) / 800
    assert given.smallest == 1 / 800
    drawn = paired.sign_flips(differences, generator(), flips=799)
    # both are drawn: five standard errors of a p-value from 799 flips, twice
    assert drawn.p == pytest.approx(given.p, abs=10 * np.sqrt(given.p / 799))
    assert drawn.smallest == 1 / 800


def test_as_many_signs_as_there_are_outcomes_are_not_needed_to_try_all() -> None:
    signs = np.ones((8, 3), np.int8)
    assert paired.sign_flips([1.0, 2.0, 4.0], signs).p == 2 / 8
    assert paired.sign_flips([1.0, 2.0, 4.0], signs[:7]).p == 1


def test_whole_clusters_turn_together() -> None:
    differences = np.array([1.0, 2, 3, -1, 5, 2, 4])
    clusters = np.array([4, 4, 9, 2, 9, 2, 4])
    sums = [1 + 2 + 4, 3 + 5, -1 + 2]
    found = paired.sign_flips(differences, generator(), clusters=clusters)
    assert found.p == slow_flips(sums)
    assert (found.pairs, found.smallest) == (7, 2 / 2**3)


def test_clusters_turn_as_the_given_signs_of_a_cluster_do() -> None:
    clusters = np.repeat(np.arange(15), [1, 4, 2] * 5)
    differences = np.random.default_rng(3).normal(0.3, 1, 35)
    signs = draw(generator(), 1, 35, resamples=1, flips=999, clusters=clusters).signs
    found = paired.sign_flips(differences, signs, clusters=clusters)
    assert found.p == paired.p_of_sign_flips(differences, signs)


def test_one_cluster_cannot_be_tested() -> None:
    found = paired.sign_flips([1.0, 2.0, 3.0], generator(), clusters=np.array([5, 5, 5]))
    assert np.isnan(found.p)
    assert (found.pairs, found.reason) == (3, "one cluster: no test")


def test_differences_that_are_all_zero_have_p_one() -> None:
    assert flipped(np.zeros(4)).p == flipped(np.zeros(40)).p == 1


# McNemar's test


@pytest.mark.parametrize("alone", [(1, 7), (12, 3), (40, 66), (0, 5)])
def test_mcnemar_is_the_exact_test_of_statsmodels(alone) -> None:
    both, neither = 17, 4
    first = np.repeat([True, False, True, False], [both, neither, *alone])
    second = np.repeat([True, False, False, True], [both, neither, *alone])
    expected = contingency_tables.mcnemar([[both, alone[0]], [alone[1], neither]], exact=True)
    found = paired.mcnemar(first, second)
    assert found.p == pytest.approx(expected.pvalue)
    assert found.statistic == alone[0] - alone[1]
    assert found.pairs == both + neither + sum(alone)
    assert found.smallest == 2 / 2 ** sum(alone)


def test_mcnemar_turns_with_its_sides() -> None:
    first, second = np.random.default_rng(4).random((2, 50)) < 0.7
    one, other = paired.mcnemar(first, second), paired.mcnemar(second, first)
    assert (one.p, one.statistic) == (other.p, -other.statistic)


def test_two_models_right_on_the_same_sequences_have_p_one() -> None:
    right = np.array([True, False, True])
    assert paired.mcnemar(right, right) == (0, 1, 3, 1, "")


def test_mcnemar_of_two_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the shape of first \(3,\), got \(4,\)"):
        paired.mcnemar(np.ones(3, bool), np.ones(4, bool))


# What all have in common

EVERY = [paired.paired_t, paired.wilcoxon, flipped]


@pytest.mark.parametrize("test", EVERY)
def test_undefined_differences_are_left_out(test) -> None:
    assert test([np.nan, *SLEEP[:4], np.nan, *SLEEP[4:]]) == pytest.approx(test(SLEEP), nan_ok=True)


@pytest.mark.parametrize("test", EVERY)
@pytest.mark.parametrize(
    ("few", "reason"), [([2.0, np.nan], "one pair: no test"), ([np.nan], "no pair: no test")]
)
def test_fewer_than_two_pairs_are_no_test(test, few, reason) -> None:
    found = test(few)
    assert np.isnan([found.statistic, found.p, found.smallest]).all()
    assert found.reason == reason


def test_mcnemar_of_no_sequence_is_no_test() -> None:
    found = paired.mcnemar(np.ones(0, bool), np.ones(0, bool))
    assert np.isnan(found.p)
    assert found.reason == "no pair: no test"


@pytest.mark.parametrize("test", EVERY)
@pytest.mark.parametrize("pairs", [9, 30])
def test_where_nothing_differs_one_p_in_twenty_is_below_a_twentieth(test, pairs) -> None:
    source = np.random.default_rng(5)
    p = [test(source.normal(0, 1, pairs)).p for _ in range(300)]
    # three standard errors of 300 tests; what is exact and discrete may stay below
    assert np.mean(np.array(p) <= 0.05) <= 0.05 + 0.038


@pytest.mark.parametrize("test", EVERY)
def test_the_sign_of_all_differences_does_not_matter_to_p(test) -> None:
    assert test(np.negative(SLEEP)).p == pytest.approx(test(SLEEP).p)
