"""On how few positions a map stands."""

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import entropy as entropy_of_scipy

from xaibench.metrics.complexity import effective_positions, entropy, gini
from xaibench.values import Explained, Sequences

EVERY = [gini, entropy, effective_positions]


def explained(scores: ArrayLike, valid: ArrayLike = True) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.where(np.broadcast_to(valid, scores.shape), 1, 4).astype(np.uint8)
    labels = np.zeros(len(scores), np.int64)
    sequences = Sequences(codes, labels, tuple(map(str, range(len(scores)))), ("a", "b"))
    return Explained(sequences, scores, labels, signed=True)


@pytest.fixture
def maps() -> Explained:
    """Maps with ties, zeros, both signs and unknown bases: 13 sequences of 19 positions."""
    generator = np.random.default_rng(5)
    scores = generator.integers(-3, 4, size=(13, 19)) / 4
    scores[:, 7] = 0.5
    valid = generator.random((13, 19)) < 0.75
    valid[:, 7] = True
    return explained(scores, valid)


def sizes(of: Explained) -> list[NDArray[np.float64]]:
    valid = of.sequences.valid
    return [np.abs(row[known]).astype(float) for row, known in zip(of.scores, valid, strict=True)]


def slow_gini(size: NDArray[np.float64]) -> float:
    """Half the mean difference of all pairs over the mean."""
    return float(np.abs(np.subtract.outer(size, size)).mean() / (2 * size.mean()))


def slow_entropy(size: NDArray[np.float64]) -> float:
    """Share after share, in bits."""
    shares = size / size.sum()
    return float(-sum(share * np.log2(share) for share in shares if share > 0))


def test_gini_equals_its_slow_twin(maps: Explained) -> None:
    np.testing.assert_allclose(gini(maps), [slow_gini(each) for each in sizes(maps)], rtol=1e-12)


def test_entropy_equals_its_slow_twin_and_that_of_scipy(maps: Explained) -> None:
    np.testing.assert_allclose(entropy(maps), [slow_entropy(each) for each in sizes(maps)])
    np.testing.assert_allclose(entropy(maps), [entropy_of_scipy(s, base=2) for s in sizes(maps)])


def test_effective_positions_are_two_to_the_power_of_the_entropy(maps: Explained) -> None:
    np.testing.assert_allclose(effective_positions(maps), 2 ** entropy(maps), rtol=1e-12)


def test_equal_sizes_need_every_position() -> None:
    equal = explained([[-0.3, 0.3, 0.3, -0.3, 0.3, 0.3, 0.3]])
    np.testing.assert_allclose(gini(equal), [0], atol=1e-12)
    np.testing.assert_allclose(entropy(equal), [np.log2(7)])
    np.testing.assert_allclose(effective_positions(equal), [7])


def test_one_position_with_everything_is_the_sparsest_map() -> None:
    single = explained([[0, 0, -5, 0, 0, 0, 0]])
    np.testing.assert_allclose(gini(single), [6 / 7])
    assert entropy(single).tolist() == [0]
    assert effective_positions(single).tolist() == [1]


def test_a_linear_map_has_a_third_of_the_gini() -> None:
    np.testing.assert_allclose(gini(explained([[1, 2, 3, 4, 5, 6, 7]])), [(7 - 1) / (3 * 7)])


def test_a_motif_of_equal_scores_needs_its_own_positions() -> None:
    motif = explained([[0, 0, 2, 2, 2, 2, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(gini(motif), [1 - 4 / 11])
    np.testing.assert_allclose(entropy(motif), [2])
    np.testing.assert_allclose(effective_positions(motif), [4])


@pytest.mark.parametrize("metric", EVERY)
def test_complexity_does_not_depend_on_scale_sign_or_place(metric, maps: Explained) -> None:
    of = maps.sequences
    scaled = Explained(of, maps.scores * -8, maps.targets, True)
    np.testing.assert_allclose(metric(scaled), metric(maps), rtol=1e-12)
    turned = Sequences(of.codes[:, ::-1], of.labels, of.names, of.class_names)
    backwards = Explained(turned, maps.scores[:, ::-1], maps.targets, True)
    np.testing.assert_allclose(metric(backwards), metric(maps), rtol=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_unknown_bases_and_padding_do_not_count(metric) -> None:
    padded = explained([[1, 99, 2, 0, 4, -98, 97]], [[1, 0, 1, 1, 1, 0, 0]])
    np.testing.assert_allclose(metric(padded), metric(explained([[1, 2, 0, 4]])), rtol=1e-12)


@pytest.mark.parametrize("metric", EVERY)
def test_complexity_of_a_map_of_zeros_is_undefined(metric) -> None:
    valid = [[1, 1, 1, 1, 0], [1, 1, 1, 1, 0], [0, 0, 0, 0, 0]]
    zeros = explained([[0, 0, 0, 0, 5], [0, 1, 0, 0, 5], [1, 1, 1, 1, 1]], valid)
    assert np.isnan(metric(zeros)).tolist() == [True, False, True]


@pytest.mark.parametrize("metric", EVERY)
def test_complexity_of_a_sequence_does_not_depend_on_its_company(metric, maps: Explained) -> None:
    rows = np.array([11, 2, 5])
    few = Explained(maps.sequences.take(rows), maps.scores[rows], maps.targets[rows], True)
    np.testing.assert_array_equal(metric(few), metric(maps)[rows])


@pytest.mark.parametrize("metric", EVERY)
def test_complexity_is_no_merit(metric) -> None:
    assert metric.facts.better == "neither"
    assert metric.facts.family == "complexity"
    assert metric.facts.invariant == ("scale",)
