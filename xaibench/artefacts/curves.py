"""Logits while positions are replaced in the order of a map: of a method, a control, the oracle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import replacement
from xaibench.dna.imputation import DinucleotideChain, fit_dinucleotide_chain, imputed
from xaibench.errors import ModelError
from xaibench.explanation.controls import CONTROLS, ORACLE, RANDOM, is_map, random_maps
from xaibench.nn import outputs as curves
from xaibench.nn.inference import logits
from xaibench.randomness import streams
from xaibench.shapes import Codes, Logits, Scores
from xaibench.storage.artefacts import Spec, key

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    Sizes,
    arrays_of,
    identified,
    looked_at,
    of_arrays,
    print_of,
)
from .curve_keys import Course, courses, judges, seen
from .donors import donor_of
from .explanations import explained_artefact, explained_spec
from .job import Work, remembered
from .model_checks import unusable, usable
from .models import model_artefact, model_spec
from .oracle import Oracle, oracle_artefact, oracle_spec


@remembered
def curve_spec(work: Work, model: str, seed: int, course: Course) -> Spec:
    """The spec of a course as it is made."""
    plan, course = work.plan, course.made_as
    own = course.method not in (RANDOM, ORACLE)
    spec: dict[str, Any] = {
        "kind": "curve",
        "model": key(model_spec(work, model, seed)),
        "scores": key(explained_spec(work, model, seed, course.method)) if own else None,
        "draws": plan.random_draws if course.method == RANDOM else None,
        "sequences": print_of(seen(work, model, course).chosen.codes),
        "operator": _operator(work, course),
        "order": "random" if course.method == RANDOM else course.order,
        "fractions": plan.fractions,
        "data_seed": plan.data_seed,
    }
    if course.method == ORACLE:
        spec["oracle"] = key(oracle_spec(work, model, seed, Oracle.of(work, course)))
    if course.control:
        spec["control"] = course.control
    if course.kind == "imputed":
        spec["data"] = work.data
    if plan.precision != "float32":
        spec["precision"] = plan.precision
    if course.kind == "other_models":
        spec["judges"] = [key(model_spec(work, judge, seed)) for judge in judges(work, model)]
    return spec


def _operator(work: Work, course: Course) -> Any:
    if course.kind == "imputed":
        return course.kind
    return identified(work, "operators", work.plan.operators[course.operator])


def curve_artefacts(work: Work, model: str, seed: int, source: str) -> Iterator[Artefact]:
    """Every course of a method, of the random control or of the oracle."""
    for course in courses(work, source):
        yield curve_artefact(work, model, seed, course)


def curve_artefact(work: Work, model: str, seed: int, course: Course) -> Artefact:
    """The logits along one course; made only where there is a map to follow."""
    subset = seen(work, model, course)
    before = judges(work, model) if course.kind == "other_models" else [model]

    def make(memory: Memory) -> Arrays:
        maps = maps_of(memory, model, seed, course)
        outputs = [
            [_along(_stage(memory, label, seed, subset), scores, course) for scores in maps]
            for label in before
        ]
        arrays = {"logits": _shaped(outputs, course)}
        if course.control:
            arrays["is_map"] = is_map(maps[0], subset.chosen.valid).astype(np.uint8)
        return arrays

    def cost(_: Sizes) -> Cost:
        """Passes for the steps between the ends; these are shared."""
        steps, classes = len(work.plan.fractions), len(work.splits.train.class_names)
        draws = work.plan.random_draws if course.method == RANDOM else 1
        count = len(subset.chosen) * draws
        passes = Counter({(label, "curves"): count * (steps - 2) for label in before})
        return Cost(passes, stored=len(before) * steps * count * classes * 4)

    needs = (each.spec for each in _map_artefacts(work, model, seed, course))
    return of_arrays(curve_spec(work, model, seed, course), make, cost, tuple(needs))


def _stage(memory: Memory, label: str, seed: int, subset: Work) -> Stage:
    """One model before all or the first of the sequences; ModelError where it cannot be asked."""
    work = memory.work
    if not usable(work, label, seed):
        _, why = unusable(work, label, seed) or ("", "not trained")
        raise ModelError(f"the model {label} cannot judge: {why}")
    classifier = memory.value(model_artefact(work, label, seed))
    stage: Stage = memory.once(
        ("stage", label, len(subset.chosen)), lambda: Stage(subset, classifier)
    )
    return stage


def _map_artefacts(work: Work, model: str, seed: int, course: Course) -> list[Artefact]:
    """What the map of a course is stored in; nothing for the random control."""
    if course.method == RANDOM:
        return []
    if course.method == ORACLE:
        return [oracle_artefact(work, model, seed, Oracle.of(work, course))]
    return [explained_artefact(work, model, seed, course.method)]


def followed_specs(work: Work, model: str, seed: int, course: Course) -> list[Spec]:
    """The specs of what the map of a course is stored in."""
    return [artefact.spec for artefact in _map_artefacts(work, model, seed, course)]


def followed(work: Work, model: str, seed: int, course: Course) -> NDArray[np.bool_]:
    """``(sequence,)``: False where a control found no map to follow."""
    if not course.made_as.control or course.method == ORACLE:
        return np.ones(len(seen(work, model, course).chosen), bool)
    kept: NDArray[np.bool_] = arrays_of(work, curve_spec(work, model, seed, course))[
        "is_map"
    ].astype(bool)
    return kept


def _shaped(outputs: list[list[Logits]], course: Course) -> Logits:
    """Logits ``(step, sequence, class)``, with a leading axis of draws for the random control and
    of judges where other models judge."""
    if course.method == RANDOM:
        return np.stack(outputs[0])
    if course.kind == "other_models":
        none = np.empty((0,), np.float32)
        return np.stack([judged[0] for judged in outputs]) if outputs else none
    return outputs[0][0]


def maps_of(memory: Memory, model: str, seed: int, course: Course) -> list[Scores]:
    """The maps whose order a course follows: one, or the draws of the random control."""
    work = memory.work
    if course.method == RANDOM:
        chosen = seen(work, model, course).chosen
        return list(random_maps(chosen, work.plan.random_draws, work.plan.data_seed))
    return [map_of(memory, model, seed, course)]


def map_of(memory: Memory, model: str, seed: int, course: Course) -> Scores:
    """The map whose order a course follows, of the sequences that it looks at.

    Controls are made from the maps of all explained sequences.
    """
    work = memory.work
    here, explained = seen(work, model, course), looked_at(work, model, course.method)
    (artefact,) = _map_artefacts(work, model, seed, course)
    arrays = memory.value(artefact)
    if course.method == ORACLE:
        explained, targets = here, here.chosen.labels
        scores: Scores = arrays["scores"]
    else:
        targets = arrays["targets"]
        scores = arrays["scores_of_label" if course.kind == "other_models" else "scores"]
    if course.control:
        make = CONTROLS[course.control]
        scores = make(scores, explained.chosen, targets, work.plan.data_seed)
    return scores[: len(here.chosen)]


@dataclass(frozen=True, slots=True)
class Stage:
    """A model before the sequences that are replaced; donors and ends are made once an operator."""

    work: Work
    classifier: Any
    made: dict[str, Any] = field(default_factory=dict)

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]


def _along(stage: Stage, scores: Scores, course: Course) -> Logits:
    """Logits ``(step, sequence, class)`` in the order of one map."""
    work, classifier = stage.work, stage.classifier
    codes, valid = work.chosen.codes, work.chosen.valid
    steps = replacement.replacement_counts(work.plan.fractions, valid)
    ties = streams(work.plan.data_seed, "ties", codes)
    ranked = replacement.replacement_ranks(scores, valid, ties, order=course.order)
    intact = stage.once("intact", lambda: logits(classifier, codes))
    if course.kind == "imputed":
        chain = stage.once("chain", lambda: fit_dinucleotide_chain(work.splits.train.codes))
        edited = (_imputed(work, ranked, count, chain) for count in steps[1:])
        told = (logits(classifier, each, precision=work.plan.precision) for each in edited)
        return np.stack([intact, *told])
    donor = stage.once(f"donor {course.operator}", lambda: donor_of(work, course.operator))
    end = stage.once(
        f"end {course.operator}", lambda: logits(classifier, np.where(valid, donor, codes))
    )
    ends, precision = (intact, end), work.plan.precision
    return curves.curve(classifier, codes, donor, ranked, steps, ends, precision=precision)


def _imputed(
    work: Work, ranked: replacement.Ranks, count: NDArray[np.intp], chain: DinucleotideChain
) -> Codes:
    """The sequences with the first so many positions drawn given all the others."""
    codes, valid = work.chosen.codes, work.chosen.valid
    taken = (ranked < count[:, None]) & valid
    return imputed(codes, taken, chain, streams(work.plan.data_seed, "imputed", codes))
