"""Logits while positions are replaced in the order of a map: of a method, a control, the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import product
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import replacement
from xaibench.dna.imputation import DinucleotideChain, fit_dinucleotide_chain, imputed
from xaibench.errors import ModelError, NotApplicable
from xaibench.explanation.controls import CONTROLS, ORACLE, RANDOM, is_map, random_maps
from xaibench.nn import outputs
from xaibench.nn.inference import batch_rows, device_of, logits
from xaibench.randomness import streams
from xaibench.shapes import Codes, Logits, Scores
from xaibench.storage import arrays
from xaibench.storage.artefacts import Spec, key
from xaibench.values import N, Sequences

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    ModelSizes,
    arrays_of,
    identified,
    of_arrays,
    print_of,
)
from .curve_keys import CurveKey, curve_keys, curve_subset, evaluators, require_other_models
from .donors import donor_of, replaces_tokens
from .explanations import explained_artefact, explained_spec, scores_of_label
from .job import Work, remembered
from .model_checks import unusable, usable
from .models import model_artefact, model_spec
from .oracle import Oracle, oracle_artefact, oracle_spec
from .subsets import subset
from .token_steps import TokenSteps
from .trained_models import TrainedModel

AXES = "path, step, sequence, class"
"""Of the logits of every curve. A path is a draw of the random control, or an evaluator model; of
other curves there is one. In the spec, so that arrays with other axes count as absent."""


@remembered
def curve_spec(work: Work, trained: TrainedModel, curve: CurveKey) -> Spec:
    """The spec of a curve as it is computed."""
    plan, curve = work.plan, curve.computed_as
    own = curve.method not in (RANDOM, ORACLE)
    spec: dict[str, Any] = {
        "kind": "curve",
        "axes": AXES,
        "model": key(model_spec(work, trained)),
        "scores": key(explained_spec(work, trained, curve.method)) if own else None,
        "draws": plan.random_draws if curve.method == RANDOM else None,
        "sequences": print_of(curve_subset(work, trained, curve).codes),
        "operator": _operator(work, curve),
        "order": "random" if curve.method == RANDOM else curve.order,
        "fractions": plan.fractions,
        "data_seed": plan.data_seed,
    }
    if curve.method == ORACLE:
        spec["oracle"] = key(oracle_spec(work, trained, Oracle.of(work, curve)))
    if curve.control:
        spec["control"] = curve.control
    if curve.kind == "imputed":
        spec["data"] = work.data
    if plan.precision != "float32":
        spec["precision"] = plan.precision
    if curve.kind == "other_models":
        others = evaluators(work, trained, curve)
        spec["evaluators"] = [key(model_spec(work, other)) for other in others]
    return spec


def _operator(work: Work, curve: CurveKey) -> Any:
    """What replaces, for a spec."""
    if curve.kind == "imputed":
        return curve.kind
    return identified(work, "operators", work.plan.operators[curve.operator])


def curve_artefacts(work: Work, trained: TrainedModel, source: str) -> Iterator[Artefact]:
    """Every curve of a method, of the random control or of the oracle."""
    for curve in curve_keys(work, source):
        yield curve_artefact(work, trained, curve)


def curve_artefact(work: Work, trained: TrainedModel, curve: CurveKey) -> Artefact:
    """The logits of one curve, with ``AXES``; made only where there is a map."""
    sequences, models = curve_subset(work, trained, curve), evaluators(work, trained, curve)

    def make(memory: Memory) -> Arrays:
        if curve.kind == "other_models":
            require_other_models(work, trained)
        maps = OrderedMaps(memory, trained, curve)
        starts = [_start_of(memory, each, sequences) for each in models]
        made: Arrays = {"logits": _curves_along(starts, maps, curve)}
        if curve.control:
            made["is_map"] = is_map(maps.part(slice(0, len(sequences)))[0], sequences.valid).astype(
                np.uint8
            )
        return made

    def cost(_: ModelSizes) -> Cost:
        """Passes for the steps between the ends; these are shared."""
        steps, classes = len(work.plan.fractions), len(work.splits.train.class_names)
        count = len(sequences) * (work.plan.random_draws if curve.method == RANDOM else 1)
        passes = Counter({(each.name, "curves"): count * (steps - 2) for each in models})
        return Cost(passes, stored=len(models) * steps * count * classes * 4)

    needs = tuple(map_specs(work, trained, curve))
    return of_arrays(curve_spec(work, trained, curve), make, cost, needs)


# The maps


def _map_artefacts(work: Work, trained: TrainedModel, curve: CurveKey) -> list[Artefact]:
    """What the map of a curve is stored in; nothing for the random control."""
    if curve.method == RANDOM:
        return []
    if curve.method == ORACLE:
        return [oracle_artefact(work, trained, Oracle.of(work, curve))]
    return [explained_artefact(work, trained, curve.method)]


def map_specs(work: Work, trained: TrainedModel, curve: CurveKey) -> list[Spec]:
    """The specs of what the map of a curve is stored in."""
    return [artefact.spec for artefact in _map_artefacts(work, trained, curve)]


def has_map(work: Work, trained: TrainedModel, curve: CurveKey) -> NDArray[np.bool_]:
    """``(sequence,)``: False where a control could be made of no map."""
    if not curve.computed_as.control or curve.method == ORACLE:
        return np.ones(len(curve_subset(work, trained, curve)), bool)
    held = arrays_of(work, curve_spec(work, trained, curve))
    known: NDArray[np.bool_] = held["is_map"].astype(bool)
    return known


class OrderedMaps:
    """The maps whose order a curve has: one, or the ``draws`` of the random control."""

    def __init__(self, memory: Memory, trained: TrainedModel, curve: CurveKey) -> None:
        plan = memory.work.plan
        self._sequences, self._seed = curve_subset(memory.work, trained, curve), plan.data_seed
        self._map = None if curve.method == RANDOM else map_of(memory, trained, curve)
        self.draws = plan.random_draws if self._map is None else 1

    def part(self, part: slice) -> list[Scores]:
        """Those of a part of the sequences. Random ones are drawn for the part: of all, they are
        the largest thing in memory."""
        if self._map is None:
            rows = np.arange(part.start, part.stop)
            return list(random_maps(self._sequences.take(rows), self.draws, self._seed))
        return [self._map[part]]


def map_of(memory: Memory, trained: TrainedModel, curve: CurveKey) -> Scores:
    """The map whose order a curve has, of its sequences.

    Controls are made from the maps of all explained sequences.
    """
    work, sequences = memory.work, curve_subset(memory.work, trained, curve)
    (artefact,) = _map_artefacts(work, trained, curve)
    held = memory.value(artefact)
    if curve.method == ORACLE:
        explained, targets = sequences, sequences.labels
        scores: Scores = held["scores"]
    else:
        explained, targets = subset(work, trained.name, curve.method), held["targets"]
        of_label = curve.kind == "other_models"
        scores = scores_of_label(held) if of_label else held["scores"]
    if curve.control:
        make = CONTROLS[curve.control]
        scores = make(scores, explained, targets, work.plan.data_seed)
    return scores[: len(sequences)]


# The passes


class Replaced(NamedTuple):
    """What an operator puts in ``(sequence, position)``, and the logits once it is everywhere."""

    donor: Codes
    end: Logits


class Start:
    """A model and the sequences before anything is replaced; what all curves share of them."""

    def __init__(self, work: Work, sequences: Sequences, classifier: Any) -> None:
        self.work, self.sequences, self.classifier = work, sequences, classifier
        self._replaced: dict[str, Replaced] = {}
        self._tokens: dict[str, TokenSteps] = {}

    @cached_property
    def intact(self) -> Logits:
        """``(sequence, class)``."""
        outputs = logits(self.classifier, self.sequences.codes)
        arrays.release(self.sequences.codes)
        return outputs

    @cached_property
    def chain(self) -> DinucleotideChain:
        """What bases follow each other in the data, for imputation."""
        return fit_dinucleotide_chain(self.work.splits.background.codes)

    def replaced(self, operator: str) -> Replaced:
        """By one of the plan's operators."""
        if operator not in self._replaced:
            codes = self.sequences.codes
            donor = arrays.empty(codes.shape, np.uint8, self.work.store.root)
            end = np.empty_like(self.intact)
            for part in self._parts():
                own = codes[part]
                donor[part] = donor_of(self.work, operator, own)
                end[part] = logits(self.classifier, np.where(own < N, donor[part], own))
                arrays.release(donor, codes)
            self._replaced[operator] = Replaced(donor, end)
        return self._replaced[operator]

    def parts(self, curve: CurveKey) -> Iterator[slice]:
        """Of the sequences, as many as are computed together; all where tokens are replaced."""
        if replaces_tokens(self.work, curve.operator):
            return iter([slice(0, len(self.sequences))])
        return self._parts()

    def _parts(self) -> Iterator[slice]:
        count, length = self.sequences.codes.shape
        rows = batch_rows(length, device_of(self.classifier))
        return arrays.parts(count, length, together=rows)

    def tokens(self, operator: str) -> TokenSteps:
        """By one of the plan's operators that replace tokens."""
        if operator not in self._tokens:
            self._tokens[operator] = TokenSteps(
                self.work, operator, self.classifier, self.sequences, self.intact
            )
        return self._tokens[operator]


def _start_of(memory: Memory, trained: TrainedModel, sequences: Sequences) -> Start:
    """One model before all or the first of the sequences; ModelError where it cannot be used."""
    work = memory.work
    if not usable(work, trained):
        _, why = unusable(work, trained) or ("", "not trained")
        raise ModelError(f"the model {trained.name} cannot predict: {why}")
    classifier = memory.value(model_artefact(work, trained))
    start: Start = memory.once(
        ("start", trained.name, len(sequences)), lambda: Start(work, sequences, classifier)
    )
    return start


def _curves_along(starts: list[Start], maps: OrderedMaps, curve: CurveKey) -> Logits:
    """Logits ``(path, step, sequence, class)`` of every model in the order of every map."""
    work, sequences = starts[0].work, starts[0].sequences
    if len({start.intact.shape[-1] for start in starts}) > 1:
        raise NotApplicable("some of the models have classes and others a single output")
    steps = len(work.plan.fractions)
    shape = (len(starts) * maps.draws, steps, *starts[0].intact.shape)
    curves: Logits = arrays.empty(shape, np.float32, work.store.root)
    for part in starts[0].parts(curve):
        drawn = maps.part(part)
        for path, (start, scores) in enumerate(product(starts, drawn)):
            curves[path, :, part] = _along(start, scores, curve, part)
        arrays.release(curves, sequences.codes, *drawn)
    return curves


def _along(start: Start, scores: Scores, curve: CurveKey, part: slice) -> Logits:
    """Logits ``(step, sequence, class)`` of a part of the sequences, in the order of their map."""
    if replaces_tokens(start.work, curve.operator):
        return start.tokens(curve.operator).along(scores, curve)
    plan, codes = start.work.plan, start.sequences.codes[part]
    valid, intact = codes < N, start.intact[part]
    steps = replacement.replacement_counts(plan.fractions, valid)
    ties = streams(plan.data_seed, "ties", codes)
    ranked = replacement.replacement_ranks(scores, valid, ties, order=curve.order)
    if curve.kind == "imputed":
        edited = (_imputed(start, codes, ranked, count) for count in steps[1:])
        after = (logits(start.classifier, each, precision=plan.precision) for each in edited)
        return np.stack([intact, *after])
    replaced = start.replaced(curve.operator)
    return outputs.curve(
        start.classifier,
        codes,
        replaced.donor[part],
        ranked,
        steps,
        (intact, replaced.end[part]),
        precision=plan.precision,
    )


def _imputed(
    start: Start, codes: Codes, ranked: replacement.Ranks, count: NDArray[np.intp]
) -> Codes:
    """Sequences with the first so many positions drawn given all the others."""
    taken = (ranked < count[:, None]) & (codes < N)
    seed = start.work.plan.data_seed
    return imputed(codes, taken, start.chain, streams(seed, "imputed", codes))
