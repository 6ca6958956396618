"""Metrics of one map, alone or beside true effects."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xaibench.artefacts.artefact import first
from xaibench.artefacts.effects import asked_by, effects_of, effects_spec
from xaibench.artefacts.job import Work
from xaibench.explanation.controls import ORACLE, RANDOM, is_map
from xaibench.protocols import MetricFacts
from xaibench.storage.artefacts import NOT_APPLICABLE
from xaibench.values import Explained, Subsets, Substitutions

from .apply import measured, without_map
from .quantities import problem
from .records import Block
from .source import Source, controlled, rows_of


def of_explanation(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    """Metrics of one map; those that need the motif look at the sequences that carry it."""
    work = source.work
    motif = work.chosen.inside_motif
    if facts.needs_motif and motif is None:
        yield replace(here, status=NOT_APPLICABLE, reason="motif positions are not known")
        return
    maps, why = source.maps(here, facts.target)
    if why:
        yield why
        return
    if facts.needs_sign and here.method == RANDOM:
        maps = [replace(each, scores=each.scores - 0.5, signed=True) for each in maps]
    rows = np.arange(len(work.chosen))
    if motif is not None and facts.needs_motif:
        rows = np.flatnonzero(motif.any(axis=1))
    if not len(rows):
        reason = "no explained sequence carries a motif of its class"
        yield replace(here, status=NOT_APPLICABLE, reason=reason)
        return
    for repeat, explained in enumerate(maps):
        yield _of_map(work, replace(here, repeat=repeat), label, rows_of(explained, rows))


def _of_map(
    work: Work,
    here: Block,
    label: str,
    explained: Explained,
    *effects: Substitutions | Subsets,
) -> Block:
    """A metric of one map, alone or beside the effects on its sequences; a sequence that a control
    could make no map of has no value."""
    has_map = is_map(explained.scores, explained.sequences.valid)
    if not has_map.any():
        return without_map(here)
    rows = np.flatnonzero(has_map)
    of_rows = (each.take(rows) for each in effects)
    names, part = explained.sequences.names, rows_of(explained, rows)
    return measured(work, here, label, names, has_map, part, *of_rows)


def of_effects(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    """Metrics of one map beside what the model loses by edits that are the same for all maps."""
    work = source.work
    wanted = asked_by(work, label)
    assert wanted is not None  # for the type checker: facts.of says so
    spec = effects_spec(source.whole, here.model, here.seed, wanted)
    why = problem(work, here, spec)
    if why:
        yield why
        return
    some = first(work, wanted.sequences)
    effects, oracle = effects_of(work, spec, len(some.chosen))
    if here.method == ORACLE:
        truth = Explained(some.chosen, oracle, some.chosen.labels, signed=True)
        maps: list[Explained] = [controlled(work, truth, here.control)]
    else:
        maps, why = source.maps(here, facts.target)
        if why:
            yield why
            return
    for repeat, explained in enumerate(maps):
        part = rows_of(explained, np.arange(len(some.chosen)))
        yield _of_map(work, replace(here, repeat=repeat), label, part, effects)
