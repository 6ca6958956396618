"""How good the models are, beside what anyone could have."""

from __future__ import annotations

import math

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import (
    ABSENT,
    LEVEL,
    counts,
    decimals_of,
    mean_and_interval,
    number,
    probability,
    used,
    why,
)
from ..format.select import estimates_of, seeds_of
from .discrimination import NAMES, headings
from .grid import COUNTED, Cell, Table

_FLOOR = {"accuracy": "Accuracy", **NAMES}
"""What may be known of a trivial model; runs made before AUPRC and MCC lack these."""


def accuracy(results: Results) -> Table:
    """How good the models are, on average and under every seed."""
    rows = estimates_of(results, question=Question.VALUE, metric="accuracy")
    records = results.records
    right = records[(records["metric"] == "accuracy") & (records["status"] == "ok")]
    by_seed = right.groupby(["model", "seed"], observed=True)["value"].mean()
    decimals = max(decimals_of(rows), 3)
    seeds = seeds_of(results)
    body = []
    for _, row in rows.iterrows():
        each = [by_seed.get((row["model"], seed), math.nan) for seed in seeds]
        found = Cell(mean_and_interval(row, decimals), note=why(row))
        trained = [Cell(number(float(value), decimals)) for value in each]
        body.append((Cell(row["model"]), found, *trained, Cell(used(row))))
    header = ("Model", f"Accuracy {LEVEL}", *(f"Seed {seed}" for seed in seeds), "Sequences")
    return Table("Accuracy on the test sequences", header, tuple(body))


def floor(results: Results) -> Table | None:
    """What models reach that anyone could have; None for a run that did not ask."""
    rows = results.environment.get("floor") or []
    heads = {**_FLOOR, **headings(results)}
    known = [name for name in _FLOOR if any(name in row for row in rows)]
    body = tuple(
        (Cell(row["name"]), *(_undefined_or(row.get(name)) for name in known)) for row in rows
    )
    header = ("Model", *(heads[name] for name in known))
    return Table("The floor: trivial models on the same split", header, body) if body else None


def accuracy_differences(results: Results) -> Table | None:
    """How much the models differ in accuracy; None with one model."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric="accuracy")
    if rows.empty:
        return None
    decimals = max(decimals_of(rows), 3)
    body = tuple(
        (
            Cell(f"{row['model']} \N{MINUS SIGN} {row['other']}"),
            Cell(mean_and_interval(row, decimals), note=why(row)),
            Cell(probability(row["p_sequences"]), note=row["reason"]),
            Cell(probability(row["p"]), note=row["reason"]),
            Cell(counts(row)),
        )
        for _, row in rows.iterrows()
    )
    header = ("Models", f"Difference {LEVEL}", "p these models", "p retraining")
    caption = "Difference in accuracy, paired by sequence"
    return Table(caption, (*header, COUNTED), body)


def _undefined_or(value: float | None) -> Cell:
    return Cell(ABSENT, note="undefined") if value is None else Cell(number(value, 3))
