"""What a metric is to a reader: its name, its section, which way is good, its level of chance."""

from __future__ import annotations

import re
from typing import Any

from xaibench.results import Results

MEASURES = {
    "auprc": ("localisation", "AUPRC", "higher"),
    "relevance_mass": ("localisation", "relevance mass", "higher"),
    "seed_agreement": ("stability", "agreement between seeds", "higher"),
    "substitution_sensitivity": ("stability", "substitution sensitivity", "lower"),
    "reverse_complement_consistency": ("stability", "reverse-complement consistency", "higher"),
}
"""Metric -> its family, what a reader calls it, and which way is good."""

_CURVE = re.compile(r"(?P<family>.+)_(?P<quantity>logit_difference|probability|accuracy)")
_ARROWS = {"higher": "↑", "lower": "↓"}


def label(metric: str) -> str:
    """What a reader calls a metric.

    >>> label("deletion_logit_difference"), label("auprc")
    ('deletion (logit difference)', 'AUPRC')
    """
    if metric in MEASURES:
        return MEASURES[metric][1]
    curve = _CURVE.fullmatch(metric)
    if curve is None:
        return metric.replace("_", " ")
    return f"{curve['family']} ({curve['quantity'].replace('_', ' ')})"


def metrics_of(results: Results, section: str) -> list[str]:
    """The metrics that ran: of ``localisation``, ``stability``, ``curves`` or ``other``."""
    ran = [m for m in results.estimates["metric"].unique() if m not in ("", "accuracy")]
    return [metric for metric in ran if _section(results, metric) == section]


def better_of(results: Results, metric: str) -> str:
    """``higher``, ``lower``, or nothing where the run does not say which is better."""
    told = _told(results, metric).get("better")
    return str(told or MEASURES.get(metric, ("", "", ""))[2])


def heading(results: Results, metric: str, operator: str, *, prefix: str = "") -> str:
    """The head of a column: what is measured, with which operator, which way is good.

    ``prefix`` is what the caption says already.
    """
    words = ", ".join(word for word in (label(metric.removeprefix(prefix)), operator) if word)
    return f"{words} {_ARROWS.get(better_of(results, metric), '')}".strip()


def curve_of(metric: str) -> tuple[str, str]:
    """The label and the quantity of a curve metric; no quantity for another metric.

    >>> curve_of("deletion_probability"), curve_of("auprc")
    (('deletion', 'probability'), ('auprc', ''))
    """
    curve = _CURVE.fullmatch(metric)
    return (metric, "") if curve is None else (curve["family"], curve["quantity"])


def parts_signed_from_unsigned(results: Results, family: str) -> bool:
    """Whether a curve metric looks at least relevant first: signed methods put evidence against
    the class there and unsigned ones cannot, so the two are not compared."""
    told = _told(results, family).get("least_relevant_first")
    return _plug_in(results, family) == "insertion" if told is None else bool(told)


def signed(results: Results, method: str) -> bool:
    """Whether negative scores of a method are evidence against the class."""
    return bool((results.environment.get("signed") or {}).get(method, True))


def chance_of(results: Results, metric: str) -> float | None:
    """What random maps score on a metric, where the run knows it."""
    chance = (results.environment.get("chance") or {}).get(_plug_in(results, metric))
    return None if chance is None else float(chance)


def _plug_in(results: Results, metric: str) -> str:
    """The name of the metric behind a label of the plan."""
    planned = results.plan.get("metrics")
    options = planned.get(metric) if isinstance(planned, dict) else None
    return str(options.get("use", metric)) if isinstance(options, dict) else metric


def _told(results: Results, metric: str) -> dict[str, Any]:
    """What the run's environment says of a metric, by its label."""
    found = (results.environment.get("metrics") or {}).get(metric)
    return found if isinstance(found, dict) else {}


def _section(results: Results, metric: str) -> str:
    family = _told(results, metric).get("family") or MEASURES.get(metric, ("",))[0]
    if family in ("localisation", "stability"):
        return str(family)
    return "curves" if not family and curve_of(metric)[1] else "other"
