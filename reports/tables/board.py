"""A table that a reader sorts and filters in the page: numbers with what they are sorted by."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..format.numbers import (
    ABSENT,
    corrected_p,
    direction,
    ends,
    mean_and_interval,
    probability,
    why,
)

WIDTH, MARGIN = 120.0, 4.0
"""Of a whisker, in the units of its drawing."""

STANDINGS = {1: "above", 0: "holds", -1: "below", None: "unknown"}
"""Of a difference, by its ``direction``: where its interval lies to 0."""


@dataclass(frozen=True, slots=True)
class Whisker:
    """A mean with its intervals as places from 0 to ``WIDTH``; ``standing`` is one of
    ``STANDINGS``.

    ``outer`` is the headline interval, ``inner`` that for these trained models; None where unknown.
    """

    mean: float
    outer: tuple[float, float] | None
    inner: tuple[float, float] | None
    zero: float
    standing: str


@dataclass(frozen=True, slots=True)
class Scale:
    """What lies between the ends of a whisker's drawing; 0 is always among it."""

    low: float
    high: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + (WIDTH - 2 * MARGIN) * share, 1)

    def whisker(self, estimate: pd.Series[Any]) -> Whisker | None:
        """The drawing of an estimate; None where its mean is not known."""
        if math.isnan(estimate["mean"]):
            return None
        inner = (float(estimate["sequences_low"]), float(estimate["sequences_high"]))
        return Whisker(
            self.place(float(estimate["mean"])),
            self._span(ends(estimate)),
            self._span(inner),
            self.place(0.0),
            STANDINGS[direction(estimate)],
        )

    def _span(self, span: tuple[float, float]) -> tuple[float, float] | None:
        low, high = span
        return None if math.isnan(low) or math.isnan(high) else (self.place(low), self.place(high))


def scale_of(estimates: pd.DataFrame) -> Scale:
    """The scale that shows every interval, and 0."""
    names = ["mean", "low", "high", "sequences_low", "sequences_high"]
    values = estimates[names].to_numpy(np.float64)
    known = np.append(values[np.isfinite(values)], 0.0)
    low, high = float(known.min()), float(known.max())
    return Scale(low, high) if high > low else Scale(low - 1.0, high + 1.0)


@dataclass(frozen=True, slots=True)
class Place:
    """One place of a board: what it says, and the number it is sorted by (NaN stands last).

    Places without a ``value`` are sorted by what they say. ``note`` is told on demand, ``remark``
    below.
    """

    text: str
    value: float | None = None
    note: str = ""
    remark: str = ""
    method: str = ""
    whisker: Whisker | None = None

    @property
    def key(self) -> str:
        """What a page sorts by; nothing where the number is not known."""
        if self.value is None:
            return self.text
        return "" if math.isnan(self.value) else f"{self.value:.6g}"


@dataclass(frozen=True, slots=True)
class Line:
    """A row of a board; ``models`` and ``method`` are what it is filtered by."""

    models: tuple[str, ...]
    method: str
    ahead: bool
    places: tuple[Place, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column; ``words`` where it holds words, ``falls`` where the largest number is
    wanted first, ``drawn`` where intervals are drawn; ``hint`` is told on demand."""

    text: str
    hint: str = ""
    words: bool = False
    falls: bool = False
    drawn: bool = False


@dataclass(frozen=True, slots=True)
class Board:
    """A sortable table; ``only`` says what its switch leaves, ``note`` how it is read, ``gloss``
    what its main columns mean, for whoever reads no further."""

    slug: str
    caption: str
    heads: tuple[Head, ...]
    lines: tuple[Line, ...]
    only: str
    note: str = ""
    gloss: str = ""

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for line in self.lines for model in line.models))

    def numbers(self, line: Line) -> str:
        """The places of its models among all, for a page to filter by."""
        models = self.models
        return " ".join(str(models.index(model)) for model in line.models)


def figure(estimate: pd.Series[Any] | None, decimals: int, *, scale: Scale | None = None) -> Place:
    """A mean with its interval, drawn where there is a ``scale``."""
    if estimate is None:
        return Place("", math.nan)
    text = mean_and_interval(estimate, decimals)
    drawn = scale.whisker(estimate) if scale else None
    return Place(text, float(estimate["mean"]), why(estimate), whisker=drawn)


def corrected(estimate: pd.Series[Any]) -> Place:
    """The corrected p value for retraining; with one seed, for these trained models."""
    p, _ = corrected_p(estimate)
    return Place(probability(p), p, note=str(estimate["reason"]) if math.isnan(p) else "")


def without_empty_columns(
    heads: Iterable[Head], lines: Iterable[Line]
) -> tuple[tuple[Head, ...], tuple[Line, ...]]:
    """The columns that say something in at least one line."""
    heads, lines = tuple(heads), tuple(lines)
    kept = [
        place
        for place in range(len(heads))
        if any(line.places[place].text not in ("", ABSENT) for line in lines)
    ]
    cut = (
        Line(line.models, line.method, line.ahead, tuple(line.places[place] for place in kept))
        for line in lines
    )
    return tuple(heads[place] for place in kept), tuple(cut)
