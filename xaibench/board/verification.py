"""Whether the estimates of a run follow from its records: they are made again and compared."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xaibench.analysis.estimates import estimates
from xaibench.analysis.run_values import values_of_run
from xaibench.explanation.controls import RANDOM
from xaibench.results.metric_facts import read_facts
from xaibench.results.schema import Question

if TYPE_CHECKING:
    import pandas as pd

    from xaibench.results.reading import Results

KEYS = ("question", "dataset", "model", "other", "method", "metric", "operator")
"""What names a row of the estimates."""

MEANS = ("mean", "sequences", "seeds")
"""What the records alone determine."""

BY_INTERVALS = ("low", "high", "sequences_low", "sequences_high", "rank")
"""These also need the range of the metric, and which sequences are resampled together: a metric
ranks where the interval of its self-test says so. So does which method is the best."""

TOLERANCE = 1e-6
"""Relative: sums in another order, on another processor."""


def unfounded(folder: Path, results: Results) -> str:
    """The first row of the estimates that does not follow from the records, in one line, with the
    number of all such rows; empty where all do.

    It shows that nobody edited the estimates, and not that the records were measured.
    """
    unknown = unknown_of_intervals(results)
    tables = (_made_again(folder, results), results.estimates)
    made, recorded = (_by_key(table, best=not unknown) for table in tables)
    if not made.index.equals(recorded.index):
        differing = made.index.symmetric_difference(recorded.index)
        return f"{len(differing):,} rows of the estimates are in one table alone: {differing[0]}"
    columns = [*MEANS, *(() if unknown else BY_INTERVALS)]
    expected, got = (table[columns].to_numpy(float) for table in (made, recorded))
    apart = ~np.isclose(got, expected, rtol=TOLERANCE, atol=1e-12, equal_nan=True)
    if unknown:  # a ratio is one where an interval says so
        ratios = made.index.get_level_values("question").str.startswith(Question.NORMALISED)
        apart &= ~(ratios[:, None] & (np.isnan(got) | np.isnan(expected)))
    rows = np.flatnonzero(apart.any(axis=1))
    if not rows.size:
        return ""
    row, column = rows[0], int(apart[rows[0]].argmax())
    name = ", ".join(part for part in made.index[row] if part)
    return (
        f"{rows.size:,} of {len(made):,} rows of the estimates do not follow from the records: "
        f"{name}: {columns[column]} is {got[row, column]:.6g}, "
        f"expected {expected[row, column]:.6g}"
    )


def _made_again(folder: Path, results: Results) -> pd.DataFrame:
    plan, environment = results.plan, results.environment
    methods = plan["attribution"].items()
    recorded = results.estimates
    between = recorded.loc[recorded["question"] == Question.BETWEEN_TRANSFERS]
    transfers = between[["model", "method", "other"]].drop_duplicates()
    run = values_of_run(
        results.records,
        facts=read_facts(folder, environment),
        control=RANDOM,
        random_method=next((label for label, use in methods if use["use"] == "random"), None),
        data_seed=int(plan.get("data_seed") or 0),
        groups=_groups(results),
    )
    return estimates(
        run,
        signed=environment.get("signed") or {},
        reference=plan.get("reference"),
        transfers=[*transfers.itertuples(index=False, name=None)],
    )


def _by_key(table: pd.DataFrame, *, best: bool) -> pd.DataFrame:
    """The rows by what names them, with or without those of differences to the best method."""
    if not best:
        table = table[table["question"] != Question.AGAINST_BEST]
    texts = table.assign(**{name: table[name].fillna("").astype(str) for name in KEYS})
    return texts.set_index([*KEYS]).sort_index(kind="stable")


def unknown_of_intervals(results: Results) -> str:
    """What the folder does not say of what its intervals are made of, so that they are not checked;
    empty where it says all."""
    if results.environment.get("clusters") and "group" not in results.predictions:
        return "which sequences are resampled together"
    known = (results.environment.get("metrics") or {}).values()
    return "" if all("range" in each for each in known) else "the range of a metric"


def _groups(results: Results) -> dict[str, str] | None:
    """The group of each test sequence, where whole groups are resampled."""
    if not results.environment.get("clusters") or "group" not in results.predictions:
        return None
    table = results.predictions[["sequence", "group"]].drop_duplicates().astype(str)
    return dict(table.itertuples(index=False, name=None))
