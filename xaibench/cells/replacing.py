"""Logits while positions are replaced in the order of a map: of a method, a control, the oracle."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench import curves
from xaibench.controls import CONTROLS, ORACLE, RANDOM, is_map, random_maps
from xaibench.imputation import Chain, fitted, imputed
from xaibench.operators import composition, donors
from xaibench.options import takes
from xaibench.predict import logits
from xaibench.randomness import streams
from xaibench.shapes import Codes, Labels, Logits, Scores
from xaibench.store import Spec, key
from xaibench.values import N
from xaibench.work import Work, facts_of, found

from .explaining import explained_spec, explained_targets
from .keeping import (
    arrays_of,
    first,
    identified,
    is_there,
    keep_arrays,
    keep_failure,
    looked_at,
    print_of,
)
from .training import model_spec, trained

SINGLE = 2**13
"""So many sequences with one position replaced are made at a time."""


class Course(NamedTuple):
    """One way of replacing: in the order of whose map, by which operator, judged by whom.

    ``method`` is a label of the plan, the random control or the oracle; ``control`` what is made of
    its map. ``kind`` is a curve's way to be made (``protocols.MetricFacts.curve``), but for
    ``retrained``, which has cells of its own.
    """

    method: str
    operator: str = ""
    order: str = curves.MOST
    control: str = ""
    kind: str = "replaced"

    @property
    def made_as(self) -> "Course":
        """A negated map's order is the reverse of its own: nothing is computed for it."""
        if self.control != "negated":
            return self
        other = curves.LEAST if self.order == curves.MOST else curves.MOST
        return self._replace(control="", order=other)


def orders(work: Work, kind: str = "replaced") -> list[str]:
    """The orders that the plan's metrics ask for of one kind of curve."""
    facts = [facts_of(work, label) for label in work.plan.metrics]
    curved = [fact for fact in facts if fact.of == "curves" and fact.curve == kind]
    least = any(fact.needs_least_relevant_first for fact in curved)
    return [curves.MOST] * bool(curved) + [curves.LEAST] * least


def courses(work: Work, source: str) -> list[Course]:
    """Every course that the plan asks for of a method, of the random control or of the oracle."""
    wanted = list(_plain(work, source))
    if source == ORACLE and work.plan.controlled:
        wanted += [course._replace(control="blurred") for course in wanted]
        wanted += [course._replace(control="negated") for course in wanted if not course.control]
    elif source != RANDOM and work.plan.controlled:
        wanted += [
            Course(source, operator, control=control)
            for operator in work.plan.operators
            for control in work.plan.controls
            if orders(work)
        ]
    return list(dict.fromkeys(course.made_as for course in wanted))


def _plain(work: Work, source: str) -> Iterator[Course]:
    """The courses of a source's own map."""
    if source == ORACLE and not work.plan.controlled:
        return
    for kind in ("replaced", "imputed", "other_models"):
        wanted = _of_random(work, kind) if source == RANDOM else orders(work, kind)
        operators = [""] if kind == "imputed" else work.plan.operators
        for operator in operators:
            yield from (Course(source, operator, order, kind=kind) for order in wanted)


def _of_random(work: Work, kind: str) -> list[str]:
    """A random order is its own reverse; what other models say along it is theirs already."""
    if kind == "other_models":
        return []
    asked = orders(work, kind) or (orders(work, "other_models") if kind == "replaced" else [])
    return asked[:1]


def seen(work: Work, model: str, course: Course) -> Work:
    """The work on the sequences that a course looks at: oracle and controls on the first few."""
    here = looked_at(work, model, course.method, course.operator)
    if course.method == ORACLE or course.control:
        return first(here, work.plan.controlled)
    return here


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


def judges(work: Work, model: str) -> list[str]:
    """The other models of the plan."""
    return [other for other in work.plan.models if other != model]


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
        if not is_there(work, model_spec(work, label, seed)):
            raise RuntimeError(f"the model {label} was not trained")
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
    steps = curves.counts(work.plan.fractions, valid)
    ties = streams(work.plan.data_seed, "ties", codes)
    ranked = curves.ranks(scores, valid, ties, order=course.order)
    intact = stage.once("intact", lambda: logits(classifier, codes))
    if course.kind == "imputed":
        chain = stage.once("chain", lambda: fitted(work.splits.train.codes))
        edited = (_imputed(work, ranked, count, chain) for count in steps[1:])
        told = (logits(classifier, each, precision=work.plan.precision) for each in edited)
        return np.stack([intact, *told])
    donor = stage.once(f"donor {course.operator}", lambda: donor_of(work, course.operator))
    end = stage.once(
        f"end {course.operator}", lambda: logits(classifier, np.where(valid, donor, codes))
    )
    ends, precision = (intact, end), work.plan.precision
    return curves.curve(classifier, codes, donor, ranked, steps, ends, precision=precision)


def _imputed(work: Work, ranked: curves.Ranks, count: NDArray[np.intp], chain: Chain) -> Codes:
    """The sequences with the first so many positions drawn given all the others."""
    codes, valid = work.chosen.codes, work.chosen.valid
    taken = (ranked < count[:, None]) & valid
    return imputed(codes, taken, chain, streams(work.plan.data_seed, "imputed", codes))


# Donors


def donor_of(work: Work, operator: str) -> Codes:
    """What replaced positions take: one draw a sequence, the same for all models and methods."""
    use, codes = work.plan.operators[operator], work.chosen.codes
    plugin, options = found(work, "operators", use)
    if "composition" in takes(plugin.call):
        options["composition"] = composition(work.splits.train.codes)
    generators = streams(work.plan.data_seed, f"donor {use.use}", codes)
    donor = donors(plugin.call, codes, generators, **options)
    if donor.shape != codes.shape or donor.dtype != np.uint8 or donor.max(initial=0) > N:
        raise ValueError(
            f"{plugin.name}: wanted a donor of codes 0 to 4, uint8 {codes.shape[1:]}, got "
            f"{donor.dtype} {donor.shape[1:]} up to {donor.max(initial=0)}"
        )
    return donor


# The oracle


def leading_operator(work: Work) -> str:
    """The operator of the leaderboard: ``uniform`` where the plan has it, else its first."""
    return "uniform" if "uniform" in work.plan.operators else next(iter(work.plan.operators))


class Oracle(NamedTuple):
    """Under which operator, and for which target, positions are tried one by one."""

    operator: str
    target: str

    @classmethod
    def of(cls, work: Work, course: Course) -> "Oracle":
        """What a course follows; other models judge what was explained of the true label."""
        target = "label" if course.kind == "other_models" else work.plan.target
        return cls(course.operator or leading_operator(work), target)


def _before_oracle(work: Work, model: str, oracle: Oracle) -> Work:
    return first(looked_at(work, model, operator=oracle.operator), work.plan.controlled)


def oracle_spec(work: Work, model: str, seed: int, oracle: Oracle) -> Spec:
    plan = work.plan
    return {
        "kind": "oracle",
        "model": key(model_spec(work, model, seed)),
        "sequences": print_of(_before_oracle(work, model, oracle).chosen.codes),
        "operator": identified(work, "operators", plan.operators[oracle.operator]),
        "target": oracle.target,
        "data_seed": plan.data_seed,
    }


def oracles(work: Work) -> list[Oracle]:
    """The oracles that the plan's courses follow."""
    return list(dict.fromkeys(Oracle.of(work, each) for each in courses(work, ORACLE)))


def oracle_cell(work: Work, model: str, seed: int) -> None:
    """Keep what is lost when one position takes the donor's base, under every operator."""
    for oracle in oracles(work):
        here = _before_oracle(work, model, oracle)
        spec = oracle_spec(work, model, seed, oracle)
        if work.store.holds(spec):
            continue
        try:
            classifier = trained(work, model, seed)
            targets = here.chosen.labels
            if oracle.target == "predicted":
                targets = explained_targets(here, logits(classifier, here.chosen.codes))
            scores = drops_by_donor(classifier, here, donor_of(here, oracle.operator), targets)
        except Exception as error:
            keep_failure(work, spec, error)
        else:
            keep_arrays(work, spec, {"scores": scores.astype(np.float32)})


def drops_by_donor(
    classifier: Any, work: Work, donor: Codes, targets: Labels
) -> NDArray[np.float64]:
    """``(sequence, position)``: 0 where the donor has the sequence's own base."""
    codes, valid = work.chosen.codes, work.chosen.valid
    drops = np.zeros(codes.shape)
    rows, positions = np.nonzero(valid & (donor != codes))
    bases = donor[rows, positions]
    drops[rows, positions] = single_drops(classifier, codes, targets, (rows, positions, bases))
    return drops


def single_drops(
    classifier: Any,
    codes: Codes,
    targets: Labels,
    edits: tuple[NDArray[np.intp], NDArray[np.intp], Codes],
) -> NDArray[np.float64]:
    """``(edit,)``: what is explained of a sequence minus that with one base in its place.

    ``edits`` are the rows, the positions and the bases.
    """

    def explained(codes: Codes, targets: Labels) -> NDArray[np.float64]:
        return curves.quantity("logit_difference", logits(classifier, codes), targets, targets)

    intact = explained(codes, targets)
    parts = []
    for start in range(0, len(edits[0]), SINGLE):
        rows, positions, bases = (each[start : start + SINGLE] for each in edits)
        edited = codes[rows]
        edited[np.arange(len(rows)), positions] = bases
        parts.append(intact[rows] - explained(edited, targets[rows]))
    return np.concatenate([np.empty(0), *parts])
