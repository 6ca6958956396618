"""The same method on two models: which of them its explanations serve better."""

from __future__ import annotations

from itertools import combinations

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import MINUS, decimals_of, direction
from ..format.select import estimates_of, models_of, normalised, operator_of, rows_of
from .table import EMPTY, Cell, Choice, Filters, Head, Table, by_method, estimated, p_cell
from .whisker import scale_of

NOTE = (
    "Above 0 (right of the dashed line) the method finds more on the first model. Gaps grow with "
    "the scale of a model's logits, shares of the oracle's gap do not."
)


def pairs(results: Results) -> Table | None:
    """Every method on every two models, paired by seed and sequence; None with one model."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric=PRIMARY)
    rows = rows[rows["operator"] == operator_of(results)]
    if rows.empty:
        return None
    shares = {model: _normalised_cells(results, model) for model in models_of(results)}
    between = _normalised_differences(results)
    scale, decimals = scale_of(rows), decimals_of(rows)
    body, models, differ = [], [], []
    for first, second in combinations(models_of(results), 2):
        for method, row in by_method(_of_pair(rows, first, second)).items():
            body.append(
                (
                    Cell(f"{first} {MINUS} {second}"),
                    Cell(method, method=method),
                    estimated(row, decimals, scale=scale),
                    p_cell(row),
                    between.get((first, second, method), EMPTY),
                    *(shares[model].get(method, EMPTY) for model in (first, second)),
                )
            )
            models.append((first, second))
            differ.append(direction(row) in (1, -1))
    caption = "The same method on two models: difference of the gaps to random"
    filters = Filters(
        (Choice("Model", tuple(models)),), tuple(differ), "differs between the models"
    )
    table = Table(
        caption, _pair_heads(results), tuple(body), name="pairs", filters=filters, note=NOTE
    )
    return table.without_empty_columns()


def _of_pair(rows: pd.DataFrame, model: str, other: str) -> pd.DataFrame:
    return rows[(rows["model"] == model) & (rows["other"] == other)]


def _pair_heads(results: Results) -> tuple[Head, ...]:
    """The heads; two models are called by their names."""
    models = models_of(results)
    names = models if len(models) == 2 else ("the first", "the second")
    return (
        Head("Models", prose=True),
        Head("Method", prose=True),
        Head("Difference", "Of the gaps to random, paired.", descending=True),
        Head("p", "Two-sided, corrected after Holm over the methods of two models."),
        Head(
            "Normalised difference", "Of the shares of the oracle's gap, paired.", descending=True
        ),
        *(
            Head(f"Normalised, {name}", "The gap as a share of the oracle's.", descending=True)
            for name in names
        ),
    )


def _normalised_differences(results: Results) -> dict[tuple[str, ...], Cell]:
    """By the two models and the method: the difference of the normalised scores."""
    rows = estimates_of(results, question=Question.NORMALISED_BETWEEN_MODELS, metric=PRIMARY)
    rows = rows[rows["operator"] == operator_of(results)]
    decimals = decimals_of(rows)
    return {
        (str(row["model"]), str(row["other"]), str(row["method"])): estimated(row, decimals)
        for row in rows_of(rows)
    }


def _normalised_cells(results: Results, model: str) -> dict[str, Cell]:
    rows = normalised(results, model)
    decimals = decimals_of(rows)
    return {method: estimated(row, decimals) for method, row in by_method(rows).items()}
