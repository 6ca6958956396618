"""Kept logits as lines: one quantity along one order, sequence by sequence."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.curve_keys import Course, judges, seen
from xaibench.artefacts.curves import curve_spec, followed_specs
from xaibench.artefacts.explanations import explained_targets
from xaibench.artefacts.job import Work
from xaibench.artefacts.retraining import Retraining, retrained_spec
from xaibench.explanation.controls import RANDOM
from xaibench.nn import outputs as curves
from xaibench.protocols import Quantity
from xaibench.shapes import Logits
from xaibench.storage.artefacts import NOT_APPLICABLE, OK, Spec

from .records import Block

Line = NDArray[np.float64]
"""``(step, sequence)``: one quantity along one order."""


def problem(work: Work, here: Block, spec: Spec) -> Block | None:
    """The block that says why an artefact holds nothing; None where it holds something."""
    status, reason = work.store.outcome(spec)
    return None if status == OK else _because(here, status, reason)


def _because(here: Block, status: str, reason: str) -> Block:
    return replace(here, status=status, reason=reason)


def lines_of(
    work: Work, here: Block, course: Course, quantity: Quantity
) -> tuple[list[Line], Block | None]:
    """The lines of a course, one a draw; or the block that says why there are none."""
    if course.kind == "other_models":
        return _judged(work, here, course, quantity)
    found = _problem_of(work, here, course)
    if found:
        return [], found
    outputs = arrays_of(work, curve_spec(work, here.model, here.seed, course))["logits"]
    draws = outputs if course.method == RANDOM else outputs[None]
    rows = len(seen(work, here.model, course).chosen)
    return [_line(work, each[:, :rows], quantity) for each in draws], None


def _problem_of(work: Work, here: Block, course: Course) -> Block | None:
    """What a course lacks, the first of what it comes from."""
    specs = followed_specs(work, here.model, here.seed, course)
    specs.append(curve_spec(work, here.model, here.seed, course))
    return next(filter(None, (problem(work, here, spec) for spec in specs)), None)


def _judged(
    work: Work, here: Block, course: Course, quantity: Quantity
) -> tuple[list[Line], Block | None]:
    """What the other models say of the true label, on average over them."""
    others = judges(work, here.model)
    if not others:
        return [], _because(here, NOT_APPLICABLE, "there is no other model in the plan to judge")
    if course.method != RANDOM:
        found = _problem_of(work, here, course)
        if found:
            return [], found
        outputs = arrays_of(work, curve_spec(work, here.model, here.seed, course))["logits"]
        lines = [_of_label(work, each, quantity) for each in outputs]
        return [np.mean(lines, axis=0)], None
    by_judge = []
    for judge in others:
        spec = curve_spec(work, judge, here.seed, course._replace(kind="replaced"))
        found = problem(work, here, spec)
        if found:
            return [], found
        draws = arrays_of(work, spec)["logits"]
        by_judge.append([_of_label(work, each, quantity) for each in draws])
    shared = min(line.shape[1] for lines in by_judge for line in lines)
    told = [[line[:, :shared] for line in lines] for lines in by_judge]
    return list(np.mean(told, axis=0)), None


def retrained_line(
    work: Work, here: Block, wanted: list[Retraining], quantity: Quantity
) -> tuple[Line | None, Block | None]:
    """The line over models retrained with more and more removed."""
    outputs = []
    for each in wanted:
        spec = retrained_spec(work, here.model, here.seed, here.method, each)
        found = problem(work, here, spec)
        if found:
            return None, found
        outputs.append(arrays_of(work, spec)["logits"])
    return _of_label(work, np.stack(outputs), quantity), None


def _line(work: Work, outputs: Logits, quantity: Quantity) -> Line:
    """Logits ``(step, sequence, class)``, the first step intact, as one quantity."""
    count = outputs.shape[1]
    targets = outputs[0].argmax(axis=1).astype(np.int64)
    if quantity != "kept":
        targets = explained_targets(work, outputs[0])
    return curves.quantity(quantity, outputs, targets, work.chosen.labels[:count])


def _of_label(work: Work, outputs: Logits, quantity: Quantity) -> Line:
    labels = work.chosen.labels[: outputs.shape[1]]
    return curves.quantity(quantity, outputs, labels, labels)
