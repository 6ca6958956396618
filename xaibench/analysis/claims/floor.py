"""What every claim of a run is qualified by: what composition alone reaches on its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaibench.artefacts.job import Work
from xaibench.artefacts.models import trivial_baselines_of
from xaibench.data.loading import STANDS_IN


def best_accuracy(work: Work) -> float | None:
    """That of the best trivial baseline; None where there is none."""
    best = _best(work)
    return None if best is None else float(best["accuracy"])


def composition_alone(work: Work) -> str:
    """The best of the trivial baselines, by accuracy."""
    best = _best(work)
    if best is None:
        return "what composition alone reaches is not known"
    return f"composition alone reaches {best['accuracy']:.3f} ({best['name']})"


def stand_in(work: Work) -> str:
    """Said where the data stand in for others; else empty."""
    instead = work.splits.facts.get(STANDS_IN)
    return f"on a stand-in for {instead}" if instead else ""


def _best(work: Work) -> Mapping[str, Any] | None:
    every = trivial_baselines_of(work)
    return max(every, key=lambda trivial: float(trivial["accuracy"])) if every else None
