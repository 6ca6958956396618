"""Stability: an explanation beside those of another seed, a changed sequence, other weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import (
    OF_WEIGHTS,
    Change,
    changed_codes,
    changes_of,
    explained_spec,
    intact,
)
from xaibench.artefacts.job import Work, facts_of, seeds_of
from xaibench.protocols import MetricFacts
from xaibench.storage.artefacts import NOT_APPLICABLE, Spec
from xaibench.values import Explained

from .apply import measured
from .quantities import problem
from .records import Block
from .source import Source, controlled, explained_of, own_spec, rows_of


def of_change(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    """Stability: an explanation beside those that another seed or a changed sequence made."""
    work = source.work
    if facts.change == "seed":
        yield _of_seeds(work, here, label, facts)
        return
    why = problem(work, here, own_spec(work, here))
    if why:
        yield why
        return
    for change in changes_of(work, label, here.model):
        block = replace(here, operator=change.layer)
        spec = explained_spec(work, here.model, here.seed, here.method, change)
        base = own_spec(work, here)
        if change.kind in OF_WEIGHTS:
            base = explained_spec(work, here.model, here.seed, here.method, intact(change))
        why = problem(work, block, base) or problem(work, block, spec)
        yield why or _of_one_change(work, block, label, change, spec)


def _of_one_change(work: Work, here: Block, label: str, change: Change, spec: Spec) -> Block:
    arrays = arrays_of(work, spec)
    scores, hypothetical = arrays["scores"], arrays.get("hypothetical")
    original = rows_of(
        explained_of(work, here, facts_of(work, label).target), np.arange(scores.shape[1])
    )
    if hypothetical is not None:
        base = explained_spec(work, here.model, here.seed, here.method, intact(change))
        original = replace(original, hypothetical=arrays_of(work, base)["hypothetical"][0])
    changed = []
    for draw, each in enumerate(scores):
        codes = original.sequences.codes
        if change.kind in ("substitutions", "hamming_ball"):
            codes = changed_codes(codes, change, draw, work.plan.data_seed)
        sequences = replace(original.sequences, codes=codes)
        bases = None if hypothetical is None else hypothetical[draw]
        one = replace(original, scores=each, hypothetical=bases)
        changed.append(replace(controlled(work, one, here.control), sequences=sequences))
    compared = controlled(work, original, here.control)
    return _compared(work, here, label, compared, changed)


def _of_seeds(work: Work, here: Block, label: str, facts: MetricFacts) -> Block:
    every = seeds_of(work.plan, here.model)
    if len(every) == 1:
        reason = "there is one seed, and no other to agree with"
        return replace(here, status=NOT_APPLICABLE, reason=reason)
    seeds = [here.seed, *(seed for seed in every if seed != here.seed)]
    blocks = [replace(here, seed=seed) for seed in seeds]
    lacking = (problem(work, here, own_spec(work, block)) for block in blocks)
    why = next(filter(None, lacking), None)
    if why:
        return why
    own, *others = (
        controlled(work, explained_of(work, block, facts.target), here.control) for block in blocks
    )
    return _compared(work, here, label, own, others)


def _compared(
    work: Work, here: Block, label: str, explained: Explained, changed: list[Explained]
) -> Block:
    names = explained.sequences.names
    return measured(work, here, label, names, np.ones(len(names), bool), explained, tuple(changed))
