"""What did not apply or failed, and why."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from xaibench.results.reading import Results

from ..format.names import label
from ..format.numbers import brief
from ..format.replicates import replicate_terms
from ..format.select import unmeasured_records
from .table import Cell, Table, heads


def unmeasured(results: Results) -> Table | None:
    """What did not apply or failed, and why; None where everything ran."""
    rows = unmeasured_records(results)
    if rows.empty:
        return None
    body = []
    reasons: set[str] = set()
    for (model, status, reason), group in rows.groupby(["model", "status", "reason"], sort=False):
        what = [label(metric) for metric in group["metric"].unique() if metric]
        seeds = ", ".join(str(seed) for seed in sorted(group["seed"].unique()))
        why = brief(str(reason)) if reason in reasons else str(reason)
        reasons.add(str(reason))
        texts = (model, ", ".join(_failed_methods(group)), status, _abridged(what), seeds, why)
        body.append(tuple(Cell(str(text)) for text in texts))
    terms = replicate_terms(results)
    header = ("Model", "Method", "Status", "Measures", terms.nouns.capitalize(), "Reason")
    caption = "What did not apply or failed"
    return Table(caption, heads(*header, prose=range(6)), tuple(body))


def _failed_methods(rows: pd.DataFrame) -> list[str]:
    """The methods; a control made from the map of one only where the method itself is not named."""
    methods = set(rows["method"][rows["control"] == ""])
    pairs = zip(rows["method"], rows["control"], strict=True)
    named = [
        f"{method} ({control})" if control else method or "(the model itself)"
        for method, control in pairs
        if not control or method not in methods
    ]
    return list(dict.fromkeys(named))


def _abridged(names: Sequence[str], most: int = 3) -> str:
    shown = ", ".join(names[:most]) or "all"
    return f"{shown} and {len(names) - most} more" if len(names) > most else shown
