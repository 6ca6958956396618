"""One page over the runs of a series: how good each model is, and which method to trust on it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from .format.numbers import ABSENT, decimals_of, ends, interval, listed, number
from .format.paths import without_folders
from .format.select import (
    matching,
    methods_of,
    models_of,
    operator_of,
    ranking,
    values_of,
)
from .tables.leader import Leading, beside_best, leading
from .tables.leaderboard import normalised
from .tables.selftest import tested
from .web.assets import unscripted
from .web.templates import template

FIGURES = ("accuracy", "auroc", "gap", "normalised")
"""Columns with a mean and the two ends of its interval."""

COLUMNS = (
    *("dataset", "model", "accuracy", "accuracy_low", "accuracy_high", "floor", "floor_model"),
    *("auroc", "auroc_low", "auroc_high"),
    *("best", "gap", "gap_low", "gap_high", "normalised", "normalised_low", "normalised_high"),
    *("not_distinguishable", "reason", "report"),
)
"""Those of ``overview.csv``, before a rank for each method."""


@dataclass(frozen=True, slots=True)
class Row:
    """What is said of a model on a dataset, or why there is nothing to say; ``ranks`` by method."""

    figures: dict[str, Any]
    ranks: dict[str, float]


def index(name: str, runs: Iterable[tuple[str, Results | str]]) -> dict[str, str]:
    """``index.html`` and ``overview.csv``; ``runs`` are labels with results, or with the reason why
    there are none."""
    rows = [row for label, run in runs for row in _rows(label, run)]
    methods = list(dict.fromkeys(method for row in rows for method in row.ranks))
    table = pd.DataFrame(
        [{**row.figures, **{f"rank {m}": row.ranks.get(m) for m in methods}} for row in rows],
        columns=[*COLUMNS, *(f"rank {method}" for method in methods)],
    )
    page = _page(name, table, methods)
    csv = table.to_csv(index=False, lineterminator="\n")
    return {"index.html": page, "overview.csv": csv}


def _rows(label: str, run: Results | str) -> Iterator[Row]:
    if isinstance(run, str):
        yield Row({"dataset": label, "reason": without_folders(run)}, {})
        return
    forms = {use["use"] for use in run.plan["reports"].values()}
    place = f"{label}/report.html" if "html" in forms else ""
    for model in models_of(run):
        about = {"dataset": label, "model": model, "report": place}
        yield Row({**about, **_accuracy(run, model), **_best(run, model)}, _ranks(run, model))


def _accuracy(run: Results, model: str) -> dict[str, Any]:
    """Beside the best of the trivial models."""
    floor = run.environment.get("floor") or []
    known: list[dict[str, Any]] = [{}, *sorted(floor, key=lambda each: float(each["accuracy"]))]
    trivial = known[-1]
    beside = {"floor": trivial.get("accuracy"), "floor_model": trivial.get("name", "")}
    rows = values_of(run, "accuracy", model)
    auroc = matching(run.classification, question=Question.VALUE, metric="auroc", model=model)
    return {**_figure("accuracy", rows), **_figure("auroc", auroc), **beside}


def _best(run: Results, model: str) -> dict[str, Any]:
    """The method that leads, as the report of the run names it, or why none does."""
    found = leading(run, model)
    if found.outcome != "leads":
        return {"reason": _none_leads(run, model, found)}
    best, shares = found.first, normalised(run, model)
    beside = beside_best(run, model, (PRIMARY, operator_of(run)), best=best)
    ahead = [name for name, way in beside.items() if way == 1]
    return {
        "best": best,
        **_figure("gap", found.candidates),
        **_figure("normalised", shares[shares["method"] == best]),
        "not_distinguishable": "; ".join(name for name, way in beside.items() if way == 0),
        "reason": f"ahead of it where both were asked: {listed(ahead)}" if ahead else "",
    }


def _none_leads(run: Results, model: str, found: Leading) -> str:
    if found.outcome == "unsure":
        return f"the largest gap to random, that of {found.first}, {found.doubt}"
    if found.outcome == "blind":
        reason = tested(run, model, PRIMARY, operator_of(run)).reason
        return f"deletion cannot tell good from bad: {without_folders(reason)}"
    unmeasured = found.outcome == "unmeasured"
    return "no deletion was measured" if unmeasured else "only random numbers were measured"


def _ranks(run: Results, model: str) -> dict[str, float]:
    rows = ranking(run, model)
    known = dict(zip(rows["method"].astype(str), rows["rank"].astype(float), strict=True))
    return {method: known[method] for method in methods_of(run) if method in known}


def _figure(name: str, rows: pd.DataFrame) -> dict[str, float]:
    """The first row's mean and interval."""
    if rows.empty:
        return {}
    low, high = ends(rows.iloc[0])
    return {name: float(rows["mean"].iloc[0]), f"{name}_low": low, f"{name}_high": high}


# The page


def _page(name: str, table: pd.DataFrame, methods: list[str]) -> str:
    decimals = {name: _decimals(table, name) for name in FIGURES}
    return template("overview").render(
        title=name,
        assets=unscripted(),
        datasets=table["dataset"].nunique(),
        models=table["model"].nunique(),
        rows=[_printed(row, decimals) for row in table.to_dict("records")],
        methods=methods,
    )


def _decimals(table: pd.DataFrame, name: str) -> int:
    ends = {f"{name}_low": "low", f"{name}_high": "high"}
    return decimals_of(table[[*ends]].rename(columns=ends).astype(float))


def _printed(row: dict[Any, Any], decimals: dict[str, int]) -> dict[str, Any]:
    """A row in words, with empty ones where nothing is known."""
    words = {key: "" if isinstance(value, float) else value for key, value in row.items()}
    ranks = {key: number(row[key], 0) for key in row if str(key).startswith("rank ")}
    figures = {name: _with_interval(row, name, decimals[name]) for name in FIGURES}
    floor = number(float(row["floor"]), decimals["accuracy"])
    link = quote(words["report"] or "")
    return {**words, **ranks, **figures, "floor": floor, "report": link}


def _with_interval(row: dict[Any, Any], name: str, decimals: int) -> str:
    mean, low, high = (float(row[column]) for column in (name, f"{name}_low", f"{name}_high"))
    if math.isnan(mean):
        return ABSENT
    return f"{number(mean, decimals)} {interval(low, high, decimals)}".strip()
