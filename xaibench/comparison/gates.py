"""Whether a run got worse than another by more than is allowed: ``--fail-if-drop``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from xaibench.errors import UsageError
from xaibench.plugins.registry import nearest
from xaibench.statistics.corrections import holm
from xaibench.statistics.discrimination import MEASURES
from xaibench.statistics.regression_measures import REGRESSION

GATE_OPTION = "--fail-if-drop"
OF_THE_MODEL = "-"
"""In place of a method, for what no explanation is part of, such as accuracy."""

GATE_LEVEL = 0.05
FEWEST_SEEDS = 3
"""With two, t over seeds has one degree of freedom and says next to nothing."""

THESE, RETRAINING = "these models", "retraining"
GateVerdict = Literal["held", "failed", "cannot be told"]


@dataclass(frozen=True, slots=True)
class Gate:
    """A metric of a method may not drop by more than ``most``, on any model, by any operator."""

    metric: str
    method: str
    most: float


@dataclass(frozen=True, slots=True)
class GateResult:
    """The result of a gate on one row. ``p`` is about ``population``, corrected over the rows of
    all gates."""

    gate: Gate
    row: Mapping[str, Any]
    p: float
    population: str
    verdict: GateVerdict
    why: str


def gate(text: str) -> Gate:
    """A gate from ``METRIC:METHOD:DROP``; UsageError where it has another form, or no such drop.

    A method may have a colon in its name; metrics have none.

    >>> gate("auprc:captum.attr:GuidedBackprop:0.02")
    Gate(metric='auprc', method='captum.attr:GuidedBackprop', most=0.02)
    """
    metric, _, rest = text.partition(":")
    method, colon, drop = rest.rpartition(":")
    if not (metric and method and colon):
        hint = f"; write {text}:METHOD:DROP, without blanks" if text and ":" not in text else ""
        raise UsageError(f"{GATE_OPTION}: expected METRIC:METHOD:DROP, got {text!r}{hint}")
    try:
        most = float(drop)
    except ValueError:
        most = math.nan
    if not (math.isfinite(most) and most >= 0):
        raise UsageError(
            f"{GATE_OPTION} {text}: expected a drop that is a number and not negative, got {drop!r}"
        )
    return Gate(metric, "" if method == OF_THE_MODEL else method, most)


def gate_results(
    gates: Iterable[Gate], rows: pd.DataFrame, *, same_models: Mapping[tuple[str, str], bool]
) -> tuple[GateResult, ...]:
    """Every gate on every row that it is about.

    ``rows`` are those of all compared runs; ``same_models`` says of a run's letter and a model
    whether its weights are those of the first run. UsageError where a gate is about no row.

    A gate fails where the drop is larger than allowed and its p, two-sided, is below 0.05 after
    Holm over the rows that the gates are about. The p is that of no difference, not of the allowed
    drop. Where the trained models are the same, chance is the choice of sequences alone (*these
    models*); where they are not known to be, it is training too (*retraining*), which takes three
    seeds: with fewer it is of these models again, and the reason says so. A gate also fails where
    the first run has values and the second none.
    """
    rows_of_gates = [(each, row) for each in gates for row in _rows_about(each, rows)]
    alike = [same_models.get((row["second"], row["model"]), False) for _, row in rows_of_gates]
    chosen = [_p_of_gate(row, same) for (_, row), same in zip(rows_of_gates, alike, strict=True)]
    corrected = holm([p for p, *_ in chosen]).tolist()
    return tuple(
        GateResult(each, row, p, population, *_gate_verdict(each, row, p, why))
        for (each, row), p, (_, population, why) in zip(
            rows_of_gates, corrected, chosen, strict=True
        )
    )


def _rows_about(each: Gate, rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Its rows in every pair of runs."""
    own: list[dict[str, Any]] = []
    for (first, second), pair in rows.groupby(["first", "second"], sort=False):
        of_method = _rows_of_method(each, pair, f"in both {first} and {second}")
        own += [dict(row) for _, row in of_method.iterrows()]
    return own


def _rows_of_method(each: Gate, rows: pd.DataFrame, where: str) -> pd.DataFrame:
    known = sorted(rows["metric"].unique())
    if each.metric not in known:
        wrong = nearest(each.metric, known)
        raise UsageError(f"{GATE_OPTION}: no metric {each.metric!r} {where}; {wrong}")
    of_metric = rows[rows["metric"] == each.metric]
    if (of_metric["better"] == "neither").any():
        raise UsageError(
            f"{GATE_OPTION}: of {each.metric!r} neither more nor less is better; name a metric "
            "with a direction"
        )
    method = each.method or OF_THE_MODEL
    methods = [name or OF_THE_MODEL for name in of_metric["method"].unique()]
    if method not in methods:
        wrong = nearest(method, methods)
        raise UsageError(f"{GATE_OPTION}: no {each.metric!r} of {method!r} {where}; {wrong}")
    return of_metric[of_metric["method"] == each.method]


def _p_of_gate(row: Mapping[str, Any], same_models: bool) -> tuple[float, str, str]:
    """The p of a gate, its population, and why that is not retraining where it should be."""
    if same_models:
        return row["p_sequences"], THESE, ""
    seeds = min(row["first_seeds"], row["second_seeds"])
    if seeds >= FEWEST_SEEDS and not np.isnan(row["p"]):
        return row["p"], RETRAINING, ""
    why = "fewer than three seeds" if seeds < FEWEST_SEEDS else "no test of retraining"
    return row["p_sequences"], THESE, f"{why}: chance in training is not in this p"


def _gate_verdict(
    each: Gate, row: Mapping[str, Any], p: float, why: str
) -> tuple[GateVerdict, str]:
    drop = -row["mean"]
    if np.isnan(drop):
        return _without_values(row)
    if drop <= each.most:
        return "held", _not_excluded(each, row)
    if p < GATE_LEVEL:
        return "failed", why
    if row["metric"] in (*MEASURES, *REGRESSION) and row["method"] == "":
        return _by_interval(row)
    return "cannot be told", why or "the drop is larger than allowed, and may be chance"


def _by_interval(row: Mapping[str, Any]) -> tuple[GateVerdict, str]:
    """Of AUROC, AUPRC, MCC and measures of regression, which have no p."""
    high = row["high"] if not np.isnan(row["high"]) else row["sequences_high"]
    if high < 0:
        return "failed", "by its interval, for there is no p"
    return "cannot be told", "the drop is larger than allowed, and its 95 % interval includes 0"


def _without_values(row: Mapping[str, Any]) -> tuple[GateVerdict, str]:
    reason = row["reason"]
    if np.isnan(row["second_mean"]) and not np.isnan(row["first_mean"]):
        return "failed", f"{row['second']} has no value ({reason})"
    return "cannot be told", reason


def _not_excluded(each: Gate, row: Mapping[str, Any]) -> str:
    """What a gate that held does not exclude."""
    low = row["low"] if not np.isnan(row["low"]) else row["sequences_low"]
    return "a larger drop is not excluded" if -low > each.most else ""
