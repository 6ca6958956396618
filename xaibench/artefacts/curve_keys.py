"""Which replacement curves a plan asks for, and of which sequences."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import NamedTuple

from xaibench.dna import replacement
from xaibench.errors import NotApplicable
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.protocols import OfCurves
from xaibench.values import Sequences

from .job import Work, facts_of_metric, seeds_of
from .subsets import subset
from .trained_models import TrainedModel


class CurveKey(NamedTuple):
    """What names a curve of a trained model: positions are replaced in the order of whose map, by
    which operator, and which model predicts.

    ``method`` is a label of the plan, the random control or the oracle; ``control`` what is made of
    its map. ``kind`` is a curve's way to be made (``protocols.CurveKind``), but for
    ``retrained``, which has artefacts of its own.
    """

    method: str
    operator: str = ""
    order: str = replacement.MORF
    control: str = ""
    kind: str = "replaced"

    @property
    def computed_as(self) -> CurveKey:
        """A negated map's order is the reverse of its own: nothing is computed for it."""
        if self.control != "negated":
            return self
        other = replacement.LERF if self.order == replacement.MORF else replacement.MORF
        return self._replace(control="", order=other)


class CurveRow(NamedTuple):
    """Of one kind of curve: whether there is one per operator; whether maps that a control makes
    of a method's have one too, most relevant first; and for metrics of which kinds of curve random
    orders are computed."""

    per_operator: bool = True
    controls: bool = False
    random_for: tuple[str, ...] = ()


CURVE_ROWS = {
    # what other models predict along a random order is theirs already
    "replaced": CurveRow(controls=True, random_for=("replaced", "other_models")),
    "imputed": CurveRow(per_operator=False, random_for=("imputed",)),
    "other_models": CurveRow(),
}

ORACLE_CONTROLS = ("blurred", "negated")
"""What is made of the oracle's map, for the self-test of a metric."""


def orders(work: Work, kind: str = "replaced") -> list[str]:
    """The orders that the plan's metrics ask for of one kind of curve."""
    kinds = [facts_of_metric(work, label).kind for label in work.plan.metrics]
    curved = [each for each in kinds if isinstance(each, OfCurves) and each.curve == kind]
    least = any(each.needs_least_relevant_first for each in curved)
    return [replacement.MORF] * bool(curved) + [replacement.LERF] * least


def curve_keys(work: Work, source: str) -> list[CurveKey]:
    """Every curve that the plan asks for of a method, of the random control or of the oracle."""
    if source == RANDOM:
        keys = list(_of_random(work))
    elif source == ORACLE:
        own = list(_of_map(work, source)) if work.plan.controlled else []
        keys = own + [key._replace(control=control) for control in ORACLE_CONTROLS for key in own]
    else:
        keys = [*_of_map(work, source), *_of_controls(work, source)]
    return list(dict.fromkeys(key.computed_as for key in keys))


def _of_map(work: Work, source: str) -> Iterator[CurveKey]:
    """The curves along a source's own map."""
    alone = len(work.plan.models) == 1
    for kind in (kind for kind in CURVE_ROWS if not (alone and kind == "other_models")):
        for operator, order in product(_operators(work, kind), orders(work, kind)):
            yield CurveKey(source, operator, order, kind=kind)


def _of_controls(work: Work, method: str) -> Iterator[CurveKey]:
    """The curves along what controls make of a method's map."""
    if not work.plan.controlled:
        return
    for kind, row in CURVE_ROWS.items():
        operators = _operators(work, kind) if row.controls and orders(work, kind) else []
        for operator, control in product(operators, work.plan.controls):
            yield CurveKey(method, operator, control=control, kind=kind)


def _of_random(work: Work) -> Iterator[CurveKey]:
    """The curves along random orders, each of which is its own reverse."""
    for kind, row in CURVE_ROWS.items():
        if any(orders(work, each) for each in row.random_for):
            yield from (CurveKey(RANDOM, name, kind=kind) for name in _operators(work, kind))


def _operators(work: Work, kind: str) -> list[str]:
    return [*work.plan.operators] if CURVE_ROWS[kind].per_operator else [""]


def curve_subset(work: Work, trained: TrainedModel, curve: CurveKey) -> Sequences:
    """The sequences of a curve: those of the oracle and of controls are the first few."""
    few = work.plan.controlled if curve.method == ORACLE or curve.control else None
    return subset(work, trained.name, curve.method, curve.operator, few)


def evaluators(work: Work, trained: TrainedModel, curve: CurveKey) -> list[TrainedModel]:
    """The models that predict along a curve: the explained one, or all others."""
    return other_models(work, trained) if curve.kind == "other_models" else [trained]


def other_models(work: Work, trained: TrainedModel) -> list[TrainedModel]:
    """The plan's other models under the same seed, or with the file of the same number; those with
    fewer replicates may have none."""
    return [
        TrainedModel(name, trained.seed)
        for name in work.plan.models
        if name != trained.name and trained.seed in seeds_of(work.plan, name)
    ]


def require_other_models(work: Work, trained: TrainedModel) -> None:
    """NotApplicable where no other model predicts beside this one."""
    if len(work.plan.models) < 2:
        raise NotApplicable("there is no other model in the plan to predict")
    if not other_models(work, trained):
        raise NotApplicable(
            f"the other models of the plan have fewer replicates than {trained.name}, and none to "
            f"predict beside its number {trained.seed}"
        )
