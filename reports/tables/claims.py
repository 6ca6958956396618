"""What a paper claims, beside what the run measured."""

from __future__ import annotations

import math

import pandas as pd

from ..format.names import first_upper
from ..format.numbers import (
    ABSENT,
    LEVEL,
    decimals_of,
    mean_and_interval,
    number,
    probability,
)
from ..format.select import TableRow, rows_of
from .table import Cell, Table, heads


def claims_tables(rows: pd.DataFrame) -> list[Table]:
    """One row per claim, and folded how each was tested; nothing where none was."""
    if rows.empty:
        return []
    return [_claim_verdicts(rows), _claim_tests(rows)]


def _claim_verdicts(rows: pd.DataFrame) -> Table:
    """Each claim with its verdict, what was published and what this run measured."""
    header = ("Claim", "Verdict", "Published", "Measured", f"Ours {LEVEL}", "p corrected")
    body = tuple(
        (
            Cell(row["claim"]),
            Cell(row["verdict"]),
            Cell(row["published"]),
            Cell(row["quantity"]),
            Cell(_own_value(row), note=row["caveat"]),
            Cell(probability(row["p_holm"]), note="no test"),
        )
        for row in rows_of(rows)
    )
    return Table("The claims, one by one", heads(*header, prose=range(4)), body)


def _claim_tests(rows: pd.DataFrame) -> Table:
    """The test of each claim, its sample, and what qualifies it."""
    header = heads("Measured", "Test", "n", "Caveat", prose=range(4))
    body = tuple(
        (
            Cell(row["quantity"] or row["claim"]),
            Cell(row["test"] or ABSENT),
            Cell(_claim_counts(row)),
            Cell(row["caveat"]),
        )
        for row in rows_of(rows)
    )
    return Table("How each claim was tested, and caveats", header, body, folded=True)


def rules(rows: pd.DataFrame) -> str:
    """The rules of the verdicts, as they were fixed before the run, each with its claims."""
    by_rule = rows[rows["rule"] != ""].groupby("rule", sort=False)["claim"].unique()
    return " ".join(f"{first_upper('; '.join(own))}: {rule}." for rule, own in by_rule.items())


def _own_value(row: TableRow) -> str:
    """Three decimals or more: accuracies differ by points."""
    if math.isnan(row["mean"]):
        return ABSENT
    return mean_and_interval(row, max(decimals_of(pd.DataFrame([row])), 3))


def _claim_counts(row: TableRow) -> str:
    """How many seeds and sequences; a claim about training has no sequences."""
    counts = [(row["seeds"], "seeds"), (row["sequences"], "sequences")]
    return ", ".join(f"{number(count, 0)} {word}" for count, word in counts if count) or ABSENT
