"""The same method on two models: which of them its explanations serve better."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import decimals_of, direction
from ..format.select import estimates_of, models_of, operator_of
from .board import (
    Board,
    Head,
    Line,
    Place,
    Scale,
    corrected,
    figure,
    scale_of,
    without_empty_columns,
)
from .leaderboard import normalised

MINUS = "\N{MINUS SIGN}"
NOWHERE = Place("", math.nan)


def pairs(results: Results) -> Board | None:
    """Every method on every two models, paired by seed and sequence; None with one model."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric=PRIMARY)
    rows = rows[rows["operator"] == operator_of(results)]
    if rows.empty:
        return None
    shares = {model: _shares(results, model) for model in models_of(results)}
    between = _between_shares(results)
    scale, decimals = scale_of(rows), decimals_of(rows)
    lines = [
        _line(row, scale, decimals, shares, between)
        for pair in combinations(models_of(results), 2)
        for _, row in rows[(rows["model"] == pair[0]) & (rows["other"] == pair[1])].iterrows()
    ]
    heads, kept = without_empty_columns(_heads(results), lines)
    note = "Above 0 (right of the dashed line) the method finds more on the first model. Gaps grow "
    note += "with the scale of a model's logits, shares of the oracle's gap do not."
    caption = "The same method on two models: difference of the gaps to random"
    return Board("pairs", caption, heads, kept, only="differs between the models", note=note)


def _heads(results: Results) -> tuple[Head, ...]:
    models = models_of(results)
    first, second = models if len(models) == 2 else ("the first", "the second")
    return (
        Head("Models", words=True),
        Head("Method", words=True),
        Head("Difference", "Of the gaps to random, paired.", falls=True, drawn=True),
        Head("p", "Two-sided, corrected after Holm over the methods of two models."),
        Head("Normalised difference", "Of the shares of the oracle's gap, paired.", falls=True),
        Head(f"Normalised, {first}", "The gap as a share of the oracle's.", falls=True),
        Head(f"Normalised, {second}", "The gap as a share of the oracle's.", falls=True),
    )


def _line(
    row: pd.Series[Any],
    scale: Scale,
    decimals: int,
    shares: dict[str, dict[str, Place]],
    between: dict[tuple[str, ...], Place],
) -> Line:
    first, second, method = str(row["model"]), str(row["other"]), str(row["method"])
    places = (
        Place(f"{first} {MINUS} {second}"),
        Place(method, method=method),
        figure(row, decimals, scale=scale),
        corrected(row),
        between.get((first, second, method), NOWHERE),
        *(shares[model].get(method, NOWHERE) for model in (first, second)),
    )
    return Line((first, second), method, direction(row) in (1, -1), places)


def _between_shares(results: Results) -> dict[tuple[str, ...], Place]:
    """By the two models and the method: the difference of the normalised scores."""
    rows = estimates_of(results, question=Question.NORMALISED_BETWEEN_MODELS, metric=PRIMARY)
    rows = rows[rows["operator"] == operator_of(results)]
    decimals = decimals_of(rows)
    return {
        (str(row["model"]), str(row["other"]), str(row["method"])): figure(row, decimals)
        for _, row in rows.iterrows()
    }


def _shares(results: Results, model: str) -> dict[str, Place]:
    rows = normalised(results, model)
    decimals = decimals_of(rows)
    return {str(row["method"]): figure(row, decimals) for _, row in rows.iterrows()}
