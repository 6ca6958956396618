"""How alike the maps of two models are, beside what two trainings of one reach and what chance
does."""

from __future__ import annotations

import pandas as pd

from xaibench.results.reading import Results
from xaibench.results.schema import COMPARED

from ..format.numbers import apart_from, mean_and_interval, usual_counts
from ..format.replicates import replicate_terms
from ..format.select import TableRow, rows_of
from .agreement import DECIMALS
from .table import EMPTY, Cell, Table, heads

MODEL_SIMILARITIES = {
    "spearman": "Spearman correlation of the maps of two models",
    "overlap": "Jaccard overlap of the top tenths of two models' maps",
    "spearman of tokens": "Spearman correlation of two models' sums over tokens",
}
"""What an agreement is measured by -> what a reader calls it."""


def model_agreements(results: Results) -> list[Table]:
    """A table for every two models and measure; none where the models are of one kind."""
    rows = results.model_agreement
    return [
        _table(results, str(model), str(other), str(measure), group)
        for (model, other, measure), group in rows.groupby(
            ["model", "other_model", "measure"], sort=False
        )
    ]


def _table(results: Results, model: str, other: str, measure: str, rows: pd.DataFrame) -> Table:
    """A row for each pair of methods; the columns are what was compared."""
    usual = usual_counts(rows)
    by_pair: dict[tuple[str, str], dict[str, TableRow]] = {}
    for row in rows_of(rows):
        by_pair.setdefault((row["method"], row["other"]), {})[row["compared"]] = row
    nouns = replicate_terms(results).nouns
    texts = (
        *("The same sequence", "Another sequence of the class", "A random map"),
        *(f"Two {nouns} of {label}" for label in (model, other)),
    )
    measured = {
        compared: text
        for compared, text in zip(COMPARED, texts, strict=True)
        if compared in set(rows["compared"])
    }
    body = tuple(
        (
            Cell(method, method=method),
            Cell(other_method),
            *(_cell(by_compared.get(compared), usual) for compared in measured),
        )
        for (method, other_method), by_compared in by_pair.items()
    )
    header = heads(f"On {model}", f"On {other}", *measured.values(), prose=(0, 1))
    caption = f"{model} and {other}: {MODEL_SIMILARITIES[measure]} ({usual})"
    return Table(caption, header, body, narrow=True, folded=measure == "overlap")


def _cell(row: TableRow | None, usual: str) -> Cell:
    if row is None:
        return EMPTY
    return Cell(mean_and_interval(row, DECIMALS) + apart_from(usual, row), note="maps too flat")
