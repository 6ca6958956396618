"""What a paper claims, beside what the run found."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from xaibench.results import Results

from .grid import Cell, Table
from .measures import first_upper
from .printing import ABSENT, LEVEL, decimals_of, mean_and_interval, number, probability

HEADER = (
    *("Claim", "Published", "Measured", f"Ours {LEVEL}", "n", "Test", "p corrected", "Verdict"),
    "Caveat",
)


def claims(results: Results) -> Table | None:
    """A row a claim; None for a run that puts none to the test."""
    rows = results.claims
    if rows.empty:
        return None
    body = tuple(_row(row) for _, row in rows.iterrows())
    words = frozenset({0, 1, 2, 5, 7, 8})
    return Table("The claims, one by one", HEADER, body, words=words)


def rules(results: Results) -> str:
    """The rules of the verdicts, as they were fixed before the run, each with its claims."""
    rows = results.claims
    told = rows[rows["rule"] != ""].groupby("rule", sort=False)["claim"].unique()
    return " ".join(f"{first_upper('; '.join(named))}: {rule}." for rule, named in told.items())


def _row(row: pd.Series[Any]) -> tuple[Cell, ...]:
    # two digits of a half width, and no fewer than three decimals: accuracies differ by points
    decimals = max(decimals_of(row.to_frame().T), 3)
    measured = ABSENT if math.isnan(row["mean"]) else mean_and_interval(row, decimals)
    seen = [f"{number(row['seeds'], 0)} seeds"] if row["seeds"] else []
    seen += [f"{number(row['sequences'], 0)} sequences"] if row["sequences"] else []
    return (
        Cell(row["claim"]),
        Cell(row["published"]),
        Cell(row["quantity"]),
        Cell(measured, note=row["caveat"]),
        Cell(", ".join(seen)),
        Cell(row["test"]),
        Cell(probability(row["p_holm"]), note="no test"),
        Cell(row["verdict"]),
        Cell(row["caveat"]),
    )
