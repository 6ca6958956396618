"""DNA as letters and as codes: padding, ambiguity, the other strand.

Padding stands at the end. The length of a sequence is that up to its last known base, so trailing N
are padding too.
"""

from collections.abc import Sequence
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
    # one byte per letter, also where a letter is no ASCII: positions stay those of the text
    letters = "".join(sequences).encode("ascii", errors="replace")
    known = _CODE_OF[np.frombuffer(letters, np.uint8)]
    shape = len(sequences), int(lengths.max(initial=0))
    if len(known) == shape[0] * shape[1]:  # no padding: nothing to scatter
        codes = known.reshape(shape)
    else:
        codes = np.full(shape, N, np.uint8)
        codes[np.arange(shape[1]) < lengths[:, None]] = known
    if _NO_CODE in known:
        row, position = np.argwhere(codes == _NO_CODE)[0]
        name = f"sequence {row}" if names is None else names[row]
        raise UsageError(
            f"{name}: expected the letters A C G T N or an IUPAC code of ambiguity, "
            f"got {sequences[row][position]!r} at position {position}"
        )
    return codes


_LONG, _OUTLYING = 100_000, 1000
"""A sequence longer than this, and this many times as long as the median, is rejected."""


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
    text, width = _LETTER_OF[codes].tobytes().decode(), codes.shape[1]
    ends = enumerate(lengths(codes).tolist())
    return [text[row * width : row * width + length] for row, length in ends]


def lengths(codes: Codes) -> NDArray[np.intp]:
    """``(sequence,)``: positions up to the last known base; 0 where none is known."""
    if not codes.shape[1]:
        return np.zeros(len(codes), np.intp)
    backwards = codes[:, ::-1] < N
    unknown = backwards.argmax(axis=1)  # N behind the last base; 0 too where all are
    return np.where(backwards.any(axis=1), codes.shape[1] - unknown, 0)


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
