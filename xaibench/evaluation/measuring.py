"""Stored artefacts -> records: every metric of the plan on every explanation, curve and change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from xaibench.artefacts.job import Work, facts_of_metric, is_explained
from xaibench.artefacts.model_checks import unusable
from xaibench.artefacts.models import model_spec, predictions_spec
from xaibench.artefacts.subsets import subset
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import Missing, NotApplicable
from xaibench.explanation.controls import ORACLE, PRIORS, RANDOM
from xaibench.nn.outputs import quantity

from .apply import applied, without_values
from .kinds import MEASUREMENTS
from .quantities import require_artefact, required_arrays
from .records import RecordGroup
from .source import Source

OF_ORACLE = ("", "negated", "blurred")
"""What is made of the oracle's map, for the self-test of a metric."""


def records_of_model(work: Work, trained: TrainedModel) -> list[RecordGroup]:
    """All records of one model under one seed, for a process to return."""
    return list(of_model(work, trained))


def of_model(work: Work, trained: TrainedModel) -> Iterator[RecordGroup]:
    """All records of one model under one seed."""
    record = RecordGroup(trained.name, trained.seed)
    try:
        _require_model(work, trained)
    except Missing as why:
        yield without_values(replace(record, metric="training"), why)
        return
    yield _accuracy_record(work, replace(record, metric="accuracy"))
    if not is_explained(work.plan, trained.name):
        return
    for method, control in _measured_maps(work):
        own = replace(record, method=method, control=control)
        source = Source(work, subset(work, trained.name, method), own)
        for label in work.plan.metrics:
            yield from _of_metric(source, label)


def _require_model(work: Work, trained: TrainedModel) -> None:
    """``Missing`` where a model was not trained, or cannot be used."""
    require_artefact(work, model_spec(work, trained))
    if why := unusable(work, trained):
        raise Missing(*why)


def _accuracy_record(work: Work, record: RecordGroup) -> RecordGroup:
    """1 where a test sequence is classified as labelled, else 0: of the whole test split."""
    test = work.splits.test
    try:
        arrays = required_arrays(work, predictions_spec(work, record.trained))
        if not test.has_classes:
            raise NotApplicable("the data have no classes")
        right = quantity("accuracy", arrays["logits"], test.labels, test.labels)
    except (Missing, NotApplicable) as why:
        return without_values(record, why)
    return replace(record, sequences=test.names, values=right)


def _measured_maps(work: Work) -> Iterator[tuple[str, str]]:
    """Whose maps are measured, and what is made of them."""
    yield RANDOM, ""
    if work.plan.controlled:
        yield from ((ORACLE, control) for control in OF_ORACLE)
        yield from ((prior, "") for prior in PRIORS)
    for method in work.plan.attribution:
        yield method, ""
        if work.plan.controlled:
            yield from ((method, control) for control in work.plan.controls)


def _of_metric(source: Source, label: str) -> Iterator[RecordGroup]:
    """The records of one metric; none where it does not look at the maps of the source."""
    facts = facts_of_metric(source.work, label)
    row = MEASUREMENTS[type(facts.kind)]
    if not row.maps(facts.kind).include(source.record.method, source.record.control):
        return
    record = replace(source.record, metric=label)
    try:
        parts = list(row.parts(source, record, facts, facts.kind))
    except (Missing, NotApplicable) as why:
        yield without_values(record, why)
        return
    for part, make in parts:
        try:
            inputs = list(make())
        except (Missing, NotApplicable) as why:
            yield without_values(part, why)
            continue
        for repeat, each in enumerate(inputs):
            yield applied(source.work, label, replace(part, repeat=repeat), each)
