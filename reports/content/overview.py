"""The runs of a series beside each other: how good each model is, which method to trust on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import ABSENT, decimals_of, ends, interval_text, listed, number, with_noun
from ..format.paths import without_folders
from ..format.select import (
    matching,
    methods_of,
    models_of,
    normalised,
    operator_of,
    ranking,
    rows_of,
    values_of,
)
from ..tables.leader import Leading, beside_best, leading
from ..tables.selftest import tested
from ..tables.table import Cell, Table, heads
from .document import Document, Section

MEASURED = ("accuracy", "auroc", "gap", "normalised")
"""Columns with a mean and the two ends of its interval."""

OVERVIEW_COLUMNS = (
    *("dataset", "model", "accuracy", "accuracy_low", "accuracy_high", "floor", "floor_model"),
    *("auroc", "auroc_low", "auroc_high"),
    *("best", "gap", "gap_low", "gap_high", "normalised", "normalised_low", "normalised_high"),
    *("not_distinguishable", "reason", "report"),
)
"""Those of ``overview.csv``, before a rank for each method."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of a model on a dataset, by column, or the reason why nothing is; ``ranks`` by
    method."""

    columns: dict[str, Any]
    ranks: dict[str, float]


def summarised(runs: Iterable[tuple[str, Results | str]]) -> pd.DataFrame:
    """One row per run and model, ``OVERVIEW_COLUMNS`` and a column ``rank METHOD`` per method.

    ``runs`` are labels with results, or with the reason why there are none.
    """
    entries = [entry for label, run in runs for entry in _entries(label, run)]
    methods = dict.fromkeys(method for entry in entries for method in entry.ranks)
    rows = [
        {**entry.columns, **{f"rank {m}": entry.ranks.get(m) for m in methods}} for entry in entries
    ]
    return pd.DataFrame(
        rows, columns=[*OVERVIEW_COLUMNS, *(f"rank {method}" for method in methods)]
    )


def _entries(label: str, run: Results | str) -> Iterator[Entry]:
    """One entry per model of a run, or one with the reason why there is no run."""
    if isinstance(run, str):
        yield Entry({"dataset": label, "reason": without_folders(run)}, {})
        return
    formats = {use["use"] for use in run.plan["reports"].values()}
    page = f"{label}/report.html" if "html" in formats else ""
    for model in models_of(run):
        names = {"dataset": label, "model": model, "report": page}
        columns = {**names, **_quality(run, model), **_best_method(run, model)}
        yield Entry(columns, _ranks_of(run, model))


def _quality(run: Results, model: str) -> dict[str, Any]:
    """Accuracy and AUROC, beside the accuracy of the best trivial baseline."""
    known = run.environment.get("floor") or []
    best: dict[str, Any] = max(known, key=lambda each: float(each["accuracy"]), default={})
    baseline = {"floor": best.get("accuracy", math.nan), "floor_model": best.get("name", "")}
    rows = values_of(run, "accuracy", model)
    auroc = matching(run.classification, question=Question.VALUE, metric="auroc", model=model)
    return {**_with_ends("accuracy", rows), **_with_ends("auroc", auroc), **baseline}


def _best_method(run: Results, model: str) -> dict[str, Any]:
    """The method that leads, as the report of the run names it, or why none does."""
    leader = leading(run, model)
    if leader.outcome != "leads":
        return {"reason": _none_leads(run, model, leader)}
    best, shares = leader.first, normalised(run, model)
    beside = beside_best(run, model, (PRIMARY, operator_of(run)), best=best)
    ahead = [name for name, way in beside.items() if way == 1]
    return {
        "best": best,
        **_with_ends("gap", leader.candidates),
        **_with_ends("normalised", shares[shares["method"] == best]),
        "not_distinguishable": "; ".join(name for name, way in beside.items() if way == 0),
        "reason": f"ahead of it on shared sequences: {listed(ahead)}" if ahead else "",
    }


def _none_leads(run: Results, model: str, leader: Leading) -> str:
    """Why no method leads on a model, as the verdict of its report says."""
    if leader.outcome == "unsure":
        return f"the largest gap to random is that of {leader.first}, {leader.doubt}"
    if leader.outcome == "blind":
        reason = tested(run, model, PRIMARY, operator_of(run)).reason
        return f"deletion cannot tell good explanations from bad ones: {without_folders(reason)}"
    unmeasured = leader.outcome == "unmeasured"
    return "no deletion was measured" if unmeasured else "only random numbers were measured"


def _ranks_of(run: Results, model: str) -> dict[str, float]:
    rows = ranking(run, model)
    known = dict(zip(rows["method"].astype(str), rows["rank"].astype(float), strict=True))
    return {method: known[method] for method in methods_of(run) if method in known}


def _with_ends(name: str, rows: pd.DataFrame) -> dict[str, float]:
    """The first row's mean and interval."""
    if rows.empty:
        return {}
    low, high = ends(rows.iloc[0])
    return {name: float(rows["mean"].iloc[0]), f"{name}_low": low, f"{name}_high": high}


# The document


def overview_document(name: str, table: pd.DataFrame) -> Document:
    """The rows of ``summarised`` for a reader; runs that there are not are cautions."""
    rows = [row for row in table.to_dict("records") if isinstance(row["model"], str)]
    lost = table[table["model"].isna()]
    columns = map(str, table.columns)
    methods = [column.removeprefix("rank ") for column in columns if column.startswith("rank ")]
    counts = (
        (table["dataset"].nunique(), "dataset"),
        (table["model"].nunique(), "model"),
        (len(methods), "method"),
    )
    facts = (with_noun(count, noun) for count, noun in counts)
    ranks = [_rank_section(rows, methods)] if methods else []
    cautions = (f"{row['dataset']}: no run. {row['reason']}" for row in rows_of(lost))
    return Document(
        name,
        ("xaibench series", *facts),
        (),
        (_overview(rows, {name: _decimals(table, name) for name in MEASURED}), *ranks),
        tuple(cautions),
    )


def _overview(rows: list[dict[Any, Any]], decimals: Mapping[str, int]) -> Section:
    """Quality and best method of every model of every run."""
    header = (
        *("Dataset", "Model", "Accuracy", "Best trivial baseline", "AUROC", "Best"),
        *("Gap to random", "Normalised", "Not distinguishable from it, and notes"),
    )
    body = []
    for row in rows:
        measured = {name: Cell(_with_interval(row, name, decimals[name])) for name in MEASURED}
        notes = (str(row[name]) for name in ("not_distinguishable", "reason") if _given(row[name]))
        body.append(
            (
                *_dataset_and_model(row),
                measured["accuracy"],
                _baseline_cell(row, decimals["accuracy"]),
                measured["auroc"],
                Cell(row["best"] if _given(row["best"]) else ABSENT),
                measured["gap"],
                measured["normalised"],
                Cell("; ".join(notes)),
            )
        )
    lead = (
        "A dataset leads to its report. Best is the method with the largest gap to random deletion "
        "(logit difference), the normalised score its share of the oracle's. In brackets: 95 % "
        "intervals."
    )
    note = (
        "The trivial baselines are logistic regressions on GC content, 3-mers, 5-mers and length. "
        "“Not distinguishable” means that the interval of the paired difference includes 0."
    )
    table = Table("Models and methods", heads(*header, prose=(0, 1, 5, 8)), tuple(body), note=note)
    return Section("overview", "Which method to trust, dataset by dataset", (lead,), (table,))


def _rank_section(rows: list[dict[Any, Any]], methods: list[str]) -> Section:
    """The rank of every method on every model of every run."""
    body = tuple(
        (
            *_dataset_and_model(row),
            *(Cell(number(float(row[f"rank {method}"]), 0)) for method in methods),
        )
        for row in rows
    )
    lead = (
        "By the gap to random deletion, 1 is best. A dash: not measured, or not ranked because the "
        "metric failed its self-test there."
    )
    header = ("Dataset", "Model", *(method.replace("_", " ") for method in methods))
    table = Table("Ranks of the methods", heads(*header, prose=(0, 1)), body)
    return Section("ranks", "Ranks", (lead,), (table,))


def _dataset_and_model(row: Mapping[Any, Any]) -> tuple[Cell, Cell]:
    link = quote(row["report"]) if _given(row["report"]) else ""
    return Cell(str(row["dataset"]), link=link), Cell(str(row["model"]))


def _baseline_cell(row: Mapping[Any, Any], decimals: int) -> Cell:
    name = f" ({row['floor_model']})" if _given(row["floor_model"]) else ""
    return Cell(number(float(row["floor"]), decimals) + name)


def _given(text: Any) -> bool:
    """Whether a column has a text; a missing one is NaN."""
    return isinstance(text, str) and bool(text)


def _decimals(table: pd.DataFrame, name: str) -> int:
    columns = {f"{name}_low": "low", f"{name}_high": "high"}
    return decimals_of(table[[*columns]].rename(columns=columns).astype(float))


def _with_interval(row: Mapping[Any, Any], name: str, decimals: int) -> str:
    mean, low, high = (float(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(mean):
        return ABSENT
    return f"{number(mean, decimals)} {interval_text(low, high, decimals)}".strip()
