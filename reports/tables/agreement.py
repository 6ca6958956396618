"""How alike the maps of two methods are, beside how alike those of two seeds are."""

from __future__ import annotations

import math

from xaibench.results.reading import Results

from ..format.numbers import apart_from, mean_and_interval, usual_counts
from ..format.replicates import replicate_terms
from ..format.select import TableRow, methods_of, rows_of
from .table import EMPTY, Cell, Table, heads

SIMILARITIES = {
    "spearman": "Spearman correlation of two methods' maps",
    "overlap": "Jaccard overlap of two methods' top tenths",
    "spearman of tokens": "Spearman correlation of two methods' sums over tokens",
}
"""What an agreement is measured by -> what a reader calls it."""

DECIMALS = 2


def matrices(results: Results, model: str) -> list[Table]:
    """The agreement between the methods of a model, one table per measure; on the diagonal, between
    its seeds."""
    tables = (_agreement_matrix(results, model, measure) for measure in SIMILARITIES)
    return [table for table in tables if table is not None]


def _agreement_matrix(results: Results, model: str, measure: str) -> Table | None:
    """A measure of every two methods of a model; None where it was not taken."""
    rows = results.agreement
    rows = rows[(rows["model"] == model) & (rows["measure"] == measure)]
    if rows.empty:
        return None
    usual = usual_counts(rows)
    by_pair = {
        pair: row
        for row in rows_of(rows)
        for pair in ((row["other"], row["method"]), (row["method"], row["other"]))
    }
    compared = {method for pair in by_pair for method in pair}
    methods = [method for method in methods_of(results) if method in compared]
    places = [str(place) for place in range(1, len(methods) + 1)]
    body = tuple(
        (
            Cell(f"{place}. {one}", method=one),
            *(_similarity_cell(by_pair.get((one, other)), usual) for other in methods),
        )
        for place, one in zip(places, methods, strict=True)
    )
    nouns = replicate_terms(results).nouns
    caption = f"{model}: {SIMILARITIES[measure]}; diagonal: between {nouns} ({usual})"
    folded = measure != "spearman"
    return Table(caption, heads("Method", *places), body, narrow=True, folded=folded)


def _similarity_cell(row: TableRow | None, usual: str) -> Cell:
    if row is None:
        return EMPTY
    note = (
        ""
        if not math.isnan(row["mean"])
        else "maps too flat, or replicates too few, to be compared"
    )
    text = mean_and_interval(row, DECIMALS).replace(", ", ",\N{NO-BREAK SPACE}")
    return Cell(text + apart_from(usual, row), note=note)
