"""How good the models are, beside trivial baselines."""

from __future__ import annotations

import math
from collections.abc import Sequence

from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights
from xaibench.results.schema import Question

from ..format.numbers import (
    ABSENT,
    LEVEL,
    MINUS,
    counts,
    decimals_of,
    number,
    probability,
    used,
)
from ..format.replicates import replicate_terms
from ..format.select import (
    estimates_of,
    has_classes,
    replicates_of_run,
    rows_of,
    seeds_with_records,
)
from .discrimination import NAMES, headings
from .table import Cell, Table, estimated, heads

_BASELINE = {"accuracy": "Accuracy", **NAMES}
"""What may be known of a trivial baseline; runs made before AUPRC and MCC lack these."""


def accuracy(results: Results) -> Table | None:
    """How good the models are, on average and under every seed; None without classes."""
    if not has_classes(results):
        return None
    rows = estimates_of(results, question=Question.VALUE, metric="accuracy")
    records = results.records
    right = records[(records["metric"] == "accuracy") & (records["status"] == "ok")]
    by_seed = right.groupby(["model", "seed"], observed=True)["value"].mean()
    decimals = max(decimals_of(rows), 3)
    seeds = seeds_with_records(results)
    body = []
    for row in rows_of(rows):
        each = [by_seed.get((row["model"], seed), math.nan) for seed in seeds]
        mean = estimated(row, decimals)
        trained = [Cell(number(float(value), decimals)) for value in each]
        body.append((Cell(row["model"]), mean, *trained, Cell(used(row))))
    header = ("Model", f"Accuracy {LEVEL}", *_replicates(results, seeds), "Sequences")
    return Table("Accuracy on the test sequences", heads(*header), tuple(body))


def _replicates(results: Results, seeds: Sequence[int]) -> list[str]:
    """The heads of the replicates: files of weights, with a stroke between where those of several
    models differ."""
    trained = not given_weights(results)
    return [f"Seed {name}" if trained else name for name in replicates_of_run(results, seeds)]


def baselines(results: Results) -> Table | None:
    """The trivial baselines on the same split; None for a run without them."""
    rows = results.environment.get("floor") or []
    names = {**_BASELINE, **headings(results)}
    known = [name for name in _BASELINE if any(name in row for row in rows)]
    body = tuple(
        (Cell(row["name"]), *(_undefined_or(row.get(name)) for name in known)) for row in rows
    )
    if not body:
        return None
    header = heads("Model", *(names[name] for name in known))
    return Table("Trivial baselines on the same split", header, body)


def accuracy_differences(results: Results) -> Table | None:
    """How much the models differ in accuracy; None with one model."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric="accuracy")
    if rows.empty:
        return None
    decimals = max(decimals_of(rows), 3)
    body = tuple(
        (
            Cell(f"{row['model']} {MINUS} {row['other']}"),
            estimated(row, decimals),
            Cell(probability(row["p_sequences"]), note=row["reason"]),
            Cell(probability(row["p"]), note=row["reason"]),
            Cell(counts(row)),
        )
        for row in rows_of(rows)
    )
    terms = replicate_terms(results)
    header = (
        *("Models", f"Difference {LEVEL}"),
        *("p these models", f"p {terms.test}", terms.counted),
    )
    return Table("Difference in accuracy, paired by sequence", heads(*header), body)


def _undefined_or(value: float | None) -> Cell:
    return Cell(ABSENT, note="undefined") if value is None else Cell(number(value, 3))
