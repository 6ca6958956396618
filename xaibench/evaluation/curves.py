"""The inputs of metrics of replacement curves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.curve_keys import CurveKey, orders
from xaibench.artefacts.curves import has_map
from xaibench.artefacts.job import Work
from xaibench.artefacts.retraining import retrainings_of
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.protocols import MetricFacts, OfCurves, Quantity
from xaibench.shapes import Float
from xaibench.storage.arrays import parts
from xaibench.values import Curves

from .apply import Inputs, MetricPart, require_any_map
from .quantities import StoredCurve, curves_of, retrained_curve
from .records import RecordGroup
from .source import Source


def curve_parts(
    source: Source, record: RecordGroup, facts: MetricFacts, kind: OfCurves
) -> Iterator[MetricPart]:
    """A part per operator and quantity."""
    label, work = record.metric, source.work
    for operator in _operators(work, label, kind):
        for name, quantity in kind.recorded_as(label).items():
            own = replace(record, metric=name, operator=operator)
            if kind.curve == "retrained":
                yield own, partial(_retrained_inputs, work, own, label, quantity)
            else:
                yield own, partial(_ordered_inputs, work, own, kind, quantity)


def _operators(work: Work, label: str, kind: OfCurves) -> list[str]:
    """The operators whose curves a metric looks at; one without a name where none replaces."""
    if kind.curve == "imputed":
        return [""]
    if kind.curve == "retrained":
        return [work.plan.metrics[label].options["operator"]]
    return [*work.plan.operators]


def _retrained_inputs(
    work: Work, record: RecordGroup, label: str, quantity: Quantity
) -> Iterator[Inputs]:
    """Of the one curve over models that were retrained."""
    retrainings = retrainings_of(work, label)
    curve = retrained_curve(work, record.trained, record.method, retrainings, quantity)
    fractions = np.array([each.fraction for each in retrainings])
    yield _inputs_of_curves(work, record, "retrained", fractions, StoredCurve.of(curve))


def _ordered_inputs(
    work: Work, record: RecordGroup, kind: OfCurves, quantity: Quantity
) -> Iterator[Inputs]:
    """Of the curves along the orders that were made, per draw. A random order is its own
    reverse."""
    method, control = record.method, record.control
    made = orders(work, kind.curve)
    if method == RANDOM or (control and method != ORACLE):
        made = made[:1]
    keys = [CurveKey(method, record.operator, order, control, kind.curve) for order in made]
    most, *rest = [curves_of(work, record.trained, key, quantity) for key in keys]
    fractions = np.asarray(work.plan.fractions)
    for draw, curve in enumerate(most):
        least = curve if method == RANDOM else rest[0][draw] if rest else None
        yield _inputs_of_curves(work, record, kind.curve, fractions, curve, least)


def _inputs_of_curves(
    work: Work,
    record: RecordGroup,
    curve: str,
    fractions: Float,
    most: StoredCurve,
    least: StoredCurve | None = None,
) -> Inputs:
    """The curves of the sequences that have a map."""
    key = CurveKey(record.method, record.operator, control=record.control, kind=curve)
    mapped = has_map(work, record.trained, key)[: most.sequences]
    require_any_map(mapped, record.control)
    names = work.chosen.names[: len(mapped)]
    return Inputs(names, mapped, _parts_of_curves(mapped, fractions, most, least))


def _parts_of_curves(
    mapped: NDArray[np.bool_], fractions: Float, most: StoredCurve, least: StoredCurve | None
) -> Iterator[tuple[NDArray[np.intp], tuple[Curves]]]:
    """The curves of some sequences at a time, of those that have a map."""
    for part in parts(len(mapped), len(fractions)):
        own = mapped[part]
        if not own.any():
            continue
        after = None if least is None else least.part(part)[:, own]
        curves = Curves(fractions, most.part(part)[:, own], after)
        yield part.start + np.flatnonzero(own), (curves,)
