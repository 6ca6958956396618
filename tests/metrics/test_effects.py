"""Maps beside what a model loses by substitutions."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from scipy.stats import spearmanr

from xaibench.errors import NotApplicable
from xaibench.metrics.effects import infidelity, sensitivity_n, substitution_agreement
from xaibench.protocols import OfEffects
from xaibench.values import Explained, N, Sequences, Subsets, Substitutions

SEQUENCES, POSITIONS = 5, 13
SIZES = np.repeat([0.2, 0.5, 0.7], [6, 9, 7])
OF_SUBSETS = [infidelity, sensitivity_n]


def explained(scores: ArrayLike, codes: ArrayLike | None = None, signed: bool = True) -> Explained:
    scores = np.atleast_2d(np.asarray(scores, np.float32))
    codes = np.zeros(scores.shape, np.uint8) if codes is None else np.asarray(codes, np.uint8)
    labels = np.zeros(len(scores), np.int64)
    names = tuple(map(str, range(len(scores))))
    return Explained(Sequences(codes, labels, names, ("a", "b")), scores, labels, signed)


def codes_with_unknown(seed: int = 0) -> NDArray[np.uint8]:
    """The rows end at different places, and some bases inside are unknown."""
    generator = np.random.default_rng(seed)
    codes = generator.integers(4, size=(SEQUENCES, POSITIONS)).astype(np.uint8)
    codes[generator.random(codes.shape) < 0.15] = N
    for row, end in enumerate([13, 12, 11, 10, 9]):
        codes[row, end:] = N
    return codes


def linear_drops(weights: NDArray[np.float64], codes: NDArray[np.uint8]) -> Substitutions:
    """What a linear model with ``weights`` ``(position, base)`` loses by every substitution."""
    positions = np.arange(codes.shape[1])
    own = weights[positions, np.minimum(codes, 3)]
    drops = own[..., None] - weights[None]
    return Substitutions(np.where((codes < N)[..., None], drops, np.nan))


def random_sets(codes: NDArray[np.uint8], sizes: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(edit, sequence, position)``: so large a share of the valid positions, at random."""
    generator = np.random.default_rng(4)
    sets = np.zeros((len(sizes), *codes.shape), bool)
    for edit, row in np.ndindex(len(sizes), len(codes)):
        valid = np.flatnonzero(codes[row] < N)
        count = round(sizes[edit] * len(valid))
        sets[edit, row, generator.choice(valid, count, replace=False)] = True
    return sets


def additive(effects: NDArray[np.float64], codes: NDArray[np.uint8]) -> Subsets:
    """What a model loses that is a sum of effects, whatever base comes."""
    sets = random_sets(codes, SIZES)
    return Subsets(SIZES, sets, np.where(sets, effects, 0).sum(axis=2))


@pytest.fixture
def weights() -> NDArray[np.float64]:
    return np.random.default_rng(7).normal(size=(POSITIONS, 4))


@pytest.fixture
def noisy() -> tuple[Explained, Subsets]:
    """A map that says something, not all, of what is lost."""
    generator, codes = np.random.default_rng(8), codes_with_unknown()
    effects = generator.normal(size=codes.shape)
    subsets = additive(effects, codes)
    drops = subsets.drops + generator.normal(size=subsets.drops.shape)
    return explained(effects, codes), replace(subsets, drops=drops)


def rows(of: Explained, subsets: Subsets) -> list[tuple[NDArray[np.float64], ...]]:
    """Of each sequence the sums of the scores over the sets, and the drops."""
    return [
        (
            np.array([of.scores[row, each[row]].astype(float).sum() for each in subsets.replaced]),
            subsets.drops[:, row],
        )
        for row in range(len(of.scores))
    ]


# Slow twins


def test_substitution_agreement_equals_its_slow_twin(weights: NDArray[np.float64]) -> None:
    codes = codes_with_unknown()
    drops = linear_drops(weights, codes)
    scores = np.random.default_rng(9).integers(-2, 3, size=codes.shape) / 4  # many ties
    for signed in (True, False):
        expected = []
        for row, valid in enumerate(codes < N):
            effect = np.array([each.sum() / 3 for each in drops.drops[row, valid]])
            effect = effect if signed else np.abs(effect)
            expected.append(spearmanr(scores[row, valid], effect).statistic)
        found = substitution_agreement(explained(scores, codes, signed), drops)
        np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_infidelity_equals_its_slow_twin(noisy: tuple[Explained, Subsets]) -> None:
    expected = []
    for sums, drops in rows(*noisy):
        for size in set(SIZES):
            sums[SIZES == size] -= sums[SIZES == size].mean()
            drops[SIZES == size] -= drops[SIZES == size].mean()
        factors = np.linspace(0, 5, 200_001)[:, None]  # a search instead of the least squares
        squares = np.mean((factors * sums - drops) ** 2, axis=1)
        expected.append(squares.min() / np.mean(drops**2))
    np.testing.assert_allclose(infidelity(*noisy), expected, rtol=1e-7)


def test_sensitivity_n_equals_its_slow_twin(noisy: tuple[Explained, Subsets]) -> None:
    expected = []
    for sums, drops in rows(*noisy):
        of_sizes = [(sums[SIZES == size], drops[SIZES == size]) for size in set(SIZES)]
        expected.append(np.mean([np.corrcoef(*of_size)[0, 1] for of_size in of_sizes]))
    np.testing.assert_allclose(sensitivity_n(*noisy), expected, rtol=1e-12)


# Known answers: a linear model, a motif, a constant model


@pytest.mark.parametrize("factor", [1.0, 0.1, 1e-6, 1e6])
def test_the_exact_map_of_a_linear_model_agrees_with_its_substitutions(
    weights: NDArray[np.float64], factor: float
) -> None:
    """Input x corrected gradient, one score a position: the own weight minus the mean of four."""
    codes = codes_with_unknown()
    own = weights[np.arange(POSITIONS), np.minimum(codes, 3)]
    exact = factor * (own - weights.mean(axis=1))
    drops = linear_drops(weights, codes)
    assert substitution_agreement(explained(exact, codes), drops).tolist() == [1.0] * SEQUENCES
    assert substitution_agreement(explained(-exact, codes), drops).tolist() == [-1.0] * SEQUENCES
    unsigned = explained(np.abs(exact), codes, signed=False)
    assert substitution_agreement(unsigned, drops).tolist() == [1.0] * SEQUENCES


def test_the_exact_map_of_an_additive_model_leaves_nothing_unexplained() -> None:
    codes = codes_with_unknown()
    effects = np.random.default_rng(1).integers(-8, 9, size=codes.shape) / 4  # exact in float32
    exact, subsets = explained(effects, codes), additive(effects, codes)
    assert infidelity(exact, subsets).tolist() == [0.0] * SEQUENCES
    assert sensitivity_n(exact, subsets).tolist() == [1.0] * SEQUENCES


def test_rounding_does_not_hide_an_exact_map() -> None:
    """Float32 scores in another unit: equal to 1 in 1e7, and equality of floats would say no."""
    codes = codes_with_unknown()
    effects = np.random.default_rng(1).normal(size=codes.shape)
    exact, subsets = explained(0.1 * effects, codes), additive(effects, codes)
    np.testing.assert_allclose(infidelity(exact, subsets), 0, atol=1e-12)
    np.testing.assert_allclose(sensitivity_n(exact, subsets), 1, atol=1e-12)


def test_an_exact_a_random_and_a_negated_map_are_told_apart() -> None:
    codes = codes_with_unknown()
    effects = np.random.default_rng(1).normal(size=codes.shape)
    subsets = additive(effects, codes)
    random = np.random.default_rng(2).normal(size=(100, *codes.shape))
    for metric, best, worst in [(infidelity, 0, 1), (sensitivity_n, 1, -1)]:
        values = [metric(explained(scores, codes), subsets).mean() for scores in random]
        negated = metric(explained(-effects, codes), subsets)
        np.testing.assert_allclose(negated, worst, atol=1e-12)
        assert min(best, worst) < np.mean(values) < max(best, worst)


def test_a_motif_that_acts_as_a_whole_is_no_sum() -> None:
    """The output falls by 1 as soon as one of three positions changes; two sizes of sets."""
    sets = np.array([[1, 0, 0, 0], [0, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]], bool)[:, None]
    subsets = Subsets(np.array([0.25, 0.25, 0.5, 0.5]), sets, np.array([[1.0], [0], [1], [1]]))
    motif = explained([[1, 1, 1, 0]])
    # within sizes the sums are 1/2, -1/2, 1/2, -1/2 and the drops 1/2, -1/2, 0, 0: the best factor
    # is 1/2, and 4 (1/4)^2 of 1/2 is left
    np.testing.assert_allclose(infidelity(motif, subsets), [1 / 2])
    # over single positions the correlation is 1; over pairs the drops are all the same
    assert np.isnan(sensitivity_n(motif, subsets)).all()


def test_a_constant_map_explains_nothing_however_much_large_sets_lose() -> None:
    codes = np.zeros((1, POSITIONS), np.uint8)
    subsets = additive(np.ones(codes.shape) + np.arange(POSITIONS) / 50, codes)
    assert infidelity(explained(np.ones(codes.shape), codes), subsets).tolist() == [1.0]


def test_the_correlation_over_sets_is_within_a_size() -> None:
    """Large sets lose more than small ones, whatever the map: that alone is no merit."""
    sets = np.zeros((4, 1, 7), bool)
    for edit, places in enumerate([(0,), (1,), (0, 2, 3), (1, 2, 3)]):
        sets[edit, 0, list(places)] = True
    subsets = Subsets(np.array([1, 1, 3, 3]) / 7, sets, np.array([[1.0], [2], [11], [12]]))
    wrong = explained([[2, 1, 5, 5, 0, 0, 0]])
    np.testing.assert_allclose(sensitivity_n(wrong, subsets), [-1.0])


def test_a_map_of_zeros_explains_nothing_and_has_no_correlation(
    noisy: tuple[Explained, Subsets],
) -> None:
    zeros = replace(noisy[0], scores=np.zeros_like(noisy[0].scores))
    assert infidelity(zeros, noisy[1]).tolist() == [1.0] * SEQUENCES
    assert np.isnan(sensitivity_n(zeros, noisy[1])).all()


def test_nothing_is_defined_on_a_constant_model(noisy: tuple[Explained, Subsets]) -> None:
    of, subsets = noisy
    still = replace(subsets, drops=np.zeros_like(subsets.drops))
    for metric in OF_SUBSETS:
        assert np.isnan(metric(of, still)).all()
    no_drops = linear_drops(np.zeros((POSITIONS, 4)), of.sequences.codes)
    assert np.isnan(substitution_agreement(of, no_drops)).all()


@pytest.mark.parametrize("height", [0.1, -3.3, 0.0])
def test_a_constant_map_has_no_correlation_whatever_rounding_says(height: float) -> None:
    """Float32 sums of equal scores in different places differ in the last bit."""
    weights = np.random.default_rng(7).normal(size=(400, 4))
    codes = np.random.default_rng(0).integers(4, size=(3, 400)).astype(np.uint8)
    flat = explained(np.full(codes.shape, height), codes)
    subsets = additive(np.random.default_rng(3).normal(size=codes.shape), codes)
    largest = Subsets(SIZES[-7:], subsets.replaced[-7:], subsets.drops[-7:])
    assert np.isnan(sensitivity_n(flat, largest)).all()
    assert np.isnan(substitution_agreement(flat, linear_drops(weights, codes))).all()


def test_the_own_base_is_no_substitution() -> None:
    """Drops of 3, 0, 3 over three substitutions: the mean is 2, not 1.5, and below 2.5."""
    drops = Substitutions(np.array([[[0.0, 3, 0, 3], [0.0, 2.5, 2.5, 2.5], [0.0, 1, 1, 1]]]))
    assert substitution_agreement(explained([[2, 3, 1]]), drops).tolist() == [1.0]


def test_an_unsigned_map_agrees_with_the_size_of_effects() -> None:
    drops = np.array([[-4.0, 1, 0, 2]])
    effects = Substitutions(np.stack([0 * drops, drops, drops, drops], axis=-1))
    size = [[4, 1, 0, 2]]
    assert substitution_agreement(explained(size, signed=False), effects).tolist() == [1.0]
    assert substitution_agreement(explained(size), effects)[0] == pytest.approx(-0.2)


# What does not count


@pytest.mark.parametrize("metric", OF_SUBSETS)
def test_unknown_bases_do_not_count_even_where_a_set_holds_them(
    metric, noisy: tuple[Explained, Subsets]
) -> None:
    of, subsets = noisy
    loud = replace(of, scores=np.where(of.sequences.valid, of.scores, np.float32(99)))
    wider = replace(subsets, replaced=subsets.replaced | ~of.sequences.valid)
    np.testing.assert_array_equal(metric(loud, wider), metric(of, subsets))


def test_a_sequence_without_a_known_base_is_undefined_alone(
    weights: NDArray[np.float64], noisy: tuple[Explained, Subsets]
) -> None:
    codes = codes_with_unknown()
    codes[2] = N
    of = explained(np.random.default_rng(5).normal(size=codes.shape), codes)
    expected = [False, False, True, False, False]
    found = substitution_agreement(of, linear_drops(weights, codes))
    assert np.isnan(found).tolist() == expected
    assert np.isnan(sensitivity_n(of, noisy[1])).tolist() == expected


def test_every_sequence_counts_however_many_there_are() -> None:
    """200 sequences, a wrong map for the last hundred: none is left out."""
    generator = np.random.default_rng(6)
    codes = np.zeros((200, POSITIONS), np.uint8)
    effects = generator.normal(size=codes.shape)
    subsets, sign = additive(effects, codes), np.repeat([1, -1], 100)
    found = sensitivity_n(explained(effects * sign[:, None], codes), subsets)
    np.testing.assert_allclose(found, sign, atol=1e-6)


def test_one_set_of_a_size_is_nothing_to_correlate_over(noisy: tuple[Explained, Subsets]) -> None:
    of, subsets = noisy
    few = Subsets(subsets.fractions[5:], subsets.replaced[5:], subsets.drops[5:])
    with pytest.raises(NotApplicable, match=r"expected two or more sets of every size.*of 0\.2 of"):
        sensitivity_n(of, few)


@pytest.mark.parametrize(
    ("metric", "effects", "better", "range_"),
    [
        (substitution_agreement, "substitutions", "higher", (-1, 1)),
        (infidelity, "subsets", "lower", (0, 1)),
        (sensitivity_n, "subsets", "higher", (-1, 1)),
    ],
)
def test_facts_name_the_effects_the_direction_and_the_range(
    metric, effects, better, range_
) -> None:
    facts = metric.facts
    assert (facts.kind, facts.better) == (OfEffects(effects), better)
    assert facts.range == range_
    assert facts.target == "predicted"
