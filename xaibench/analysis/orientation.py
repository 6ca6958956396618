"""Which way is better: the one place that decides it."""

from __future__ import annotations

from typing import TypeGuard

from xaibench.protocols import MetricFacts
from xaibench.statistics.regression_measures import ERRORS


def sign_of(facts: MetricFacts | None) -> int:
    """-1 where a lower value is better, else 1: a value times its sign is larger where better."""
    return -1 if facts is not None and facts.better == "lower" else 1


def sign_of_measure(measure: str) -> int:
    """The same of a measure of what a model predicts."""
    return -1 if measure in ERRORS else 1


def is_directed(facts: MetricFacts | None) -> TypeGuard[MetricFacts]:
    """Whether of two values of the metric one is better."""
    return facts is not None and facts.better != "neither"
