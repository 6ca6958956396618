"""The contrasts that a run is about: those of the leaderboard, and of the models' accuracy."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.analysis.estimates import between
from xaibench.analysis.panels import CrossedValues, PanelKey, aligned, joined
from xaibench.analysis.ranking import cells_of
from xaibench.analysis.run_values import RunValues
from xaibench.plan.primary import PRIMARY
from xaibench.results.leaderboard import leaderboard_operator
from xaibench.results.schema import Question
from xaibench.shapes import Float
from xaibench.statistics.rounding import subtracted

WHERE = ("question", "model", "other", "method", "metric", "operator")
"""What names a contrast, as in the estimates."""

_QUESTIONS = (
    Question.AGAINST_RANDOM,
    Question.AGAINST_BEST,
    Question.AGAINST_REFERENCE,
    Question.BETWEEN_MODELS,
)


@dataclass(frozen=True, slots=True)
class Contrast:
    """A paired difference: its row of the estimates, and both sides, larger being better.

    The sides hold ``(seed, sequence)``, both NaN where either is.
    """

    row: pd.Series[Any]
    first: CrossedValues
    second: CrossedValues

    @property
    def where(self) -> dict[str, Any]:
        return {name: self.row[name] for name in WHERE}

    @property
    def differences(self) -> CrossedValues:
        reason = joined(self.first.reason, self.second.reason)
        values = subtracted(self.first.values, self.second.values)
        return replace(self.first, values=values, reason=reason)


def contrasts(run: RunValues, estimates: pd.DataFrame) -> Iterator[Contrast]:
    """Those of the leaderboard's metric and operator, then those of the models' accuracy."""
    board = (estimates["metric"] == PRIMARY) & (
        estimates["operator"] == leaderboard_operator(estimates)
    )
    asked_of = estimates["question"].isin(_QUESTIONS)
    for chosen in (board, estimates["metric"] == "accuracy"):
        rows = estimates[chosen & asked_of]
        for cell, (_, row) in zip(cells_of(rows), rows.iterrows(), strict=True):
            yield Contrast(row, *_both(*_sides(cell, row, run)))


def means(values: Float, axis: int) -> Float:
    """Over what is defined; without the rows of the other axis that hold nothing."""
    known = ~np.isnan(values)
    sums, counts = np.where(known, values, 0).sum(axis), known.sum(axis)
    averages: Float = sums[counts > 0] / counts[counts > 0]
    return averages


def _sides(
    cell: PanelKey, row: pd.Series[Any], run: RunValues
) -> tuple[CrossedValues, CrossedValues]:
    if row["question"] == Question.BETWEEN_MODELS:
        return between(cell.model, row["other"], cell, run)
    other = cell._replace(method=row["other"])
    return run.merit(cell), run.merit(other)


def _both(first: CrossedValues, second: CrossedValues) -> tuple[CrossedValues, CrossedValues]:
    one, other = aligned(first, second)
    holes = np.isnan(one.values) | np.isnan(other.values)
    left, right = (
        replace(each, values=np.where(holes, np.nan, each.values)) for each in (one, other)
    )
    return left, right
