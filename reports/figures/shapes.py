"""What a figure is made of: strokes, areas, dots and words, in pixels, the origin top left.

The page draws them as SVG (``vector``), files of figures by matplotlib (``printed``), from the
same shapes in the same places.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Point = tuple[float, float]

SIZE = 11.0
"""Pixels of a letter's em."""

_NARROW = frozenset("iljtfrI.,:;|!'()[]/ ")
_WIDE = frozenset("mwMW@%\N{HORIZONTAL ELLIPSIS}")


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points. Like every shape, its colour is a name of ``style.PAINT``."""

    points: tuple[Point, ...]
    colour: str
    width: float = 1.0
    dashes: str = ""
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Area:
    """The inside of a line that closes."""

    points: tuple[Point, ...]
    colour: str
    opacity: float = 1.0


@dataclass(frozen=True, slots=True)
class Dot:
    """A disc, or where it is not ``filled`` a ring."""

    centre: Point
    colour: str
    radius: float = 3.5
    filled: bool = True


@dataclass(frozen=True, slots=True)
class Words:
    """A text beside ``at``, the middle of its height; ``turned`` reads upwards."""

    at: Point
    text: str
    anchor: Literal["start", "middle", "end"] = "start"
    colour: str = "ink"
    size: float = SIZE
    turned: bool = False
    bold: bool = False

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom, with room for the widest of common fonts."""
        long, high = width_of(self.text, self.size), self.size
        before = {"start": 0.0, "middle": long / 2, "end": long}[self.anchor]
        x, y = self.at
        if self.turned:
            return (x - high / 2, y + before - long, x + high / 2, y + before)
        return (x - before, y - high / 2, x - before + long, y + high / 2)


Shape = Stroke | Area | Dot | Words


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of ``width`` x ``height`` pixels."""

    width: float
    height: float
    shapes: tuple[Shape, ...]

    @property
    def words(self) -> list[Words]:
        return [shape for shape in self.shapes if isinstance(shape, Words)]


def width_of(text: str, size: float = SIZE) -> float:
    """Pixels that a text takes at most in a common font.

    >>> width_of("ill") < width_of("sum") < width_of("漢字漢")
    True
    """
    return size * sum(_share(letter) for letter in text)


def _share(letter: str) -> float:
    if letter in _NARROW:
        return 0.42
    if letter in _WIDE or ord(letter) > 0x2E80:
        return 1.02
    return 0.72 if letter.isupper() else 0.645


def short(name: str, most: int) -> str:
    """A name that fits: its middle gives way.

    >>> short("integrated_gradients_of_everything", 15)
    'integra…rything'
    """
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"
