"""Intervals drawn within a table, all of a column on one scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..format.numbers import direction, ends
from ..format.select import TableRow

WIDTH, MARGIN = 120.0, 4.0
"""Of a whisker, in the units of its drawing."""

STANDINGS: dict[int | None, str] = {1: "above", 0: "includes", -1: "below", None: "unknown"}
"""Of a difference, by its ``direction``: where its interval is beside 0."""


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
    """The values at the ends of a whisker's drawing; 0 is always between them."""

    low: float
    high: float

    def place(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(MARGIN + (WIDTH - 2 * MARGIN) * share, 1)

    def whisker(self, estimate: TableRow) -> Whisker | None:
        """The drawing of an estimate; None where its mean is not known."""
        if math.isnan(estimate["mean"]):
            return None
        inner = (float(estimate["sequences_low"]), float(estimate["sequences_high"]))
        return Whisker(
            self.place(float(estimate["mean"])),
            self._places(ends(estimate)),
            self._places(inner),
            self.place(0.0),
            STANDINGS[direction(estimate)],
        )

    def _places(self, interval: tuple[float, float]) -> tuple[float, float] | None:
        low, high = interval
        return None if math.isnan(low) or math.isnan(high) else (self.place(low), self.place(high))


def scale_of(estimates: pd.DataFrame) -> Scale:
    """The scale that shows every interval, and 0."""
    names = ["mean", "low", "high", "sequences_low", "sequences_high"]
    values = estimates[names].to_numpy(np.float64)
    known = np.append(values[np.isfinite(values)], 0.0)
    low, high = float(known.min()), float(known.max())
    return Scale(low, high) if high > low else Scale(low - 1.0, high + 1.0)
