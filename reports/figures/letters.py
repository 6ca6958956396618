"""One sequence logo: a letter as high as its score, upside down where that is negative."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .glyphs import stretched
from .style import LETTERS

BASE = 40
"""Units of a logo's SVG from one position to the next; a letter is as wide as ``WIDE``."""

WIDE = 36
HIGH = 200
"""Units from the lowest to the highest letter of a logo."""

Heights = NDArray[np.float64]
"""``(position,)``: 0 where nothing is drawn."""


def heights_of(letters: str, scores: NDArray[np.float64]) -> Heights:
    """The scores where there is a letter to draw, as shares of the largest; 0 elsewhere.

    >>> heights_of("ANG", np.array([2.0, 9.0, -1.0])).tolist()
    [1.0, 0.0, -0.5]
    """
    known = np.array([letter in LETTERS for letter in letters]) & np.isfinite(scores)
    heights = np.where(known, scores, 0.0)
    largest = float(np.abs(heights).max(initial=0.0))
    return heights / largest if largest > 0 else heights


@dataclass(frozen=True, slots=True)
class Logo:
    """A logo as SVG commands, one for each letter, in a box of ``width`` x ``HIGH`` units.

    ``axis`` is where 0 lies, counted from the top.
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
    found: dict[str, list[str]] = {letter: [] for letter in LETTERS}
    for position in np.flatnonzero(units).tolist():
        letter = letters[position]
        right, down, shape = stretched(letter, WIDE, int(units[position]))
        found[letter].append(f"M{BASE * position + margin + right} {axis + down}{shape}")
    paths = {letter: "".join(drawn) for letter, drawn in found.items() if drawn}
    return Logo(paths, axis, BASE * len(letters))
