"""The house style: a colour and a dash per method everywhere, distinct to every colour vision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from xaibench.explanation.controls import RANDOM

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b3a8c", "#e69f00")
"""After Okabe and Ito (2008), distinct under every common colour vision."""

DASHES = ("", "5 2", "1.5 1.5", "7 2 1.5 2", "3 1")
"""What sets the second and later eight methods apart from the first, as SVG writes it."""

GREY = "#6b6b6b"
INK = "#222222"
HAIR = "#c9ced3"
PAPER = "#ffffff"

LETTER_COLOURS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#c0392b"}
"""The colours that sequence logos have, of this palette where it has them."""

TRUTH = "#fff1b8"
"""Shades the known motif."""

PAINT = {
    **{f"m{place}": colour for place, colour in enumerate(COLOURS)},
    "T": LETTER_COLOURS["T"],
    "plain": GREY,
    "ink": INK,
    "hair": HAIR,
    "truth": TRUTH,
}
"""Class of the page's style sheet (``static/figures.css``) -> its colour on white, with which
figures are drawn; the page gives each class a second colour, on dark."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a method is drawn, everywhere; ``place`` is that of its colour, -1 of none (grey)."""

    colour: str
    dashes: str = ""
    place: int = -1

    @property
    def line(self) -> Literal["-"] | tuple[float, Sequence[float]]:
        """The dashes as matplotlib takes them."""
        lengths = tuple(float(length) for length in self.dashes.split())
        return (0.0, lengths) if lengths else "-"

    @property
    def name(self) -> str:
        """Its colour's class in ``PAINT``."""
        if self.place < 0:
            return "ink" if self.colour == INK else "plain"
        return f"m{self.place}"


PLAIN = Style(GREY)


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A style per method by its place in the plan, and grey dashes for the random control.

    Forty methods have forty styles; after them they begin anew.
    """
    chosen = {
        method: Style(COLOURS[place % 8], DASHES[place // 8 % 5], place % 8)
        for place, method in enumerate(methods)
    }
    return chosen | {RANDOM: Style(GREY, "4 2")}
