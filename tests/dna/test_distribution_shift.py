"""How far from the data: against counting by hand, and against what is known without counting."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from scipy.special import softmax

from xaibench.dna import distribution_shift, encoding
from xaibench.dna.distribution_shift import (
    KmerBackground,
    confidence,
    fit_kmer_background,
    likelihood_changes,
    log_likelihood,
    rank_agreements,
)
from xaibench.dna.operators import (
    base_composition,
    different,
    dinucleotide,
    donors,
    n,
    uniform,
    window,
)
from xaibench.dna.replacement import replacement_ranks
from xaibench.randomness import streams
from xaibench.values import N

TRAIN = encoding.to_codes(["ACGTACGTAAC", "NNACGTTACCA", "TTNACG", "GATTACA"])
TEST = encoding.to_codes(["ACGTTACGNACGT", "TTTTTTT", "GANTC"])
FRACTIONS = (0, 0.2, 0.5, 1)


def slow_background(codes):
    """Words counted one by one; three N stand before each sequence."""
    words = Counter()
    for row in codes:
        letters = (N, N, N, *row[: encoding.lengths(row[None])[0]].tolist())
        words.update(letters[at - 3 : at + 1] for at in range(3, len(letters)))
    return words


def slow_log_likelihood(words, row, length):
    letters = (N, N, N, *row.tolist())
    total = 0.0
    for at in range(3, 3 + length):
        before = letters[at - 3 : at]
        after = [words[(*before, letter)] + 1 for letter in range(5)]
        total += np.log(after[letters[at]] / sum(after))
    return total / length


def ranked(codes, seed=0):
    scores = np.random.default_rng(seed).random(codes.shape)
    return replacement_ranks(scores, codes < N, streams(seed, "ties", codes))


def test_log_likelihood_equals_counting_words_one_by_one():
    words = slow_background(TRAIN)
    expected = [
        slow_log_likelihood(words, row, length)
        for row, length in zip(TEST, encoding.lengths(TEST), strict=True)
    ]
    assert log_likelihood(fit_kmer_background(TRAIN), TEST) == pytest.approx(expected, rel=1e-12)


def test_a_background_of_nothing_gives_every_letter_one_in_five():
    nothing = fit_kmer_background(np.empty((0, 9), np.uint8))
    assert log_likelihood(nothing, TEST) == pytest.approx(np.full(3, -np.log(5)))


def test_a_background_of_one_repeated_base_is_known_in_closed_form():
    count = 6
    train = np.zeros((count, 4), np.uint8)
    # A comes first, second, third and fourth once in each sequence, after NNN, NNA, NAA and AAA
    found = log_likelihood(fit_kmer_background(train), np.zeros((1, 7), np.uint8))
    assert found[0] == pytest.approx(np.log((count + 1) / (count + 5)))


def test_probabilities_of_the_next_letter_sum_to_one():
    probability = np.exp(fit_kmer_background(TRAIN).log_probability)
    assert probability.sum(axis=-1) == pytest.approx(np.ones((5, 5, 5)))


def test_what_train_never_has_is_far_from_it():
    background = fit_kmer_background(np.tile(encoding.to_codes(["ACGTACGTACGT"]), (50, 1)))
    like, unlike, unknown = log_likelihood(
        background, encoding.to_codes(["GTACGTACGTA", "GGGGGGGGGGG", "GTANNNNNGTA"])
    )
    assert like > unlike
    assert like > unknown


def test_padding_is_no_part_of_a_sequence():
    padded = np.pad(TRAIN, ((0, 0), (0, 5)), constant_values=N)
    background = fit_kmer_background(padded)
    assert np.array_equal(background.log_probability, fit_kmer_background(TRAIN).log_probability)
    longer = np.pad(TEST, ((0, 0), (0, 5)), constant_values=N)
    # the sum is taken in another order
    expected = pytest.approx(log_likelihood(background, TEST), rel=1e-12)
    assert log_likelihood(background, longer) == expected


def test_company_and_order_change_nothing():
    background = fit_kmer_background(TRAIN)
    together = log_likelihood(background, TEST)
    assert np.array_equal(
        fit_kmer_background(TRAIN[::-1]).log_probability, background.log_probability
    )
    assert np.array_equal(log_likelihood(background, TEST[::-1])[::-1], together)
    alone = [log_likelihood(background, row[None])[0] for row in TEST]
    assert np.array_equal(alone, together)


def test_parts_change_nothing(monkeypatch):
    background, together = (
        fit_kmer_background(TRAIN),
        log_likelihood(fit_kmer_background(TRAIN), TEST),
    )
    monkeypatch.setattr(distribution_shift, "_POSITIONS_PER_BLOCK", 2 * TEST.shape[1])
    assert np.array_equal(fit_kmer_background(TRAIN).log_probability, background.log_probability)
    assert np.array_equal(log_likelihood(background, TEST), together)


def test_a_sequence_without_a_known_base_has_no_log_likelihood():
    codes = np.array([[N, N, N], [N, 1, N]], np.uint8)
    assert np.isnan(log_likelihood(fit_kmer_background(TRAIN), codes)).tolist() == [True, False]
    assert log_likelihood(fit_kmer_background(TRAIN), np.empty((0, 3), np.uint8)).shape == (0,)


def test_a_background_of_another_order_is_refused():
    with pytest.raises(ValueError, match=r"log_probability: expected \(5, 5, 5, 5\), got \(4, 4\)"):
        KmerBackground(np.zeros((4, 4)))


# What replacing does


@pytest.mark.parametrize("operator", [n, uniform, different])
def test_changes_equal_replacing_one_position_at_a_time(operator):
    donor = donors(operator, TEST, streams(0, "donor", TEST))
    order, words = ranked(TEST), slow_background(TRAIN)
    found = likelihood_changes(fit_kmer_background(TRAIN), TEST, donor, FRACTIONS, order)
    assert found.shape == (4, 3)
    for (step, row), change in np.ndenumerate(found):
        length = encoding.lengths(TEST)[row]
        count = int(np.floor(FRACTIONS[step] * (TEST[row] < N).sum() + 0.5))
        edited = TEST[row].copy()
        for position in np.flatnonzero(order[row] < count):
            edited[position] = donor[row, position]
        before = slow_log_likelihood(words, TEST[row], length)
        expected = slow_log_likelihood(words, edited, length) - before
        assert change == pytest.approx(expected, abs=1e-12)


def test_nothing_replaced_changes_nothing_and_all_replaced_is_the_donor():
    donor = donors(uniform, TEST, streams(0, "donor", TEST))
    background = fit_kmer_background(TRAIN)
    found = likelihood_changes(background, TEST, donor, FRACTIONS, ranked(TEST))
    assert (found[0] == 0).all()
    expected = log_likelihood(background, donor) - log_likelihood(background, TEST)
    assert found[-1] == pytest.approx(expected)


def test_n_at_the_end_of_a_sequence_are_no_padding():
    background = fit_kmer_background(TRAIN)
    codes = encoding.to_codes(["ACGTACG"])
    at_the_end = np.where(np.arange(7) >= 4, 3 - np.arange(7) + 3, 6)[None]
    donor = np.full_like(codes, N)
    found = likelihood_changes(background, codes, donor, (3 / 7,), at_the_end)
    edited = encoding.to_codes(["ACGTNNN"])
    words = slow_background(TRAIN)
    expected = slow_log_likelihood(words, edited[0], 7) - slow_log_likelihood(words, codes[0], 7)
    assert found[0, 0] == pytest.approx(expected)
    assert (
        found[0, 0] < log_likelihood(background, edited)[0] - log_likelihood(background, codes)[0]
    )


def test_operators_that_keep_more_of_the_sequence_stay_nearer_to_train():
    generator = np.random.default_rng(0)
    steps = np.array([[7, 1, 1, 1], [1, 1, 7, 1], [1, 1, 1, 7], [1, 7, 1, 1]]) / 10
    codes = np.zeros((400, 60), np.uint8)
    for position in range(1, 60):
        thresholds = steps[codes[:, position - 1]].cumsum(axis=1)
        codes[:, position] = (generator.random(400)[:, None] >= thresholds[:, :3]).sum(axis=1)
    background, order = fit_kmer_background(codes[:300]), ranked(codes[300:])
    test = codes[300:]

    def changed(operator):
        donor = donors(operator, test, streams(0, "donor", test))
        return likelihood_changes(background, test, donor, (1,), order).mean()

    near, middle, far = changed(dinucleotide), changed(window), changed(uniform)
    assert abs(near) < 0.02
    assert near > middle > far > changed(n)
    assert base_composition(codes).max() < 0.6


# Confidence


def test_confidence_is_the_largest_softmax():
    logits = np.random.default_rng(0).normal(0, 3, (5, 7, 3)).astype(np.float32)
    expected = softmax(logits.astype(np.float64), axis=-1).max(axis=-1)
    assert confidence(logits) == pytest.approx(expected)
    assert confidence(logits).shape == (5, 7)


def test_confidence_of_a_constant_model_is_one_over_the_classes():
    assert confidence(np.full((4, 3), 2.0, np.float32)) == pytest.approx(np.full(4, 1 / 3))


def test_confidence_of_very_large_logits_is_one():
    found = confidence(np.array([[1e30, -1e30], [500.0, -500.0]], np.float32))
    assert found.tolist() == [1, 1]


# Rankings


def slow_tau(first, second):
    """Kendall 1945: pairs in the same order minus pairs in the other, over what ties leave."""
    pairs = list(combinations(range(len(first)), 2))
    signs = [(np.sign(first[a] - first[b]), np.sign(second[a] - second[b])) for a, b in pairs]
    untied = [sum(one[side] != 0 for one in signs) for side in (0, 1)]
    return sum(one * other for one, other in signs) / np.sqrt(untied[0] * untied[1])


def test_the_same_ranking_has_tau_one_and_the_reverse_minus_one():
    means = np.array([0.1, 0.9, 0.4, 0.2])
    (same,) = rank_agreements({"n": means, "uniform": 7 * means - 3})
    assert (same.operator, same.other, same.tau, same.methods) == ("n", "uniform", 1, 4)
    (reverse,) = rank_agreements({"n": means, "uniform": -means})
    assert reverse.tau == pytest.approx(-1)


def test_tau_counts_ties_as_kendall_did():
    first = np.array([1.0, 2, 2, 3, 5, 4, 1])
    second = np.array([2.0, 1, 3, 3, 4, 5, 1])
    (found,) = rank_agreements({"n": first, "uniform": second})
    assert found.tau == pytest.approx(slow_tau(first, second))


def test_every_pair_of_operators_is_compared_once():
    means = {name: np.arange(5.0) for name in ("n", "uniform", "window")}
    found = [(each.operator, each.other) for each in rank_agreements(means)]
    assert found == [("n", "uniform"), ("n", "window"), ("uniform", "window")]
    assert rank_agreements({"n": np.arange(5.0)}) == []


def test_methods_undefined_under_either_operator_are_left_out():
    first = np.array([1.0, np.nan, 2, 3, 4, 7])
    second = np.array([1.0, 9, 2, 4, np.nan, 3])
    (found,) = rank_agreements({"n": first, "uniform": second})
    rows = [0, 2, 3, 5]
    assert found.methods == 4
    assert found.tau == pytest.approx(slow_tau(first[rows], second[rows]))


def test_two_methods_have_no_tau_and_equal_means_have_none():
    two = np.array([1.0, 2, np.nan])
    (found,) = rank_agreements({"n": two, "uniform": np.arange(3.0)})
    assert (np.isnan(found.tau), found.methods) == (True, 2)
    (flat,) = rank_agreements({"n": np.ones(4), "uniform": np.arange(4.0)})
    assert (np.isnan(flat.tau), flat.methods) == (True, 4)
