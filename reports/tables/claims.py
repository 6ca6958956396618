"""What a paper claims, beside what the run found."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from xaibench.results.reading import Results

from ..format.names import first_upper
from ..format.numbers import (
    ABSENT,
    LEVEL,
    decimals_of,
    mean_and_interval,
    number,
    probability,
)
from .grid import Cell, Table


def claims(results: Results) -> list[Table]:
    """A row a claim, and behind a fold how each was tested; nothing for a run that tests none."""
    rows = results.claims
    if rows.empty:
        return []
    return [_verdicts(rows), _tests(rows)]


def _verdicts(rows: pd.DataFrame) -> Table:
    header = ("Claim", "Verdict", "Published", "Measured", f"Ours {LEVEL}", "p corrected")
    body = tuple(
        (
            Cell(row["claim"]),
            Cell(row["verdict"]),
            Cell(row["published"]),
            Cell(row["quantity"]),
            Cell(_measured(row), note=row["caveat"]),
            Cell(probability(row["p_holm"]), note="no test"),
        )
        for _, row in rows.iterrows()
    )
    return Table("The claims, one by one", header, body, words=frozenset({0, 1, 2, 3}))


def _tests(rows: pd.DataFrame) -> Table:
    header = ("Measured", "Test", "n", "Caveat")
    body = tuple(
        (
            Cell(row["quantity"] or row["claim"]),
            Cell(row["test"] or ABSENT),
            Cell(_seen(row)),
            Cell(row["caveat"]),
        )
        for _, row in rows.iterrows()
    )
    words = frozenset({0, 1, 2, 3})
    return Table("How each claim was tested, and caveats", header, body, words=words, folded=True)


def rules(results: Results) -> str:
    """The rules of the verdicts, as they were fixed before the run, each with its claims."""
    rows = results.claims
    told = rows[rows["rule"] != ""].groupby("rule", sort=False)["claim"].unique()
    return " ".join(f"{first_upper('; '.join(named))}: {rule}." for rule, named in told.items())


def _measured(row: pd.Series[Any]) -> str:
    """Three decimals or more: accuracies differ by points."""
    if math.isnan(row["mean"]):
        return ABSENT
    return mean_and_interval(row, max(decimals_of(row.to_frame().T), 3))


def _seen(row: pd.Series[Any]) -> str:
    """How many seeds and sequences; a claim about training has no sequences."""
    counts = [(row["seeds"], "seeds"), (row["sequences"], "sequences")]
    return ", ".join(f"{number(count, 0)} {word}" for count, word in counts if count) or ABSENT
