"""One sequence logo: a letter as high as its score, upside down where that is negative."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath
from numpy.typing import NDArray

from .style import LETTER_COLOURS

BASE = 40
"""Units of a logo's SVG from one position to the next; a letter is as wide as ``WIDE``."""

WIDE = 36
HIGH = 200
"""Units from the lowest to the highest letter of a logo."""

LOW = 4
"""Units below which no letter can be read, and a bar is drawn in its place."""

Heights = NDArray[np.float64]
"""``(position,)``: 0 where nothing is drawn."""


@lru_cache
def glyph(letter: str) -> Path:
    """The outline of a letter, which fills the unit box, the origin bottom left."""
    outline = TextPath(
        (0, 0), letter, size=100, prop=FontProperties(family="DejaVu Sans", weight="bold")
    )
    box = outline.get_extents()
    # where a stroke closes is a point that nobody looks at
    closes = outline.codes == Path.CLOSEPOLY
    points = (outline.vertices - box.min) / box.size
    return Path(np.where(closes[:, None], 0.0, points), outline.codes)


@lru_cache
def _corners(letter: str) -> tuple[NDArray[np.float64], ...]:
    """The points that a letter's outlines pass, ``(point, 2)`` each: at the size of a page, curves
    through so many are seen as curves."""
    outline = glyph(letter)
    codes, points = np.asarray(outline.codes), np.asarray(outline.vertices)
    # a quadratic curve is a point that bends it and a point where it ends
    bends = np.zeros(len(codes), bool)
    bends[np.flatnonzero(codes == Path.CURVE3)[::2]] = True
    closes = codes == Path.CLOSEPOLY
    parts = np.cumsum(codes == Path.MOVETO)
    return tuple(points[(parts == part) & ~bends & ~closes] for part in range(1, parts[-1] + 1))


def heights_of(letters: str, scores: NDArray[np.float64]) -> Heights:
    """The scores where there is a letter to draw, as shares of the largest; 0 elsewhere.

    >>> heights_of("ANG", np.array([2.0, 9.0, -1.0])).tolist()
    [1.0, 0.0, -0.5]
    """
    known = np.array([letter in LETTER_COLOURS for letter in letters], bool) & np.isfinite(scores)
    heights = np.where(known, scores, 0.0)
    largest = float(np.abs(heights).max(initial=0.0))
    return heights / largest if largest > 0 else heights


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo as SVG commands, one path per letter, in a box of ``width`` x ``HIGH`` units.

    ``axis`` is where 0 is, counted from the top.
    """

    paths: dict[str, str]
    axis: int
    width: int


def logo(letters: str, heights: Heights) -> Logo:
    """The letters of a sequence, ``heights`` high, drawn as SVG; lower than half a unit is none."""
    span = float(max(heights.max(initial=0.0), 0.0) - min(heights.min(initial=0.0), 0.0))
    units = np.rint(heights * (HIGH / span if span > 0 else 0.0)).astype(int)
    axis = int(max(units.max(initial=0), 0))
    margin = (BASE - WIDE) // 2
    drawn: dict[str, list[str]] = {letter: [] for letter in LETTER_COLOURS}
    for position in np.flatnonzero(units).tolist():
        letter = letters[position]
        right, down, shape = stretched(letter, WIDE, int(units[position]))
        drawn[letter].append(f"M{BASE * position + margin + right} {axis + down}{shape}")
    paths = {letter: "".join(parts) for letter, parts in drawn.items() if parts}
    return Logo(paths, axis, BASE * len(letters))


@lru_cache(maxsize=4096)
def stretched(letter: str, width: int, height: int) -> tuple[int, int, str]:
    """A letter in whole units of SVG: where it begins in its box, and relative commands from there.

    SVG counts downwards: a letter of positive ``height`` is upright above the origin of its box,
    one of negative ``height`` hangs upside down below it.
    """
    if abs(height) < LOW:
        return 0, 0, f"h{width}v{-height}h-{width}z"
    outlines = [np.rint(part * (width, -height)).astype(int) for part in _corners(letter)]
    begun = first = outlines[0][0]
    text = ""
    for points in outlines:
        # closing an outline goes back to where it begun
        text += "m" + _joined((points[0] - begun).tolist()) if text else ""
        moves = np.diff(points, axis=0).tolist()
        text += "".join(_relative(*move) for move in moves if any(move)) + "z"
        begun = points[0]
    return int(first[0]), int(first[1]), text


def _relative(across: int, down: int) -> str:
    """A straight line, as short as it can be written.

    >>> _relative(-1, 2), _relative(0, 7)
    ('l-1 2', 'v7')
    """
    if not across or not down:
        return f"h{across}" if across else f"v{down}"
    return f"l{_joined([across, down])}"


def _joined(numbers: list[int]) -> str:
    across, down = numbers
    return f"{across}{down}" if down < 0 else f"{across} {down}"
