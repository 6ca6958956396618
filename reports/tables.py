"""The tables of a report: numbers as words, and which number stands where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.results import Results

from .measures import (
    chance_of,
    curve_of,
    heading,
    label,
    metrics_of,
    parts_signed_from_unsigned,
    signed,
)

CONTROL = "random control"
"""The method name of the random orders in the tables of a run."""

PRIMARY = "deletion_logit_difference"
"""The metric of the leaderboard."""

FEW = 5
"""With fewer seeds a report says how little they show."""

FEW_SEQUENCES = 30
"""With fewer explained sequences a report says that its intervals are too narrow."""

DRAWS = 10
"""The random orders of a run that names no number; with fewer a report says so."""

BRIEF = 160
"""How much of a reason stands below a table; the table of reasons holds it whole."""

ABSENT = "\N{EN DASH}"
LEVEL = "[95\N{NO-BREAK SPACE}%]"
Key = tuple[str, str, str]
"""Method, metric, operator."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one place of a table says; ``note`` tells why it says nothing."""

    text: str
    note: str = ""
    method: str = ""

    @property
    def empty(self) -> bool:
        """Whether it says why it says nothing."""
        return bool(self.note) and ABSENT in self.text


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be rendered: its first column heads the rows, ``words`` are columns of words."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset({0})

    @property
    def notes(self) -> dict[str, str]:
        """Why some of its places are empty: the reason and its letter, in order of appearance."""
        notes = dict.fromkeys(cell.note for row in self.rows for cell in row if cell.empty)
        return {note: _letter(place) for place, note in enumerate(notes)}


def brief(reason: str) -> str:
    """The beginning of a long reason.

    >>> len(brief("x" * 500)), brief("no motif")
    (160, 'no motif')
    """
    return reason if len(reason) <= BRIEF else reason[: BRIEF - 1].rstrip() + "…"


def number(value: float, decimals: int = 2) -> str:
    """A number in print; a dash where it is NaN.

    >>> number(1234.567, 1)
    '1,234.6'
    """
    if not math.isfinite(value):
        return ABSENT if math.isnan(value) else str(value).replace("-", "\N{MINUS SIGN}")
    text = f"{value:,.{decimals}f}"
    return text.lstrip("-") if float(text.replace(",", "")) == 0 else text.replace("-", "\u2212")


def interval(low: float, high: float, decimals: int = 2) -> str:
    """``[low, high]``, or nothing where it is not known."""
    if math.isnan(low) or math.isnan(high):
        return ""
    return f"[{number(low, decimals)}, {number(high, decimals)}]"


def probability(p: float) -> str:
    """A p value in print.

    >>> probability(0.0002), probability(0.0314)
    ('<0.001', '0.031')
    """
    return "<0.001" if p < 0.001 else number(p, 3)


def decimals_of(estimates: pd.DataFrame) -> int:
    """How many decimals a column needs so that its intervals keep one or two digits that count."""
    widths = np.concatenate(
        [
            (estimates["high"] - estimates["low"]).to_numpy(dtype=float),
            (estimates["sequences_high"] - estimates["sequences_low"]).to_numpy(dtype=float),
        ]
    )
    widths = widths[np.isfinite(widths) & (widths > 0)]
    if not len(widths):
        return 3
    half = float(np.median(widths)) / 2
    return int(np.clip(math.ceil(0.3 - math.log10(half)), 2 if half < 1 else 0, 5))


def direction(estimate: pd.Series[Any]) -> int | None:
    """Of a difference: 1 where its interval lies above 0, -1 below, 0 where it holds 0.

    The headline interval, or with one seed that over sequences; None where neither is known.
    """
    low, high = ends(estimate)
    if math.isnan(low):
        return None
    return int(low > 0) - int(high < 0)


def ends(estimate: pd.Series[Any]) -> tuple[float, float]:
    """The headline interval; with one seed, that over sequences; two NaN where neither is known."""
    for low, high in (("low", "high"), ("sequences_low", "sequences_high")):
        if not math.isnan(estimate[low]) and not math.isnan(estimate[high]):
            return float(estimate[low]), float(estimate[high])
    return math.nan, math.nan


def mean_and_interval(estimate: pd.Series[Any], decimals: int) -> str:
    """``0.42 [0.39, 0.45]``; the mean alone where no interval is known."""
    return f"{number(estimate['mean'], decimals)} {interval(*ends(estimate), decimals)}".strip()


def models_of(results: Results) -> list[str]:
    """The models, in the order of the plan."""
    return _in_order(results.plan.get("models"), results.estimates["model"])


def methods_of(results: Results) -> list[str]:
    """The methods, in the order of the plan; without the control."""
    seen = pd.concat([results.estimates["method"], _unmeasured(results)["method"]])
    named = _in_order(results.plan.get("attribution"), seen)
    return [method for method in named if method not in ("", CONTROL)]


def operator_of(results: Results) -> str:
    """The operator of the leaderboard: ``uniform``, or the first of a run without it."""
    ran = _of(results, question="against random", metric=PRIMARY)["operator"].unique()
    return "uniform" if "uniform" in ran or not len(ran) else str(ran[0])


def seeds_of(results: Results) -> list[int]:
    return sorted(int(seed) for seed in results.records["seed"].unique())


def ranking(results: Results, model: str) -> pd.DataFrame:
    """The estimates behind one model's leaderboard, best first; what has no rank stands last."""
    rows = _of(results, question="against random", metric=PRIMARY, model=model)
    rows = rows[rows["operator"] == operator_of(results)]
    by_gap = rows.sort_values("mean", ascending=False, kind="stable")
    return by_gap.sort_values("rank", kind="stable")


def leaderboard(results: Results, model: str) -> Table | None:
    """Which method finds what the model uses; None where the deletion metric did not run."""
    rows = ranking(results, model)
    if rows.empty:
        return None
    decimals = decimals_of(rows)
    header = (
        *("Method", "Rank", f"Gap to random {LEVEL}", f"These models {LEVEL}", "Effect (d_z)"),
        *("p these models", "p retraining", "Sequences", "Seeds"),
    )
    caption = f"{model}: the gap to random deletion (logit difference, {operator_of(results)})"
    return Table(
        caption,
        header,
        tuple(_leaderboard_row(row, decimals) for _, row in rows.iterrows()),
    )


def _leaderboard_row(row: pd.Series[Any], decimals: int) -> tuple[Cell, ...]:
    why = row["reason"]
    return (
        Cell(row["method"], method=row["method"]),
        Cell(number(row["rank"], 0), note=why),
        Cell(number(row["mean"], decimals) + _headline(row, decimals), note=why),
        Cell(
            interval(row["sequences_low"], row["sequences_high"], decimals) or ABSENT,
            note=why,
        ),
        Cell(number(row["effect"], 2), note=why),
        Cell(probability(row["p_sequences_holm"]), note=why),
        Cell(probability(row["p_seeds_holm"]), note=why),
        Cell(_used(row)),
        Cell(number(row["seeds"], 0)),
    )


def accuracy(results: Results) -> Table:
    """How good the models are, on average and under every seed."""
    rows = _of(results, question="value", metric="accuracy")
    records = results.records
    right = records[(records["metric"] == "accuracy") & (records["status"] == "ok")]
    by_seed = right.groupby(["model", "seed"], observed=True)["value"].mean()
    decimals = max(decimals_of(rows), 3)
    seeds = seeds_of(results)
    body = []
    for _, row in rows.iterrows():
        each = [by_seed.get((row["model"], seed), math.nan) for seed in seeds]
        found = Cell(mean_and_interval(row, decimals), note=_why(row))
        trained = [Cell(number(float(value), decimals)) for value in each]
        body.append((Cell(row["model"]), found, *trained, Cell(_used(row))))
    header = ("Model", f"Accuracy {LEVEL}", *(f"Seed {seed}" for seed in seeds), "Sequences")
    return Table("Accuracy on the test sequences", header, tuple(body))


def floor(results: Results) -> Table | None:
    """What models reach that anyone could have; None for a run that did not ask."""
    rows = results.environment.get("floor") or []
    body = tuple(
        (Cell(row["name"]), *(_undefined_or(row[column]) for column in ("accuracy", "auroc")))
        for row in rows
    )
    return Table("The floor: trivial models on the same split", _FLOOR, body) if body else None


_FLOOR = ("Model", "Accuracy", "AUROC")


def _undefined_or(value: float | None) -> Cell:
    return Cell(ABSENT, note="undefined") if value is None else Cell(number(value, 3))


def accuracy_differences(results: Results) -> Table | None:
    """How much the models differ in accuracy; None with one model."""
    rows = _of(results, question="between models", metric="accuracy")
    if rows.empty:
        return None
    decimals = max(decimals_of(rows), 3)
    body = tuple(
        (
            Cell(f"{row['model']} \N{MINUS SIGN} {row['other']}"),
            Cell(mean_and_interval(row, decimals), note=_why(row)),
            Cell(probability(row["p_sequences"]), note=row["reason"]),
            Cell(probability(row["p_seeds"]), note=row["reason"]),
        )
        for _, row in rows.iterrows()
    )
    header = ("Models", f"Difference {LEVEL}", "p these models", "p retraining")
    return Table("Difference in accuracy, paired by sequence", header, body)


def _headline(row: pd.Series[Any], decimals: int) -> str:
    """The interval for retraining, after a mean; a dash where the mean has none."""
    if math.isnan(row["mean"]):
        return ""
    return " " + (interval(row["low"], row["high"], decimals) or f"[{ABSENT}]")


def values_of(results: Results, metric: str, model: str) -> pd.DataFrame:
    """The estimates of a metric itself, a row a method."""
    rows = _of(results, question="value", metric=metric, model=model)
    return rows[rows["method"] != CONTROL]


def measures(results: Results, model: str, section: str) -> Table | None:
    """A model's methods on the metrics of a section, each marked against random."""
    values = _of(results, question="value", model=model)
    values = values[values["metric"].isin(metrics_of(results, section))]
    columns = _columns(values)
    gaps = _of(results, question="against random", model=model)
    table = _grid(f"{model}: {section}", results, columns, values, gaps)
    chance = _chance_row(results, columns) if table else None
    return replace(table, rows=(*table.rows, chance)) if table and chance else table


def gaps(results: Results, model: str) -> list[Table]:
    """A model's methods on every curve: the difference to random, a table a curve metric.

    Signed and unsigned methods have a table each where they are not compared.
    """
    rows = _of(results, question="against random", model=model)
    rows = rows[rows["metric"].isin(metrics_of(results, "curves"))]
    families: dict[str, list[tuple[str, str]]] = {}
    for metric, operator in _columns(rows):
        families.setdefault(curve_of(metric)[0], []).append((metric, operator))
    found = (
        _grid(
            f"{model}: {family}, gap to random{among}",
            results,
            columns,
            rows[rows["method"].isin(methods)],
            rows,
            prefix=f"{family}_",
        )
        for family, columns in families.items()
        for among, methods in _compared(results, family).items()
    )
    return [table for table in found if table is not None]


def _compared(results: Results, family: str) -> dict[str, list[str]]:
    """The methods that share a table of a curve metric, by what its caption adds."""
    methods = methods_of(results)
    if not parts_signed_from_unsigned(results, family):
        return {"": methods}
    apart = "not compared across signs"
    return {
        f"; signed methods, {apart}": [name for name in methods if signed(results, name)],
        f"; unsigned methods, {apart}": [name for name in methods if not signed(results, name)],
    }


def between(results: Results, model: str, other: str) -> Table | None:
    """The same method explaining two models: the paired difference of each measure."""
    rows = _of(results, question="between models", model=model, other=other)
    local = metrics_of(results, "localisation") + metrics_of(results, "stability")
    ran = set(zip(rows["metric"], rows["operator"], strict=True))
    wanted = [(PRIMARY, operator_of(results)), *((metric, "") for metric in local)]
    columns = [column for column in wanted if column in ran]
    caption = f"{model} \N{MINUS SIGN} {other}: above 0, the method is better on {model}"
    return _grid(caption, results, columns, rows, rows)


def _columns(rows: pd.DataFrame) -> list[tuple[str, str]]:
    """The metrics with their operators, in order of appearance."""
    pairs = zip(rows["metric"], rows["operator"], strict=True)
    return list(dict.fromkeys((str(metric), str(operator)) for metric, operator in pairs))


def _grid(
    caption: str,
    results: Results,
    columns: Sequence[tuple[str, str]],
    values: pd.DataFrame,
    differences: pd.DataFrame,
    *,
    prefix: str = "",
) -> Table | None:
    """Methods down, measures across; a mark says how each stands to what it is compared with.

    ``prefix`` is what the caption says already and the heads leave out.
    """
    found, compared = _by_key(values), _by_key(differences)
    ran = {(metric, operator) for _, metric, operator in found}
    wanted = [column for column in columns if column in ran]
    if not wanted:
        return None
    digits = {column: decimals_of(_only(values, *column)) for column in wanted}
    body = []
    for method in [*methods_of(results), CONTROL]:
        cells = [_measure((method, *c), found, compared, digits[c]) for c in wanted]
        if any(cell.text or cell.note for cell in cells):
            body.append((Cell(method, method=method), *cells))
    header = tuple(heading(results, *column, prefix=prefix) for column in wanted)
    return Table(caption, ("Method", *header), tuple(body))


def _by_key(rows: pd.DataFrame) -> dict[Key, pd.Series[Any]]:
    return {(row["method"], row["metric"], row["operator"]): row for _, row in rows.iterrows()}


def _only(rows: pd.DataFrame, metric: str, operator: str) -> pd.DataFrame:
    return rows[(rows["metric"] == metric) & (rows["operator"] == operator)]


def _measure(
    key: Key,
    found: dict[Key, pd.Series[Any]],
    compared: dict[Key, pd.Series[Any]],
    decimals: int,
) -> Cell:
    if key not in found:
        return Cell("")
    row = found[key]
    mark = ""
    if key in compared and not math.isnan(row["mean"]):
        mark = {1: " ▲", 0: " ≈", -1: " ▼", None: ""}[direction(compared[key])]
    return Cell(mean_and_interval(row, decimals) + mark, note=_why(row))


def _chance_row(results: Results, columns: Iterable[tuple[str, str]]) -> tuple[Cell, ...] | None:
    levels = [chance_of(results, metric) for metric, _ in columns]
    cells = [Cell("" if level is None else number(level, 2)) for level in levels]
    return (Cell("chance level"), *cells) if any(cell.text for cell in cells) else None


def unmeasured(results: Results) -> Table | None:
    """What did not apply or failed, and why; None where everything ran."""
    rows = _unmeasured(results)
    if rows.empty:
        return None
    body = []
    told: set[str] = set()
    keys = ["model", "method", "status", "reason"]
    for (model, method, status, reason), group in rows.groupby(keys, sort=False):
        what = [label(metric) for metric in group["metric"].unique() if metric]
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"].unique()))
        why = brief(str(reason)) if reason in told else str(reason)
        told.add(str(reason))
        words = (model, method or "(the model itself)", status, _some(what), seeds, why)
        body.append(tuple(Cell(str(word)) for word in words))
    header = ("Model", "Method", "Status", "Measures", "Seeds", "Reason")
    return Table("What did not apply or failed", header, tuple(body), words=frozenset(range(6)))


def cost(results: Results) -> Table | None:
    """What an explanation costs: the mean over seeds, for one sequence."""
    if results.cost.empty:
        return None
    body = []
    for (model, method), rows in results.cost.groupby(["model", "method"], sort=False):
        each = rows["sequences"].sum()
        error = rows["completeness_error"].max()
        body.append(
            (
                Cell(str(model)),
                Cell(str(method), method=str(method)),
                Cell(number(rows["forwards"].sum() / each, 1)),
                Cell(number(rows["backwards"].sum() / each, 1)),
                Cell(number(1000 * rows["seconds"].sum() / each, 1)),
                Cell(_scientific(error), note="the method promises no completeness"),
                Cell(_scientific(rows["difference"].max())),
                Cell(f"{number(100 * rows['flat'].mean(), 1)} %"),
            )
        )
    header = (
        *("Model", "Method", "Forwards", "Backwards", "Milliseconds", "Completeness error"),
        *("Made again", "Flat maps"),
    )
    words = frozenset({0, 1})
    return Table("Cost of one explained sequence, mean over seeds", header, tuple(body), words)


def cautions(results: Results) -> list[str]:
    """Sentences that qualify every interval and test of the run."""
    draws = results.plan.get("random_draws", DRAWS)
    noisy = (
        f"Only {draws} random orders a sequence: the random control is itself noisy, and so is "
        "every gap to it."
    )
    own = [str(caution) for caution in results.environment.get("cautions") or ()]
    noise = [noisy] if draws < DRAWS else []
    few = [*_few_seeds(results), *_few_sequences(results)]
    return [*few, *noise, *_undefined(results), *own]


def _few_sequences(results: Results) -> list[str]:
    sizes = (results.environment.get("dataset") or {}).get("sizes") or {}
    explained = sizes.get("explained", FEW_SEQUENCES)
    if explained >= FEW_SEQUENCES:
        return []
    return [
        f"Only {explained} explained sequences: intervals over so few are too narrow, and what is "
        "called distinguishable may be chance."
    ]


def _few_seeds(results: Results) -> list[str]:
    seeds = len(seeds_of(results))
    if seeds == 1:
        return [
            "One seed: nothing is known of retraining. Every interval is over sequences and holds "
            "for these trained models only."
        ]
    few = (
        f"Only {seeds} seeds: what would change with retraining is hardly known, so the intervals "
        "are wide and may reach beyond what a value can be."
    )
    return [few] if seeds < FEW else []


def _undefined(results: Results) -> list[str]:
    undefined = results.estimates["undefined"].fillna(0) > 0
    told = (
        f"{int(undefined.sum())} of {len(undefined)} estimates leave out sequences whose value is "
        "undefined; the tables count them as used + undefined."
    )
    return [told] if undefined.any() else []


def _of(results: Results, **wanted: str) -> pd.DataFrame:
    """The estimates whose columns hold these words."""
    rows = results.estimates
    for column, word in wanted.items():
        rows = rows[rows[column] == word]
    return rows


def _unmeasured(results: Results) -> pd.DataFrame:
    rows = results.records[results.records["status"] != "ok"]
    words = {c: rows[c].astype(str) for c in ("model", "method", "metric", "status", "reason")}
    return rows.assign(**words)


def _in_order(planned: object, seen: pd.Series[Any]) -> list[str]:
    first = [str(name) for name in planned] if isinstance(planned, (dict, list)) else []
    return list(dict.fromkeys([*first, *(str(name) for name in seen.unique())]))


def _why(row: pd.Series[Any]) -> str:
    """The reason of an estimate whose mean or headline interval is missing."""
    complete = not any(math.isnan(row[name]) for name in ("mean", "low", "high"))
    return "" if complete else str(row["reason"])


def _used(row: pd.Series[Any]) -> str:
    undefined = row["undefined"]
    more = f" + {int(undefined)} undefined" if undefined > 0 else ""
    return number(row["sequences"], 0) + more


def _scientific(value: float) -> str:
    return ABSENT if math.isnan(value) else f"{value:.1e}".replace("-", "\N{MINUS SIGN}")


def _letter(place: int) -> str:
    """a, b ... z, aa, bb ..."""
    return chr(ord("a") + place % 26) * (place // 26 + 1)


def _some(words: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(words[:most]) or "all"
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown
