"""Explanations before and after what should not matter."""

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from xaibench.errors import NotApplicable
from xaibench.metrics.stability import (
    reverse_complement_consistency,
    seed_agreement,
    substitution_sensitivity,
)
from xaibench.values import Explained, Sequences

RANKED = [seed_agreement, reverse_complement_consistency]


def explained(scores: ArrayLike, codes: ArrayLike | None = None) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.zeros(scores.shape, np.uint8) if codes is None else np.asarray(codes, np.uint8)
    labels = np.zeros(len(scores), np.int64)
    sequences = Sequences(codes, labels, tuple(map(str, range(len(scores)))), ("a", "b"))
    return Explained(sequences, scores, labels, signed=True)


def maps(draws: int) -> list[Explained]:
    """Maps with ties of 13 sequences of 19 positions, some unknown."""
    generator = np.random.default_rng(5)
    codes = np.where(generator.random((13, 19)) < 0.75, 1, 4)
    return [explained(generator.integers(-3, 4, size=(13, 19)), codes) for _ in range(draws)]


@pytest.mark.parametrize("metric", RANKED)
def test_agreement_is_the_mean_spearman_of_scipy_over_valid_positions(metric) -> None:
    intact, *changed = maps(4)
    expected = [
        np.mean([spearmanr(intact.scores[n, v], each.scores[n, v])[0] for each in changed])
        for n, v in enumerate(intact.sequences.valid)
    ]
    np.testing.assert_allclose(metric(intact, changed), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", RANKED)
def test_a_map_agrees_with_itself_fully_and_with_its_negative_not_at_all(metric) -> None:
    intact = explained([[3, 1, 2, 9, 9, 0, -4]])
    np.testing.assert_allclose(metric(intact, (intact,)), [1.0], rtol=1e-12)
    np.testing.assert_allclose(metric(intact, (explained(-intact.scores),)), [-1.0], rtol=1e-12)


@pytest.mark.parametrize("metric", RANKED)
def test_agreement_depends_on_ranks_alone(metric) -> None:
    intact, changed = maps(2)
    bent = Explained(changed.sequences, 3 * np.exp(changed.scores) + 5, changed.targets, True)
    np.testing.assert_allclose(metric(intact, (bent,)), metric(intact, (changed,)), rtol=1e-12)


@pytest.mark.parametrize("metric", RANKED)
def test_agreement_with_a_constant_map_is_undefined(metric) -> None:
    varied, flat = explained([range(7), range(7)]), explained([[2] * 7, range(7)])
    assert np.isnan(metric(varied, (varied, flat))).tolist() == [True, False]
    assert np.isnan(metric(flat, (varied, varied))).tolist() == [True, False]


@pytest.mark.parametrize("metric", RANKED)
def test_agreement_of_fewer_than_two_valid_positions_is_undefined(metric) -> None:
    codes = np.full((2, 7), 4)
    codes[1, 3] = 0
    intact = explained([range(7), range(7)], codes)
    assert np.isnan(metric(intact, (intact,))).all()


def slow_sensitivity(intact: Explained, changed: list[Explained]) -> list[float]:
    largest = []
    for n, valid in enumerate(intact.sequences.valid):
        ratios = []
        for each in changed:
            kept = valid & (each.sequences.codes[n] == intact.sequences.codes[n])
            before, after = (of.scores[n, kept].astype(float) for of in (intact, each))
            ratios.append(np.sqrt(((after - before) ** 2).sum() / (before**2).sum()))
        largest.append(max(ratios))
    return largest


def test_substitution_sensitivity_equals_its_slow_twin() -> None:
    intact, *others = maps(4)
    generator, changed = np.random.default_rng(1), []
    for each in others:
        codes = intact.sequences.codes.copy()
        codes[np.arange(13), generator.integers(19, size=13)] = 3
        changed.append(explained(each.scores, codes))
    expected = slow_sensitivity(intact, changed)
    np.testing.assert_allclose(substitution_sensitivity(intact, changed), expected, rtol=1e-12)


def test_substitution_sensitivity_has_its_closed_form() -> None:
    intact = explained([[3, 4, 0, 0, 0, 0, 50]])
    substituted = explained([[3, 4, 0, 10, 0, 0, -50]], [[0, 0, 0, 0, 0, 0, 2]])
    np.testing.assert_allclose(substitution_sensitivity(intact, (substituted,)), [2.0])


def test_substitution_sensitivity_is_the_worst_of_the_draws() -> None:
    intact = explained([[3, 4, 0, 0, 0, 0, 0]])
    draws = [explained([[3, 4, 0, 0, change, 0, 0]]) for change in (0, 15, 5)]
    np.testing.assert_allclose(substitution_sensitivity(intact, draws), [3.0])


def test_substitution_sensitivity_does_not_depend_on_the_scale_of_a_map() -> None:
    intact, changed = maps(2)
    scaled = [Explained(of.sequences, of.scores * 8, of.targets, True) for of in (intact, changed)]
    np.testing.assert_allclose(
        substitution_sensitivity(scaled[0], scaled[1:]),
        substitution_sensitivity(intact, (changed,)),
        rtol=1e-12,
    )


def test_substitution_sensitivity_of_a_map_of_zeros_is_undefined() -> None:
    intact = explained([[0, 0, 0, 0, 0, 0, 5], [1, 0, 0, 0, 0, 0, 5]])
    codes = np.zeros((2, 7), np.uint8)
    codes[:, 6] = 1
    changed = explained(np.ones((2, 7)), codes)
    undefined = np.isnan(substitution_sensitivity(intact, (intact, changed)))
    assert undefined.tolist() == [True, False]


@pytest.mark.parametrize("metric", [*RANKED, substitution_sensitivity])
def test_stability_needs_something_to_compare_with(metric) -> None:
    with pytest.raises(NotApplicable, match="the change made no second explanation"):
        metric(explained([range(7)]), ())


@pytest.mark.parametrize(
    ("metric", "change", "better", "target"),
    [
        (seed_agreement, "seed", "higher", "label"),
        (reverse_complement_consistency, "reverse_complement", "higher", "predicted"),
        (substitution_sensitivity, "substitutions", "lower", "predicted"),
    ],
)
def test_facts_name_the_change_the_direction_and_the_target(metric, change, better, target) -> None:
    facts = metric.facts
    assert (facts.change, facts.better, facts.target) == (change, better, target)
