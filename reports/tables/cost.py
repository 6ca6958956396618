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
    body = tuple(
        (
            *_name_cells(model, method),
            Cell(scientific(rows["completeness_error"].max()), note="no completeness is promised"),
            Cell(scientific(rows["difference"].max())),
            Cell(f"{number(100 * rows['flat'].mean(), 1)} %"),
            _counts_cell(rows),
        )
        for (model, method), rows in results.cost.groupby(["model", "method"], sort=False)
    )
    measured = ("Completeness error", "Batch difference", "Flat maps")
    header = ("Model", "Method", *measured, replicate_terms(results).counted)
    return Table("What the guards measured", heads(*header, prose=(0, 1)), body, folded=True)


_ON_TOKENS = {
    "outside_before": "Before (as [CLS])",
    "outside_after": "After (as [SEP])",
    "on_unknown": "Unknown (as [UNK])",
    "truncated": "Sequences truncated",
    "unread": "Nucleotides unread",
}


def on_special_tokens(results: Results) -> Table | None:
    """Of models that read tokens, the shares of relevance on tokens that are no words of known
    nucleotides, and how much is not read: means over seeds."""
    if not set(_ON_TOKENS) & set(results.cost):
        return None
    shares = results.cost.reindex(columns=[*results.cost, *_ON_TOKENS.keys() - {*results.cost}])
    of_tokens = shares[shares[[*_ON_TOKENS]].notna().any(axis=1)]
    body = tuple(
        (
            *_name_cells(model, method),
            *(_share_cell(rows[column]) for column in _ON_TOKENS),
            _counts_cell(rows),
        )
        for (model, method), rows in of_tokens.groupby(["model", "method"], sort=False)
    )
    header = ("Model", "Method", *_ON_TOKENS.values(), replicate_terms(results).counted)
    caption = "Relevance on special tokens, which reaches no nucleotide, and what is not read"
    return Table(caption, heads(*header, prose=(0, 1)), body, folded=True)


def _means_per_sequence(rows: pd.DataFrame, keys: str | list[str]) -> pd.DataFrame:
    counted = ["forwards", "backwards", "seconds", "sequences"]
    sums = rows.groupby(keys, sort=False)[counted].sum()
    means = sums[["forwards", "backwards"]].div(sums["sequences"], axis=0)
    return means.assign(milliseconds=1000 * sums["seconds"] / sums["sequences"])


def _name_cells(model: object, method: object) -> tuple[Cell, Cell]:
    return Cell(str(model)), Cell(str(method), method=str(method))


def _share_cell(shares: pd.Series) -> Cell:
    """The mean of shares over seeds."""
    text = number(100 * shares.mean(), 1)
    return Cell(text if text == ABSENT else f"{text} %", note="scores are of nucleotides at once")


def _counts_cell(rows: pd.DataFrame) -> Cell:
    return Cell(f"{number(rows['sequences'].max(), 0)} {TIMES} {number(len(rows), 0)}")
