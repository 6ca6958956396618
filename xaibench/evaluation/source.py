"""Whose maps are measured, and what controls make of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import UNCHANGED, explained_spec
from xaibench.artefacts.job import Work
from xaibench.explanation.controls import (
    CONTROLS,
    ORACLE,
    PRIORS,
    RANDOM,
    oracle_of_truth,
    prior_maps,
    random_maps,
)
from xaibench.plugins.registry import load
from xaibench.protocols import method_facts
from xaibench.storage.artefacts import Spec
from xaibench.values import Explained

from .quantities import problem
from .records import Block


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
        return [controlled(work, truth, here.control)], None
    why = problem(work, here, own_spec(work, here))
    if why:
        return [], why
    return [controlled(work, explained_of(work, here, target), here.control)], None


def controlled(work: Work, explained: Explained, control: str) -> Explained:
    """What a control makes of a map; the map itself without one."""
    if not control:
        return explained
    make = CONTROLS[control]
    seed = work.plan.data_seed
    scores = make(explained.scores, explained.sequences, explained.targets, seed)
    return replace(explained, scores=scores)


def explained_of(work: Work, here: Block, target: str) -> Explained:
    arrays = arrays_of(work, own_spec(work, here))
    plugin = load("attribution", work.plan.attribution[here.method].use, work.job.plugins)
    signed = method_facts(plugin.call).signed
    if target == "label":
        return Explained(work.chosen, arrays["scores_of_label"], work.chosen.labels, signed)
    return Explained(work.chosen, arrays["scores"], arrays["targets"], signed)


def own_spec(work: Work, here: Block) -> Spec:
    """The spec of a method's explanation of the intact sequences."""
    return explained_spec(work, here.model, here.seed, here.method, UNCHANGED)


def rows_of(explained: Explained, rows: NDArray[np.intp]) -> Explained:
    return Explained(
        explained.sequences.take(rows),
        explained.scores[rows],
        explained.targets[rows],
        explained.signed,
    )
