"""Small changes of a sequence that should leave an explanation nearly as it was.

All functions take one sequence ``(position,)``. What is drawn depends on the data seed and on the
sequence, so every model, seed and method meets the same changes. Positions that are not valid are
never substituted, and padding stays at the end.
"""

import numpy as np

from xaibench.randomness import identity, stream
from xaibench.shapes import Codes, Scores
from xaibench.values import N

from .encoding import lengths


def substituted(codes: Codes, draw: int, data_seed: int) -> Codes:
    """Another base at one valid position; a sequence without one as it is."""
    generator = stream(data_seed, "substitution", identity(codes), draw)
    valid = np.flatnonzero(codes < N)
    changed = codes.copy()
    if len(valid):
        position = generator.choice(valid)
        changed[position] = (codes[position] + generator.integers(1, 4)) % 4
    return changed


def in_hamming_ball(codes: Codes, draw: int, data_seed: int, *, radius: int = 3) -> Codes:
    """Other bases at 1 to ``radius`` valid positions, every number as likely; fewer where the
    sequence has fewer, and as it is where it has none."""
    generator = stream(data_seed, "hamming ball", identity(codes), draw)
    valid = np.flatnonzero(codes < N)
    largest = min(radius, len(valid))
    count = generator.integers(1, largest + 1) if largest else 0
    positions = generator.choice(valid, count, replace=False)
    changed = codes.copy()
    changed[positions] = (codes[positions] + generator.integers(1, 4, count)) % 4
    return changed


def offset_of(codes: Codes, draw: int, data_seed: int, *, largest: int = 5) -> int:
    """By how many positions a draw moves a sequence: 1 to ``largest`` to the right or, negative, to
    the left; all as likely, and the first ``2 * largest`` draws all different."""
    sizes = np.arange(1, largest + 1)
    offsets = stream(data_seed, "offset", identity(codes)).permutation([*-sizes, *sizes])
    return int(offsets[draw % len(offsets)])


def shifted(codes: Codes, offset: int, data_seed: int) -> Codes:
    """Every base ``offset`` positions further right, or left where it is negative.

    What falls off the sequence is dropped; what opens is filled with uniform bases. The positions
    up to the last known base are those that it has afterwards.
    """
    length = int(lengths(codes[None])[0])
    moved = codes.copy()
    moved[:length] = stream(data_seed, "shift", identity(codes), offset).integers(4, size=length)
    before, after = _remaining(length, offset)
    moved[after] = codes[before]
    return moved


def unshifted(scores: Scores, codes: Codes, offset: int) -> Scores:
    """Scores of ``shifted(codes, offset, ...)`` at the positions of ``codes``; NaN for the bases
    that fell off, and for the padding."""
    before, after = _remaining(int(lengths(codes[None])[0]), offset)
    mapped = np.full_like(scores, np.nan)
    mapped[before] = scores[after]
    return mapped


def _remaining(length: int, offset: int) -> tuple[slice, slice]:
    """The positions, before and after a shift, of the bases that do not fall off."""
    dropped = min(abs(offset), length)
    left, right = slice(0, length - dropped), slice(dropped, length)
    return (left, right) if offset > 0 else (right, left)
