"""What an explanation costs, and what the guards saw."""

from __future__ import annotations

from xaibench.results import Results

from .grid import COUNTED, Cell, Table
from .printing import TIMES, number, scientific


def cost(results: Results) -> Table | None:
    """What an explanation costs: the mean over seeds, for one sequence."""
    if results.cost.empty:
        return None
    body = []
    for (model, method), rows in results.cost.groupby(["model", "method"], sort=False):
        each = rows["sequences"].sum()
        error = rows["completeness_error"].max()
        body.append(
            (
                Cell(str(model)),
                Cell(str(method), method=str(method)),
                Cell(number(rows["forwards"].sum() / each, 1)),
                Cell(number(rows["backwards"].sum() / each, 1)),
                Cell(number(1000 * rows["seconds"].sum() / each, 1)),
                Cell(scientific(error), note="the method promises no completeness"),
                Cell(scientific(rows["difference"].max())),
                Cell(f"{number(100 * rows['flat'].mean(), 1)} %"),
                Cell(f"{number(rows['sequences'].max(), 0)} {TIMES} {number(len(rows), 0)}"),
            )
        )
    header = (
        *("Model", "Method", "Forwards", "Backwards", "Milliseconds", "Completeness error"),
        *("Made again", "Flat maps", COUNTED),
    )
    words = frozenset({0, 1})
    return Table("Cost of one explained sequence, mean over seeds", header, tuple(body), words)
