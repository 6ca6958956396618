"""Means and paired differences with their intervals and tests."""

from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
from scipy import stats
from simulated import generator, shared, values

from xaibench.statistics.bootstrap import (
    bands,
    difference,
    draw,
    estimate,
    of_differences,
    of_values,
    undefined,
)
from xaibench.values import Estimate


def assert_equal(first: Estimate, second: Estimate, **tolerance: float) -> None:
    one, other = asdict(first), asdict(second)
    assert one.pop("reason") == other.pop("reason")
    np.testing.assert_allclose(list(one.values()), list(other.values()), **tolerance)


# What an estimate says


def test_the_mean_is_that_of_the_seed_means() -> None:
    found = estimate(np.array([[1.0, 3, np.nan], [5, 7, 12]]), generator=generator())
    assert found.mean == (2 + 8) / 2
    assert (found.seeds, found.sequences, found.undefined) == (2, 3, 1)


def test_effect_and_p_belong_to_differences() -> None:
    found = estimate(values(1, 1, 1), generator=generator())
    assert np.isnan([found.effect, found.p_sequences, found.p_seeds]).all()


def test_the_headline_is_t_over_seed_means_where_that_is_wider() -> None:
    shifted = values(1, 0.01, 0.01)
    expected = stats.t.interval(0.95, 4, shifted.mean(), stats.sem(shifted.mean(axis=1)))
    found = estimate(shifted, generator=generator())
    np.testing.assert_allclose((found.low, found.high), expected)


def test_the_headline_is_the_crossed_bootstrap_where_that_is_wider() -> None:
    spread = values(0, 1, 0)
    found = estimate(spread, generator=generator())
    assert (found.low, found.high) == (found.sequences_low, found.sequences_high)


def test_the_headline_is_at_least_as_wide_as_the_crossed_bootstrap_done_slowly() -> None:
    both, source, means = values(0.2, 1, 0.5, (5, 23)), np.random.default_rng(1), []
    for _ in range(4000):
        rows, columns = source.integers(5, size=5), source.integers(23, size=23)
        means.append(both[np.ix_(rows, columns)].mean())
    slow = np.quantile(means, [0.025, 0.975])
    found = estimate(both, generator=generator(), resamples=4000)
    t = stats.t.interval(0.95, 4, both.mean(), stats.sem(both.mean(axis=1)))
    assert slow[1] - slow[0] > t[1] - t[0]
    # the standard error of a 2.5 % percentile of 4000 draws is a twentieth of the deviation
    np.testing.assert_allclose((found.low, found.high), slow, atol=0.15 * np.std(means))


def test_the_interval_over_sequences_is_scipys_bootstrap_of_their_means() -> None:
    both = values(1, 1, 1)
    expected = stats.bootstrap(
        (both.mean(axis=0),), np.mean, method="percentile", n_resamples=8000, rng=generator()
    )
    found = estimate(both, generator=generator(), resamples=8000)
    np.testing.assert_allclose(
        (found.sequences_low, found.sequences_high),
        expected.confidence_interval,
        atol=0.1 * expected.standard_error,
    )


def test_a_smaller_level_makes_narrower_intervals() -> None:
    wide, narrow = (
        estimate(values(1, 1, 1), generator=generator(), level=level) for level in (0.95, 0.5)
    )
    assert wide.low < narrow.low < narrow.high < wide.high
    assert wide.sequences_low < narrow.sequences_low


# What is undefined


def test_one_seed_has_an_interval_over_sequences_only_and_says_so() -> None:
    found = estimate(values(1, 1, 1, (1, 30)), generator=generator())
    assert np.isnan([found.low, found.high]).all()
    assert found.sequences_low < found.mean < found.sequences_high
    assert found.reason == "one seed: no interval over retraining"


def test_one_sequence_has_no_interval_and_says_so() -> None:
    found = estimate(np.array([[1.0], [2.0]]), generator=generator())
    assert found.mean == 1.5
    intervals = [found.low, found.high, found.sequences_low, found.sequences_high]
    assert np.isnan(intervals).all()
    assert found.reason == "one sequence: no interval"


def test_values_that_compare_seeds_take_the_interval_over_sequences() -> None:
    found = estimate(values(1, 1, 1), generator=generator(), sequences_only=True)
    assert (found.low, found.high) == (found.sequences_low, found.sequences_high)
    assert "interval over sequences only" in found.reason


def test_differences_that_compare_seeds_have_no_test_over_seeds() -> None:
    found = difference(
        values(1, 1, 1), np.zeros((5, 40)), generator=generator(), sequences_only=True
    )
    assert np.isnan(found.p_seeds)
    assert 0 < found.p_sequences < 1


@pytest.mark.parametrize("shape", [(0, 0), (2, 3), (1, 0)])
def test_where_nothing_is_defined_all_is_nan_with_the_reason(shape) -> None:
    nothing = np.full(shape, np.nan)
    found = estimate(nothing, generator=generator())
    assert np.isnan(list(asdict(found).values())[:8]).all()
    assert (found.sequences, found.seeds, found.undefined) == (0, 0, nothing.size)
    assert found.reason == "no value is defined"
    assert difference(nothing, nothing, generator=generator()).reason == "no pair is defined"


def test_sequences_and_seeds_without_a_value_change_nothing_but_the_count() -> None:
    known = values(1, 1, 1, (3, 11))
    padded = np.full((4, 13), np.nan)
    padded[np.ix_([0, 2, 3], np.r_[0:5, 7:13])] = known
    expected = asdict(estimate(known, generator=generator())) | {"undefined": 4 * 13 - 33}
    assert asdict(estimate(padded, generator=generator())) == pytest.approx(expected, nan_ok=True)


def test_the_bootstrap_of_equal_values_with_holes_stays_at_their_value() -> None:
    holed = np.where(np.random.default_rng(2).random((3, 30)) < 0.4, np.nan, 3.0)
    found = estimate(holed, generator=generator())
    assert (found.low, found.high) == pytest.approx((3, 3))
    assert (found.sequences_low, found.sequences_high) == pytest.approx((3, 3))


def test_the_bootstrap_leaves_undefined_values_out() -> None:
    holed = values(0, 1, 1, (3, 30))
    holed[np.random.default_rng(2).random((3, 30)) < 0.2] = np.nan
    found = estimate(holed, generator=generator())
    complete = estimate(np.nan_to_num(holed, nan=1e6), generator=generator())
    assert abs(found.high) < 10 < complete.high
    assert found.low < found.mean < found.high


def test_an_undefined_estimate_carries_its_reason() -> None:
    assert undefined("it rained", count=3).reason == "it rained"
    assert undefined("it rained", count=3).undefined == 3


# Differences


def test_a_difference_is_the_estimate_of_the_paired_differences() -> None:
    first, second = values(1, 1, 1), values(0, 2, 1, random_state=1)
    found = asdict(difference(first, second, generator=generator()))
    plain = asdict(estimate(first - second, generator=generator()))
    for name in ("mean", "low", "high", "sequences_low", "sequences_high", "sequences", "seeds"):
        assert found[name] == plain[name]


def test_effect_is_the_mean_over_the_deviation_of_the_sequences_differences() -> None:
    first, second = values(1, 1, 1), values(0, 2, 1, random_state=1)
    of_sequences = (first - second).mean(axis=0)
    expected = of_sequences.mean() / of_sequences.std(ddof=1)
    assert difference(first, second, generator=generator()).effect == pytest.approx(expected)


def test_p_seeds_is_the_paired_t_test_of_scipy_over_seed_means() -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    expected = stats.ttest_rel(first.mean(axis=1), second.mean(axis=1)).pvalue
    assert difference(first, second, generator=generator()).p_seeds == pytest.approx(expected)


def test_p_sequences_is_the_sign_flip_test_of_scipy() -> None:
    first, second = values(0, 1, 1) + 0.35, values(0, 1, 1, random_state=1)
    expected = stats.permutation_test(
        ((first - second).mean(axis=0),),
        np.mean,
        permutation_type="samples",
        n_resamples=9999,
        rng=generator(),
    ).pvalue
    found = difference(first, second, generator=generator()).p_sequences
    assert 0.005 < expected < 0.5
    # both are drawn: five standard errors of a p-value from 9,999 flips, twice
    assert found == pytest.approx(expected, abs=10 * np.sqrt(expected / 9999))


def test_p_sequences_of_few_sequences_is_near_the_exact_share_of_flips() -> None:
    found = difference(np.array([[1.0, 2, 3]]), np.zeros((1, 3)), generator=generator())
    assert found.p_sequences == pytest.approx(2 / 8, abs=0.02)


def test_p_sequences_is_never_zero() -> None:
    found = difference(np.ones((2, 60)), np.zeros((2, 60)), generator=generator())
    assert found.p_sequences == 1 / 10_000


def test_p_sequences_is_uniform_where_nothing_differs() -> None:
    drawing = shared(draw(generator(), 2, 25, resamples=10, flips=999))
    p = [
        of_differences(values(0, 1, 1, (2, 25), (3, run)), drawing).p_sequences
        for run in range(400)
    ]
    assert stats.kstest(p, "uniform").pvalue > 0.01


def test_the_order_of_the_two_sides_turns_the_sign_and_keeps_p() -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    one, other = (
        difference(*pair, generator=generator()) for pair in ((first, second), (second, first))
    )
    assert (one.mean, one.effect) == (-other.mean, -other.effect)
    assert one.p_sequences == other.p_sequences
    assert one.p_seeds == pytest.approx(other.p_seeds)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_a_pair_with_one_side_undefined_is_dropped_and_counted() -> None:
    first, second = values(1, 1, 1, (2, 9)), values(1, 1, 1, (2, 9), 1)
    first[0, 3] = second[1, 5] = np.nan
    found = difference(first, second, generator=generator())
    assert found.undefined == 2
    assert found.mean == pytest.approx(np.nanmean(first - second, axis=1).mean())


def test_one_seed_has_no_test_over_seeds() -> None:
    found = difference(values(1, 1, 1, (1, 9)), np.zeros((1, 9)), generator=generator())
    assert np.isnan(found.p_seeds)
    assert found.reason == "one seed: no interval over retraining"


def test_seeds_that_do_not_differ_have_no_test_and_equal_differences_no_effect() -> None:
    tenths = np.arange(30).reshape(3, 10) / 10
    found = difference(tenths + 0.1, tenths, generator=generator())
    assert found.mean == pytest.approx(0.1)
    assert np.isnan([found.p_seeds, found.effect]).all()
    assert (
        found.reason
        == "the differences are all equal: no effect size; the seeds agree: no test over seeds"
    )


def test_what_does_not_differ_at_all_has_p_one() -> None:
    same = values(1, 1, 1)
    found = difference(same, same, generator=generator())
    assert (found.mean, found.p_sequences) == (0, 1)
    assert np.isnan(found.effect)


def test_two_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"wanted the shape of first \(2, 3\), got \(2, 4\)"):
        difference(np.zeros((2, 3)), np.zeros((2, 4)), generator=generator())


# What must not matter


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_tests_and_effect_do_not_depend_on_the_unit(scale: float) -> None:
    first, second = values(1, 1, 1) + 0.5, values(1, 1, 1, random_state=1)
    plain = difference(first, second, generator=generator())
    scaled = difference(first * scale, second * scale, generator=generator())
    assert scaled.p_sequences == plain.p_sequences
    assert (scaled.effect, scaled.p_seeds) == pytest.approx((plain.effect, plain.p_seeds))
    assert (scaled.low, scaled.high) == pytest.approx((plain.low * scale, plain.high * scale))


def test_the_order_of_seeds_and_sequences_moves_the_draws_alone() -> None:
    both, source = values(0.3, 1, 1) + 0.1, np.random.default_rng(4)
    mixed = both[source.permutation(5)][:, source.permutation(40)]
    one, other = (
        difference(each, np.zeros((5, 40)), generator=generator()) for each in (both, mixed)
    )
    assert (one.mean, one.effect, one.p_seeds) == pytest.approx(
        (other.mean, other.effect, other.p_seeds)
    )
    width = one.high - one.low
    assert (one.low, one.high) == pytest.approx((other.low, other.high), abs=0.1 * width)
    assert one.p_sequences == pytest.approx(other.p_sequences, abs=0.03)


def test_the_same_generator_gives_the_same_estimate() -> None:
    both = values(1, 1, 1)
    assert_equal(estimate(both, generator=generator()), estimate(both, generator=generator()))


def test_shared_draws_give_what_a_generator_gives() -> None:
    both, nothing = values(1, 1, 1), np.zeros((5, 40))
    drawing = partial(draw, generator())
    assert_equal(of_differences(both, drawing), difference(both, nothing, generator=generator()))


def test_bands_are_the_headline_of_every_column() -> None:
    # one column where t over seeds is wider, two where the crossed bootstrap is
    columns = [values(1, 0.1, 0.1), values(0, 1, 1), values(0.1, 2, 1)]
    draws = draw(generator(), 5, 40, flips=0)
    expected = [of_values(column, shared(draws)) for column in columns]
    np.testing.assert_allclose(
        bands(np.stack(columns, axis=2), draws),
        np.transpose([(each.mean, each.low, each.high) for each in expected]),
        rtol=1e-9,
    )


@pytest.mark.parametrize("shape", [(1, 40), (5, 1)])
def test_bands_of_one_seed_or_one_sequence_have_no_interval(shape) -> None:
    one = values(1, 1, 1, shape)[:, :, None]
    mean, low, high = bands(one, draw(generator(), *shape, flips=0))
    assert mean == pytest.approx(one.mean())
    assert np.isnan([low, high]).all()
