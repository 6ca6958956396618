"""The house style: a colour and a dash for a method everywhere, told apart by every eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from xaibench.explanation.controls import RANDOM

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b3a8c", "#e69f00")
"""After Okabe and Ito (2008), told apart with every common colour vision."""

ON_DARK = ("#4aa8e0", "#f0803c", "#2fc79a", "#e39cc3", "#c9a83a", "#8fd0f7", "#a98be0", "#f5bd4f")
"""The same hues on a dark page, in the same order."""

DASHES = ("", "5 2", "1.5 1.5", "7 2 1.5 2", "3 1")
"""What tells the second and later eight methods from the first, as SVG writes it."""

GREY = "#6b6b6b"
INK = "#222222"

LETTERS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#c0392b"}
"""The colours that sequence logos have, of this palette where it has them."""

LETTERS_ON_DARK = {"A": "#2fc79a", "C": "#4aa8e0", "G": "#f5bd4f", "T": "#f0766a"}

TRUTH = "#fff1b8"
"""Shades the known motif."""


PAINT = {
    **{f"m{place}": colour for place, colour in enumerate(COLOURS)},
    **LETTERS,
    "plain": GREY,
    "ink": INK,
    "hair": "#c9ced3",
    "truth": TRUTH,
}
"""The names of colours in a style sheet (``static/figures.css``) -> what they are on white."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a method is drawn, everywhere; ``place`` is that of its colour, -1 of none (grey)."""

    colour: str
    dashes: str
    place: int = -1

    @property
    def line(self) -> tuple[float, tuple[float, ...] | None]:
        """The dashes as matplotlib wants them."""
        return (0.0, dashed(self.dashes) or None)

    @property
    def name(self) -> str:
        """Its colour's name in ``PAINT``."""
        if self.place < 0:
            return "ink" if self.colour == INK else "plain"
        return f"m{self.place}"


def dashed(dashes: str) -> tuple[float, ...]:
    """The lengths of dashes and gaps; none of a line without."""
    return tuple(float(length) for length in dashes.split())


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A style for each method by its place in the plan, and grey dashes for the control.

    Forty methods have forty styles; after them they begin anew.
    """
    chosen = {
        method: Style(COLOURS[place % 8], DASHES[place // 8 % 5], place % 8)
        for place, method in enumerate(methods)
    }
    return chosen | {RANDOM: Style(GREY, "4 2")}
