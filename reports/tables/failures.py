"""What did not apply or failed, and why."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xaibench.results.reading import Results

from ..format.names import label
from ..format.numbers import brief
from ..format.select import unmeasured_records
from .grid import Cell, Table


def unmeasured(results: Results) -> Table | None:
    """What did not apply or failed, and why; None where everything ran."""
    rows = unmeasured_records(results)
    if rows.empty:
        return None
    body = []
    told: set[str] = set()
    for (model, status, reason), group in rows.groupby(["model", "status", "reason"], sort=False):
        what = [label(metric) for metric in group["metric"].unique() if metric]
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"].unique()))
        why = brief(str(reason)) if reason in told else str(reason)
        told.add(str(reason))
        words = (model, ", ".join(_sources(group)), status, _some(what), seeds, why)
        body.append(tuple(Cell(str(word)) for word in words))
    header = ("Model", "Method", "Status", "Measures", "Seeds", "Reason")
    return Table("What did not apply or failed", header, tuple(body), words=frozenset(range(6)))


def _sources(rows: pd.DataFrame) -> list[str]:
    """The methods; a control made from the map of one only where the method itself is not named."""
    methods = set(rows["method"][rows["control"] == ""])
    pairs = zip(rows["method"], rows["control"], strict=True)
    named = [
        f"{method} ({control})" if control else method or "(the model itself)"
        for method, control in pairs
        if not control or method not in methods
    ]
    return list(dict.fromkeys(named))


def _some(words: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(words[:most]) or "all"
    return f"{shown} and {len(words) - most} more" if len(words) > most else shown
