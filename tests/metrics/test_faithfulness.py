"""Numbers of replacement curves."""

from itertools import permutations

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import auc

from xaibench.metrics.faithfulness import (
    aopc,
    area_between,
    comprehensiveness,
    cross_model_deletion,
    deletion,
    flip_fraction,
    flip_rate,
    insertion,
    logit_drop,
    road,
    roar,
    sufficiency,
)
from xaibench.plan.schema import FRACTIONS as DEFAULT
from xaibench.values import Curves

FRACTIONS = np.array([0.0, 0.1, 0.35, 0.9, 1.0])

AREAS = [deletion, road, cross_model_deletion]
"""The same number of curves that were made in different ways."""

BOTH_ORDERS = [insertion, sufficiency, area_between]


@pytest.fixture
def curves() -> Curves:
    generator = np.random.default_rng(0)
    return Curves(FRACTIONS, generator.normal(size=(5, 3)), generator.normal(size=(5, 3)))


def linear_curves(effects: ArrayLike, order: ArrayLike, *, bias: float = 0.0) -> Curves:
    """One sequence of a linear model: its value is a bias and the effects not yet replaced."""
    effects, order = np.asarray(effects, float), np.asarray(order)

    def along(order: NDArray[np.intp]) -> NDArray[np.float64]:
        lost = np.append(0, effects[order].cumsum())
        return (bias + effects.sum() - lost)[:, None]

    return Curves(np.linspace(0, 1, len(effects) + 1), along(order), along(order[::-1]))


def decisions(*kept: str) -> Curves:
    """Curves of "the decision stands", a column a sequence, over ``FRACTIONS``."""
    return Curves(FRACTIONS, np.array([[float(step) for step in each] for each in kept]).T)


# Slow twins


def height(fraction: float, curve: NDArray[np.float64], fractions: NDArray[np.float64]) -> float:
    """On the straight line between the two steps around a fraction."""
    for step in range(len(fractions) - 1):
        low, high = fractions[step], fractions[step + 1]
        if low <= fraction <= high:
            return float(curve[step] + (fraction - low) / (high - low) * np.diff(curve)[step])
    raise AssertionError("no such fraction")


def test_deletion_is_the_trapezoid_area_of_most_relevant_first(curves: Curves) -> None:
    expected = [auc(FRACTIONS, curve) for curve in curves.most_relevant_first.T]
    for metric in (*AREAS, roar):
        np.testing.assert_allclose(metric(curves), expected, rtol=1e-12)


def test_insertion_is_the_area_of_least_relevant_first_read_from_the_donor(curves: Curves) -> None:
    assert curves.least_relevant_first is not None
    kept = 1 - FRACTIONS[::-1]
    expected = [auc(kept, curve[::-1]) for curve in curves.least_relevant_first.T]
    np.testing.assert_allclose(insertion(curves), expected, rtol=1e-12)


def test_area_between_is_the_area_of_the_difference_of_the_curves(curves: Curves) -> None:
    assert curves.least_relevant_first is not None
    difference = curves.least_relevant_first - curves.most_relevant_first
    expected = [auc(FRACTIONS, each) for each in difference.T]
    np.testing.assert_allclose(area_between(curves), expected, rtol=1e-12)


def test_aopc_equals_the_mean_of_the_drops_on_a_fine_grid(curves: Curves) -> None:
    fine = (np.arange(100_000) + 0.5) / 100_000
    expected = [
        np.mean(each[0] - np.interp(fine, FRACTIONS, each)) for each in curves.most_relevant_first.T
    ]
    np.testing.assert_allclose(aopc(curves), expected, atol=1e-8)  # of the midpoint rule at kinks


@pytest.mark.parametrize("bins", [(0.01, 0.05, 0.1, 0.2, 0.5), (0.35,), (0.95, 1.0)])
def test_comprehensiveness_and_sufficiency_equal_their_slow_twins(curves: Curves, bins) -> None:
    most, least = curves.most_relevant_first.T, curves.least_relevant_first.T
    replaced = [[each[0] - height(share, each, FRACTIONS) for share in bins] for each in most]
    kept = [[each[0] - height(1 - share, each, FRACTIONS) for share in bins] for each in least]
    np.testing.assert_allclose(comprehensiveness(curves, bins=bins), np.mean(replaced, axis=1))
    np.testing.assert_allclose(sufficiency(curves, bins=bins), np.mean(kept, axis=1))


def test_flips_equal_their_slow_twins() -> None:
    generator = np.random.default_rng(1)
    kept = generator.integers(2, size=(5, 31)).astype(float)
    kept[0] = 1
    curves = Curves(FRACTIONS, kept)
    for line, rate, fraction in zip(kept.T, flip_rate(curves), flip_fraction(curves), strict=True):
        assert rate == pytest.approx(auc(FRACTIONS, 1 - line))
        first = [share for share, stands in zip(FRACTIONS, line, strict=True) if not stands]
        expected = first[0] if not line[-1] else np.nan
        np.testing.assert_equal(fraction, expected)


# Known answers


@pytest.mark.parametrize("metric", [*AREAS, insertion, roar])
def test_the_area_of_a_constant_curve_is_its_height(metric) -> None:
    flat = np.tile([0.2, -3.0, 7.5], (5, 1))
    np.testing.assert_allclose(metric(Curves(FRACTIONS, flat, flat)), [0.2, -3.0, 7.5])


@pytest.mark.parametrize("metric", [aopc, comprehensiveness, sufficiency, area_between, logit_drop])
def test_a_model_that_never_changes_drops_by_nothing(metric) -> None:
    flat = np.tile([0.2, -3.0, 7.5], (5, 1))
    np.testing.assert_allclose(metric(Curves(FRACTIONS, flat, flat)), np.zeros(3), atol=1e-15)


@pytest.mark.parametrize("metric", [deletion, insertion, aopc, road, roar])
def test_the_area_of_a_straight_curve_does_not_depend_on_the_steps(metric) -> None:
    grids = [np.linspace(0, 1, 2), np.linspace(0, 1, 41) ** 2, np.array(DEFAULT)]
    straight = [Curves(grid, *[5 - 5 * grid[:, None]] * 2) for grid in grids]
    np.testing.assert_allclose([metric(each) for each in straight], [[2.5]] * 3)


def test_an_area_depends_on_the_number_of_steps_by_their_coarseness_alone() -> None:
    """The same fall sampled at 6, 11, 21 and 51 points; a sum over steps would grow ninefold."""
    fall = [np.linspace(0, 1, points) for points in (6, 11, 21, 51)]
    areas = [deletion(Curves(grid, np.exp(-3 * grid)[:, None]))[0] for grid in fall]
    # the trapezoid of exp(-3 x) with step h is off by h^2 / 12 times the change of its slope
    np.testing.assert_allclose(areas, (1 - np.exp(-3)) / 3, atol=0.2**2 / 12 * 3)
    assert np.all(np.diff(areas) < 0)


def test_the_intact_sequence_is_part_of_the_curve() -> None:
    curves = Curves(np.array([0.0, 0.5, 1.0]), np.array([[8.0], [0.0], [0.0]]))
    assert deletion(curves).tolist() == [2.0]
    assert aopc(curves).tolist() == [6.0]
    assert logit_drop(curves, fraction=0.25).tolist() == [4.0]


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        (deletion, np.min),
        (insertion, np.max),
        (aopc, np.max),
        (area_between, np.max),
        (comprehensiveness, np.max),
        (sufficiency, np.min),
        (logit_drop, np.max),
    ],
)
def test_no_order_beats_the_exact_effects_of_a_linear_model(metric, best) -> None:
    effects = np.array([0.3, -1.0, 2.0, 0.7, -0.2])
    exact = metric(linear_curves(effects, np.argsort(-effects)))
    every = [metric(linear_curves(effects, order)) for order in permutations(range(5))]
    assert exact == pytest.approx(best(every))
    assert exact != pytest.approx(np.mean(every))
    assert exact != pytest.approx(metric(linear_curves(effects, np.argsort(effects))))


def test_the_numbers_of_two_equal_effects_have_closed_forms() -> None:
    """Four positions, the first two worth 3 each: 6, 3, 0, 0, 0 and 6, 6, 6, 3, 0."""
    curves = linear_curves([3, 3, 0, 0], [0, 1, 2, 3])
    assert deletion(curves).tolist() == [1.5]
    assert insertion(curves).tolist() == [4.5]
    assert area_between(curves).tolist() == [3.0]
    assert aopc(curves).tolist() == [4.5]
    assert comprehensiveness(curves, bins=(0.25, 0.5)).tolist() == [4.5]
    assert sufficiency(curves, bins=(0.25, 0.5)).tolist() == [1.5]
    assert logit_drop(curves, fraction=0.25).tolist() == [3.0]


def test_area_between_of_the_reversed_order_has_the_other_sign(curves: Curves) -> None:
    assert curves.least_relevant_first is not None
    negated = Curves(FRACTIONS, curves.least_relevant_first, curves.most_relevant_first)
    np.testing.assert_allclose(area_between(negated), -area_between(curves))


def test_sufficiency_is_negative_where_the_most_relevant_say_more_than_the_whole() -> None:
    effects = np.array([2.0, 1.0, -1.0, -2.0])
    assert sufficiency(linear_curves(effects, [0, 1, 2, 3]), bins=(0.5,)).tolist() == [-3.0]


def test_the_bins_of_eraser_stand_on_the_default_grid() -> None:
    steep = np.random.default_rng(2).normal(size=(len(DEFAULT), 3))
    curves = Curves(np.array(DEFAULT), steep, steep[::-1])
    shares = (0.01, 0.05, 0.1, 0.2, 0.5)
    replaced = [DEFAULT.index(share) for share in shares]
    kept = [DEFAULT.index(round(1 - share, 2)) for share in shares]
    expected = steep[0] - steep[replaced].mean(0), steep[-1] - steep[::-1][kept].mean(0)
    np.testing.assert_allclose((comprehensiveness(curves), sufficiency(curves)), expected)


def test_retrained_accuracy_is_a_mean_over_the_range_that_was_retrained() -> None:
    half = Curves(np.array([0.0, 0.1, 0.5]), np.array([[1.0, 1], [1, 0], [1, 0]]))
    np.testing.assert_allclose(roar(half), [1.0, 0.1])


def test_an_early_flip_that_stays_has_the_higher_rate() -> None:
    rates = flip_rate(decisions("10000", "11000", "11001", "11111"))
    np.testing.assert_allclose(rates, [0.95, 0.775, 0.725, 0.0])


def test_the_flip_fraction_is_the_first_step_where_the_decision_is_another() -> None:
    curves = decisions("10000", "11010", "11110", "11111")
    np.testing.assert_equal(flip_fraction(curves), [0.1, 0.35, 1.0, np.nan])


def test_the_sequences_without_a_flip_fraction_are_the_same_for_every_order() -> None:
    """Those that the donor leaves as they were decided, whatever happened before."""
    assert np.isnan(flip_fraction(decisions("11111", "10011"))).all()


def test_an_earlier_fall_makes_a_smaller_deletion_area() -> None:
    early_late = np.array([[1, 1], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=float)
    early, late = deletion(Curves(FRACTIONS, early_late))
    assert early < late


# Undefined, and what is said of the metrics


@pytest.mark.parametrize("metric", [*AREAS, aopc, roar, flip_rate])
def test_an_undefined_point_makes_its_sequence_undefined_alone(metric, curves: Curves) -> None:
    curves.most_relevant_first[2, 1] = np.nan
    assert np.isnan(metric(curves)).tolist() == [False, True, False]


@pytest.mark.parametrize("metric", BOTH_ORDERS)
def test_what_looks_at_both_orders_says_so_where_one_is_missing(metric) -> None:
    with pytest.raises(ValueError, match="expected curves with least_relevant_first, got None"):
        metric(Curves(FRACTIONS, np.zeros((5, 3))))


def test_facts_say_who_needs_the_least_relevant_first() -> None:
    assert all(metric.facts.needs_least_relevant_first for metric in BOTH_ORDERS)
    others = [*AREAS, aopc, comprehensiveness, logit_drop, flip_rate, flip_fraction, roar]
    assert not any(metric.facts.needs_least_relevant_first for metric in others)


@pytest.mark.parametrize(
    ("better", "metrics"),
    [
        ("lower", [*AREAS, sufficiency, flip_fraction, roar]),
        ("higher", [insertion, area_between, aopc, comprehensiveness, logit_drop, flip_rate]),
    ],
)
def test_facts_name_the_direction(better: str, metrics) -> None:
    assert {metric.facts.better for metric in metrics} == {better}


@pytest.mark.parametrize(
    ("metric", "curve", "target", "quantities"),
    [
        (deletion, "replaced", "predicted", ("logit_difference", "probability", "accuracy")),
        (road, "imputed", "predicted", ("logit_difference", "probability", "accuracy")),
        (
            cross_model_deletion,
            "other_models",
            "label",
            ("logit_difference", "probability", "accuracy"),
        ),
        (roar, "retrained", "predicted", ("accuracy",)),
        (logit_drop, "replaced", "predicted", ("logit_difference",)),
        (flip_rate, "replaced", "predicted", ("kept",)),
        (flip_fraction, "replaced", "predicted", ("kept",)),
    ],
)
def test_facts_say_how_the_curve_is_made_and_of_what(metric, curve, target, quantities) -> None:
    facts = metric.facts
    kind = facts.kind
    assert (kind.curve, facts.target, kind.quantities) == (curve, target, quantities)
