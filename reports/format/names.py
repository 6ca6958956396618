"""What a metric is to a reader: its name, its section, which way is good, its level of chance."""

from __future__ import annotations

import re
from typing import Any

from xaibench.results.reading import Results

METRIC_NAMES = {
    "auprc": "AUPRC",
    "auroc": "AUROC",
    "aopc": "AOPC",
    "road": "ROAD",
    "roar": "ROAR",
    "relevance_rank": "relevance rank accuracy",
    "seed_agreement": "agreement between seeds",
    "seed_overlap": "overlap between seeds",
    "reverse_complement_consistency": "reverse-complement consistency",
    "lipschitz": "local Lipschitz estimate",
    "sensitivity_n": "sensitivity-n",
    "cross_model_deletion": "cross-model deletion",
    "area_between": "area between LeRF and MoRF",
    "gini": "Gini index",
}
"""What a reader calls a metric, where that is not its label without the underscores."""

FAMILIES = ("faithfulness", "localisation", "stability", "randomisation", "complexity")
"""The families of metrics that have a section of their own."""

_CURVE = re.compile(r"(?P<family>.+)_(?P<quantity>logit_difference|probability|accuracy|kept)")
_ARROWS = {"higher": "↑", "lower": "↓"}


def label(metric: str) -> str:
    """What a reader calls a metric.

    >>> label("deletion_logit_difference"), label("auprc"), label("top_k")
    ('deletion (logit difference)', 'AUPRC', 'top k')
    """
    if metric in METRIC_NAMES:
        return METRIC_NAMES[metric]
    family, quantity = curve_of(metric)
    name = METRIC_NAMES.get(family, family.replace("_", " "))
    return f"{name} ({quantity.replace('_', ' ')})" if quantity else name


def first_upper(text: str) -> str:
    """A label at the beginning of a sentence.

    >>> first_upper("pointing game"), first_upper("AUPRC")
    ('Pointing game', 'AUPRC')
    """
    return text[:1].upper() + text[1:]


def metrics_of(results: Results, family: str) -> list[str]:
    """The metrics that ran: of one of ``FAMILIES`` or ``other``."""
    ran = [m for m in results.estimates["metric"].unique() if m not in ("", "accuracy")]
    return [metric for metric in ran if _family(results, metric) == family]


def better_of(results: Results, metric: str) -> str:
    """``higher``, ``lower``, ``neither``, or nothing where the run does not say."""
    return str(_facts_of_metric(results, metric).get("better") or "")


def metric_under_operator(metric: str, operator: str, *, prefix: str = "") -> str:
    """What is measured, with which operator; ``prefix`` is what the caption says already.

    >>> metric_under_operator("deletion_probability", "n")
    'deletion (probability), n'
    >>> metric_under_operator("deletion_probability", "n", prefix="deletion_")
    'probability, n'
    """
    return ", ".join(word for word in (label(metric.removeprefix(prefix)), operator) if word)


def heading(results: Results, metric: str, operator: str) -> str:
    """The head of a column of values: what is measured, and which way is good."""
    arrow = _ARROWS.get(better_of(results, metric), "")
    return f"{metric_under_operator(metric, operator)} {arrow}".strip()


def curve_of(metric: str) -> tuple[str, str]:
    """The label and the quantity of a curve metric; no quantity for another metric.

    >>> curve_of("deletion_probability"), curve_of("auprc")
    (('deletion', 'probability'), ('auprc', ''))
    """
    curve = _CURVE.fullmatch(metric)
    return (metric, "") if curve is None else (curve["family"], curve["quantity"])


def parts_signed_from_unsigned(results: Results, family: str) -> bool:
    """Whether a curve metric replaces the least relevant first: signed methods put evidence against
    the class there and unsigned ones cannot, so the two are not compared."""
    least = _facts_of_metric(results, family).get("least_relevant_first")
    return _plug_in_of_metric(results, family) == "insertion" if least is None else bool(least)


def gives_signed_scores(results: Results, method: str) -> bool:
    """Whether negative scores of a method are evidence against the class."""
    return bool((results.environment.get("signed") or {}).get(method, True))


def chance_of(results: Results, metric: str) -> float | None:
    """What random maps score on a metric, where the run knows it."""
    chance = (results.environment.get("chance") or {}).get(_plug_in_of_metric(results, metric))
    return None if chance is None else float(chance)


def first_localisation(results: Results) -> list[str]:
    """The metrics of localisation, AUPRC before all others: areas under ROC curves saturate."""
    metrics = metrics_of(results, "localisation")
    return sorted(metrics, key=lambda metric: _plug_in_of_metric(results, metric) != "auprc")


def _plug_in_of_metric(results: Results, metric: str) -> str:
    """The name of the metric behind a label of the plan."""
    planned = results.plan.get("metrics")
    options = planned.get(metric) if isinstance(planned, dict) else None
    return str(options.get("use", metric)) if isinstance(options, dict) else metric


def _facts_of_metric(results: Results, metric: str) -> dict[str, Any]:
    """The facts of a metric in the run's environment, by its label; a curve's adds a quantity."""
    known = results.environment.get("metrics") or {}
    facts = known.get(metric, known.get(curve_of(metric)[0]))
    return facts if isinstance(facts, dict) else {}


def _family(results: Results, metric: str) -> str:
    family = str(_facts_of_metric(results, metric).get("family") or "")
    if not family:
        return "faithfulness" if curve_of(metric)[1] else "other"
    return family if family in FAMILIES else "other"
