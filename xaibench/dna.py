"""DNA as letters and as codes: padding, the other strand, shuffles that keep dinucleotides.

Padding stands at the end. The length of a sequence is that up to its last known base, so trailing N
are padding too.
"""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.randomness import streams
from xaibench.shapes import Codes, Scores
from xaibench.values import N

LETTERS = "ACGTN"

_NO_CODE = 255
_CODE_OF = np.full(256, _NO_CODE, np.uint8)
for _code, _letter in enumerate(LETTERS):
    _CODE_OF[[ord(_letter), ord(_letter.lower())]] = _code
_LETTER_OF = np.frombuffer(LETTERS.encode(), np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, N], np.uint8)


def to_codes(sequences: Sequence[str], *, names: Sequence[str] | None = None) -> Codes:
    """Letters, upper or lower case -> ``(sequence, position)``, padded to the longest.

    Raises ``UsageError`` for another letter than A C G T N; it says which sequence by its name, or
    by its row where there are no ``names``. Rows and positions count from 0.

    >>> to_codes(["ACGT", "nag"])
    array([[0, 1, 2, 3],
           [4, 0, 2, 4]], dtype=uint8)
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.intp)
    # one byte a letter, also where a letter is no ASCII: positions stay those of the text
    letters = "".join(sequences).encode("ascii", errors="replace")
    known = _CODE_OF[np.frombuffer(letters, np.uint8)]
    codes = np.full((len(sequences), lengths.max(initial=0)), N, np.uint8)
    codes[np.arange(codes.shape[1]) < lengths[:, None]] = known
    if _NO_CODE in known:
        row, position = np.argwhere(codes == _NO_CODE)[0]
        name = f"sequence {row}" if names is None else names[row]
        raise UsageError(
            f"{name}: wanted the letters A C G T N, "
            f"got {sequences[row][position]!r} at position {position}"
        )
    return codes


def to_letters(codes: Codes) -> list[str]:
    """``(sequence, position)`` -> letters in upper case, without the padding.

    >>> to_letters(np.array([[0, 1, 2, 3], [4, 0, 2, 4]], np.uint8))
    ['ACGT', 'NAG']
    """
    rows = zip(_LETTER_OF[codes], lengths(codes), strict=True)
    return [row[:length].tobytes().decode() for row, length in rows]


def lengths(codes: Codes) -> NDArray[np.intp]:
    """``(sequence,)``: positions up to the last known base; 0 where none is known."""
    ends = np.where(codes < N, np.arange(1, codes.shape[1] + 1), 0)
    last: NDArray[np.intp] = ends.max(axis=1, initial=0)
    return last


def reverse_complement(codes: Codes) -> Codes:
    """The other strand, ``(sequence, position)``: each row turned within its length.

    >>> to_letters(reverse_complement(to_codes(["AACNG", "AC"])))
    ['CNGTT', 'GT']
    """
    return _COMPLEMENT[np.take_along_axis(codes, _mirror(codes), axis=1)]


def unreverse(scores: Scores, codes: Codes) -> Scores:
    """Scores of ``reverse_complement(codes)`` at the positions of ``codes``, both of its shape."""
    return np.take_along_axis(scores, _mirror(codes), axis=1)


def _mirror(codes: Codes) -> NDArray[np.intp]:
    """``(sequence, position)``: where a position stands on the other strand; padding stays."""
    positions = np.arange(codes.shape[1])
    mirrored = lengths(codes)[:, None] - 1 - positions
    return np.where(mirrored >= 0, mirrored, positions)


def references(codes: Codes, count: int, data_seed: int) -> Codes:
    """``(sequence, reference, position)``: ``count`` dinucleotide shuffles of each sequence.

    Those of a sequence depend on ``data_seed`` and on the sequence alone.
    """
    shuffled = np.empty((len(codes), count, codes.shape[1]), np.uint8)
    generators = streams(data_seed, "references", codes)
    for row, (sequence, generator) in enumerate(zip(codes, generators, strict=True)):
        shuffled[row] = dinucleotide_shuffles(sequence, count, generator)
    return shuffled


def dinucleotide_shuffles(codes: Codes, count: int, generator: np.random.Generator) -> Codes:
    """``(count, position)``: draws from all sequences with the same dinucleotide counts.

    ``codes`` is one sequence ``(position,)``. Every such sequence is equally likely, the one
    itself among them; the first and the last base stay. N stay where they are, and each stretch
    between them is shuffled by itself, so the known positions are those of ``codes``.

    A sequence is a walk along its dinucleotides (Altschul and Erickson 1985). The last exits from
    the letters must form a tree that leads to the last letter; a tree drawn with the weight of its
    dinucleotides and a uniform order of all other exits give a uniform walk (Kandel et al. 1996).
    """
    shuffled = np.tile(codes, (count, 1))
    edges = np.flatnonzero(np.diff(codes < N, prepend=False, append=False))
    for start, end in edges.reshape(-1, 2):
        if end - start > 3:  # shorter ones have one order only
            shuffled[:, start:end] = _stretch_shuffles(codes[start:end], count, generator)
    return shuffled


def _trees_to(root: int) -> NDArray[np.intp]:
    """``(tree, letter)``: the next letter on the way to ``root``, in all 16 trees over A C G T."""
    parents: NDArray[np.intp] = np.array(list(product(range(4), repeat=4)), np.intp)
    parents = parents[parents[:, root] == root]
    ends = parents
    for _ in range(2):  # 2 and then 4 steps: enough for any way to the root
        ends = np.take_along_axis(ends, ends, axis=1)
    trees: NDArray[np.intp] = parents[(ends == root).all(axis=1)]
    return trees


_TREES_TO = [_trees_to(root) for root in range(4)]


def _stretch_shuffles(codes: Codes, count: int, generator: np.random.Generator) -> Codes:
    """``dinucleotide_shuffles`` of known bases only."""
    last_exits = _last_exits(codes, count, generator)
    exits = []
    for letter in range(4):
        following = np.sort(codes[1:][codes[:-1] == letter])
        # all exits of the last letter are free
        last = None if letter == codes[-1] else last_exits[:, letter]
        exits.append(_exits(following, last, count, generator))
    rows = zip(*(letter_exits.tolist() for letter_exits in exits), strict=True)
    walks = [_walk(int(codes[0]), len(codes), [iter(row) for row in four]) for four in rows]
    return np.array(walks, np.uint8)


def _last_exits(codes: Codes, count: int, generator: np.random.Generator) -> NDArray[np.intp]:
    """``(count, letter)``: random trees to the last letter, weighted by the dinucleotides."""
    root = int(codes[-1])
    counts = np.bincount(4 * codes[:-1].astype(np.intp) + codes[1:], minlength=16).reshape(4, 4)
    weights = counts.astype(np.float64)
    weights[weights.sum(axis=1) == 0, root] = 1  # an absent letter hangs on the root, in one way
    weights[root] = 1
    trees = _TREES_TO[root]
    tree_weights = weights[np.arange(4), trees].prod(axis=1)
    drawn = generator.choice(len(trees), size=count, p=tree_weights / tree_weights.sum())
    return trees[drawn]


def _exits(
    following: Codes, last: NDArray[np.intp] | None, count: int, generator: np.random.Generator
) -> Codes:
    """``(count, exit)``: uniform orders of ``following`` (sorted); each ends with its ``last``.

    One fixed dinucleotide, the first to that letter, is put last: with the first one *met* in the
    drawn order the others would not be in uniform order.
    """
    orders = generator.permuted(np.tile(np.arange(len(following)), (count, 1)), axis=1)
    if last is not None and len(following):
        fixed = np.searchsorted(following, last)
        met = (orders == fixed[:, None]).argmax(axis=1)
        orders[np.arange(count), met] = orders[:, -1]
        orders[:, -1] = fixed
    exits: Codes = following[orders]
    return exits


def _walk(first: int, length: int, exits: list[Iterator[int]]) -> list[int]:
    letters = [first]
    for _ in range(length - 1):
        letters.append(next(exits[letters[-1]]))
    return letters
