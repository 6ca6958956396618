"""Areas under replacement curves."""

import numpy as np
import pytest
from sklearn.metrics import auc

from xaibench.metrics.faithfulness import deletion, insertion
from xaibench.values import Curves

FRACTIONS = np.array([0.0, 0.1, 0.35, 0.9, 1.0])


@pytest.fixture
def curves() -> Curves:
    generator = np.random.default_rng(0)
    return Curves(FRACTIONS, generator.normal(size=(5, 3)), generator.normal(size=(5, 3)))


def test_deletion_is_the_trapezoid_area_of_most_relevant_first(curves: Curves) -> None:
    expected = [auc(FRACTIONS, curve) for curve in curves.most_relevant_first.T]
    np.testing.assert_allclose(deletion(curves), expected, rtol=1e-12)


def test_insertion_is_the_area_of_least_relevant_first_read_from_the_donor(curves: Curves) -> None:
    assert curves.least_relevant_first is not None
    kept = 1 - FRACTIONS[::-1]
    expected = [auc(kept, curve[::-1]) for curve in curves.least_relevant_first.T]
    np.testing.assert_allclose(insertion(curves), expected, rtol=1e-12)


def test_the_area_of_a_constant_curve_is_its_height() -> None:
    curves = Curves(FRACTIONS, np.tile([0.2, -3.0, 7.5], (5, 1)))
    np.testing.assert_allclose(deletion(curves), [0.2, -3.0, 7.5])


def test_the_area_of_a_straight_curve_does_not_depend_on_the_steps() -> None:
    coarse, fine = np.linspace(0, 1, 2), np.linspace(0, 1, 41) ** 2
    areas = [deletion(Curves(steps, 4 - 3 * steps[:, None])) for steps in (coarse, fine)]
    np.testing.assert_allclose(areas, [[2.5], [2.5]])


def test_an_earlier_fall_makes_a_smaller_deletion_area() -> None:
    early_late = np.array([[1, 1], [0, 1], [0, 1], [0, 0], [0, 0]], dtype=float)
    early, late = deletion(Curves(FRACTIONS, early_late))
    assert early < late


def test_an_undefined_point_makes_its_sequence_undefined_alone(curves: Curves) -> None:
    curves.most_relevant_first[2, 1] = np.nan
    assert np.isnan(deletion(curves)).tolist() == [False, True, False]


def test_insertion_without_its_curve_says_so() -> None:
    with pytest.raises(ValueError, match="wanted curves with least_relevant_first, got None"):
        insertion(Curves(FRACTIONS, np.zeros((5, 3))))


def test_lower_deletion_and_higher_insertion_are_better() -> None:
    assert deletion.facts.better == "lower"
    assert insertion.facts.better == "higher"
    assert insertion.facts.needs_least_relevant_first
    assert not deletion.facts.needs_least_relevant_first
