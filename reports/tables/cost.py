"""What an explanation costs, and what the guards saw."""

from __future__ import annotations

import pandas as pd

from xaibench.results.reading import Results

from ..format.numbers import TIMES, number, scientific
from .grid import COUNTED, Cell, Table


def cost(results: Results) -> Table | None:
    """What an explanation costs: the mean over seeds, for one sequence."""
    if results.cost.empty:
        return None
    body = []
    for (model, method), rows in results.cost.groupby(["model", "method"], sort=False):
        each = rows["sequences"].sum()
        body.append(
            (
                Cell(str(model)),
                Cell(str(method), method=str(method)),
                Cell(number(rows["forwards"].sum() / each, 1)),
                Cell(number(rows["backwards"].sum() / each, 1)),
                Cell(number(1000 * rows["seconds"].sum() / each, 1)),
                _counted(rows),
            )
        )
    header = ("Model", "Method", "Forwards", "Backwards", "Milliseconds", COUNTED)
    words = frozenset({0, 1})
    return Table("Cost of one explained sequence, mean over seeds", header, tuple(body), words)


def guards(results: Results) -> Table | None:
    """What the guards saw of every method: the largest over seeds."""
    if results.cost.empty:
        return None
    body = tuple(
        (
            Cell(str(model)),
            Cell(str(method), method=str(method)),
            Cell(scientific(rows["completeness_error"].max()), note="no completeness is promised"),
            Cell(scientific(rows["difference"].max())),
            Cell(f"{number(100 * rows['flat'].mean(), 1)} %"),
            _counted(rows),
        )
        for (model, method), rows in results.cost.groupby(["model", "method"], sort=False)
    )
    header = ("Model", "Method", "Completeness error", "Made again", "Flat maps", COUNTED)
    return Table("What the guards saw", header, body, frozenset({0, 1}), folded=True)


def _counted(rows: pd.DataFrame) -> Cell:
    return Cell(f"{number(rows['sequences'].max(), 0)} {TIMES} {number(len(rows), 0)}")
