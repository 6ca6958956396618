"""Kept artefacts -> records: every metric of the plan on every explanation, curve and change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from xaibench.artefacts.artefact import arrays_of, looked_at
from xaibench.artefacts.explanations import OF_WEIGHTS
from xaibench.artefacts.job import Work, facts_of, is_explained
from xaibench.artefacts.model_checks import unusable
from xaibench.artefacts.models import model_spec, predictions_spec
from xaibench.explanation.controls import ORACLE, PRIORS, RANDOM
from xaibench.nn.outputs import quantity
from xaibench.protocols import MetricFacts

from .curves import of_curves
from .maps import of_effects, of_explanation
from .quantities import problem
from .records import Block
from .source import Source
from .variants import of_change

OF_ORACLE = ("", "negated", "blurred")
"""What is made of the oracle's map, for the self-test of a metric."""


def of_model(work: Work, model: str, seed: int) -> Iterator[Block]:
    """All records of one model under one seed."""
    here = Block(model, seed)
    untrained = problem(work, here, model_spec(work, model, seed))
    untrained = untrained or _unusable(work, here)
    if untrained:
        yield replace(untrained, metric="training")
        return
    yield _accuracy(work, here)
    if not is_explained(work.plan, model):
        return
    for method, control in _sources(work):
        block = replace(here, method=method, control=control)
        source = Source(looked_at(work, model, method), block, looked_at(work, model))
        for label in work.plan.metrics:
            facts = facts_of(work, label)
            if _is_asked(facts, source.block):
                block = replace(source.block, metric=label)
                yield from _MEASURED[facts.of](source, block, label, facts)


def _unusable(work: Work, here: Block) -> Block | None:
    """The block that says why a trained model gives no numbers."""
    why = unusable(work, here.model, here.seed)
    return None if why is None else replace(here, status=why[0], reason=why[1])


def _accuracy(work: Work, here: Block) -> Block:
    """1 where a test sequence is classified as labelled, else 0: of the whole test split."""
    spec = predictions_spec(work, here.model, here.seed)
    why = problem(work, here, spec)
    if why:
        return replace(why, metric="accuracy")
    outputs = arrays_of(work, spec)["logits"]
    test = work.splits.test
    right = quantity("accuracy", outputs, test.labels, test.labels)
    return replace(here, metric="accuracy", sequences=test.names, values=right)


def _sources(work: Work) -> Iterator[tuple[str, str]]:
    """Whose maps are measured, and what is made of them."""
    yield RANDOM, ""
    if work.plan.controlled:
        yield from ((ORACLE, control) for control in OF_ORACLE)
        yield from ((prior, "") for prior in PRIORS)
    for method in work.plan.attribution:
        yield method, ""
        if work.plan.controlled:
            yield from ((method, control) for control in work.plan.controls)


def _is_asked(facts: MetricFacts, source: Block) -> bool:
    """Whether a metric looks at the maps of a source."""
    own = source.method not in (RANDOM, ORACLE, *PRIORS)
    if facts.of == "change":
        of_weights = facts.change in OF_WEIGHTS  # compared by base, where a mean map has nothing
        return own and source.control in ("" if of_weights else "mean map", "")
    if facts.of == "curves" and facts.curve == "retrained":
        return source.method not in (ORACLE, *PRIORS) and not source.control
    if facts.of == "curves":
        forward = facts.curve == "replaced" and not facts.needs_least_relevant_first
        controlled = not source.control or source.method == ORACLE or forward
        return source.method not in PRIORS and controlled
    if facts.needs_motif:
        return source.method not in PRIORS or not facts.needs_sign
    if facts.of == "effects":
        return source.method not in PRIORS
    return not source.control and (own or source.method == RANDOM)


_MEASURED: dict[str, Callable[[Source, Block, str, MetricFacts], Iterator[Block]]] = {
    "curves": of_curves,
    "explanation": of_explanation,
    "effects": of_effects,
    "change": of_change,
}
