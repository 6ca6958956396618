"""Ratios of means with their intervals."""

from dataclasses import asdict
from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from simulated import generator, shared, values

from xaibench.statistics.bootstrap import Draws, draw, of_values
from xaibench.statistics.draws import shared_draws
from xaibench.statistics.ratios import difference_of_ratios, of_ratio

Float = NDArray[np.float64]


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


def four(random_state: int = 7, shape=(5, 60)) -> tuple[Float, ...]:
    """Of two models, what a method reaches and what is possible, on the same sequences."""
    generator = np.random.default_rng(random_state)
    hard = generator.normal(1, 0.3, shape[1])
    one, other = (scale * hard + generator.normal(0, 0.1, shape) for scale in (4.0, 9.0))
    return 0.8 * one, one, 0.6 * other + generator.normal(0, 0.3, shape), other


def test_the_difference_of_two_ratios_is_that_of_their_means() -> None:
    above, below, second, under = four()
    drawing = partial(draw, np.random.default_rng(0))
    found = difference_of_ratios((above, below), (second, under), drawing)
    ratios = [top.mean() / bottom.mean() for top, bottom in ((above, below), (second, under))]
    assert found.mean == pytest.approx(ratios[0] - ratios[1])
    assert found.low < found.mean < found.high
    assert found.p_seeds < 0.05


def test_the_scale_of_a_model_changes_no_difference_of_ratios() -> None:
    above, below, second, under = four()
    found, scaled = (
        difference_of_ratios(
            (above, below), (size * second, size * under), partial(draw, np.random.default_rng(0))
        )
        for size in (1, 50)
    )
    assert scaled.mean == pytest.approx(found.mean)
    assert (scaled.low, scaled.high) == pytest.approx((found.low, found.high))


def test_a_difference_of_ratios_turns_with_its_sides() -> None:
    above, below, second, under = four()
    drawing = shared_draws(0, "test")
    found = difference_of_ratios((above, below), (second, under), drawing)
    turned = difference_of_ratios((second, under), (above, below), drawing)
    assert (turned.mean, turned.p_seeds) == pytest.approx((-found.mean, found.p_seeds))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), rel=0.05)


def test_the_interval_of_a_difference_of_ratios_covers_it() -> None:
    """Seeds and sequences are drawn anew 300 times; two standard errors of .95 are .025, and the
    headline is the wider of two intervals."""
    covered = []
    for state in range(300):
        above, below, second, under = four(state, (5, 40))
        drawing = partial(draw, np.random.default_rng(state), resamples=400, flips=1)
        found = difference_of_ratios((above, below), (second, under), drawing)
        covered.append(found.low <= 0.2 <= found.high)
    assert np.mean(covered) >= 0.925


def test_what_is_undefined_in_any_of_four_is_left_out_of_all() -> None:
    above, below, second, under = four()
    gone = [each.copy() for each in (above, below, second, under)]
    gone[2][:, 7] = np.nan
    kept = [np.delete(each, 7, axis=1) for each in (above, below, second, under)]
    found, expected = (
        difference_of_ratios((a, b), (c, d), partial(draw, np.random.default_rng(0)))
        for a, b, c, d in (gone, kept)
    )
    assert found.mean == pytest.approx(expected.mean)
    assert (found.low, found.high, found.undefined) == (expected.low, expected.high, 5)


def test_no_ratio_has_no_difference() -> None:
    above, below, second, under = four()
    drawing = partial(draw, np.random.default_rng(0))
    flat = below - below.mean()
    found = difference_of_ratios((above, flat), (second, under), drawing, named="the possible")
    assert np.isnan(found.mean)
    assert found.reason == "the interval of the possible holds 0: no ratio"
    nowhere = np.full_like(above, np.nan)
    assert "no pair" in difference_of_ratios((nowhere, below), (second, under), drawing).reason


def test_ratios_of_different_shapes_are_not_compared() -> None:
    above, below, second, under = four()
    drawing = partial(draw, np.random.default_rng(0))
    with pytest.raises(ValueError, match="wanted four arrays of one shape"):
        difference_of_ratios((above, below), (second[1:], under[1:]), drawing)
