"""How much it matters by which rule the scores of tokens reach nucleotides."""

from __future__ import annotations

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import metric_under_operator
from ..format.numbers import MINUS, decimals_of
from ..format.replicates import replicate_terms
from ..format.select import estimates_of, rows_of
from .table import Cell, Table, estimated, heads, p_cell


def transfers(results: Results, model: str) -> Table | None:
    """Two labels of one method that differ in their ``transfer`` alone: the paired difference by
    every metric; None where a plan has no such."""
    rows = estimates_of(results, question=Question.BETWEEN_TRANSFERS, model=model)
    if rows.empty:
        return None
    rules = {
        label: f"{label} ({(options or {}).get('transfer', 'equal')})"
        for label, options in (results.plan.get("attribution") or {}).items()
    }
    body = tuple(
        (
            Cell(f"{rules[row['method']]} {MINUS} {rules[row['other']]}", method=row["method"]),
            Cell(metric_under_operator(row["metric"], row["operator"])),
            estimated(row, decimals_of(of_metric), marked=row),
            p_cell(row),
            Cell(f"{row['sequences']:g}"),
        )
        for _, of_metric in rows.groupby(["metric", "operator"], sort=False)
        for row in rows_of(of_metric)
    )
    header = ("Labels", "Metric", "Difference", "p", "Sequences")
    caption = (
        f"{model}: how much the transfer from tokens to nucleotides matters, "
        f"mean over {replicate_terms(results).nouns}"
    )
    return Table(caption, heads(*header, prose=(0, 1)), body, folded=True)
