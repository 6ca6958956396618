"""Explanations before and after what should not matter."""

from functools import partial
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from xaibench.errors import NotApplicable
from xaibench.metrics.agreement import overlap
from xaibench.metrics.stability import (
    lipschitz,
    reverse_complement_consistency,
    seed_agreement,
    seed_overlap,
    settings_sensitivity,
    shift_consistency,
    substitution_sensitivity,
)
from xaibench.protocols import OfChange
from xaibench.values import Explained, Sequences

RANKED = [seed_agreement, reverse_complement_consistency, shift_consistency]
DRAWN = [substitution_sensitivity, lipschitz]
ALL = [*RANKED, seed_overlap, *DRAWN, settings_sensitivity]


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


def substituted(draws: int, most: int = 3) -> tuple[Explained, list[Explained]]:
    """A map, and others of sequences with 1 to ``most`` other bases; none has a score of 0 only."""
    intact, *others = maps(draws + 1)
    generator, changed = np.random.default_rng(1), []
    for each in others:
        codes = intact.sequences.codes.copy()
        for row in codes:
            valid = np.flatnonzero(row == 1)
            row[generator.choice(valid, generator.integers(1, most + 1), replace=False)] = 3
        changed.append(explained(each.scores, codes))
    return intact, changed


def taken(of: Explained, rows: ArrayLike) -> Explained:
    return explained(of.scores[rows], of.sequences.codes[rows])


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


def test_a_shift_is_judged_by_the_bases_that_both_sequences_have() -> None:
    intact = explained([[3, 1, 2, 9, 7, 0, -4]])
    right = explained([[3, 1, 2, 9, 7, np.nan, np.nan]])
    left = explained([[np.nan, -1, -2, -9, -7, 0, 4]])
    np.testing.assert_allclose(shift_consistency(intact, (right,)), [1.0], rtol=1e-12)
    np.testing.assert_allclose(shift_consistency(intact, (right, left)), [0.0], atol=1e-12)


def test_a_shift_that_leaves_nothing_is_undefined() -> None:
    intact, gone = explained([range(7)]), explained([[np.nan] * 7])
    assert np.isnan(shift_consistency(intact, (intact, gone))).all()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_seed_overlap_is_the_mean_over_seeds(share: float) -> None:
    intact, *changed = maps(4)
    valid = intact.sequences.valid
    pairs = [overlap(intact.scores, each.scores, valid, share=share) for each in changed]
    found = seed_overlap(intact, changed, share=share)
    np.testing.assert_allclose(found, np.mean(pairs, axis=0), rtol=1e-12)


def test_seed_overlap_has_its_closed_form() -> None:
    # a top of two of seven: shared by none, one (of three) or both
    first, half = explained([[9, 8, 0, 0, 0, 1, 1]]), explained([[0, 9, 8, 0, 0, 1, 1]])
    none = explained([[0, 0, 9, 8, 0, 1, 1]])
    found = seed_overlap(first, (first, half, none), share=0.3)
    np.testing.assert_allclose(found, [(1 + 1 / 3 + 0) / 3])


def slow_sensitivity(intact: Explained, changed: list[Explained], power: float) -> list[list]:
    """Relative changes of every sequence and draw, over the number of changes to a power."""
    rows = []
    for n, valid in enumerate(intact.sequences.valid):
        ratios = []
        for each in changed:
            other = each.sequences.codes[n] != intact.sequences.codes[n]
            kept = valid & ~other
            before, after = (of.scores[n, kept].astype(float) for of in (intact, each))
            ratio = np.sqrt(((after - before) ** 2).sum() / (before**2).sum())
            ratios.append(ratio / other.sum() ** power)
        rows.append(ratios)
    return rows


@pytest.mark.parametrize(("metric", "power"), [(substitution_sensitivity, 0), (lipschitz, 0.5)])
def test_the_largest_change_equals_its_slow_twin(metric, power: float) -> None:
    intact, changed = substituted(5)
    expected = np.max(slow_sensitivity(intact, changed, power), axis=1)
    np.testing.assert_allclose(metric(intact, changed), expected, rtol=1e-12)


@pytest.mark.parametrize(("metric", "power"), [(substitution_sensitivity, 0), (lipschitz, 0.5)])
def test_of_more_draws_it_is_the_mean_over_all_choices_of_them(metric, power: float) -> None:
    intact, changed = substituted(7)
    rows = slow_sensitivity(intact, changed, power)
    expected = [np.mean([max(chosen) for chosen in combinations(row, 4)]) for row in rows]
    np.testing.assert_allclose(metric(intact, changed, of=4), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", DRAWN)
def test_the_largest_of_as_many_draws_is_the_plain_maximum_to_the_bit(metric) -> None:
    intact, changed = substituted(5)
    singles = [metric(intact, (each,), of=1) for each in changed]
    np.testing.assert_array_equal(metric(intact, changed), np.max(singles, axis=0))


@pytest.mark.parametrize("metric", DRAWN)
def test_the_order_of_the_draws_does_not_matter(metric) -> None:
    intact, changed = substituted(7)
    found = metric(intact, changed[::-1], of=3)
    np.testing.assert_array_equal(found, metric(intact, changed, of=3))


def noisy(draws: int, sequences: int = 3000) -> tuple[Explained, list[Explained]]:
    """Scores that change by noise of one size, whatever is substituted."""
    generator = np.random.default_rng(3)
    codes = np.zeros((sequences, 11), np.uint8)
    changed = []
    for _ in range(draws):
        other = codes.copy()
        other[:, 10] = 2
        changed.append(explained(1 + 0.3 * generator.standard_normal(codes.shape), other))
    return explained(np.ones(codes.shape), codes), changed


@pytest.mark.parametrize("metric", DRAWN)
def test_the_expected_maximum_does_not_grow_with_the_number_of_draws(metric) -> None:
    intact, changed = noisy(50)
    few, many = (metric(intact, changed[:count]).mean() for count in (5, 50))
    # the standard error of the mean of 3000 largest of 5 is .001
    assert abs(few - many) < 0.005
    plain = [np.mean(metric(intact, changed[:count], of=count)) for count in (5, 50)]
    assert plain[1] > plain[0] + 0.05  # what it guards against


@pytest.mark.parametrize("metric", DRAWN)
def test_fewer_draws_than_the_largest_is_of_are_refused(metric) -> None:
    intact, changed = substituted(4)
    with pytest.raises(NotApplicable, match=r"at least 5 draws for the largest of 5, got 4"):
        metric(intact, changed)


def test_substitution_sensitivity_has_its_closed_form() -> None:
    intact = explained([[3, 4, 0, 0, 0, 0, 50]])
    other = explained([[3, 4, 0, 10, 0, 0, -50]], [[0, 0, 0, 0, 0, 0, 2]])
    np.testing.assert_allclose(substitution_sensitivity(intact, (other,), of=1), [2.0])


def test_lipschitz_has_its_closed_form() -> None:
    # a relative change of 2 by four other bases, of 1.5 by one
    intact = explained([[3, 4, 0, 50, 50, 50, 50]])
    four = explained([[3, 4, 10, 0, 0, 0, 0]], [[0, 0, 0, 2, 1, 3, 2]])
    one = explained([[0, 0, 0, 50, 50, 50, 50]], [[0, 0, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(lipschitz(intact, (four,), of=1), [2 / np.sqrt(4)])
    slope = 5 / np.linalg.norm([3, 4, 50, 50, 50, 50])
    np.testing.assert_allclose(lipschitz(intact, (one,), of=1), [slope])
    np.testing.assert_allclose(lipschitz(intact, (four, one), of=2), [1.0])


def test_lipschitz_in_a_ball_of_one_base_is_substitution_sensitivity() -> None:
    intact, changed = substituted(5, most=1)
    np.testing.assert_array_equal(
        lipschitz(intact, changed), substitution_sensitivity(intact, changed)
    )


def test_lipschitz_without_a_changed_base_is_undefined() -> None:
    intact = explained([range(7), range(7)])
    codes = np.zeros((2, 7))
    codes[1, 2] = 1
    undefined = np.isnan(lipschitz(intact, (explained(intact.scores, codes),), of=1))
    assert undefined.tolist() == [True, False]


def test_settings_sensitivity_is_the_largest_relative_change() -> None:
    intact = explained([[3, 4, 0, 0, 0, 0, 0]])
    settings = [explained([[3, 4, 0, 0, change, 0, 0]]) for change in (0, 15, 5)]
    np.testing.assert_allclose(settings_sensitivity(intact, settings), [3.0])
    intact, *settings = maps(4)
    expected = np.max(slow_sensitivity(intact, settings, 0), axis=1)
    np.testing.assert_allclose(settings_sensitivity(intact, settings), expected, rtol=1e-12)


@pytest.mark.parametrize("metric", [*(partial(each, of=2) for each in DRAWN), settings_sensitivity])
def test_the_change_of_a_map_of_zeros_is_undefined(metric) -> None:
    scores, codes = [[0, 0, 0, 0, 0, 0, 5], [1, 0, 0, 0, 0, 0, 5]], np.zeros((2, 7), np.uint8)
    other = codes.copy()
    other[:, 6] = 1
    changed = explained(np.ones((2, 7)), other)
    again = explained(scores, other)
    undefined = np.isnan(metric(explained(scores), (again, changed)))
    assert undefined.tolist() == [True, False]


@pytest.mark.parametrize("metric", ALL)
def test_stability_needs_something_to_compare_with(metric) -> None:
    with pytest.raises(NotApplicable, match="the change made no second explanation"):
        metric(explained([range(7)]), ())


@pytest.mark.parametrize("metric", ALL)
def test_stability_of_a_sequence_does_not_depend_on_its_company(metric) -> None:
    intact, changed = substituted(5)
    rows = np.array([7, 2, 11])
    part = metric(taken(intact, rows), [taken(each, rows) for each in changed])
    np.testing.assert_array_equal(part, metric(intact, changed)[rows])


@pytest.mark.parametrize("metric", ALL)
def test_scores_of_positions_that_are_not_valid_do_not_count(metric) -> None:
    intact, changed = substituted(5)
    loud = [
        explained(np.where(intact.sequences.valid, each.scores, 1e6), each.sequences.codes)
        for each in (intact, *changed)
    ]
    np.testing.assert_array_equal(metric(loud[0], loud[1:]), metric(intact, changed))


CHANGES_OF_SCORES = {"scale": lambda scores: 8 * scores, "monotone": lambda s: 3 * np.exp(s) + 5}


@pytest.mark.parametrize("metric", ALL)
@pytest.mark.parametrize("name", CHANGES_OF_SCORES)
def test_the_declared_invariances_hold_and_no_others(metric, name: str) -> None:
    intact, changed = substituted(5)
    bent = [
        explained(CHANGES_OF_SCORES[name](each.scores), each.sequences.codes)
        for each in (intact, *changed)
    ]
    same = np.allclose(metric(bent[0], bent[1:]), metric(intact, changed), rtol=1e-12)
    assert same == (name in metric.facts.invariant)


@pytest.mark.parametrize(
    ("metric", "change", "better", "target"),
    [
        (seed_agreement, "seed", "higher", "label"),
        (seed_overlap, "seed", "higher", "label"),
        (reverse_complement_consistency, "reverse_complement", "higher", "predicted"),
        (shift_consistency, "shift", "higher", "predicted"),
        (substitution_sensitivity, "substitutions", "lower", "predicted"),
        (lipschitz, "hamming_ball", "lower", "predicted"),
        (settings_sensitivity, "settings", "lower", "predicted"),
    ],
)
def test_facts_name_the_change_the_direction_and_the_target(metric, change, better, target) -> None:
    facts = metric.facts
    assert (facts.kind, facts.better, facts.target) == (OfChange(change), better, target)
    assert facts.family == "stability"
