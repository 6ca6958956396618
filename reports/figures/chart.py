"""Axes, and what stands on them: numbers become places in a drawing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shapes import (
    Area,
    Dot,
    Drawing,
    Point,
    Shape,
    Stroke,
    Words,
    short,
    width_of,
)
from .style import Style

Numbers = NDArray[np.float64]

APART = 13.0
"""Pixels from one name to the next in a column of names."""

SWATCH = 18.0
AIR = 6.0
MINUS = "\N{MINUS SIGN}"


@dataclass(frozen=True, slots=True)
class Axis:
    """What an axis measures, and between which ends.

    ``words`` stand at whole numbers in the place of ticks. ``logarithmic``: beyond 1, and in
    proportion below, for counts that may be 0. ``whole``: no ticks between whole numbers.
    """

    label: str
    limits: tuple[float, float]
    words: tuple[str, ...] = ()
    logarithmic: bool = False
    whole: bool = False

    def place(self, values: Numbers) -> Numbers:
        """Values as shares of the way from the first end to the last."""
        low, high = (float(self._bent(np.array(end))) for end in self.limits)
        return (self._bent(np.asarray(values, np.float64)) - low) / (high - low)

    def _bent(self, values: Numbers) -> Numbers:
        if not self.logarithmic:
            return values
        return np.where(values > 1, 1 + np.log10(np.maximum(values, 1)) * 2, values)

    @property
    def ticks(self) -> dict[float, str]:
        """Where the axis is marked, and with what."""
        if self.words:
            return dict(enumerate(self.words))
        if self.logarithmic:
            powers = range(math.floor(math.log10(max(self.limits[1], 1))) + 1)
            return {0.0: "0"} | {10.0**power: f"{10**power:,}" for power in powers}
        return ticks(*self.limits, least=1 if self.whole else 0)


@dataclass(frozen=True, slots=True)
class Line:
    at: Numbers
    heights: Numbers
    style: Style
    width: float = 1.6
    opacity: float = 1.0
    solid: bool = False


@dataclass(frozen=True, slots=True)
class Band:
    at: Numbers
    low: Numbers
    high: Numbers
    style: Style
    opacity: float = 0.2


@dataclass(frozen=True, slots=True)
class Mark:
    """A dot; ``name`` is written beside the chart and joined to it."""

    x: float
    y: float
    style: Style
    filled: bool = True
    name: str = ""


@dataclass(frozen=True, slots=True)
class Name:
    """A line of the column of names: a swatch and what it stands for."""

    text: str
    style: Style


Entry = Line | Band | Mark


@dataclass(frozen=True, slots=True)
class Frame:
    """The part of a drawing that the axes span, in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def at(self, x: Numbers, y: Numbers) -> tuple[Point, ...]:
        """Shares of the axes as points."""
        across = self.left + x * (self.right - self.left)
        down = self.bottom - y * (self.bottom - self.top)
        return tuple(zip(across.tolist(), down.tolist(), strict=True))


def chart(
    x: Axis,
    y: Axis,
    entries: Sequence[Entry],
    names: Sequence[Name] = (),
    *,
    width: float = 460,
    height: float = 250,
) -> Drawing:
    """Entries on two axes, the first at the back; on the right the names, in the given order, or
    those of the marks, each as near to its own as the others allow.

    Where the names need more room than ``height``, the drawing is higher.
    """
    beside = [entry for entry in entries if isinstance(entry, Mark) and entry.name]
    called = [*(name.text for name in names), *(mark.name for mark in beside)]
    height = max(height, APART * len(called) + 60)
    wide = max((width_of(text) for text in called), default=0.0)
    left = 22 + max((width_of(text) for text in y.ticks.values()), default=0.0) + AIR
    left = left if y.label else left - 16
    right = width - (wide + SWATCH + 2 * AIR if called else 12.0)
    frame = Frame(left, 10.0, right, height - 40.0)
    shapes = [shape for entry in entries for shape in _entry(entry, x, y, frame)]
    column = [*_column(names, frame), *_beside(beside, x, y, frame)]
    return Drawing(width, height, (*_axes(x, y, frame), *shapes, *column))


def _entry(entry: Entry, x: Axis, y: Axis, frame: Frame) -> list[Shape]:
    if isinstance(entry, Mark):
        (centre,) = frame.at(x.place(np.array([entry.x])), y.place(np.array([entry.y])))
        return [Dot(centre, entry.style.name, filled=entry.filled)]
    if isinstance(entry, Band):
        known = np.isfinite(entry.low) & np.isfinite(entry.high)
        at = x.place(entry.at[known])
        there = frame.at(at, y.place(entry.high[known]))
        back = frame.at(at, y.place(entry.low[known]))[::-1]
        return [Area((*there, *back), entry.style.name, entry.opacity)] if known.any() else []
    known = np.isfinite(entry.heights)
    points = frame.at(x.place(entry.at[known]), y.place(entry.heights[known]))
    dashes = "" if entry.solid else entry.style.dashes
    named = entry.style.name
    return [Stroke(points, named, entry.width, dashes, entry.opacity)] if len(points) > 1 else []


def _axes(x: Axis, y: Axis, frame: Frame) -> list[Shape]:
    """The two lines, their ticks, numbers and labels."""
    corner = ((frame.left, frame.top), (frame.left, frame.bottom), (frame.right, frame.bottom))
    shapes: list[Shape] = []
    for value, text in y.ticks.items():
        ((_, down),) = frame.at(np.zeros(1), y.place(np.array([value])))
        shapes.append(Words((frame.left - AIR, down), text, "end", "plain"))
        if not y.words:
            shapes.append(Stroke(((frame.left - 3, down), (frame.left, down)), "plain"))
            grid = ((frame.left, down), (frame.right, down))
            shapes.append(Stroke(grid, "hair", 0.5))
    for value, text in _apart(x).items():
        ((across, _),) = frame.at(x.place(np.array([value])), np.zeros(1))
        tick = ((across, frame.bottom), (across, frame.bottom + 3))
        number = Words((across, frame.bottom + 12), text, "middle", "plain")
        shapes += [Stroke(tick, "plain"), number]
    middle = ((frame.left + frame.right) / 2, frame.bottom + 29)
    shapes.append(Words(middle, _fitted(x.label, frame.right - frame.left), "middle"))
    if y.label:
        label = _fitted(y.label, frame.bottom - frame.top)
        shapes.append(Words((10.0, (frame.top + frame.bottom) / 2), label, "middle", turned=True))
    return [Stroke(corner[1:] if y.words else corner, "plain"), *shapes]


def _fitted(label: str, room: float) -> str:
    """A label, its middle left out where it is longer than its axis."""
    long = width_of(label)
    return label if long <= room else short(label, int(len(label) * room / long))


def _apart(x: Axis) -> dict[float, str]:
    """The ticks of an axis that lie far enough from the one before for their numbers."""
    found: dict[float, str] = {}
    last = -math.inf
    for value, text in x.ticks.items():
        place = float(x.place(np.array([value]))[0])
        if place - last >= 0.08:
            found[value] = text
            last = place
    return found


def _column(names: Sequence[Name], frame: Frame) -> Iterable[Shape]:
    """Swatches and names from the top down."""
    start = frame.right + AIR
    for place, name in enumerate(names):
        down = frame.top + 6 + APART * place
        swatch = ((start, down), (start + SWATCH - 2, down))
        yield Stroke(swatch, name.style.name, 2.2, name.style.dashes)
        yield Words((start + SWATCH + 3, down), name.text)


def _beside(marks: Sequence[Mark], x: Axis, y: Axis, frame: Frame) -> Iterable[Shape]:
    """The names of the marks, joined to them; none upon another."""
    order = sorted(marks, key=lambda mark: -mark.y)
    points = [
        frame.at(x.place(np.array([mark.x])), y.place(np.array([mark.y])))[0] for mark in order
    ]
    places = spread([down for _, down in points], (frame.top + 4, frame.bottom), APART)
    start = frame.right + AIR
    for mark, (across, down), place in zip(order, points, places, strict=True):
        bend = ((across + 5, down), (frame.right, place), (start + 2, place))
        yield Stroke(bend, "plain", 0.6, opacity=0.6)
        yield Words((start + 6, place), mark.name)


def spread(wanted: Sequence[float], ends: tuple[float, float], apart: float) -> list[float]:
    """Rising places as near to the ``wanted`` (rising) ones as ``apart`` and the ends allow.

    Where there is too little room, places lie closer, and evenly.

    >>> spread([5, 6, 20], (0, 30), 4)
    [5, 9, 20]
    """
    if len(wanted) > 1:
        apart = min(apart, (ends[1] - ends[0]) / (len(wanted) - 1))
    places: list[float] = []
    for number, place in enumerate(wanted):
        least = places[-1] + apart if places else ends[0]
        most = ends[1] - apart * (len(wanted) - 1 - number)
        places.append(min(max(place, least), most))
    return places


def ticks(low: float, high: float, *, least: float = 0, most: int = 6) -> dict[float, str]:
    """Round numbers between the ends, ``least`` apart, with the digits that tell them apart.

    >>> ticks(0.07, 0.42)
    {0.1: '0.1', 0.2: '0.2', 0.3: '0.3', 0.4: '0.4'}
    """
    rough = max((high - low) / most, least)
    power = 10.0 ** math.floor(math.log10(rough))
    sizes = (1, 2, 5, 10) if least else (1, 2, 2.5, 5, 10)
    size = next(size for size in sizes if power * size >= rough * (1 - 1e-9))
    step = power * size
    decimals = max(0, (size == 2.5) - math.floor(math.log10(step)))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    values = [round(count * step, decimals + 2) + 0.0 for count in range(first, last + 1)]
    return {value: f"{value:.{decimals}f}".replace("-", MINUS) for value in values}


def limits_of(values: Numbers) -> tuple[float, float]:
    """The ends of an axis that shows these values with a little air."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    air = 0.05 * (high - low) or 0.05 * max(math.fabs(high), 1.0)
    return (low - air, high + air)
