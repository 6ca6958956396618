"""Scores against the positions of a motif."""

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import average_precision_score

from xaibench.errors import NotApplicable
from xaibench.metrics.localisation import auprc, chance_auprc, relevance_mass
from xaibench.values import NO_CLASS, Explained, Sequences


def explained(
    scores: ArrayLike, inside_motif: ArrayLike | None, valid: ArrayLike = True, signed: bool = True
) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.where(np.broadcast_to(valid, scores.shape), 2, 4).astype(np.uint8)
    evidence = None
    if inside_motif is not None:
        evidence = np.where(np.atleast_2d(inside_motif), 0, NO_CLASS).astype(np.int8)
    labels = np.zeros(len(scores), np.int64)
    names = tuple(map(str, range(len(scores))))
    sequences = Sequences(codes, labels, names, ("a", "b"), evidence=evidence)
    return Explained(sequences, scores, labels, signed)


@pytest.fixture
def tied() -> Explained:
    """Many ties, zeros, negative scores and unknown bases: 31 sequences of 17 positions."""
    generator = np.random.default_rng(3)
    scores = generator.integers(-3, 5, size=(31, 17)) / 4
    valid, inside = generator.random((31, 17)) < 0.8, generator.random((31, 17)) < 0.3
    valid[:, :2], inside[:, :2] = True, (True, False)
    return explained(scores, inside, valid)


def slow_average_precision(scores: NDArray[np.float64], inside: NDArray[np.bool_]) -> float:
    """Threshold after threshold: the gain in recall times the precision there."""
    total, recall = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        chosen = scores >= threshold
        hits = (chosen & inside).sum()
        total += (hits / inside.sum() - recall) * hits / chosen.sum()
        recall = hits / inside.sum()
    return total


def rows(of: Explained) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
    """The positive part of the scores and the motif, of the valid positions."""
    assert of.sequences.inside_motif is not None
    return [
        (np.maximum(scores[valid], 0).astype(np.float64), inside[valid])
        for scores, inside, valid in zip(
            of.scores, of.sequences.inside_motif, of.sequences.valid, strict=True
        )
    ]


def test_auprc_equals_average_precision_of_scikit_learn_under_ties(tied: Explained) -> None:
    expected = [average_precision_score(inside, scores) for scores, inside in rows(tied)]
    np.testing.assert_allclose(auprc(tied), expected, rtol=1e-12)


def test_auprc_equals_its_slow_twin(tied: Explained) -> None:
    expected = [slow_average_precision(scores, inside) for scores, inside in rows(tied)]
    np.testing.assert_allclose(auprc(tied), expected, rtol=1e-12)


def test_relevance_mass_equals_its_slow_twin(tied: Explained) -> None:
    expected = [scores[inside].sum() / scores.sum() for scores, inside in rows(tied)]
    np.testing.assert_allclose(relevance_mass(tied), expected, rtol=1e-12)


def test_a_perfect_map_has_auprc_and_mass_one() -> None:
    inside = [[0, 0, 1, 1, 0, 0, 0]]
    perfect = explained([[0, -1, 2, 5, 0, -3, 0]], inside)
    assert auprc(perfect).tolist() == relevance_mass(perfect).tolist() == [1.0]


def test_a_map_that_puts_two_motif_positions_last_has_the_closed_form() -> None:
    last = explained([[7, 6, 5, 4, 3, 2, 1]], [[0, 0, 0, 0, 0, 1, 1]])
    np.testing.assert_allclose(auprc(last), [(1 / 6 + 2 / 7) / 2])
    np.testing.assert_allclose(relevance_mass(last), [3 / 28])


def test_equal_scores_reach_the_share_of_the_motif() -> None:
    flat = explained(np.full((1, 7), 0.3), [[0, 1, 1, 0, 0, 0, 0]])
    np.testing.assert_allclose(auprc(flat), [2 / 7])
    np.testing.assert_allclose(relevance_mass(flat), [2 / 7])


def test_negative_scores_are_no_evidence_for_the_label() -> None:
    inside = [[1, 0, 0, 0, 0, 0, 0]]
    np.testing.assert_allclose(auprc(explained([[-9, -1, -2, 0, 0, 0, 0]], inside)), [1 / 7])
    assert np.isnan(relevance_mass(explained([[-9, -1, -2, 0, 0, 0, 0]], inside))).all()


def test_auprc_of_unsigned_scores_takes_them_as_they_are() -> None:
    scores, inside = [[-1, -2, -3, -4, -5, -6, -7]], [[1, 0, 0, 0, 0, 0, 0]]
    assert auprc(explained(scores, inside, signed=False)).tolist() == [1.0]


@pytest.mark.parametrize("metric", [auprc, relevance_mass])
def test_localisation_does_not_depend_on_the_scale_of_a_map(metric, tied: Explained) -> None:
    scaled = Explained(tied.sequences, tied.scores * np.float32(8), tied.targets, True)
    np.testing.assert_allclose(metric(scaled), metric(tied), rtol=1e-12)


def test_auprc_depends_on_the_order_of_the_evidence_alone(tied: Explained) -> None:
    bent = np.sign(tied.scores) * np.expm1(np.abs(tied.scores))
    monotone = Explained(tied.sequences, bent.astype(np.float32), tied.targets, True)
    np.testing.assert_allclose(auprc(monotone), auprc(tied), rtol=1e-12)


@pytest.mark.parametrize("metric", [auprc, relevance_mass])
def test_scores_and_motif_of_unknown_bases_do_not_count(metric) -> None:
    valid = np.array([[1, 1, 1, 1, 1, 0, 0]], bool)
    with_unknown = explained([[5, 4, 3, 2, 1, 99, 98]], [[0, 1, 0, 0, 1, 0, 1]], valid)
    without = explained([[5, 4, 3, 2, 1]], [[0, 1, 0, 0, 1]])
    np.testing.assert_allclose(metric(with_unknown), metric(without))


@pytest.mark.parametrize("metric", [auprc, relevance_mass])
def test_localisation_is_undefined_without_the_motif(metric) -> None:
    scores = np.tile(np.arange(7.0), (3, 1))
    inside = np.zeros((3, 7), bool)
    inside[1, 4] = True
    assert np.isnan(metric(explained(scores, inside))).tolist() == [True, False, True]


def test_auprc_is_undefined_where_every_valid_position_is_motif() -> None:
    valid = np.array([[1, 1, 1, 0, 0, 0, 0]], bool)
    assert np.isnan(auprc(explained([np.arange(7)], [[1, 1, 1, 0, 0, 0, 0]], valid))).all()


@pytest.mark.parametrize("metric", [auprc, relevance_mass])
def test_localisation_needs_to_know_where_motifs_are(metric) -> None:
    with pytest.raises(NotApplicable, match="does not say where its motifs are"):
        metric(explained([np.arange(7)], None))


@pytest.mark.parametrize(("motif_positions", "positions"), [(1, 7), (3, 11), (15, 60), (59, 60)])
def test_chance_auprc_is_the_mean_over_random_orders(motif_positions: int, positions: int) -> None:
    inside = np.zeros((20_000, positions), bool)
    inside[:, :motif_positions] = True
    scores = np.random.default_rng(0).random(inside.shape)
    values = auprc(explained(scores, inside))
    error = values.std() / np.sqrt(len(values))
    assert abs(values.mean() - chance_auprc(motif_positions, positions)) < 4 * error


def test_chance_auprc_of_one_motif_position_is_the_mean_of_one_over_its_rank() -> None:
    expected = sum(1 / rank for rank in range(1, 8)) / 7
    np.testing.assert_allclose(chance_auprc(1, 7), expected, rtol=1e-12)


def test_chance_auprc_is_above_the_share_of_the_motif() -> None:
    assert chance_auprc(15, 200) > 1.2 * 15 / 200


def test_chance_auprc_is_undefined_where_auprc_is() -> None:
    assert np.isnan(chance_auprc([0, 7, 3, 1], [7, 7, 7, 1])).tolist() == [True, True, False, True]


@pytest.mark.parametrize("metric", [auprc, relevance_mass])
def test_localisation_explains_the_label_and_is_better_when_higher(metric) -> None:
    assert metric.facts.target == "label"
    assert metric.facts.needs_motif
    assert metric.facts.better == "higher"
