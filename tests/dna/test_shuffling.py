"""Dinucleotide shuffles against a slow enumeration."""

from collections import Counter
from itertools import pairwise, permutations, product

import numpy as np
import pytest
from scipy.stats import chisquare

from xaibench.dna import encoding, shuffling
from xaibench.randomness import streams

TEXT = "ACCCACGATGATA"


def codes_of(letters):
    return encoding.to_codes([letters])[0]


def dinucleotides(codes):
    return Counter(pairwise(codes.tolist()))


def test_a_shuffle_keeps_dinucleotides_and_ends():
    generator = np.random.default_rng(0)
    for length in (2, 3, 4, 7, 200):
        codes = generator.integers(4, size=length, dtype=np.uint8)
        for shuffle in shuffling.dinucleotide_shuffles(codes, 5, generator):
            assert dinucleotides(shuffle) == dinucleotides(codes)
            assert (shuffle[0], shuffle[-1]) == (codes[0], codes[-1])


def all_shuffles(letters):
    """By trying every order of the inner letters."""
    expected = Counter(pairwise(letters))
    inner = set(permutations(letters[1:-1]))
    orders = ("".join([letters[0], *order, letters[-1]]) for order in inner)
    return {order for order in orders if Counter(pairwise(order)) == expected}


@pytest.mark.parametrize("letters", ["ACCCACGATG", "AAACAAGAC", "TTACCATCTA", "GTGTGGTTG"])
def test_every_shuffle_is_equally_likely(letters):
    possible = all_shuffles(letters)
    assert len(possible) > 1
    count = 400 * len(possible)
    drawn = shuffling.dinucleotide_shuffles(codes_of(letters), count, np.random.default_rng(1))
    seen = Counter(encoding.to_letters(drawn))
    assert set(seen) == possible
    assert chisquare(list(seen.values())).pvalue > 1e-3  # seeded: fails for a wrong sampler only


def test_all_72_shuffles_of_the_known_example_are_equally_likely():
    drawn = shuffling.dinucleotide_shuffles(codes_of(TEXT), 72 * 400, np.random.default_rng(0))
    seen = Counter(encoding.to_letters(drawn))
    assert len(seen) == 72
    assert chisquare(list(seen.values())).pvalue > 1e-3


def test_n_stay_and_the_stretches_between_are_shuffled_alone():
    codes = codes_of("N" + TEXT + "NN" + TEXT + "A" + "N")
    shuffles = shuffling.dinucleotide_shuffles(codes, 60, np.random.default_rng(0))
    assert np.array_equal(shuffles == 4, np.tile(codes == 4, (60, 1)))
    for stretch in (slice(1, 14), slice(16, 30)):
        assert len({row.tobytes() for row in shuffles[:, stretch]}) > 20
        assert all(
            dinucleotides(row) == dinucleotides(codes[stretch]) for row in shuffles[:, stretch]
        )


@pytest.mark.parametrize("letters", ["", "N", "NNN", "A", "AC", "ACG", "AAAAAAA", "ACACACA"])
def test_a_sequence_with_one_order_stays(letters):
    codes = codes_of(letters)
    drawn = shuffling.dinucleotide_shuffles(codes, 3, np.random.default_rng(0))
    assert np.array_equal(drawn, np.tile(codes, (3, 1)))


def slow_shuffles(codes, count, generator):
    """The same draws, and one step of one walk at a time."""
    shuffled = np.tile(codes, (count, 1))
    edges = np.flatnonzero(np.diff(codes < 4, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        if end - start > 3:
            shuffled[:, start:end] = slow_stretch(codes[start:end], count, generator)
    return shuffled


def slow_stretch(codes, count, generator):
    root = codes[-1]
    counts = np.zeros((4, 4))
    np.add.at(counts, (codes[:-1], codes[1:]), 1)
    counts[counts.sum(axis=1) == 0, root] = 1
    trees = [tree for tree in product(range(4), repeat=4) if leads_to(root, tree)]
    weights = np.array(
        [np.prod([counts[a, tree[a]] for a in range(4) if a != root]) for tree in trees]
    )
    drawn = generator.choice(len(trees), size=count, p=weights / weights.sum())
    exits = [[] for _ in range(count)]
    for letter in range(4):
        following = sorted(codes[1:][codes[:-1] == letter].tolist())
        orders = generator.permuted(np.tile(np.arange(len(following)), (count, 1)), axis=1)
        for row, order in enumerate(orders.tolist()):
            if letter != root and following:
                fixed = following.index(trees[drawn[row]][letter])
                met = order.index(fixed)
                order[met], order[-1] = order[-1], order[met]
            exits[row].append(iter([following[which] for which in order]))
    return [slow_walk(int(codes[0]), len(codes), of_row) for of_row in exits]


def leads_to(root, tree):
    """Whether the way from each letter ends at the root, which is its own parent."""
    ends = [tree[tree[tree[tree[letter]]]] for letter in range(4)]
    return tree[root] == root and ends == [root] * 4


def slow_walk(first, length, exits):
    letters = [first]
    while len(letters) < length:
        letters.append(next(exits[letters[-1]]))
    return letters


@pytest.mark.parametrize("length", [3, 4, 5, 23, 251])
@pytest.mark.parametrize("weights", [[1, 1, 1, 1, 0], [5, 3, 2, 1, 1], [9, 0, 1, 0, 0.3]])
def test_shuffling_together_gives_what_one_walk_at_a_time_gives(monkeypatch, length, weights):
    monkeypatch.setattr(
        shuffling, "_BASES_PER_BLOCK", 4 * 7 * length
    )  # the last of 11 part is smaller
    generator = np.random.default_rng(length)
    p = np.array(weights) / np.sum(weights)
    codes = generator.choice(5, size=(11, length), p=p).astype(np.uint8)
    codes[2, length // 2 :] = 4
    generators = streams(3, "references", codes)
    expected = [slow_shuffles(row, 7, each) for row, each in zip(codes, generators, strict=True)]
    assert np.array_equal(shuffling.shuffled_references(codes, 7, 3), expected)


def test_references_of_nothing_are_none():
    assert shuffling.shuffled_references(np.empty((0, 9), np.uint8), 5, 0).shape == (0, 5, 9)
    assert shuffling.shuffled_references(np.zeros((3, 0), np.uint8), 5, 0).shape == (3, 5, 0)


STORED = [
    *("ATACCCGACATGA", "ATGACCGATACCA", "ACATATGACCCGA"),
    *("TTNGACATAGATTTNNACGTACCA", "TTNGAGACATTTATNNACCACGTA", "TTNGATTAGACATTNNACACCGTA"),
]


def test_stored_references_stay_what_they_are():
    """Drawn by version 0.1: results that are kept depend on them."""
    drawn = shuffling.shuffled_references(
        encoding.to_codes([TEXT, "TTNGATTACAGATTNNACGTACCA"]), 3, 0
    )
    assert encoding.to_letters(drawn.reshape(-1, 24)) == STORED


def test_references_depend_on_the_seed_and_the_sequence_alone():
    codes = np.random.default_rng(0).integers(4, size=(3, 40), dtype=np.uint8)
    padded = np.pad(codes, ((0, 0), (0, 2)), constant_values=4)
    drawn = shuffling.shuffled_references(codes, 5, 7)
    assert drawn.shape == (3, 5, 40)
    assert np.array_equal(shuffling.shuffled_references(padded[::-1], 5, 7)[::-1, :, :40], drawn)
    assert not np.array_equal(shuffling.shuffled_references(codes, 5, 8), drawn)
