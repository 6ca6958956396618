"""How many tokens make up a number of nucleotides, beside a loop that looks for the nearest."""

import numpy as np
import pytest

from xaibench.dna.replacement import replacement_counts
from xaibench.dna.token_replacement import token_counts, token_sizes
from xaibench.dna.tokens import to_tokens

LENGTH = 12
FRACTIONS = (0, 0.01, 0.1, 0.3, 0.5, 0.75, 0.99, 1)

# [CLS], tokens, [SEP], padding; the last two nucleotides of the second are truncated, and one of
# the third is unknown
SPANS = np.array(
    [
        [[0, 0], [0, 1], [1, 6], [6, 8], [8, 12], [12, 12]],
        [[0, 0], [0, 4], [4, 7], [7, 10], [10, 10], [0, 0]],
        [[0, 0], [0, 5], [5, 6], [6, 12], [12, 12], [0, 0]],
    ]
)
VALID = np.ones((3, LENGTH), bool)
VALID[2, 5] = False
RANKED = np.array([[4, 2, 1, 0, 3, 5], [3, 0, 1, 2, 4, 5], [2, 1, 3, 0, 4, 5]], np.int32)

KMERS = np.array([[[start, start + 3] for start in range(LENGTH - 2)]])


def test_sizes_are_known_nucleotides_and_sum_to_what_the_model_reads():
    sizes = token_sizes(SPANS, VALID)
    assert sizes.tolist() == [[0, 1, 5, 2, 4, 0], [0, 4, 3, 3, 0, 0], [0, 5, 0, 6, 0, 0]]
    shared = token_sizes(KMERS, VALID[:1])
    assert shared.sum() == pytest.approx(LENGTH)
    assert shared[0, 0] == pytest.approx(1 + 1 / 2 + 1 / 3)


def test_tokens_come_nearest_to_the_number_of_nucleotides():
    counts = token_counts(FRACTIONS, RANKED, SPANS, VALID)
    sizes = token_sizes(SPANS, VALID)
    read = VALID.copy()
    read[1, 10:] = False
    budgets = replacement_counts(FRACTIONS, read)
    for step, row in np.ndindex(counts.shape):
        in_order = [size for size in sizes[row][np.argsort(RANKED[row])] if size]
        sums = np.cumsum([0, *in_order])
        missed = np.abs(sums - budgets[step, row])
        assert missed[counts[step, row]] == missed.min()
        # of two that are as near the one with more tokens, as halves are rounded up
        assert counts[step, row] == np.flatnonzero(missed == missed.min()).max()
    assert counts[0].tolist() == [0, 0, 0]
    assert counts[-1].tolist() == [4, 3, 2]


def test_overlapping_tokens_end_where_all_are_replaced():
    ranked = np.random.default_rng(0).permutation(LENGTH - 2).astype(np.int32)[None]
    counts = token_counts(FRACTIONS, ranked, KMERS, VALID[:1])[:, 0]
    assert counts[0] == 0
    assert counts[-1] == LENGTH - 2
    assert (np.diff(counts) >= 0).all()


def test_the_first_of_independent_scores_is_independent_of_the_lengths_of_tokens():
    scores = np.arange(3.0 * LENGTH).reshape(3, LENGTH)
    taken = to_tokens(scores, SPANS, rule="first")
    assert taken.tolist() == [[0, 0, 1, 6, 8, 0], [0, 12, 16, 19, 0, 0], [0, 24, 29, 30, 0, 0]]
