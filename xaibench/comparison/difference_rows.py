"""How much better or worse the second run is: one row per model, method, metric and operator."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from xaibench.analysis.orientation import sign_of
from xaibench.analysis.panels import CrossedValues, PanelKey, aligned, joined, minus
from xaibench.explanation.controls import RANDOM
from xaibench.protocols import MetricFacts, OfChange, OfCurves
from xaibench.shapes import Float
from xaibench.statistics.corrections import holm
from xaibench.statistics.means import defined_part, of_differences, undefined
from xaibench.statistics.resampling import Resampling
from xaibench.values import Estimate

from .classification_rows import classification_rows
from .overlap import Shared, shared_cells
from .runs import ComparedRun
from .unpaired import of_unpaired

DIFFERENCE_COLUMNS = [
    *("first", "second", "family", "model", "method", "metric", "operator", "better", "compared"),
    *("first_mean", "second_mean", *Estimate.columns()),
    *("first_seeds", "second_seeds", "equal", "rounding"),
    *("p_holm", "p_sequences_holm", "p_seeds_holm"),
]
"""``first`` and ``second`` are the letters of the runs, ``compared`` what is: the value of the
metric, its gap to random, or nothing, where values of the two runs are of other things. ``mean``
and its intervals are of second minus first, positive where the second is better (where neither
direction is, the plain difference). ``equal``: no value differs, or by ``rounding`` alone."""

EQUAL_WITHIN = 1e-6
"""Values that differ by no more than this part of the metric's size count as equal. A float32 has a
relative precision of 6e-8; a map is made of thousands of sums and products of such, whose order
depends on how many sequences are in a batch and on the threads."""

_COMPARED = {"curves": "gap to random"}
_OVER_OTHER_SEEDS = (
    "each value is an average over the other seeds of its run, and these are not the same"
)


def difference_rows(shared: Shared, first: ComparedRun, second: ComparedRun) -> pd.DataFrame:
    """Every shared number, its difference, p (``DIFFERENCE_COLUMNS``); Holm over rows of a family
    that differ by more than rounding."""
    frame = pd.DataFrame(
        [
            {**_paired_row(shared, *pair), **_labels(first, second, pair[0])}
            for pair in shared_cells(shared, first, second)
        ]
        + list(classification_rows(first, second)),
        columns=DIFFERENCE_COLUMNS,
    )
    return _as_planned(_with_holm(frame), first)


def incomparable(frame: pd.DataFrame) -> pd.Series[bool]:
    """Which rows compare nothing, though both runs have values."""
    return frame["compared"] == ""


def _with_holm(frame: pd.DataFrame) -> pd.DataFrame:
    """With Holm over the rows that differ. A row without any difference is no test, as it cannot be
    significant by chance: its p stays."""
    differ = ~frame["equal"].astype(bool)
    for name in ("p", "p_sequences", "p_seeds"):
        families = frame[differ].groupby("family", sort=False)[name]
        adjusted = families.transform(lambda p: holm(p.to_numpy()))
        frame[f"{name}_holm"] = adjusted.reindex(frame.index).where(differ, frame[name])
    return frame


def _labels(first: ComparedRun, second: ComparedRun, cell: PanelKey) -> dict[str, str]:
    what = {name: getattr(cell, name) for name in ("model", "method", "metric", "operator")}
    return {"first": first.letter, "second": second.letter, **what}


def _paired_row(shared: Shared, cell: PanelKey, other: PanelKey) -> dict[str, Any]:
    facts = shared.values.facts[cell.metric]
    assert facts is not None  # records of other metrics were dropped
    one, two = (_panel_compared(shared, each, facts) for each in (cell, other))
    both = aligned(one, two) if shared.paired else _cut_to_shared(one, two)
    other_seeds = facts.kind == OfChange("seed") and _of_other_seeds(one, two)
    equal = (
        shared.paired
        and not other_seeds
        and _agree(*both, most=EQUAL_WITHIN * _size_of_values(shared, cell, other))
    )
    estimate = (
        undefined(_OVER_OTHER_SEEDS)
        if other_seeds
        else _estimate_difference(shared, facts, *both, equal=equal)
    )
    means = _means_of_runs(*both, together=shared.paired)
    if np.isnan(estimate.mean):  # whichever run has values at all says so
        means = _mean_of(one.values), _mean_of(two.values)
    return {
        "family": facts.family,
        "better": facts.better,
        "compared": "" if other_seeds else _COMPARED.get(facts.kind.of, "value"),
        "first_mean": means[0],
        "second_mean": means[1],
        **asdict(estimate),
        "first_seeds": len(both[0].values),
        "second_seeds": len(both[1].values),
        "equal": equal,
        "rounding": equal and not _agree(*both),
    }


def _panel_compared(shared: Shared, cell: PanelKey, facts: MetricFacts) -> CrossedValues:
    """The values of a metric; of curves, how much better they are than random positions, for
    curves depend on how sure a model is."""
    if isinstance(facts.kind, OfCurves):
        return shared.values.gap(cell, cell._replace(method=RANDOM))
    return shared.values.panel(cell)


def _of_other_seeds(first: CrossedValues, second: CrossedValues) -> bool:
    return bool(
        first.values.size and second.values.size and not np.array_equal(first.seeds, second.seeds)
    )


def _size_of_values(shared: Shared, *of: PanelKey) -> float:
    """How large the values of a metric are: the larger of the mean sizes in both runs. Of curves
    it is that of the curve, for its gap to random has the curve's rounding and may be near 0."""
    return max(
        float(np.nan_to_num(_mean_of(np.abs(shared.values.panel(cell).values)))) for cell in of
    )


def _estimate_difference(
    shared: Shared, facts: MetricFacts, first: CrossedValues, second: CrossedValues, *, equal: bool
) -> Estimate:
    """The difference; 0 to the last digit where both are ``alike``."""
    sign = 1 if isinstance(facts.kind, OfCurves) else sign_of(facts)  # gaps are positive if better
    resampling = Resampling(sequences_only=facts.kind == OfChange("seed"))
    reason = joined(first.reason, second.reason)
    if not first.values.size or not second.values.size:
        return undefined(reason or "there are no pairs of values")
    if shared.paired:
        values = sign * minus(first if equal else second, first).values
        estimate = of_differences(values, resampling)
    else:
        one, other = (sign * panel.values for panel in (first, second))
        estimate = of_unpaired(one, other, resampling)
    return replace(estimate, reason=joined(estimate.reason, reason))


def _cut_to_shared(
    first: CrossedValues, second: CrossedValues
) -> tuple[CrossedValues, CrossedValues]:
    """Both on the sequences that both have, each with its own seeds."""
    both = np.intersect1d(first.sequences, second.sequences, assume_unique=True)
    one, other = (
        CrossedValues(
            panel.values[:, np.isin(panel.sequences, both)], panel.seeds, both, panel.reason
        )
        for panel in (first, second)
    )
    return one, other


def _means_of_runs(
    first: CrossedValues, second: CrossedValues, *, together: bool
) -> tuple[float, float]:
    """The mean of each where the difference is defined, so that they differ by its mean."""
    unknown = (
        np.isnan(first.values) | np.isnan(second.values)
        if together
        else (np.isnan(first.values).all(axis=0) | np.isnan(second.values).all(axis=0))
    )
    one, other = (_mean_of(np.where(unknown, np.nan, panel.values)) for panel in (first, second))
    return one, other


def _mean_of(values: Float) -> float:
    """The mean of the seed means; NaN where no value is defined."""
    defined, _ = defined_part(values)
    return float(np.nanmean(defined, axis=1).mean()) if defined.size else np.nan


def _agree(first: CrossedValues, second: CrossedValues, *, most: float = 0) -> bool:
    """Whether no value differs by more than ``most``; not where there is none."""
    one, other = first.values, second.values
    unknown = np.isnan(one)
    if not one.size or not np.array_equal(unknown, np.isnan(other)):
        return False
    return bool((np.abs(one - other)[~unknown] <= most).all())


def _as_planned(frame: pd.DataFrame, first: ComparedRun) -> pd.DataFrame:
    """In the order of the plan; what the models themselves reach comes first."""
    plan = first.results.plan
    known = {name: list(plan.get(section) or ()) for name, section in _SECTIONS.items()}
    places = pd.DataFrame(
        {
            "family": np.where(frame["family"] == "model", -1, pd.factorize(frame["family"])[0]),
            "metric": pd.factorize(frame["metric"])[0],
            **{name: frame[name].map(_places_in(labels)) for name, labels in known.items()},
        }
    )
    by = ["family", "metric", *known]
    order = places.fillna(-1).sort_values(by, kind="stable").index
    ordered: pd.DataFrame = frame.loc[order].reset_index(drop=True)
    return ordered


_SECTIONS = {"operator": "operators", "model": "models", "method": "attribution"}


def _places_in(labels: list[Any]) -> dict[str, int]:
    return {str(label): place for place, label in enumerate(labels)}
