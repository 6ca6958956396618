"""Intervals, paired tests, corrections and ranks."""

from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from statsmodels.stats.multitest import multipletests

from xaibench.statistics import (
    Draws,
    bands,
    difference,
    draw,
    estimate,
    holm,
    of_differences,
    of_ratio,
    of_values,
    rank,
    undefined,
)
from xaibench.values import Estimate

Float = NDArray[np.float64]


def values(seed: float, sequence: float, noise: float, shape=(5, 40), random_state=0) -> Float:
    """Effects of the seed and of the sequence, and what is left, with these deviations."""
    generator = np.random.default_rng(random_state)
    return (
        generator.normal(0, seed, (shape[0], 1))
        + generator.normal(0, sequence, (1, shape[1]))
        + generator.normal(0, noise, shape)
    )


def generator() -> np.random.Generator:
    return np.random.default_rng(7)


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


@pytest.mark.parametrize(
    ("seed", "sequence", "noise"),
    [(1, 1, 1), (1, 0.1, 0.1), (0.1, 1, 1), (0.25, 3, 1), (0.3, 3, 3)],
)
def test_the_headline_covers_the_mean_under_five_seeds(seed, sequence, noise) -> None:
    drawing = shared(draw(generator(), 5, 150, flips=0))
    runs, covered = 400, 0
    for run in range(runs):
        found = of_values(values(seed, sequence, noise, (5, 150), (1, run)), drawing)
        covered += found.low <= 0 <= found.high
    # 95 % less two standard errors of 400 runs
    assert covered / runs >= 0.93


def test_resampling_sequences_alone_would_not_cover_the_mean() -> None:
    drawing = shared(draw(generator(), 5, 40, flips=0))
    found = [of_values(values(1, 0.1, 0.1, random_state=run), drawing) for run in range(100)]
    assert np.mean([each.sequences_low <= 0 <= each.sequences_high for each in found]) < 0.3


def shared(draws: Draws):
    return lambda seeds, sequences: draws


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


def test_very_many_sequences_get_fewer_draws() -> None:
    draws = draw(generator(), 2, 1_000_000)
    assert draws.sequence_counts.shape == draws.signs.shape == (200, 1_000_000)
    assert draws.sequence_counts[0].sum(dtype=np.int64) == 1_000_000


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


# Ratios of means


def above_zero(random_state: int = 1, shape=(5, 40)) -> Float:
    return 1 + values(0.1, 1, 0.5, shape, random_state)


def test_a_ratio_is_that_of_the_means_not_the_mean_of_ratios() -> None:
    top, bottom = np.array([[1.0, 5, 3], [2, 2, 5]]), np.array([[2.0, 1, 3], [2, 3, 1]])
    found = of_ratio(top, bottom, shared(draw(generator(), 2, 3)))
    assert found.mean == pytest.approx(3 / 2)
    assert (found.seeds, found.sequences, found.undefined) == (2, 3, 0)


def test_the_ratio_of_equals_is_exactly_one_and_of_nothing_zero() -> None:
    bottom, drawing = above_zero(), shared(draw(generator(), 5, 40))
    for top, expected in ((bottom, 1), (np.zeros_like(bottom), 0)):
        found = of_ratio(top, bottom, drawing)
        ends = (found.low, found.high, found.sequences_low, found.sequences_high)
        assert (found.mean, *ends) == (expected,) * 5


def test_a_ratio_to_a_constant_is_the_scaled_estimate() -> None:
    top, drawing = values(0.3, 1, 1), shared(draw(generator(), 5, 40))
    found, plain = of_ratio(top, np.full_like(top, 4.0), drawing), of_values(top, drawing)
    for name in ("mean", "low", "high", "sequences_low", "sequences_high"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name) / 4)


def test_the_bootstrap_of_a_ratio_done_slowly_divides_the_means_of_one_draw() -> None:
    top, bottom, draws = values(0, 1, 0.5), above_zero(), draw(generator(), 5, 40, flips=0)
    ratios, fixed = [], []
    for columns, rows in zip(draws.sequence_counts, draws.seed_counts, strict=True):
        ratios.append(rows @ top @ columns / (rows @ bottom @ columns))
        fixed.append((top @ columns).mean() / (bottom @ columns).mean())
    found = of_ratio(top, bottom, shared(draws))
    tail = [0.025, 0.975]
    np.testing.assert_allclose((found.low, found.high), np.quantile(ratios, tail))
    np.testing.assert_allclose(
        (found.sequences_low, found.sequences_high), np.quantile(fixed, tail)
    )


def test_t_over_seeds_of_a_ratio_is_that_of_its_linearised_seed_values() -> None:
    top, bottom = values(1, 0.01, 0.01), 3 + values(0.5, 0.01, 0.01, random_state=1)
    one, other = top.mean(axis=1), bottom.mean(axis=1)
    ratio = one.mean() / other.mean()
    linear = (one - ratio * other) / other.mean()
    expected = stats.t.interval(0.95, 4, ratio, stats.sem(linear))
    found = of_ratio(top, bottom, shared(draw(generator(), 5, 40)))
    np.testing.assert_allclose((found.low, found.high), expected)


@pytest.mark.parametrize("ratio", [0, 0.6, 1.2])
@pytest.mark.parametrize("deviations", [(0.2, 1, 1), (0.2, 0.1, 0.1)])
def test_the_headline_covers_the_ratio_of_means_under_five_seeds(ratio, deviations) -> None:
    drawing = shared(draw(generator(), 5, 60, resamples=1000, flips=0))
    runs, covered = 300, 0
    for run in range(runs):
        bottom = 1 + values(*deviations, (5, 60), (1, run))
        top = ratio * (1 + bottom) / 2 + 0.7 * values(*deviations, (5, 60), (2, run))
        found = of_ratio(top, bottom, drawing)
        covered += found.low <= ratio <= found.high
    # 95 % less two standard errors of 300 runs
    assert covered / runs >= 0.925


def test_the_interval_over_sequences_covers_the_ratio_of_these_trained_models() -> None:
    drawing = shared(draw(generator(), 1, 60, resamples=1000, flips=0))
    runs, covered = 300, 0
    for run in range(runs):
        bottom = 1 + values(0, 1, 1, (1, 60), (1, run))
        top = (1 + bottom) / 4 + values(0, 1, 0, (1, 60), (2, run))
        found = of_ratio(top, bottom, drawing)
        covered += found.sequences_low <= 0.5 <= found.sequences_high
    assert covered / runs >= 0.925


@pytest.mark.parametrize(
    ("moved", "said"),
    [(0, "the interval of all that is possible holds 0"), (-9, "possible lies below 0")],
)
def test_a_ratio_to_what_is_not_above_zero_is_undefined_with_the_reason(moved, said) -> None:
    bottom = values(0.1, 1, 1) + moved
    bottom[2, 3] = np.nan
    found = of_ratio(
        values(1, 1, 1), bottom, shared(draw(generator(), 5, 40)), named="all that is possible"
    )
    assert np.isnan(list(asdict(found).values())[:8]).all()
    assert said in found.reason
    assert (found.seeds, found.sequences, found.undefined) == (5, 40, 1)


def test_a_ratio_of_one_seed_has_an_interval_over_sequences_only() -> None:
    bottom = above_zero(shape=(1, 40))
    found = of_ratio(bottom / 2, bottom, shared(draw(generator(), 1, 40)))
    assert np.isnan([found.low, found.high]).all()
    assert found.sequences_low == found.mean == found.sequences_high == 0.5
    assert found.reason == "one seed: no interval over retraining"
    lost = of_ratio(bottom, bottom - 1.1, shared(draw(generator(), 1, 40)))
    assert lost.reason == "the interval of the denominator holds 0: no ratio"


def test_a_ratio_of_values_that_compare_seeds_takes_the_interval_over_sequences() -> None:
    found = of_ratio(
        values(1, 1, 1), above_zero(), shared(draw(generator(), 5, 40)), sequences_only=True
    )
    assert (found.low, found.high) == (found.sequences_low, found.sequences_high)
    assert found.low < found.mean < found.high


def test_a_ratio_of_one_sequence_is_undefined() -> None:
    one = np.array([[1.0], [2.0]])
    found = of_ratio(one, one, shared(draw(generator(), 2, 1)))
    assert np.isnan(found.mean)
    assert found.reason == "one sequence: no interval"


def test_a_ratio_leaves_out_what_is_undefined_on_either_side() -> None:
    top, bottom = values(1, 1, 1, (3, 11)), above_zero(shape=(3, 11))
    drawing = partial(draw, generator())
    holed_top, holed_bottom = (np.insert(each, [2, 7], 1e9, axis=1) for each in (top, bottom))
    holed_top[:, 2] = holed_bottom[:, 8] = np.nan
    expected = asdict(of_ratio(top, bottom, drawing)) | {"undefined": 6}
    found = asdict(of_ratio(holed_top, holed_bottom, partial(draw, generator())))
    assert found == pytest.approx(expected, nan_ok=True)


def test_a_draw_of_which_the_denominator_is_zero_is_no_ratio() -> None:
    bottom = np.r_[np.zeros(15), np.full(5, 8.0)][None].repeat(2, axis=0)
    counts = np.ones((300, 20), np.uint16)
    counts[0] = np.r_[np.full(15, 1), 5, np.zeros(4)]
    counts[1] = np.r_[6, np.ones(14), np.zeros(5)]
    draws = Draws(counts, np.ones((300, 2), np.uint16), np.ones((1, 20), np.int8))
    found = of_ratio(bottom, bottom, shared(draws))
    assert (found.mean, found.sequences_low, found.sequences_high) == (1, 1, 1)


def test_nothing_has_no_ratio() -> None:
    nothing = np.full((2, 3), np.nan)
    found = of_ratio(nothing, np.ones((2, 3)), shared(draw(generator(), 2, 3)))
    assert (found.reason, found.undefined) == ("no pair is defined", 6)


def test_a_ratio_of_two_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"wanted the shape of numerator \(2, 3\), got \(2, 4\)"):
        of_ratio(np.zeros((2, 3)), np.zeros((2, 4)), shared(draw(generator(), 2, 3)))


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


def test_a_bootstrap_sample_has_the_size_of_what_it_is_drawn_from() -> None:
    draws = draw(generator(), 3, 11, resamples=17, flips=19)
    assert (draws.sequence_counts.sum(axis=1) == 11).all()
    assert (draws.seed_counts.sum(axis=1) == 3).all()
    assert draws.signs.shape == (19, 11)
    assert set(np.unique(draws.signs)) == {-1, 1}


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


# Corrections and ranks


def test_holm_is_that_of_statsmodels_and_keeps_undefined() -> None:
    p = np.random.default_rng(0).random(13) ** 3
    expected = multipletests(p, method="holm")[1]
    np.testing.assert_allclose(holm(p), expected)
    np.testing.assert_allclose(holm(np.insert(p, 4, np.nan)), np.insert(expected, 4, np.nan))


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]).tolist() == []
    assert np.isnan(holm([np.nan, np.nan])).all()


def test_rank_one_is_the_best_and_undefined_is_not_ranked() -> None:
    means = [0.4, np.nan, 0.1, 0.4, 0.9]
    np.testing.assert_equal(rank(means, "lower"), [2, np.nan, 1, 2, 4])
    np.testing.assert_equal(rank(means, "higher"), [2, np.nan, 4, 2, 1])


def test_where_all_is_undefined_nothing_is_ranked() -> None:
    assert np.isnan(rank([np.nan, np.nan], "lower")).all()
    assert rank([], "lower").tolist() == []
