"""The inputs of metrics of one map, alone or beside true effects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.effects import effects_key, effects_of, effects_spec
from xaibench.artefacts.model_checks import single_outputs
from xaibench.artefacts.subsets import first
from xaibench.errors import NotApplicable
from xaibench.explanation.controls import ORACLE, RANDOM, is_map
from xaibench.nn.checks.outputs import NO_CLASSES
from xaibench.protocols import MetricFacts, OfEffects, OfExplanation
from xaibench.values import Explained, Subsets, Substitutions

from .apply import Inputs, MetricPart, require_any_map
from .quantities import require_artefact
from .records import RecordGroup
from .source import Source, controlled


def map_parts(
    source: Source, record: RecordGroup, facts: MetricFacts, kind: OfExplanation
) -> Iterator[MetricPart]:
    """A single part."""
    yield record, partial(_map_inputs, source, record, facts, kind)


def _map_inputs(
    source: Source, record: RecordGroup, facts: MetricFacts, kind: OfExplanation
) -> Iterator[Inputs]:
    """Of each draw of the map, on all sequences or on those that carry a motif."""
    motif = source.sequences.inside_motif
    if kind.needs_motif and motif is None:
        raise NotApplicable("motif positions are not known")
    if kind.needs_motif and _speaks_for_several(source) and _is_single(source, record):
        raise NotApplicable(f"motifs speak for several classes, and the model {NO_CLASSES}")
    maps = source.maps(facts.target)
    if kind.needs_sign and record.method == RANDOM:
        maps = [replace(each, scores=each.scores - 0.5, signed=True) for each in maps]
    rows = np.arange(len(source.sequences))
    if motif is not None and kind.needs_motif:
        rows = np.flatnonzero(motif.any(axis=1))
    if not len(rows):
        raise NotApplicable("no explained sequence carries a motif of its class")
    for explained in maps:
        yield _inputs_of_map(explained.take(rows), record.control)


def _speaks_for_several(source: Source) -> bool:
    evidence = source.sequences.evidence
    return evidence is not None and len(np.unique(evidence[evidence >= 0])) > 1


def _is_single(source: Source, record: RecordGroup) -> bool:
    """Whether the model has a single output, of which nobody knows which class it speaks for."""
    return record.model in single_outputs(source.work)


def effect_parts(
    source: Source, record: RecordGroup, facts: MetricFacts, kind: OfEffects
) -> Iterator[MetricPart]:
    """A single part."""
    yield record, partial(_effect_inputs, source, record, facts)


def _effect_inputs(source: Source, record: RecordGroup, facts: MetricFacts) -> Iterator[Inputs]:
    """Of each draw of the map, beside what the model loses by edits that are the same for all
    maps."""
    work, label = source.work, record.metric
    edits = effects_key(work, label)
    assert edits is not None  # for the type checker: the kind of the metric says so
    spec = effects_spec(work, record.trained, edits)
    require_artefact(work, spec)
    chosen = first(source.sequences, edits.sequences)
    effects, oracle = effects_of(work, spec, len(chosen))
    if record.method == ORACLE:
        truth = Explained(chosen, oracle, chosen.labels, signed=True)
        maps = [controlled(work, truth, record.control)]
    else:
        maps = source.maps(facts.target)
    for explained in maps:
        yield _inputs_of_map(explained.take(np.arange(len(chosen))), record.control, effects)


def _inputs_of_map(explained: Explained, control: str, *effects: Substitutions | Subsets) -> Inputs:
    """A map, and the effects on its sequences; those that a control could make no map of have no
    value."""
    has_map: NDArray[np.bool_] = is_map(explained.scores, explained.sequences.valid)
    require_any_map(has_map, control)
    rows = np.flatnonzero(has_map)
    of_rows = (each.take(rows) for each in effects)
    return Inputs.at_once(explained.sequences.names, has_map, explained.take(rows), *of_rows)
