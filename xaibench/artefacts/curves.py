"""Logits while positions are replaced in the order of a map: of a method, a control, the oracle."""

from collections.abc import Callable
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
    arrays_of,
    identified,
    is_there,
    keep_arrays,
    keep_failure,
    looked_at,
    print_of,
)
from .curve_keys import Course, courses, judges, seen
from .donors import donor_of
from .explanations import explained_spec
from .job import Work, remembered
from .model_checks import unusable, usable
from .models import model_spec, trained
from .oracle import Oracle, oracle_spec


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


def curve_cell(work: Work, model: str, seed: int, source: str) -> None:
    """Keep every course of a method, of the random control or of the oracle."""
    missing = [
        (course, spec)
        for course, spec in curve_specs(work, model, seed, source)
        if not work.store.holds(spec)
    ]
    stages: dict[tuple[str, int], Stage] = {}

    def stage(label: str, here: Work) -> Stage:
        """Of one model before all or the first of the sequences."""
        if not usable(work, label, seed):
            _, why = unusable(work, label, seed) or ("", "not trained")
            raise ModelError(f"the model {label} cannot judge: {why}")
        where = (label, len(here.chosen))
        if where not in stages:
            stages[where] = Stage(here, trained(work, label, seed))
        return stages[where]

    for course, spec in missing:
        here = seen(work, model, course)
        before = judges(work, model) if course.kind == "other_models" else [model]
        try:
            maps = maps_of(work, model, seed, course)
            outputs = [[_along(stage(each, here), m, course) for m in maps] for each in before]
            arrays = {"logits": _shaped(outputs, course)}
            if course.control:
                arrays["is_map"] = is_map(maps[0], here.chosen.valid).astype(np.uint8)
        except Exception as error:
            keep_failure(work, spec, error)
        else:
            keep_arrays(work, spec, arrays)


def curve_specs(work: Work, model: str, seed: int, source: str) -> list[tuple[Course, Spec]]:
    """The specs of all courses of a source; none where there is no map to follow."""
    return [
        (course, curve_spec(work, model, seed, course))
        for course in courses(work, source)
        if all(is_there(work, spec) for spec in followed_specs(work, model, seed, course))
    ]


def followed_specs(work: Work, model: str, seed: int, course: Course) -> list[Spec]:
    """What the map of a course is kept under; nothing for the random control."""
    if course.method == RANDOM:
        return []
    if course.method == ORACLE:
        return [oracle_spec(work, model, seed, Oracle.of(work, course))]
    return [explained_spec(work, model, seed, course.method)]


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


def maps_of(work: Work, model: str, seed: int, course: Course) -> list[Scores]:
    """The maps whose order a course follows: one, or the draws of the random control."""
    if course.method == RANDOM:
        chosen = seen(work, model, course).chosen
        return list(random_maps(chosen, work.plan.random_draws, work.plan.data_seed))
    return [map_of(work, model, seed, course)]


def map_of(work: Work, model: str, seed: int, course: Course) -> Scores:
    """The map whose order a course follows, of the sequences that it looks at.

    Controls are made from the maps of all explained sequences.
    """
    here, work = seen(work, model, course), looked_at(work, model, course.method)
    if course.method == ORACLE:
        work, targets = here, here.chosen.labels
        spec = oracle_spec(work, model, seed, Oracle.of(work, course))
        scores: Scores = arrays_of(work, spec)["scores"]
    else:
        arrays = arrays_of(work, explained_spec(work, model, seed, course.method))
        targets = arrays["targets"]
        scores = arrays["scores_of_label" if course.kind == "other_models" else "scores"]
    if course.control:
        make = CONTROLS[course.control]
        scores = make(scores, work.chosen, targets, work.plan.data_seed)
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
