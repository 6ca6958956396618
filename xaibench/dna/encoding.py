"""DNA as letters and as codes: padding, ambiguity, the other strand.

Padding stands at the end. The length of a sequence is that up to its last known base, so trailing N
are padding too.
"""

from collections.abc import Callable, Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
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


_BLOCK = 4096
"""Sequences that are looked up together: some at a time take no more memory than their codes."""


def to_codes(
    sequences: Sequence[str], *, name: Callable[[int], str] = "sequence {}".format
) -> Codes:
    """Letters, upper or lower case -> ``(sequence, position)``, padded to the longest.

    U is T, and an IUPAC code of ambiguity is N. Raises ``UsageError`` for any other letter; it says
    which sequence by its ``name``, a function of the row. Rows and positions count from 0.

    >>> to_codes(["ACGU", "nay"])
    array([[0, 1, 2, 3],
           [4, 0, 4, 4]], dtype=uint8)
    """
    codes = np.empty((len(sequences), longest(sequences, name)), np.uint8)
    fill_codes(codes, sequences, name)
    return codes


def longest(sequences: Sequence[str], name: Callable[[int], str]) -> int:
    """The letters of the longest, to which all are padded; UsageError as ``to_codes``."""
    lengths = np.fromiter(map(len, sequences), np.intp, len(sequences))
    require_like_lengths(lengths, name)
    return int(lengths.max(initial=0))


def fill_codes(codes: Codes, sequences: Sequence[str], name: Callable[[int], str]) -> None:
    """Put what ``to_codes`` gives into ``(sequence, position)``, as wide as the longest or more."""
    for start in range(0, len(sequences), _BLOCK):
        block = sequences[start : start + _BLOCK]
        codes[start : start + _BLOCK] = known = codes_of_letters(block, codes.shape[1])
        if (row := first_unreadable(known)) is not None:
            require_readable(block[row], name(start + row))


def codes_of_letters(sequences: Sequence[str], width: int) -> Codes:
    """``(sequence, position)``, padded to ``width``, which none is longer than; letters without a
    code, which ``first_unreadable`` finds, are left for ``require_readable``."""
    lengths = np.fromiter(map(len, sequences), np.intp, len(sequences))
    # one byte per letter, also where a letter is no ASCII: positions stay those of the text
    letters = "".join(sequences).encode("ascii", errors="replace")
    known = _CODE_OF[np.frombuffer(letters, np.uint8)]
    if len(known) == len(sequences) * width:  # no padding: nothing to scatter
        return known.reshape(len(sequences), width)
    codes = np.full((len(sequences), width), N, np.uint8)
    codes[np.arange(width) < lengths[:, None]] = known
    return codes


def first_unreadable(codes: Codes) -> int | None:
    """The first row of ``codes_of_letters`` with a letter that has no code."""
    if _NO_CODE not in codes:
        return None
    return int((codes == _NO_CODE).any(axis=1).argmax())


def require_readable(sequence: str, name: str) -> None:
    """UsageError that says which letter has no code, and where."""
    codes = codes_of_letters([sequence], len(sequence))[0]
    if _NO_CODE in codes:
        position = int((codes == _NO_CODE).argmax())
        raise UsageError(
            f"{name}: expected the letters A C G T N or an IUPAC code of ambiguity, "
            f"got {sequence[position]!r} at position {position}"
        )


_LONG, _OUTLYING = 100_000, 1000
"""A sequence longer than this, and this many times as long as the median, is rejected."""


def require_like_lengths(lengths: NDArray[np.intp], name: Callable[[int], str]) -> None:
    """All are padded to the longest: one chromosome among reads would fill memory and time."""
    longest = int(lengths.max(initial=0))
    if longest <= _LONG or longest <= _OUTLYING * (median := float(np.median(lengths))):
        return
    row = int(lengths.argmax())
    raise UsageError(
        f"{name(row)}: expected sequences of like lengths, since all are padded to the longest, "
        f"got {longest:,} letters among others of {median:,.0f} (median); leave it out, or cut it"
    )


def ambiguities(sequences: Sequence[str]) -> int:
    """How many letters ``to_codes`` reads as N that are not N.

    >>> ambiguities(["ACGTN", "ryKA"])
    3
    """
    blocks = range(0, len(sequences), _BLOCK)
    texts = ("".join(sequences[start : start + _BLOCK]) for start in blocks)
    return sum(sum(map(text.count, AMBIGUITIES + AMBIGUITIES.lower())) for text in texts)


def to_letters(codes: Codes) -> list[str]:
    """``(sequence, position)`` -> letters in upper case, without the padding.

    >>> to_letters(np.array([[0, 1, 2, 3], [4, 0, 2, 4]], np.uint8))
    ['ACGT', 'NAG']
    """
    text, width = _LETTER_OF[codes].tobytes().decode(), codes.shape[1]
    ends = enumerate(lengths(codes).tolist())
    return [text[row * width : row * width + length] for row, length in ends]


def lengths(codes: Codes) -> NDArray[np.intp]:
    """``(sequence,)``: positions up to the last known base; 0 where none is known."""
    ends = np.zeros(len(codes), np.intp)
    if not codes.shape[1]:
        return ends
    for start in range(0, len(codes), _BLOCK):
        backwards = codes[start : start + _BLOCK, ::-1] < N
        unknown = backwards.argmax(axis=1)  # N behind the last base; 0 too where all are
        ends[start : start + _BLOCK] = np.where(backwards.any(axis=1), codes.shape[1] - unknown, 0)
    return ends


def reverse_complement(codes: Codes) -> Codes:
    """``(sequence, position)``: each row reverse-complemented within its length, padding behind it.

    >>> to_letters(reverse_complement(to_codes(["AACNG", "AC"])))
    ['CNGTT', 'GT']
    """
    return _COMPLEMENT[np.take_along_axis(codes, _mirror(codes), axis=1)]


def unreverse(scores: Scores, codes: Codes) -> Scores:
    """Scores of ``reverse_complement(codes)`` at the positions of ``codes``, both of its shape."""
    return np.take_along_axis(scores, _mirror(codes), axis=1)


def unreverse_bases(scores: NDArray[np.float32], codes: Codes) -> NDArray[np.float32]:
    """``(sequence, base, position)``: scores of every base of ``reverse_complement(codes)`` at the
    positions, and for the bases, of ``codes``."""
    complements = scores[:, ::-1]  # A C G T backwards are their complements
    return np.take_along_axis(complements, _mirror(codes)[:, None], axis=2)


def _mirror(codes: Codes) -> NDArray[np.intp]:
    """``(sequence, position)``: the index of a position on the other strand; padding stays."""
    positions = np.arange(codes.shape[1])
    mirrored = lengths(codes)[:, None] - 1 - positions
    return np.where(mirrored >= 0, mirrored, positions)
