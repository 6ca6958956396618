"""The inputs of metrics of a change: a map beside those of other seeds, changed sequences, other
settings or other weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np

from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.fixed_scores import replicates_share_scores
from xaibench.artefacts.job import seeds_of
from xaibench.artefacts.variants import OF_WEIGHTS, Change, changes_of, codes_after, intact
from xaibench.errors import NotApplicable
from xaibench.protocols import MetricFacts, OfChange
from xaibench.values import Explained

from .apply import Inputs, MetricPart
from .quantities import require_artefact, required_arrays
from .records import RecordGroup
from .source import Source, controlled, explained_of, own_spec


def change_parts(
    source: Source, record: RecordGroup, facts: MetricFacts, kind: OfChange
) -> Iterator[MetricPart]:
    """A part per layer where weights are re-initialised layer by layer, else a single one."""
    if kind.change == "seed":
        yield record, partial(_seed_inputs, source, record, facts)
        return
    require_artefact(source.work, own_spec(source.work, record))
    for change in changes_of(source.work, record.metric, record.model):
        own = replace(record, operator=change.layer)
        yield own, partial(_variant_inputs, source, own, facts, change)


def _variant_inputs(
    source: Source, record: RecordGroup, facts: MetricFacts, change: Change
) -> Iterator[Inputs]:
    """The map of the intact sequences and model, and one per draw of the change."""
    work = source.work
    where = (work, record.trained, record.method)
    base: dict[str, np.ndarray] = {}
    if change.kind in OF_WEIGHTS:
        base = required_arrays(work, explained_spec(*where, intact(change)))
    arrays = required_arrays(work, explained_spec(*where, change))
    scores, hypothetical = arrays["scores"], arrays.get("hypothetical")
    original = explained_of(work, record, facts.target).take(np.arange(scores.shape[1]))
    if hypothetical is not None:
        original = replace(original, hypothetical=base["hypothetical"][0])
    changed = []
    for draw, each in enumerate(scores):
        codes = codes_after(original.sequences.codes, change, draw, work.plan.data_seed)
        sequences = replace(original.sequences, codes=codes)
        bases = None if hypothetical is None else hypothetical[draw]
        one = controlled(work, replace(original, scores=each, hypothetical=bases), record.control)
        changed.append(replace(one, sequences=sequences))
    yield _inputs_of_change(controlled(work, original, record.control), changed)


def _seed_inputs(source: Source, record: RecordGroup, facts: MetricFacts) -> Iterator[Inputs]:
    """The map of one trained model, and those of the other seeds."""
    work, every = source.work, seeds_of(source.work.plan, record.model)
    if len(every) == 1:
        raise NotApplicable("there is one replicate, and no other to agree with")
    if replicates_share_scores(work, record.model, record.method):
        raise NotApplicable(
            "scores made elsewhere cannot follow other seeds: the same is of several of them; name "
            "one per replicate by path: [FILE, FILE]"
        )
    seeds = [record.seed, *(seed for seed in every if seed != record.seed)]
    records = [replace(record, seed=seed) for seed in seeds]
    for each in records:
        require_artefact(work, own_spec(work, each))
    own, *others = (
        controlled(work, explained_of(work, each, facts.target), record.control) for each in records
    )
    yield _inputs_of_change(own, others)


def _inputs_of_change(explained: Explained, changed: list[Explained]) -> Inputs:
    names = explained.sequences.names
    return Inputs.at_once(names, np.ones(len(names), bool), explained, tuple(changed))
