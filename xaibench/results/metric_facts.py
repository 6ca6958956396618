"""What a run says its metrics measure: written into ``environment.json``, and read back."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from xaibench.errors import UsageError
from xaibench.protocols import MetricFacts, OfChange, metric_kind

from .compatibility import hint


def written_facts(facts: MetricFacts) -> dict[str, Any]:
    """The facts as JSON has them; an end of the range that is infinite is null."""
    return {
        "family": facts.family,
        "better": facts.better,
        "range": [end if math.isfinite(end) else None for end in facts.range],
        "of": facts.kind.of,
        "change": facts.kind.change if isinstance(facts.kind, OfChange) else "",
        "least_relevant_first": facts.needs_least_relevant_first,
        "signs_apart": facts.signs_apart,
    }


def read_facts(folder: Path, environment: Mapping[str, Any]) -> dict[str, MetricFacts]:
    """The facts of the metrics of the run in a folder, by their labels. Ranges are infinite where
    an earlier version did not say them. UsageError where it says something else."""
    known = environment.get("metrics")
    try:
        return {str(label): _facts(each) for label, each in dict(known or {}).items()}
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"{folder / 'environment.json'}: a run of another version: it does not say what its "
            f"metrics measure ({error}){hint(folder)}"
        ) from None


def _facts(known: Mapping[str, Any]) -> MetricFacts:
    of = known["of"]
    of_kind = {
        "change": {"change": known["change"]},
        "curves": {"needs_least_relevant_first": bool(known.get("least_relevant_first"))},
        "effects": {"effects": "substitutions"},
    }
    low, high = known.get("range") or (None, None)
    return MetricFacts(
        known["family"],
        known["better"],
        (-math.inf if low is None else low, math.inf if high is None else high),
        metric_kind(of, **of_kind.get(of, {})),
        signs_apart=bool(known.get("signs_apart")),
    )
