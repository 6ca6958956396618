"""What an explanation costs, and what its guards measured."""

from __future__ import annotations

import pandas as pd

from xaibench.results.reading import Results

from ..format.numbers import ABSENT, TIMES, number, scientific
from ..format.replicates import replicate_terms
from .table import Cell, Table, heads


def cost_per_sequence(results: Results, model: str) -> pd.DataFrame:
    """By method: the ``forwards``, ``backwards`` and ``milliseconds`` of one sequence, mean over
    seeds."""
    return _means_per_sequence(results.cost[results.cost["model"] == model], "method")


def cost_table(results: Results) -> Table | None:
    """What an explanation costs: the mean over seeds, for one sequence."""
    if results.cost.empty:
        return None
    keys = ["model", "method"]
    means = _means_per_sequence(results.cost, keys)
    body = tuple(
        (
            *_name_cells(model, method),
            *(Cell(number(mean, 1)) for mean in means.loc[[(model, method)]].to_numpy()[0]),
            _counts_cell(rows),
        )
        for (model, method), rows in results.cost.groupby(keys, sort=False)
    )
    terms = replicate_terms(results)
    named = ("Model", "Method", "Forwards", "Backwards", "Milliseconds", terms.counted)
    caption = f"Cost of one explained sequence, mean over {terms.nouns}"
    return Table(caption, heads(*named, prose=(0, 1)), body)


def guards(results: Results) -> Table | None:
    """What the guards measured of every method: the largest over seeds."""
    if results.cost.empty:
        return None
    has_tokens = "outside" in results.cost
    body = tuple(
        (
            *_name_cells(model, method),
            Cell(scientific(rows["completeness_error"].max()), note="no completeness is promised"),
            Cell(scientific(rows["difference"].max())),
            Cell(f"{number(100 * rows['flat'].mean(), 1)} %"),
            *([_outside_cell(rows)] if has_tokens else []),
            _counts_cell(rows),
        )
        for (model, method), rows in results.cost.groupby(["model", "method"], sort=False)
    )
    more = ("On special tokens",) if has_tokens else ()
    measured = ("Completeness error", "Batch difference", "Flat maps", *more)
    header = ("Model", "Method", *measured, replicate_terms(results).counted)
    return Table("What the guards measured", heads(*header, prose=(0, 1)), body, folded=True)


def _means_per_sequence(rows: pd.DataFrame, keys: str | list[str]) -> pd.DataFrame:
    counted = ["forwards", "backwards", "seconds", "sequences"]
    sums = rows.groupby(keys, sort=False)[counted].sum()
    means = sums[["forwards", "backwards"]].div(sums["sequences"], axis=0)
    return means.assign(milliseconds=1000 * sums["seconds"] / sums["sequences"])


def _name_cells(model: object, method: object) -> tuple[Cell, Cell]:
    return Cell(str(model)), Cell(str(method), method=str(method))


def _outside_cell(rows: pd.DataFrame) -> Cell:
    """The share of a map on tokens of no nucleotide, which its scores leave out."""
    share = rows["outside"].mean()
    text = number(100 * share, 1)
    return Cell(text if text == ABSENT else f"{text} %", note="sites are nucleotides")


def _counts_cell(rows: pd.DataFrame) -> Cell:
    return Cell(f"{number(rows['sequences'].max(), 0)} {TIMES} {number(len(rows), 0)}")
