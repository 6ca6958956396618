"""Kept artefacts -> records: every metric of the plan on every explanation, curve and change."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench import curves
from xaibench.cells import (
    UNCHANGED,
    arrays_of,
    change_of,
    changed,
    curve_spec,
    explained_spec,
    explained_targets,
    model_spec,
    orders,
    predictions_spec,
)
from xaibench.controls import RANDOM, random_maps
from xaibench.errors import NotApplicable
from xaibench.protocols import MetricFacts, method_facts
from xaibench.records import Block
from xaibench.registry import load
from xaibench.shapes import Logits, Scores
from xaibench.store import FAILED, NOT_APPLICABLE, OK, Spec
from xaibench.values import Curves, Explained
from xaibench.work import Work, facts_of, found


def of_model(work: Work, model: str, seed: int) -> Iterator[Block]:
    """All records of one model under one seed."""
    here = Block(model, seed)
    status, reason = work.store.outcome(model_spec(work, model, seed))
    if status != OK:
        yield replace(here, metric="training", status=status, reason=reason)
        return
    yield _accuracy(work, here)
    for source in (RANDOM, *work.plan.attribution):
        yield from _of_source(work, replace(here, method=source))


def _accuracy(work: Work, here: Block) -> Block:
    """1 where a test sequence is classified as labelled, else 0: of the whole test split."""
    outputs = arrays_of(work, predictions_spec(work, here.model, here.seed))["logits"]
    test = work.splits.test
    right = (outputs.argmax(axis=1) == test.labels).astype(np.float64)
    return replace(here, metric="accuracy", sequences=test.names, values=right)


def _of_source(work: Work, here: Block) -> Iterator[Block]:
    """The records of one method, or of the random control."""
    for label in work.plan.metrics:
        facts = facts_of(work, label)
        block = replace(here, metric=label)
        if facts.of == "curves":
            yield from _of_curves(work, block, label)
        elif facts.of == "explanation":
            yield from _of_explanation(work, block, label, facts)
        elif here.method != RANDOM:
            yield from _of_change(work, block, label, facts)


def _of_curves(work: Work, here: Block, label: str) -> Iterator[Block]:
    for operator in work.plan.operators:
        for name in curves.QUANTITIES:
            block = replace(here, metric=f"{label}_{name}", operator=operator)
            lines, problem = lines_of(work, block, name)
            if problem:
                yield problem
            for repeat, (most, least) in enumerate(lines):
                value = Curves(np.asarray(work.plan.fractions), most, least)
                at = replace(block, repeat=repeat)
                yield _measured(work, at, label, work.chosen.names, value)


Line = NDArray[np.float64]
"""``(step, sequence)``: one quantity along one order."""


def lines_of(
    work: Work, here: Block, quantity: str
) -> tuple[list[tuple[Line, Line | None]], Block | None]:
    """The most and the least relevant first lines of a source under an operator, one pair a draw;
    or the block that says why there are none. A random order is its own reverse."""
    wanted = orders(work)
    if here.method == RANDOM:
        wanted = ["random"] * bool(wanted)
    problem = None if here.method == RANDOM else _problem(work, here, _own_spec(work, here))
    if problem:
        return [], problem
    lines: list[Line] = []
    for order in wanted:
        spec = curve_spec(work, here.model, here.seed, here.method, here.operator, order)
        problem = _problem(work, here, spec)
        if problem:
            return [], problem
        lines.append(_line(work, arrays_of(work, spec)["logits"], quantity))
    if not lines:
        return [], None
    if here.method == RANDOM:
        return [(line, line) for line in lines[0]], None
    return [(lines[0], lines[1] if len(lines) > 1 else None)], None


def _line(work: Work, outputs: Logits, quantity: str) -> Line:
    """Kept logits ``(..., step, sequence, class)`` as one quantity ``(..., step, sequence)``."""
    intact = outputs[(0,) * (outputs.ndim - 2)]
    targets = explained_targets(work, intact)
    return curves.quantity(quantity, outputs, targets, work.chosen.labels)


def _of_explanation(work: Work, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    """Metrics of one map; those that need the motif look at the sequences that carry it."""
    motif = work.chosen.inside_motif
    if facts.needs_motif and motif is None:
        yield replace(here, status=NOT_APPLICABLE, reason="motif positions are not known")
        return
    problem = None if here.method == RANDOM else _problem(work, here, _own_spec(work, here))
    if problem:
        yield problem
        return
    rows = np.arange(len(work.chosen))
    if motif is not None and facts.needs_motif:
        rows = np.flatnonzero(motif.any(axis=1))
    for repeat, explained in enumerate(_explanations(work, here, facts.target)):
        part = _rows(explained, rows)
        at = replace(here, repeat=repeat)
        yield _measured(work, at, label, part.sequences.names, part)


def _explanations(work: Work, here: Block, target: str) -> list[Explained]:
    """The explanation of a method, or the maps of the random control."""
    if here.method != RANDOM:
        return [_explained(work, here, target)]
    maps = random_maps(work.chosen, work.plan.random_draws, work.plan.data_seed)
    return [Explained(work.chosen, each, work.chosen.labels, signed=False) for each in maps]


def _of_change(work: Work, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    """Stability: an explanation beside those that another seed or a changed sequence made."""
    specs = [_own_spec(work, here)]
    if facts.change == "seed":
        seeds = [seed for seed in work.plan.seeds if seed != here.seed]
        specs += [_own_spec(work, replace(here, seed=seed)) for seed in seeds]
    else:
        change = change_of(work, label)
        specs.append(explained_spec(work, here.model, here.seed, here.method, change))
    problem = next(filter(None, (_problem(work, here, spec) for spec in specs)), None)
    if problem:
        yield problem
        return
    first = _explained(work, here, facts.target)
    if facts.change == "seed":
        others = [_explained(work, replace(here, seed=seed), facts.target) for seed in seeds]
    else:
        scores = arrays_of(work, specs[1])["scores"]
        first = _rows(first, np.arange(scores.shape[1]))
        others = [_changed(work, first, each, label, draw) for draw, each in enumerate(scores)]
    yield _measured(work, here, label, first.sequences.names, first, tuple(others))


def _changed(work: Work, first: Explained, scores: Scores, label: str, draw: int) -> Explained:
    """The explanation of a changed sequence, on the positions of the intact one."""
    codes = first.sequences.codes
    if change_of(work, label).kind == "substitutions":
        codes, _ = changed(codes, None, "substitutions", draw, work.plan.data_seed)
    return replace(first, sequences=replace(first.sequences, codes=codes), scores=scores)


def _explained(work: Work, here: Block, target: str) -> Explained:
    arrays = arrays_of(work, _own_spec(work, here))
    plugin = load("attribution", work.plan.attribution[here.method].use, work.job.plugins)
    signed = method_facts(plugin.call).signed
    if target == "label":
        return Explained(work.chosen, arrays["scores_of_label"], work.chosen.labels, signed)
    return Explained(work.chosen, arrays["scores"], arrays["targets"], signed)


def _own_spec(work: Work, here: Block) -> Spec:
    return explained_spec(work, here.model, here.seed, here.method, UNCHANGED)


def _rows(explained: Explained, rows: NDArray[np.intp]) -> Explained:
    return Explained(
        explained.sequences.take(rows),
        explained.scores[rows],
        explained.targets[rows],
        explained.signed,
    )


def _problem(work: Work, here: Block, spec: Spec) -> Block | None:
    """The block that says why an artefact holds nothing; None where it holds something."""
    if not work.store.path(spec).is_dir():
        return replace(here, status=FAILED, reason="not computed")
    status, reason = work.store.outcome(spec)
    return None if status == OK else replace(here, status=status, reason=reason)


def _measured(work: Work, here: Block, label: str, names: tuple[str, ...], *compared: Any) -> Block:
    """The values of one metric, or why there are none."""
    use = work.plan.metrics[label]
    plugin, options = found(work, "metrics", use)
    try:
        values = np.asarray(plugin.call(*compared, **options), dtype=np.float64)
        if values.shape != (len(names),):
            raise ValueError(f"wanted one number a sequence, ({len(names)},), got {values.shape}")
    except NotApplicable as reason:
        return replace(here, status=NOT_APPLICABLE, reason=str(reason))
    except Exception as error:
        return replace(here, status=FAILED, reason=f"{type(error).__name__}: {error}")
    count = use.options["sequences"] or len(names)
    return replace(here, sequences=names[:count], values=values[:count])
