"""Stored logits as curves: one quantity along one order, per sequence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.artefact import Arrays, arrays_of
from xaibench.artefacts.curve_keys import (
    CurveKey,
    curve_subset,
    other_models,
    require_other_models,
)
from xaibench.artefacts.curves import curve_spec, map_specs
from xaibench.artefacts.explanations import explained_targets
from xaibench.artefacts.job import Work
from xaibench.artefacts.retraining import Retraining, retrained_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import Missing, NotApplicable
from xaibench.explanation.controls import RANDOM
from xaibench.nn import outputs
from xaibench.nn.checks.outputs import NO_CLASSES
from xaibench.protocols import Quantity
from xaibench.shapes import Logits
from xaibench.storage.arrays import release
from xaibench.storage.artefacts import OK, Spec

CurveValues = NDArray[np.float64]
"""``(step, sequence)``: one quantity along one order."""


class StoredCurve(NamedTuple):
    """One quantity along one order, of so many ``sequences``; ``part`` gives the values of some."""

    sequences: int
    part: Callable[[slice], CurveValues]

    def whole(self) -> CurveValues:
        """Of all of them."""
        return self.part(slice(0, self.sequences))

    @classmethod
    def of(cls, values: CurveValues) -> StoredCurve:
        """Of what is in memory."""
        return cls(values.shape[1], lambda part: values[:, part])


def require_artefact(work: Work, spec: Spec) -> None:
    """``Missing``, with the status and the reason, where an artefact holds nothing."""
    status, reason = work.store.outcome(spec)
    if status != OK:
        raise Missing(status, reason)


def required_arrays(work: Work, spec: Spec) -> Arrays:
    """The arrays of an artefact; ``Missing`` where it holds none."""
    require_artefact(work, spec)
    return arrays_of(work, spec)


def curves_of(
    work: Work, trained: TrainedModel, key: CurveKey, quantity: Quantity
) -> list[StoredCurve]:
    """The curves under a key, one per draw; ``Missing`` or ``NotApplicable`` where there are
    none."""
    if key.kind == "other_models":
        return [*map(StoredCurve.of, _by_other_models(work, trained, key, quantity))]
    draws = _logits(work, trained, key)
    sequences = len(curve_subset(work, trained, key))
    curves = [StoredCurve(sequences, partial(_of_target, work, each, quantity)) for each in draws]
    for curve in curves[:1]:
        curve.part(slice(0, 1))  # what does not apply to all does not apply to one
    return curves


def existing_curves(
    work: Work, trained: TrainedModel, key: CurveKey, quantity: Quantity
) -> list[CurveValues]:
    """The curves under a key, one per draw; none where they do not exist."""
    try:
        return [each.whole() for each in curves_of(work, trained, key, quantity)]
    except (Missing, NotApplicable):
        return []


def _logits(work: Work, trained: TrainedModel, key: CurveKey) -> Logits:
    """``(path, step, sequence, class)``; ``Missing`` says the first that is missing of what the
    curve comes from, or of itself."""
    for spec in map_specs(work, trained, key):
        require_artefact(work, spec)
    logits: Logits = required_arrays(work, curve_spec(work, trained, key))["logits"]
    return logits


def _by_other_models(
    work: Work, trained: TrainedModel, key: CurveKey, quantity: Quantity
) -> list[CurveValues]:
    """What the other models predict, of the true label, on average over them."""
    require_other_models(work, trained)
    if key.method != RANDOM:
        curves = [_of_label(work, each, quantity) for each in _logits(work, trained, key)]
        return [np.mean(curves, axis=0)]
    # along a random order they are the other models' own random curves
    specs = [
        curve_spec(work, other, key._replace(kind="replaced"))
        for other in other_models(work, trained)
    ]
    by_model = [
        [_of_label(work, draw, quantity) for draw in required_arrays(work, spec)["logits"]]
        for spec in specs
    ]
    shared = min(curve.shape[1] for curves in by_model for curve in curves)
    cut = [[curve[:, :shared] for curve in curves] for curves in by_model]
    return list(np.mean(cut, axis=0))


def retrained_curve(
    work: Work,
    trained: TrainedModel,
    method: str,
    retrainings: list[Retraining],
    quantity: Quantity,
) -> CurveValues:
    """The curve over models retrained with more and more removed; ``Missing`` where one is."""
    specs = (retrained_spec(work, trained, method, each) for each in retrainings)
    logits = np.stack([required_arrays(work, spec)["logits"] for spec in specs])
    return _of_label(work, logits, quantity)


def _of_target(work: Work, logits: Logits, quantity: Quantity, part: slice) -> CurveValues:
    """A quantity of logits ``(step, sequence, class)``, the first step intact, for the class that
    is explained, of a part of the sequences."""
    own, labels = logits[:, part], work.chosen.labels[: logits.shape[1]][part]
    targets = own[0].argmax(axis=1).astype(np.int64)
    if quantity != "kept":
        targets = explained_targets(work.plan.target, labels, own[0])
    values = outputs.quantity(quantity, own, targets, labels)
    release(logits)
    return values


def _of_label(work: Work, logits: Logits, quantity: Quantity) -> CurveValues:
    """A quantity of logits ``(step, sequence, class)`` for the true label; NotApplicable where the
    data have classes and the model has a single output, which is of none."""
    if logits.shape[-1] == 1 and work.chosen.has_classes:
        raise NotApplicable(f"the true label has no output of a model that {NO_CLASSES}")
    labels = work.chosen.labels[: logits.shape[1]]
    return outputs.quantity(quantity, logits, labels, labels)
