"""Whose maps are measured, and what controls make of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec, scores_of_label
from xaibench.artefacts.fixed_scores import is_signed
from xaibench.artefacts.job import Work
from xaibench.artefacts.subsets import subset
from xaibench.explanation.controls import (
    CONTROLS,
    ORACLE,
    PRIORS,
    RANDOM,
    oracle_of_truth,
    prior_maps,
    random_maps,
)
from xaibench.storage.artefacts import Spec
from xaibench.values import Explained, Sequences

from .quantities import require_artefact
from .records import RecordGroup


@dataclass(frozen=True, slots=True)
class Source:
    """Whose maps are measured, and what is made of them; each is made once for all metrics.

    ``sequences`` are those that the source explains.
    """

    work: Work
    sequences: Sequences
    record: RecordGroup
    made: dict[str, list[Explained]] = field(default_factory=dict)

    def maps(self, target: str) -> list[Explained]:
        """The maps, one per draw; ``Missing`` where the method has none."""
        if target not in self.made:
            self.made[target] = _maps_of(self.work, self.sequences, self.record, target)
        return self.made[target]


def _maps_of(work: Work, chosen: Sequences, record: RecordGroup, target: str) -> list[Explained]:
    """The maps of a source, one per draw; ``Missing`` where the method has none."""
    method = record.method
    if method == RANDOM:
        drawn = random_maps(chosen, work.plan.random_draws, work.plan.data_seed)
        return [Explained(chosen, each, chosen.labels, signed=False) for each in drawn]
    if method in PRIORS:
        return [Explained(chosen, prior_maps(method, chosen), chosen.labels, signed=False)]
    if method == ORACLE:
        truth = Explained(chosen, oracle_of_truth(chosen), chosen.labels, signed=True)
        return [controlled(work, truth, record.control)]
    require_artefact(work, own_spec(work, record))
    return [controlled(work, explained_of(work, record, target), record.control)]


def controlled(work: Work, explained: Explained, control: str) -> Explained:
    """What a control makes of a map; the map itself without one."""
    if not control:
        return explained
    make = CONTROLS[control]
    seed = work.plan.data_seed
    scores = make(explained.scores, explained.sequences, explained.targets, seed)
    return replace(explained, scores=scores)


def explained_of(work: Work, record: RecordGroup, target: str) -> Explained:
    """A method's map of the intact sequences, for the explained class or for the label."""
    arrays = arrays_of(work, own_spec(work, record))
    signed = is_signed(work, record.method)
    sequences = subset(work, record.model, record.method)
    if target == "label":
        return Explained(sequences, scores_of_label(arrays), sequences.labels, signed)
    return Explained(sequences, arrays["scores"], arrays["targets"], signed)


def own_spec(work: Work, record: RecordGroup) -> Spec:
    """The spec of a method's explanation of the intact sequences."""
    return explained_spec(work, record.trained, record.method)
