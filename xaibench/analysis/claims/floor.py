"""What every claim of a run is qualified by: what composition alone reaches on its data."""

from __future__ import annotations

from xaibench.artefacts.job import Work
from xaibench.artefacts.models import trivial_baselines_of
from xaibench.data.loading import STANDS_IN


def composition_alone(work: Work) -> str:
    """The best of the trivial baselines, by accuracy."""
    every = trivial_baselines_of(work)
    if not every:
        return "what composition alone reaches is not known"
    best = max(every, key=lambda trivial: float(trivial["accuracy"]))
    return f"composition alone reaches {best['accuracy']:.3f} ({best['name']})"


def stand_in(work: Work) -> str:
    """Said where the data stand in for others; else empty."""
    instead = work.splits.facts.get(STANDS_IN)
    return f"on a stand-in for {instead}" if instead else ""
