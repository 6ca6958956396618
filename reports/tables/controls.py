"""What a method must beat: control maps made from its own, and maps that never saw a model."""

from __future__ import annotations

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import first_localisation, metric_under_operator
from ..format.numbers import direction
from ..format.replicates import replicate_terms
from ..format.select import estimates_of, in_order, methods_of, operator_of, rows_of
from .metrics import doubted
from .table import Measure, Table, grid

BLURRED = "blurred"
"""The control that is the map itself, blurred."""


def controls(results: Results, model: str) -> list[Table]:
    """By the leaderboard's metric and by the first of localisation: a method minus each control."""
    pairs = [(PRIMARY, operator_of(results))]
    pairs += [(metric, "") for metric in first_localisation(results)[:1]]
    tables = (_by_control(results, model, *pair) for pair in pairs)
    return [table for table in tables if table is not None]


def unbeaten(results: Results, model: str, metric: str, operator: str) -> dict[str, list[str]]:
    """Method -> the controls that it is not known to be better than; ``blurred`` is none of them,
    for a motif may well be smooth."""
    rows = estimates_of(results, question=Question.AGAINST_CONTROL, model=model, metric=metric)
    rows = rows[(rows["operator"] == operator) & (rows["other"] != BLURRED) & rows["mean"].notna()]
    names: dict[str, list[str]] = {}
    for row in rows_of(rows):
        if direction(row) != 1:
            names.setdefault(str(row["method"]), []).append(str(row["other"]))
    return names


def _by_control(results: Results, model: str, metric: str, operator: str) -> Table | None:
    """Methods down, controls across: the differences by one metric; None where there are none."""
    rows = estimates_of(results, question=Question.AGAINST_CONTROL, model=model, metric=metric)
    rows = rows[rows["operator"] == operator]
    measures = [
        Measure(other, rows[rows["other"] == other], marks=rows[rows["other"] == other])
        for other in in_order(results.plan.get("controls"), rows["other"])
    ]
    what = metric_under_operator(metric, operator) + doubted(results, model, (metric, operator))
    caption = f"{model}: {what}, better than the control by"
    return grid(caption, measures, methods_of(results), terms=replicate_terms(results))
