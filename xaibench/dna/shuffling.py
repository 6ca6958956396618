"""Dinucleotide shuffles: uniform draws among all sequences with the same dinucleotide counts.

A stretch of known bases ``s[1] ... s[L]`` is a walk over the letters A, C, G, T that takes one edge
``a -> b`` for each dinucleotide ``ab``; every other walk from ``s[1]`` over the same edges is a
sequence with the same dinucleotides, and ends at the same letter, ``r = s[L]`` (*Altschul and
Erickson 1985*). Such a walk is given by the order in which the edges out of each letter are taken.
An order is a walk over all edges if and only if the last edges out of the letters other than ``r``
form a tree directed to ``r``. Hence the draw, with ``n(a, b)`` the count of ``ab`` and ``n(a)``
that of all edges out of ``a`` (*Kandel et al. 1996*):

1. a tree ``T`` with probability proportional to ``prod over a != r of n(a, T(a))``. There are 16
   trees over four letters to a given root, so all are weighed; Wilson's algorithm (1996), a
   loop-erased random walk, draws from the same distribution where they are too many to list;
2. a uniform order of all other edges out of each letter.

Why that is uniform: were equal edges distinguished by a mark, each marked tree would leave the same
number of orders, ``n(r)! prod over a != r of (n(a) - 1)!``, so all marked walks are equally likely;
and each sequence is the same number of marked walks, ``prod over a, b of n(a, b)!``.

A stretch with one order alone (one kind of base, or up to three bases) is its only shuffle: all
draws are copies of it, and a reference or donor made so equals the sequence.
"""

from collections.abc import Iterator
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from xaibench.randomness import streams
from xaibench.shapes import Codes
from xaibench.values import N


def shuffled_references(codes: Codes, count: int, data_seed: int) -> Codes:
    """``(sequence, reference, position)``: ``count`` dinucleotide shuffles of each sequence.

    Those of a sequence depend on ``data_seed`` and on the sequence alone.
    """
    return shuffles(codes, count, streams(data_seed, "references", codes))


def dinucleotide_shuffles(codes: Codes, count: int, generator: np.random.Generator) -> Codes:
    """``(count, position)``: draws from all sequences with the same dinucleotide counts.

    ``codes`` is one sequence ``(position,)``. Every such sequence is equally likely, the one
    itself among them; the first and the last base stay. N stay where they are, and each stretch
    between them is shuffled by itself, so the known positions are those of ``codes``.

    A sequence whose dinucleotides admit one order alone gives copies of itself.
    """
    shuffled: Codes = shuffles(codes[None], count, iter([generator]))[0]
    return shuffled


_BASES_PER_BLOCK = 2**20
"""So many bases are shuffled at a time: what they need stays in the processor's cache."""


def shuffles(codes: Codes, count: int, generators: Iterator[np.random.Generator]) -> Codes:
    """``(sequence, shuffle, position)``: ``dinucleotide_shuffles``, one generator per sequence."""
    shuffled = np.repeat(codes[:, None], count, axis=1)
    rows = max(1, _BASES_PER_BLOCK // max(1, count * codes.shape[1]))
    for first in range(0, len(codes), rows):
        part = slice(first, first + rows)
        stretches = _stretches(codes[part])
        drawn = list(islice(generators, rows))
        letters = [codes[first + row, start:end] for row, start, end in stretches]
        walks = _walks(letters, count, [drawn[row] for row, _, _ in stretches])
        for (row, start, end), walk in zip(stretches, walks, strict=True):
            shuffled[first + row, :, start:end] = walk
    return shuffled


def _stretches(codes: Codes) -> list[tuple[int, int, int]]:
    """``sequence, start, end`` of known bases between N, where more than one order is possible."""
    edges = np.diff(codes < N, prepend=False, append=False, axis=1)
    sequences, positions = (places.tolist() for places in np.nonzero(edges))
    stretches = zip(sequences[::2], positions[::2], positions[1::2], strict=True)
    return [stretch for stretch in stretches if stretch[2] - stretch[1] > 3]


def _walks(
    stretches: list[Codes], count: int, generators: list[np.random.Generator]
) -> Iterator[Codes]:
    """``(count, position)`` for each stretch of known bases: all walks make their steps together.

    A row is one walk of one stretch; ``exits`` holds those of all rows, from A, C, G and T in turn.
    """
    if not stretches:
        return
    lengths = np.array([len(stretch) for stretch in stretches])
    counts = _dinucleotide_counts(stretches, lengths)
    exits, uniform = _exit_orders(counts, count, generators)
    begins = _begins(counts, count)
    last_exits = _last_exits(counts, np.array([stretch[-1] for stretch in stretches]), uniform)
    _put_last(exits, begins, last_exits)
    firsts = np.repeat(np.array([stretch[0] for stretch in stretches], np.uint8), count)
    walked = _walk_along(firsts, exits & np.uint8(3), begins[:, :4].copy(), int(lengths.max()))
    for index, length in enumerate(lengths):
        yield walked[:length, index * count : (index + 1) * count].T


def _dinucleotide_counts(stretches: list[Codes], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """``(stretch, letter, next letter)``: how many there are."""
    pairs = np.concatenate([4 * stretch[:-1] + stretch[1:] for stretch in stretches])
    kinds = 16 * np.repeat(np.arange(len(lengths)), lengths - 1) + pairs
    return np.bincount(kinds, minlength=16 * len(lengths)).reshape(-1, 4, 4)


_MARK = 16
"""Of the dinucleotides of one kind, this is added to the first of the sequence."""


def _exit_orders(
    counts: NDArray[np.intp], count: int, generators: list[np.random.Generator]
) -> tuple[Codes, NDArray[np.float64]]:
    """All rows' exits, each letter's in uniform order, and ``(stretch, count)`` numbers for trees.

    An exit is ``4 * letter + next letter``, marked where it is the first of its kind.
    """
    kinds = counts.ravel()
    exits = np.repeat(np.tile(np.arange(16, dtype=np.uint8), len(counts)), kinds)
    exits[(kinds.cumsum() - kinds)[kinds > 0]] += _MARK
    ends = counts.sum(axis=2).cumsum(axis=1)
    uniform = np.empty((len(counts), count))
    orders = np.empty(count * len(exits), np.uint8)
    begin = 0
    for index, generator in enumerate(generators):
        a, c, g, end = ends[index]
        uniform[index] = generator.random(count)
        # numpy permutes 8 bytes faster than one, by the same draws
        rows = np.empty((count, end), np.int64)
        rows[:] = exits[begin : begin + end]
        for of_letter in (rows[:, :a], rows[:, a:c], rows[:, c:g], rows[:, g:]):
            generator.permuted(of_letter, axis=1, out=of_letter)
        orders[count * begin : count * (begin + end)] = rows.ravel()
        begin += end
    return orders, uniform


def _begins(counts: NDArray[np.intp], count: int) -> NDArray[np.intp]:
    """``(row, 5)``: where in all exits those from A, C, G and T begin, and where the row ends."""
    ends = counts.sum(axis=2).cumsum(axis=1)
    of_row = np.repeat(np.pad(ends, ((0, 0), (1, 0))), count, axis=0)
    ends_of_rows = of_row[:, -1].cumsum()
    begins: NDArray[np.intp] = of_row + (ends_of_rows - of_row[:, -1])[:, None]
    return begins


def _trees_to(root: int) -> NDArray[np.intp]:
    """``(tree, letter)``: the next letter on the way to ``root``, in all 16 trees over A C G T."""
    parents: NDArray[np.intp] = np.array(list(product(range(4), repeat=4)), np.intp)
    parents = parents[parents[:, root] == root]
    ends = parents
    for _ in range(2):  # 2 and then 4 steps: enough for any way to the root
        ends = np.take_along_axis(ends, ends, axis=1)
    trees: NDArray[np.intp] = parents[(ends == root).all(axis=1)]
    return trees


_TREES_TO = np.stack([_trees_to(root) for root in range(4)])


def _last_exits(
    counts: NDArray[np.intp], roots: NDArray[np.intp], uniform: NDArray[np.float64]
) -> NDArray[np.intp]:
    """``(row, letter)``: random trees to the last letter, weighted by the dinucleotides.

    N for the last letter, all exits of which are free. ``uniform`` ``(stretch, count)`` chooses.
    """
    stretches = np.arange(len(counts))
    weights = counts.astype(np.float64)
    absent = np.argwhere(counts.sum(axis=2) == 0)
    # an absent letter hangs on the root, in one way
    weights[absent[:, 0], absent[:, 1], roots[absent[:, 0]]] = 1
    weights[stretches, roots] = 1
    trees = _TREES_TO[roots]
    of_trees = weights[stretches[:, None, None], np.arange(4), trees].prod(axis=2)
    thresholds = (of_trees / of_trees.sum(axis=1, keepdims=True)).cumsum(axis=1)
    thresholds /= thresholds[:, -1:]
    drawn = (uniform[:, :, None] >= thresholds[:, None]).sum(axis=2)
    last: NDArray[np.intp] = trees[stretches[:, None], drawn]
    last[stretches, :, roots] = N
    return last.reshape(-1, 4)


def _put_last(exits: Codes, begins: NDArray[np.intp], last_exits: NDArray[np.intp]) -> None:
    """Swaps the first dinucleotide to each last exit to the end of its letter's, in place.

    The swap keeps the other exits in uniform order because which copy is swapped (the marked one)
    was fixed before the order was drawn. The first copy *met* in the drawn order depends on that
    order, and the others would be in uniform order no more.
    """
    marked = np.flatnonzero(exits >= _MARK)
    rows = np.searchsorted(begins[:, -1], marked, side="right")
    letters, following = np.divmod(exits[marked] - _MARK, 4)
    chosen = last_exits[rows, letters] == following
    marked_exits, ends = marked[chosen], begins[rows[chosen], letters[chosen] + 1] - 1
    exits[marked_exits], exits[ends] = exits[ends], exits[marked_exits]


def _walk_along(firsts: Codes, following: Codes, pointers: NDArray[np.intp], length: int) -> Codes:
    """``(position, row)``: each row takes the next exit of its letter.

    ``pointers`` ``(row, letter)`` says which of ``following`` is next, and moves on. Behind its end
    a row wanders on through the exits of others, for nothing.
    """
    of_rows, pointers = np.arange(0, pointers.size, 4), pointers.ravel()
    walked = np.empty((length, len(firsts)), np.uint8)
    walked[0] = firsts
    for position in range(1, length):
        standing = of_rows + walked[position - 1]
        taken = pointers.take(standing)
        following.take(taken, out=walked[position], mode="clip")
        pointers[standing] = taken + 1
    return walked
