"""DNA as letters and as codes: padding, the other strand, shuffles that keep dinucleotides.

Padding stands at the end. The length of a sequence is that up to its last known base, so trailing N
are padding too.
"""

from collections.abc import Iterator, Sequence
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.randomness import streams
from xaibench.shapes import Codes, Scores
from xaibench.values import N

LETTERS = "ACGTN"
AMBIGUITIES = "RYSWKMBDHV"
"""The IUPAC letters for two or three bases (Cornish-Bowden 1985); N, for four, has a code."""

_NO_CODE = 255
_CODE_OF = np.full(256, _NO_CODE, np.uint8)
for _letter, _code in (*zip(LETTERS, range(5), strict=True), ("U", 3), *product(AMBIGUITIES, [N])):
    _CODE_OF[[ord(_letter), ord(_letter.lower())]] = _code
_LETTER_OF = np.frombuffer(LETTERS.encode(), np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, N], np.uint8)


def to_codes(sequences: Sequence[str], *, names: Sequence[str] | None = None) -> Codes:
    """Letters, upper or lower case -> ``(sequence, position)``, padded to the longest.

    U is T, and an IUPAC code of ambiguity is N. Raises ``UsageError`` for any other letter; it says
    which sequence by its name, or by its row where there are no ``names``. Rows and positions count
    from 0.

    >>> to_codes(["ACGU", "nay"])
    array([[0, 1, 2, 3],
           [4, 0, 4, 4]], dtype=uint8)
    """
    lengths = np.array([len(sequence) for sequence in sequences], np.intp)
    _require_like_lengths(lengths, names)
    # one byte a letter, also where a letter is no ASCII: positions stay those of the text
    letters = "".join(sequences).encode("ascii", errors="replace")
    known = _CODE_OF[np.frombuffer(letters, np.uint8)]
    codes = np.full((len(sequences), lengths.max(initial=0)), N, np.uint8)
    codes[np.arange(codes.shape[1]) < lengths[:, None]] = known
    if _NO_CODE in known:
        row, position = np.argwhere(codes == _NO_CODE)[0]
        name = f"sequence {row}" if names is None else names[row]
        raise UsageError(
            f"{name}: expected the letters A C G T N or an IUPAC code of ambiguity, "
            f"got {sequences[row][position]!r} at position {position}"
        )
    return codes


_LONG, _OUTLYING = 100_000, 1000
"""A sequence longer than this, and so many times as long as the median, is refused."""


def _require_like_lengths(lengths: NDArray[np.intp], names: Sequence[str] | None) -> None:
    """All are padded to the longest: one chromosome among reads would fill memory and time."""
    longest = int(lengths.max(initial=0))
    if longest <= _LONG or longest <= _OUTLYING * (median := float(np.median(lengths))):
        return
    row = int(lengths.argmax())
    name = f"sequence {row}" if names is None else names[row]
    raise UsageError(
        f"{name}: expected sequences of like lengths, since all are padded to the longest, got "
        f"{longest:,} letters among others of {median:,.0f} (median); leave it out, or cut it"
    )


def ambiguities(sequences: Sequence[str]) -> int:
    """How many letters ``to_codes`` reads as N that are not N.

    >>> ambiguities(["ACGTN", "ryKA"])
    3
    """
    letters = "".join(sequences)
    return sum(map(letters.count, AMBIGUITIES + AMBIGUITIES.lower()))


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
    return shuffles(codes, count, streams(data_seed, "references", codes))


def dinucleotide_shuffles(codes: Codes, count: int, generator: np.random.Generator) -> Codes:
    """``(count, position)``: draws from all sequences with the same dinucleotide counts.

    ``codes`` is one sequence ``(position,)``. Every such sequence is equally likely, the one
    itself among them; the first and the last base stay. N stay where they are, and each stretch
    between them is shuffled by itself, so the known positions are those of ``codes``.

    A sequence is a walk along its dinucleotides (Altschul and Erickson 1985). The last exits from
    the letters must form a tree that leads to the last letter; a tree drawn with the weight of its
    dinucleotides and a uniform order of all other exits give a uniform walk (Kandel et al. 1996).
    """
    shuffled: Codes = shuffles(codes[None], count, iter([generator]))[0]
    return shuffled


_TOGETHER = 2**20
"""So many bases are shuffled at a time: what they need stays in the processor's cache."""


def shuffles(codes: Codes, count: int, generators: Iterator[np.random.Generator]) -> Codes:
    """``(sequence, shuffle, position)``: ``dinucleotide_shuffles``, one generator a sequence."""
    shuffled = np.repeat(codes[:, None], count, axis=1)
    together = max(1, _TOGETHER // max(1, count * codes.shape[1]))
    for first in range(0, len(codes), together):
        part = slice(first, first + together)
        stretches = _stretches(codes[part])
        drawn = list(islice(generators, together))
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
    counts = _dinucleotides(stretches, lengths)
    exits, uniform = _orders(counts, count, generators)
    begins = _begins(counts, count)
    last_exits = _last_exits(counts, np.array([stretch[-1] for stretch in stretches]), uniform)
    _put_last(exits, begins, last_exits)
    firsts = np.repeat(np.array([stretch[0] for stretch in stretches], np.uint8), count)
    walked = _walked(firsts, exits & np.uint8(3), begins[:, :4].copy(), int(lengths.max()))
    for index, length in enumerate(lengths):
        yield walked[:length, index * count : (index + 1) * count].T


def _dinucleotides(stretches: list[Codes], lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """``(stretch, letter, next letter)``: how many there are."""
    pairs = np.concatenate([4 * stretch[:-1] + stretch[1:] for stretch in stretches])
    kinds = 16 * np.repeat(np.arange(len(lengths)), lengths - 1) + pairs
    return np.bincount(kinds, minlength=16 * len(lengths)).reshape(-1, 4, 4)


_MARK = 16
"""Of the dinucleotides of one kind, this is added to the first of the sequence."""


def _orders(
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

    One fixed dinucleotide: with the first one *met* in the drawn order the others would not be in
    uniform order.
    """
    marked = np.flatnonzero(exits >= _MARK)
    rows = np.searchsorted(begins[:, -1], marked, side="right")
    letters, following = np.divmod(exits[marked] - _MARK, 4)
    chosen = last_exits[rows, letters] == following
    found, ends = marked[chosen], begins[rows[chosen], letters[chosen] + 1] - 1
    exits[found], exits[ends] = exits[ends], exits[found]


def _walked(firsts: Codes, following: Codes, pointers: NDArray[np.intp], length: int) -> Codes:
    """``(position, row)``: each row takes the next exit of the letter where it stands.

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
