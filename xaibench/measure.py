"""Kept artefacts -> records: every metric of the plan on every explanation, curve and change."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.cells.courses import Course, orders
from xaibench.cells.effects import asked_by, effects_of, effects_spec
from xaibench.cells.explaining import (
    OF_WEIGHTS,
    UNCHANGED,
    Change,
    changed_codes,
    changes_of,
    explained_spec,
    intact,
)
from xaibench.cells.keeping import arrays_of, first, looked_at
from xaibench.cells.replacing import followed
from xaibench.cells.retraining import retrainings_of
from xaibench.cells.training import model_spec, predictions_spec
from xaibench.controls import (
    CONTROLS,
    ORACLE,
    PRIORS,
    RANDOM,
    is_map,
    oracle_of_truth,
    prior_maps,
    random_maps,
)
from xaibench.curves import quantity
from xaibench.errors import NotApplicable
from xaibench.lines import Line, lines_of, problem, retrained_line
from xaibench.protocols import MetricFacts, method_facts
from xaibench.records import Block
from xaibench.registry import load
from xaibench.store import FAILED, NOT_APPLICABLE, Spec
from xaibench.values import Curves, Explained
from xaibench.work import Work, facts_of, found, is_explained, seeds_of

OF_ORACLE = ("", "negated", "blurred")
"""What is made of the oracle's map, for the self-test of a metric."""


def of_model(work: Work, model: str, seed: int) -> Iterator[Block]:
    """All records of one model under one seed."""
    here = Block(model, seed)
    untrained = problem(work, here, model_spec(work, model, seed))
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


@dataclass(frozen=True, slots=True)
class Source:
    """Whose maps are measured, and what is made of them; each is made once for all metrics.

    ``work`` is on the sequences that the source explains, ``whole`` on all
    that are explained of its model.
    """

    work: Work
    block: Block
    whole: Work
    made: dict[str, tuple[list[Explained], Block | None]] = field(default_factory=dict)

    def maps(self, here: Block, target: str) -> tuple[list[Explained], Block | None]:
        """The maps, one a draw; or the block that says why there are none."""
        if target not in self.made:
            self.made[target] = _maps(self.work, self.block, target)
        found, why = self.made[target]
        return found, why and replace(why, metric=here.metric)


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


# Curves


def _of_curves(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
    work = source.work
    operators = [""] if facts.curve == "imputed" else list(work.plan.operators)
    if facts.curve == "retrained":
        operators = [work.plan.metrics[label].options["operator"]]
    for operator in operators:
        for which in facts.quantities:
            name = label if len(facts.quantities) == 1 else f"{label}_{which}"
            block = replace(here, metric=name, operator=operator)
            pairs, why = _pairs(work, block, label, facts, which)
            if why:
                yield why
            for repeat, pair in enumerate(pairs):
                yield _of_pair(work, replace(block, repeat=repeat), label, facts, pair)


Pair = tuple[tuple[float, ...], Line, Line | None]
"""Fractions, and the lines of replacing the most and the least relevant first."""


def _of_pair(work: Work, here: Block, label: str, facts: MetricFacts, pair: Pair) -> Block:
    fractions, most, least = pair
    course = Course(here.method, here.operator, control=here.control, kind=facts.curve)
    has_map = followed(work, here.model, here.seed, course)[: most.shape[1]]
    if not has_map.any():
        return _no_map(here)
    left = None if least is None else least[:, has_map]
    value = Curves(np.asarray(fractions), most[:, has_map], left)
    return _measured(work, here, label, work.chosen.names[: len(has_map)], has_map, value)


def _pairs(
    work: Work, here: Block, label: str, facts: MetricFacts, which: str
) -> tuple[list[Pair], Block | None]:
    """The most and the least relevant first lines of a source, one pair a draw; or the block that
    says why there are none. A random order is its own reverse."""
    if facts.curve == "retrained":
        wanted = retrainings_of(work, label)
        line, why = retrained_line(work, here, wanted, which)
        return ([] if line is None else [(tuple(w.fraction for w in wanted), line, None)]), why
    sets = []
    orders_wanted = orders(work, facts.curve)
    if here.method == RANDOM or (here.control and here.method != ORACLE):
        orders_wanted = orders_wanted[:1]
    for order in orders_wanted:
        course = Course(here.method, here.operator, order, here.control, facts.curve)
        lines, why = lines_of(work, here, course, which)
        if why:
            return [], why
        sets.append(lines)
    fractions = work.plan.fractions
    if here.method == RANDOM:
        return [(fractions, line, line) for line in sets[0]], None
    least = sets[1][0] if len(sets) > 1 else None
    return [(fractions, sets[0][0], least)], None


# Maps


def _of_explanation(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
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
        yield _of_map(work, replace(here, repeat=repeat), label, _rows(explained, rows))


def _of_map(work: Work, here: Block, label: str, explained: Explained, *beside: Any) -> Block:
    """A metric of one map; what a control could make no map of has no value."""
    has_map = is_map(explained.scores, explained.sequences.valid)
    if not has_map.any():
        return _no_map(here)
    part = explained if has_map.all() else _rows(explained, np.flatnonzero(has_map))
    return _measured(work, here, label, explained.sequences.names, has_map, part, *beside)


def _of_effects(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
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
        maps: list[Explained] = [_controlled(work, truth, here.control)]
    else:
        maps, why = source.maps(here, facts.target)
        if why:
            yield why
            return
    for repeat, explained in enumerate(maps):
        part = _rows(explained, np.arange(len(some.chosen)))
        yield _of_map(work, replace(here, repeat=repeat), label, part, effects)


def _maps(work: Work, here: Block, target: str) -> tuple[list[Explained], Block | None]:
    """The maps of a source, one a draw; or the block that says why there are none."""
    chosen = work.chosen
    if here.method == RANDOM:
        drawn = random_maps(chosen, work.plan.random_draws, work.plan.data_seed)
        return [Explained(chosen, each, chosen.labels, signed=False) for each in drawn], None
    if here.method in PRIORS:
        prior = prior_maps(here.method, chosen)
        return [Explained(chosen, prior, chosen.labels, signed=False)], None
    if here.method == ORACLE:
        truth = Explained(chosen, oracle_of_truth(chosen), chosen.labels, signed=True)
        return [_controlled(work, truth, here.control)], None
    why = problem(work, here, own_spec(work, here))
    if why:
        return [], why
    return [_controlled(work, _explained(work, here, target), here.control)], None


def _controlled(work: Work, explained: Explained, control: str) -> Explained:
    """What a control makes of a map; the map itself without one."""
    if not control:
        return explained
    make = CONTROLS[control]
    seed = work.plan.data_seed
    scores = make(explained.scores, explained.sequences, explained.targets, seed)
    return replace(explained, scores=scores)


# Changes


def _of_change(source: Source, here: Block, label: str, facts: MetricFacts) -> Iterator[Block]:
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
    original = _rows(
        _explained(work, here, facts_of(work, label).target), np.arange(scores.shape[1])
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
        changed.append(replace(_controlled(work, one, here.control), sequences=sequences))
    compared = _controlled(work, original, here.control)
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
        _controlled(work, _explained(work, block, facts.target), here.control) for block in blocks
    )
    return _compared(work, here, label, own, others)


def _compared(
    work: Work, here: Block, label: str, explained: Explained, changed: list[Explained]
) -> Block:
    names = explained.sequences.names
    return _measured(work, here, label, names, np.ones(len(names), bool), explained, tuple(changed))


# What all have in common


def _explained(work: Work, here: Block, target: str) -> Explained:
    arrays = arrays_of(work, own_spec(work, here))
    plugin = load("attribution", work.plan.attribution[here.method].use, work.job.plugins)
    signed = method_facts(plugin.call).signed
    if target == "label":
        return Explained(work.chosen, arrays["scores_of_label"], work.chosen.labels, signed)
    return Explained(work.chosen, arrays["scores"], arrays["targets"], signed)


def own_spec(work: Work, here: Block) -> Spec:
    """The spec of a method's explanation of the intact sequences."""
    return explained_spec(work, here.model, here.seed, here.method, UNCHANGED)


def _rows(explained: Explained, rows: NDArray[np.intp]) -> Explained:
    return Explained(
        explained.sequences.take(rows),
        explained.scores[rows],
        explained.targets[rows],
        explained.signed,
    )


def _no_map(here: Block) -> Block:
    reason = f"the control {here.control!r} could be made of no sequence"
    return replace(here, status=NOT_APPLICABLE, reason=reason)


def _measured(
    work: Work,
    here: Block,
    label: str,
    names: tuple[str, ...],
    has_map: NDArray[np.bool_],
    *compared: Any,
) -> Block:
    """The values of one metric, or why there are none; NaN for sequences without a map.

    ``compared`` holds what the metric is called with, of the sequences that have one.
    """
    use = work.plan.metrics[label]
    plugin, options = found(work, "metrics", use)
    values = np.full(len(names), np.nan)
    try:
        measured = np.asarray(plugin.call(*compared, **options), dtype=np.float64)
        if measured.shape != (int(has_map.sum()),):
            wanted = f"({int(has_map.sum())},)"
            raise ValueError(f"wanted one number a sequence, {wanted}, got {measured.shape}")
        values[has_map] = measured
    except NotApplicable as reason:
        return replace(here, status=NOT_APPLICABLE, reason=str(reason))
    except Exception as error:
        return replace(here, status=FAILED, reason=f"{type(error).__name__}: {error}")
    count = use.options["sequences"] or len(names)
    return replace(here, sequences=names[:count], values=values[:count])


_MEASURED: dict[str, Callable[[Source, Block, str, MetricFacts], Iterator[Block]]] = {
    "curves": _of_curves,
    "explanation": _of_explanation,
    "effects": _of_effects,
    "change": _of_change,
}
