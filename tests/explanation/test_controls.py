"""Maps that every method must beat, and those that no method should beat."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from xaibench.attribution.prior import position_prior
from xaibench.errors import NotApplicable
from xaibench.explanation.controls import (
    CONTROLS,
    PRIORS,
    RANDOM,
    another_sequence,
    blurred,
    mean_map,
    negated,
    oracle_of_truth,
    prior_maps,
    random_maps,
    rotated,
)
from xaibench.metrics.localisation import (
    auprc,
    auroc,
    instance_recall,
    pointing_game,
    relevance_mass,
    relevance_rank,
    rule_satisfaction,
    top_k,
)
from xaibench.randomness import identity, stream
from xaibench.values import NO_CLASS, Explained, Sequences

CLASSES = ("a", "b", "c")


def sequences(codes: NDArray[np.uint8], evidence: NDArray[np.int8] | None = None) -> Sequences:
    names = tuple(map(str, range(len(codes))))
    return Sequences(codes, np.arange(len(codes)) % 3, names, CLASSES, evidence=evidence)


@pytest.fixture
def some() -> Sequences:
    """17 sequences of up to 29 bases, some of them unknown; the labels are the targets."""
    generator = np.random.default_rng(4)
    codes = generator.integers(4, size=(17, 29)).astype(np.uint8)
    codes[generator.random(codes.shape) < 0.1] = 4
    codes[np.arange(29) >= generator.integers(13, 30, size=17)[:, None]] = 4
    return sequences(codes)


@pytest.fixture
def scores(some: Sequences) -> NDArray[np.float32]:
    return np.random.default_rng(7).normal(size=some.codes.shape).astype(np.float32)


def every(control: str, scores: NDArray[np.float32], of: Sequences) -> NDArray[np.float32]:
    return CONTROLS[control](scores, of, of.labels, 3)


def test_random_maps_are_uniform_numbers_of_each_sequences_own_stream(some: Sequences) -> None:
    maps = random_maps(some, 5, 3)
    own = stream(3, RANDOM, identity(some.codes[11])).random((5, 29), dtype=np.float32)
    np.testing.assert_array_equal(maps[:, 11], own)


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_is_a_map_of_zeros_where_no_base_is_known(control, scores, some) -> None:
    made = every(control, scores, some)
    assert (made.dtype, made.shape) == (np.float32, (17, 29))
    assert not made[~some.valid].any()
    assert np.isfinite(made).all()


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_does_not_depend_on_scores_of_unknown_bases(control, scores, some) -> None:
    elsewhere = np.where(some.valid, scores, 99).astype(np.float32)
    np.testing.assert_array_equal(every(control, elsewhere, some), every(control, scores, some))


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_does_not_depend_on_the_order_of_the_sequences(control, scores, some) -> None:
    order = np.random.default_rng(1).permutation(17)
    shuffled = every(control, scores[order], some.take(order))
    np.testing.assert_array_equal(shuffled, every(control, scores, some)[order])


@pytest.mark.parametrize("control", ["rotated", "negated", "blurred"])
def test_controls_of_one_sequence_do_not_depend_on_its_company(control, scores, some) -> None:
    alone = every(control, scores[5:6], some.take(np.array([5])))
    np.testing.assert_array_equal(alone, every(control, scores, some)[5:6])


@pytest.mark.parametrize("control", CONTROLS)
def test_a_control_leaves_the_map_as_it_was(control, scores, some) -> None:
    before = scores.copy()
    every(control, scores, some)
    np.testing.assert_array_equal(scores, before)


def test_rotated_moves_the_known_values_round_and_never_by_none(scores, some) -> None:
    made = every("rotated", scores, some)
    for row, valid in enumerate(some.valid):
        before, after = scores[row, valid], made[row, valid]
        distances = [n for n in range(len(before)) if np.array_equal(np.roll(before, n), after)]
        assert len(distances) == 1
        assert distances[0] > 0


def test_rotated_reaches_every_distance_but_none() -> None:
    codes = np.random.default_rng(0).integers(4, size=(200, 5)).astype(np.uint8)
    scores = np.tile(np.arange(5, dtype=np.float32), (200, 1))
    made = rotated(scores, sequences(codes), np.zeros(200, np.int64), 3)
    assert set(made[:, 0]) == {1, 2, 3, 4}


def test_rotated_by_the_same_distance_for_every_map_of_a_sequence(scores, some) -> None:
    np.testing.assert_array_equal(
        every("rotated", 2 * scores, some), 2 * every("rotated", scores, some)
    )


def test_rotated_depends_on_the_data_seed(scores, some) -> None:
    first, second = (rotated(scores, some, some.labels, seed) for seed in (3, 4))
    assert not np.array_equal(first, second)


def test_nothing_can_be_rotated_in_fewer_than_two_known_positions() -> None:
    codes = np.array([[4, 4, 4, 4], [4, 2, 4, 4], [4, 2, 0, 4]], np.uint8)
    made = rotated(np.ones((3, 4), np.float32), sequences(codes), np.zeros(3, np.int64), 0)
    assert np.isnan(made).all(axis=1).tolist() == [True, True, False]


def test_another_sequence_lends_its_map_to_one_of_its_class(scores, some) -> None:
    some = sequences(np.where(some.codes == 4, 0, some.codes).astype(np.uint8))
    made = every("another sequence", scores, some)
    lenders = [int(np.flatnonzero((scores == row).all(axis=1))[0]) for row in made]
    assert sorted(lenders) == list(range(17))
    assert all(lender != row for row, lender in enumerate(lenders))
    np.testing.assert_array_equal(some.labels[lenders], some.labels)


def test_which_sequence_lends_its_map_depends_on_the_data_seed(scores, some) -> None:
    first, second = (another_sequence(scores, some, some.labels, seed) for seed in (3, 4))
    assert not np.array_equal(first, second)


def test_positions_beyond_another_sequence_have_no_score() -> None:
    codes = np.array([[0, 1, 2, 3, 0], [3, 2, 1, 4, 4]], np.uint8)
    scores = np.array([[1, 2, 3, 4, 5], [6, 7, 8, 9, 9]], np.float32)
    made = another_sequence(scores, sequences(codes), np.zeros(2, np.int64), 0)
    assert made.tolist() == [[6, 7, 8, 0, 0], [1, 2, 3, 0, 0]]


@pytest.mark.parametrize("control", ["another sequence", "mean map"])
def test_a_sequence_without_another_of_its_target_has_no_control(control) -> None:
    codes = np.array([[0, 1], [1, 1], [2, 1], [3, 1], [0, 1]], np.uint8)
    targets = np.array([0, 1, 1, 2, 0])
    made = CONTROLS[control](np.ones((5, 2), np.float32), sequences(codes), targets, 0)
    # the first and the last are the same sequence, so neither is another one for the other
    assert np.isnan(made).all(axis=1).tolist() == [True, False, False, True, True]


def slow_mean_map(scores, of: Sequences, row: int) -> list[float]:
    """Position after position, over the others of the class that have a base there."""
    others = [n for n in range(len(of)) if n != row and of.labels[n] == of.labels[row]]
    means = []
    for position, valid in enumerate(of.valid[row]):
        there = [scores[n, position] for n in others if of.valid[n, position]]
        means.append(float(np.mean(there, dtype=np.float64)) if valid and there else 0.0)
    return means


def test_the_mean_map_equals_its_slow_twin(scores, some) -> None:
    expected = [slow_mean_map(scores, some, row) for row in range(17)]
    np.testing.assert_allclose(every("mean map", scores, some), expected, rtol=1e-6, atol=1e-7)


def test_the_mean_map_counts_a_sequence_once_and_never_itself() -> None:
    codes = np.array([[0, 1], [0, 1], [2, 1], [3, 1], [3, 1]], np.uint8)
    scores = np.array([[9, 1], [9, 1], [4, 2], [6, 4], [6, 4]], np.float32)
    made = mean_map(scores, sequences(codes), np.zeros(5, np.int64), 0)
    assert made.tolist() == [[5, 3], [5, 3], [7.5, 2.5], [6.5, 1.5], [6.5, 1.5]]


def test_the_mean_map_is_zero_where_no_other_sequence_has_a_base() -> None:
    codes = np.array([[0, 1, 2], [1, 1, 4]], np.uint8)
    scores = np.array([[1, 2, 3], [4, 5, 6]], np.float32)
    made = mean_map(scores, sequences(codes), np.zeros(2, np.int64), 0)
    assert made.tolist() == [[4, 5, 0], [1, 2, 0]]


def test_equal_maps_are_their_own_mean(some) -> None:
    full = sequences(np.where(some.codes == 4, 0, some.codes).astype(np.uint8))
    equal = np.tile(np.linspace(-1, 2, 29, dtype=np.float32), (17, 1))
    np.testing.assert_allclose(every("mean map", equal, full), equal, rtol=1e-6)


def test_negated_twice_is_the_map_itself(scores, some) -> None:
    once = negated(scores, some, some.labels, 3)
    known = np.where(some.valid, scores, 0)
    np.testing.assert_array_equal(once, -known)
    np.testing.assert_array_equal(negated(once, some, some.labels, 3), known)


def slow_blur(scores, valid) -> list[float]:
    """The mean of the known scores at most four positions away."""
    means = []
    for position in range(len(scores)):
        around = slice(max(0, position - 4), position + 5)
        known = scores[around][valid[around]].astype(np.float64)
        means.append(known.mean() if valid[position] else 0.0)
    return means


def test_blurred_equals_its_slow_twin(scores, some) -> None:
    expected = [slow_blur(*row) for row in zip(scores, some.valid, strict=True)]
    np.testing.assert_allclose(every("blurred", scores, some), expected, rtol=1e-6, atol=1e-7)


def test_a_constant_map_stays_constant_when_blurred(some) -> None:
    flat = np.full(some.codes.shape, 0.375, np.float32)
    np.testing.assert_array_equal(every("blurred", flat, some)[some.valid], np.float32(0.375))


def test_blurring_one_position_spreads_it_over_nine_and_leaves_zeros_zeros() -> None:
    codes = np.zeros((1, 23), np.uint8)
    scores = np.zeros((1, 23), np.float32)
    scores[0, 11] = 0.1
    made = blurred(scores, sequences(codes), np.zeros(1, np.int64), 0)
    expected = [0] * 7 + [np.float32(0.1) / 9] * 9 + [0] * 7
    np.testing.assert_allclose(made[0], expected, rtol=1e-6, atol=0)


def test_distance_to_centre_is_the_method_position_prior(some) -> None:
    valid = torch.from_numpy(some.valid)
    method = position_prior(None, torch.zeros(17, 4, 29), torch.zeros(17), valid=valid)
    np.testing.assert_allclose(prior_maps("distance to centre", some), method, atol=1e-6)


def slow_gc(codes) -> list[float]:
    """The share of C and G among the known bases at most five positions away."""
    shares = []
    for position, code in enumerate(codes):
        around = [base for base in codes[max(0, position - 5) : position + 6] if base != 4]
        shares.append(sum(base in (1, 2) for base in around) / len(around) if code != 4 else 0)
    return shares


def test_gc_content_equals_its_slow_twin(some) -> None:
    expected = [slow_gc(codes) for codes in some.codes]
    np.testing.assert_allclose(prior_maps("GC content", some), expected, rtol=1e-6)


@pytest.mark.parametrize("prior", PRIORS)
def test_a_prior_lies_between_0_and_1_and_does_not_know_its_company(prior, some) -> None:
    maps = prior_maps(prior, some)
    assert maps.dtype == np.float32
    assert maps.min() >= 0
    assert maps.max() <= 1
    np.testing.assert_array_equal(prior_maps(prior, some.take(np.array([8, 2]))), maps[[8, 2]])


@pytest.mark.parametrize("control", [*CONTROLS, *PRIORS])
def test_a_sequence_without_a_known_base_disturbs_nothing(control) -> None:
    unknown = sequences(np.full((2, 5), 4, np.uint8))
    if control in PRIORS:
        assert not prior_maps(control, unknown).any()
    else:
        made = every(control, np.ones((2, 5), np.float32), unknown)
        assert (np.isnan(made) | (made == 0)).all()


def test_the_oracle_says_1_inside_the_motif_of_the_label_and_minus_1_elsewhere() -> None:
    codes = np.array([[0, 1, 2, 3, 4, 4], [0, 1, 2, 3, 0, 1]], np.uint8)
    evidence = np.full((2, 6), NO_CLASS, np.int8)
    evidence[0, 1:5], evidence[1, 0:2], evidence[1, 3:5] = 0, 0, 1
    oracle = oracle_of_truth(sequences(codes, evidence))
    assert oracle.tolist() == [[-1, 1, 1, 1, 0, 0], [-1, -1, -1, 1, 1, -1]]
    assert oracle.dtype == np.float32


def test_there_is_no_oracle_of_unknown_motifs(some) -> None:
    with pytest.raises(NotApplicable, match="does not say where its motifs are"):
        oracle_of_truth(some)


LOCALISATION = [auprc, relevance_mass, relevance_rank, top_k, pointing_game, auroc, instance_recall]


@pytest.mark.parametrize("metric", LOCALISATION)
def test_localisation_tells_oracle_random_and_negated_oracle_apart(metric) -> None:
    codes = np.random.default_rng(2).integers(4, size=(90, 61)).astype(np.uint8)
    evidence = np.full(codes.shape, NO_CLASS, np.int8)
    of = sequences(codes)
    for row, start in enumerate(np.random.default_rng(3).integers(0, 36, size=90)):
        evidence[row, start : start + 11] = of.labels[row]
        evidence[row, start + 17 : start + 24] = (of.labels[row] + 1) % 3
    of = sequences(codes, evidence)
    oracle = oracle_of_truth(of)
    blur = blurred(oracle, of, of.labels, 0)
    best, worst, smooth = (
        metric(Explained(of, each, of.labels, signed=True)).mean()
        for each in (oracle, negated(oracle, of, of.labels, 0), blur)
    )
    maps = random_maps(of, 10, 0)
    chance = np.mean([metric(Explained(of, each, of.labels, signed=False)) for each in maps])
    assert worst <= chance < best
    assert metric is instance_recall or worst < chance - 0.05
    assert smooth <= best


def test_rule_satisfaction_of_the_oracle_is_1_and_of_its_negation_0(some) -> None:
    evidence = np.full(some.codes.shape, NO_CLASS, np.int8)
    evidence[:, 2:7], evidence[:, 9:13] = some.labels[:, None], (some.labels[:, None] + 1) % 3
    of = sequences(some.codes, evidence)
    oracle = oracle_of_truth(of)
    assert (rule_satisfaction(Explained(of, oracle, of.labels, signed=True)) == 1).all()
    assert (rule_satisfaction(Explained(of, -oracle, of.labels, signed=True)) == 0).all()
