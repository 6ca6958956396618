"""Ratios of means with their intervals."""

from dataclasses import asdict

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from simulated import values

from xaibench.statistics.means import of_values
from xaibench.statistics.ratios import difference_of_ratios, of_ratio
from xaibench.statistics.resampling import Resampling

Float = NDArray[np.float64]


def above_zero(random_state: int = 1, shape=(5, 40)) -> Float:
    return 1 + values(0.1, 1, 0.5, shape, random_state)


def test_a_ratio_is_that_of_the_means_not_the_mean_of_ratios() -> None:
    top, bottom = np.array([[1.0, 5, 3], [2, 2, 5]]), np.array([[2.0, 1, 3], [2, 3, 1]])
    found = of_ratio(top, bottom)
    assert found.mean == pytest.approx(3 / 2)
    assert (found.seeds, found.sequences, found.undefined) == (2, 3, 0)


def test_the_ratio_of_equals_is_exactly_one_and_of_nothing_zero() -> None:
    bottom = above_zero()
    for top, expected in ((bottom, 1), (np.zeros_like(bottom), 0)):
        found = of_ratio(top, bottom)
        ends = (found.low, found.high, found.sequences_low, found.sequences_high)
        assert (found.mean, *ends) == (expected,) * 5


@pytest.mark.parametrize("ratio", [0.1, -0.7, 1 / 3])
def test_a_ratio_that_is_the_same_for_all_is_known_to_the_last_bit(ratio: float) -> None:
    found = of_ratio(ratio * above_zero(), above_zero())
    assert (found.mean, found.low, found.high) == pytest.approx((ratio,) * 3, rel=1e-12)


def test_a_ratio_to_a_constant_is_the_scaled_estimate() -> None:
    top = values(0.3, 1, 1)
    found, plain = of_ratio(top, np.full_like(top, 4.0)), of_values(top)
    for name in ("mean", "low", "high", "sequences_low", "sequences_high"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name) / 4, abs=1e-9)


def test_where_seeds_alone_vary_the_interval_of_a_ratio_is_fiellers() -> None:
    """By the roots of the quadratic in R: t^2 var(a - R b) = (mean a - R mean b)^2."""
    top, bottom = values(1, 0, 0), 3 + values(0.5, 0, 0, random_state=1)
    one, other = top[:, 0], bottom[:, 0]
    (var_one, both), (_, var_other) = np.cov(one, other) / 5 * stats.t.ppf(0.975, 4) ** 2
    quadratic = [
        other.mean() ** 2 - var_other,
        -2 * (one.mean() * other.mean() - both),
        one.mean() ** 2 - var_one,
    ]
    found = of_ratio(top, bottom)
    np.testing.assert_allclose((found.low, found.high), np.sort(np.roots(quadratic)))


def test_the_interval_of_a_ratio_does_not_step_over_a_zero_that_p_excludes() -> None:
    """Sequences alone do not tell the denominator from 0: ratios far below 0 are not excluded."""
    top = np.array([[0.0, 0.5, 0.6, 1.3], [1.0, 0.1, 0.7, 0.9]])
    bottom = np.array([[-0.6, 0.6, 0.6, 2.1], [1.2, -0.1, 0.6, 1.2]])
    found = of_ratio(top, bottom)
    assert found.p_sequences < 0.05
    assert 0 < found.sequences_low < found.mean < found.sequences_high


def test_p_of_a_ratio_is_of_none_and_agrees_with_its_interval() -> None:
    bottom = above_zero()
    for run in range(40):
        found = of_ratio(0.3 * bottom + values(0.2, 1, 1, random_state=run), bottom)
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
        assert np.isnan(found.effect)


@pytest.mark.parametrize("ratio", [0, 1.2])  # those between: test_coverage.py
@pytest.mark.parametrize("deviations", [(0.2, 1, 1), (0.2, 0.1, 0.1)])
def test_the_headline_covers_the_ratio_of_means_under_five_seeds(ratio, deviations) -> None:
    runs, covered = 300, 0
    for run in range(runs):
        bottom = 1 + values(*deviations, (5, 60), (1, run))
        top = ratio * (1 + bottom) / 2 + 0.7 * values(*deviations, (5, 60), (2, run))
        found = of_ratio(top, bottom)
        covered += found.low <= ratio <= found.high
    # 95 % less two standard errors of 300 runs
    assert covered / runs >= 0.925


def test_the_interval_over_sequences_covers_the_ratio_of_these_trained_models() -> None:
    runs, covered = 300, 0
    for run in range(runs):
        bottom = 1 + values(0, 1, 1, (1, 60), (1, run))
        top = (1 + bottom) / 4 + values(0, 1, 0, (1, 60), (2, run))
        found = of_ratio(top, bottom)
        covered += found.sequences_low <= 0.5 <= found.sequences_high
    assert covered / runs >= 0.925


@pytest.mark.parametrize(
    ("moved", "said"),
    [(0, "the interval of all that is possible includes 0"), (-9, "possible lies below 0")],
)
def test_a_ratio_to_what_is_not_above_zero_is_undefined_with_the_reason(moved, said) -> None:
    bottom = values(0.1, 1, 1) + moved
    bottom[2, 3] = np.nan
    found = of_ratio(values(1, 1, 1), bottom, named="all that is possible")
    assert np.isnan(list(asdict(found).values())[:9]).all()
    assert said in found.reason
    assert (found.seeds, found.sequences, found.undefined) == (5, 40, 1)


def test_a_ratio_of_one_seed_has_an_interval_over_sequences_only() -> None:
    bottom = above_zero(shape=(1, 40))
    found = of_ratio(bottom / 2, bottom)
    assert np.isnan([found.low, found.high]).all()
    assert found.sequences_low == found.mean == found.sequences_high == 0.5
    assert found.reason == "one replicate: no interval over replicates"
    lost = of_ratio(bottom, bottom - 1.1)
    assert lost.reason == "the interval of the denominator includes 0: no ratio"


def test_a_ratio_of_values_that_compare_seeds_takes_the_interval_over_sequences() -> None:
    found = of_ratio(values(1, 1, 1), above_zero(), Resampling(sequences_only=True))
    assert (found.low, found.high) == (found.sequences_low, found.sequences_high)
    assert found.low < found.mean < found.high


def test_a_ratio_of_one_sequence_is_undefined() -> None:
    one = np.array([[1.0], [2.0]])
    found = of_ratio(one, one)
    assert np.isnan(found.mean)
    assert found.reason == "one sequence: no interval"


def test_a_ratio_leaves_out_what_is_undefined_on_either_side() -> None:
    top, bottom = values(1, 1, 1, (3, 11)), above_zero(shape=(3, 11))
    holed_top, holed_bottom = (np.insert(each, [2, 7], 1e9, axis=1) for each in (top, bottom))
    holed_top[:, 2] = holed_bottom[:, 8] = np.nan
    expected = asdict(of_ratio(top, bottom)) | {"undefined": 6}
    found = asdict(of_ratio(holed_top, holed_bottom))
    assert found == pytest.approx(expected, nan_ok=True)


def test_nothing_has_no_ratio() -> None:
    nothing = np.full((2, 3), np.nan)
    found = of_ratio(nothing, np.ones((2, 3)))
    assert (found.reason, found.undefined) == ("no pair is defined", 6)


def test_a_ratio_of_two_shapes_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected the shape of numerator \(2, 3\), got \(2, 4\)"):
        of_ratio(np.zeros((2, 3)), np.zeros((2, 4)))


def four(random_state: int = 7, shape=(5, 60)) -> tuple[Float, ...]:
    """Of two models, what a method reaches and what is possible, on the same sequences."""
    generator = np.random.default_rng(random_state)
    hard = generator.normal(1, 0.3, shape[1])
    one, other = (scale * hard + generator.normal(0, 0.1, shape) for scale in (4.0, 9.0))
    return 0.8 * one, one, 0.6 * other + generator.normal(0, 0.3, shape), other


def test_the_difference_of_two_ratios_is_that_of_their_means() -> None:
    above, below, second, under = four()
    found = difference_of_ratios((above, below), (second, under))
    ratios = [top.mean() / bottom.mean() for top, bottom in ((above, below), (second, under))]
    assert found.mean == pytest.approx(ratios[0] - ratios[1])
    assert found.low < found.mean < found.high
    assert found.p_seeds < 0.05


def test_the_scale_of_a_model_changes_no_difference_of_ratios() -> None:
    above, below, second, under = four()
    found, scaled = (
        difference_of_ratios((above, below), (size * second, size * under)) for size in (1, 50)
    )
    assert scaled.mean == pytest.approx(found.mean)
    assert (scaled.low, scaled.high) == pytest.approx((found.low, found.high))


@pytest.mark.parametrize("scale", [3, 1 / 7, 1e6])
def test_the_same_ratios_in_another_unit_do_not_differ_by_last_bits(scale: float) -> None:
    top, bottom = above_zero(1), above_zero(2) + 1
    found = difference_of_ratios((top, bottom), (scale * top, scale * bottom))
    assert (found.mean, found.p, found.p_sequences) == (0, 1, 1)


def test_a_difference_of_ratios_turns_with_its_sides() -> None:
    above, below, second, under = four()
    found = difference_of_ratios((above, below), (second, under))
    turned = difference_of_ratios((second, under), (above, below))
    assert (turned.mean, turned.p_seeds) == pytest.approx((-found.mean, found.p_seeds))
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), rel=0.05)


def test_the_interval_of_a_difference_of_ratios_covers_it() -> None:
    """Seeds and sequences are drawn anew 300 times; two standard errors of .95 are .025, and the
    headline is the wider of two intervals."""
    covered = []
    for state in range(300):
        above, below, second, under = four(state, (5, 40))
        found = difference_of_ratios((above, below), (second, under))
        covered.append(found.low <= 0.2 <= found.high)
    assert np.mean(covered) >= 0.925


def test_what_is_undefined_in_any_of_four_is_left_out_of_all() -> None:
    above, below, second, under = four()
    gone = [each.copy() for each in (above, below, second, under)]
    gone[2][:, 7] = np.nan
    kept = [np.delete(each, 7, axis=1) for each in (above, below, second, under)]
    found, expected = (difference_of_ratios((a, b), (c, d)) for a, b, c, d in (gone, kept))
    assert found.mean == pytest.approx(expected.mean)
    assert (found.low, found.high, found.undefined) == (expected.low, expected.high, 5)


def test_no_ratio_has_no_difference() -> None:
    above, below, second, under = four()
    flat = below - below.mean()
    found = difference_of_ratios((above, flat), (second, under), named="the possible")
    assert np.isnan(found.mean)
    assert found.reason == "the interval of the possible includes 0: no ratio"
    nowhere = np.full_like(above, np.nan)
    assert "no pair" in difference_of_ratios((nowhere, below), (second, under)).reason


def test_ratios_of_different_shapes_are_not_compared() -> None:
    above, below, second, under = four()
    with pytest.raises(ValueError, match="expected four arrays of one shape"):
        difference_of_ratios((above, below), (second[1:], under[1:]))
