"""The kinds of metric: which maps each looks at, and where its inputs come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from xaibench.artefacts.variants import OF_WEIGHTS
from xaibench.explanation.controls import CONTROLS, ORACLE, PRIORS, RANDOM
from xaibench.protocols import (
    MetricFacts,
    MetricKind,
    OfChange,
    OfCurves,
    OfEffects,
    OfExplanation,
)

from .apply import MetricPart
from .curves import curve_parts
from .maps import effect_parts, map_parts
from .records import RecordGroup
from .source import Source
from .variants import change_parts

_EVERY_CONTROL = tuple(CONTROLS)


@dataclass(frozen=True, slots=True)
class Maps:
    """The maps that a metric looks at beside the methods' own: the ``random`` ones, the ``oracle``
    with what is made of it, the ``priors``, and what ``controls`` make of the methods' maps."""

    random: bool = False
    oracle: bool = False
    priors: bool = False
    controls: tuple[str, ...] = ()

    def include(self, method: str, control: str) -> bool:
        """Whether the maps of a source are among them."""
        if method == RANDOM:
            return self.random
        if method == ORACLE:
            return self.oracle
        if method in PRIORS:
            return self.priors
        return not control or control in self.controls


@dataclass(frozen=True, slots=True)
class Measurement:
    """``maps`` of the facts of a metric; ``parts`` of a source, of the records of the metric, of
    its facts and of its kind."""

    maps: Callable[[Any], Maps]
    parts: Callable[[Source, RecordGroup, MetricFacts, Any], Iterator[MetricPart]]


def _maps_for_explanation(kind: OfExplanation) -> Maps:
    """Where the truth is known every map can be tested; else the random control says enough."""
    if not kind.needs_motif:
        return Maps(random=True)
    priors = not kind.needs_sign
    return Maps(random=True, oracle=True, priors=priors, controls=_EVERY_CONTROL)


def _maps_for_curves(kind: OfCurves) -> Maps:
    """Controls cost passes of the model: they run in one order, by the plan's operators."""
    if kind.curve == "retrained":
        return Maps(random=True)
    in_one_order = kind.curve == "replaced" and not kind.needs_least_relevant_first
    return Maps(random=True, oracle=True, controls=_EVERY_CONTROL if in_one_order else ())


def _maps_for_change(kind: OfChange) -> Maps:
    """A mean map shows how stable what the position alone says is. Changed weights are compared
    by base, of which it has nothing."""
    return Maps(controls=() if kind.change in OF_WEIGHTS else ("mean map",))


def _maps_for_effects(kind: OfEffects) -> Maps:
    return Maps(random=True, oracle=True, controls=_EVERY_CONTROL)


MEASUREMENTS: Mapping[type[MetricKind], Measurement] = {
    OfExplanation: Measurement(_maps_for_explanation, map_parts),
    OfCurves: Measurement(_maps_for_curves, curve_parts),
    OfChange: Measurement(_maps_for_change, change_parts),
    OfEffects: Measurement(_maps_for_effects, effect_parts),
}
