"""What a model loses by single substitutions and by random sets of them, whatever the method."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna import replacement
from xaibench.dna.operators import different
from xaibench.nn import outputs as curves
from xaibench.nn.inference import logits
from xaibench.protocols import OfEffects
from xaibench.randomness import streams
from xaibench.shapes import Codes, Labels
from xaibench.storage.artefacts import Spec, key
from xaibench.values import Sequences, Subsets, Substitutions

from .artefact import (
    Arrays,
    Artefact,
    Cost,
    Memory,
    ModelSizes,
    arrays_of,
    of_arrays,
    print_of,
)
from .explanations import explained_targets, what_is_explained
from .job import Work, facts_of_metric, remembered
from .models import model_artefact, model_spec
from .oracle import PURPOSE, drops_by_donor, single_drops
from .subsets import subset
from .trained_models import TrainedModel


@dataclass(frozen=True, slots=True)
class EffectsKey:
    """What names the effects of a metric: their kind, of how many sequences, which sets."""

    kind: str
    sequences: int | None = None
    fractions: tuple[float, ...] = ()
    draws: int = 0


def effects_key(work: Work, metric: str) -> EffectsKey | None:
    """None for a metric of something else."""
    kind, options = facts_of_metric(work, metric).kind, work.plan.metrics[metric].options
    if not isinstance(kind, OfEffects):
        return None
    if kind.effects == "substitutions":
        return EffectsKey(kind.effects, options["sequences"])
    fractions = tuple(options["fractions"])
    return EffectsKey(kind.effects, options["sequences"], fractions, options["draws"])


def effects_keys(work: Work) -> list[EffectsKey]:
    """The different effects that the plan's metrics need."""
    every = (effects_key(work, metric) for metric in work.plan.metrics)
    return list(dict.fromkeys(each for each in every if each is not None))


@remembered
def effects_spec(work: Work, trained: TrainedModel, effects: EffectsKey) -> Spec:
    plan = work.plan
    return {
        "kind": "effects",
        "of": effects.kind,
        "model": key(model_spec(work, trained)),
        "sequences": print_of(subset(work, trained.name, at_most=effects.sequences).codes),
        "fractions": effects.fractions,
        "draws": effects.draws,
        "target": plan.target,
        "data_seed": plan.data_seed,
        **what_is_explained(work),
    }


def effects_artefacts(work: Work, trained: TrainedModel) -> Iterator[Artefact]:
    """All effects that the plan's metrics need."""
    for effects in effects_keys(work):
        yield effects_artefact(work, trained, effects)


def effects_artefact(work: Work, trained: TrainedModel, effects: EffectsKey) -> Artefact:
    """The effects of one kind, with the oracle's map."""
    sequences = subset(work, trained.name, at_most=effects.sequences)

    def make(memory: Memory) -> Arrays:
        classifier = memory.value(model_artefact(work, trained))
        intact = logits(classifier, sequences.codes)
        targets = explained_targets(work.plan.target, sequences.labels, intact)
        if effects.kind == "substitutions":
            return _substitutions(classifier, sequences, targets)
        return _subsets(classifier, sequences, targets, effects, work.plan.data_seed)

    def cost(_: ModelSizes) -> Cost:
        """Three substitutions per position, or sets of positions and each position once."""
        positions, sets = int(sequences.valid.sum()), len(effects.fractions) * effects.draws
        passes = len(sequences) * sets + positions if sets else 3 * positions
        stored = sequences.codes.size * (4 + (sets or 4 * 8))
        return Cost(Counter({(trained.name, PURPOSE): passes}), stored=stored)

    return of_arrays(effects_spec(work, trained, effects), make, cost)


def effects_of(
    work: Work, spec: Spec, sequences: int
) -> tuple[Substitutions | Subsets, NDArray[np.float32]]:
    """Stored effects on the first sequences, and the oracle's map: each position's own drop."""
    arrays = arrays_of(work, spec)
    drops, oracle = arrays["drops"], arrays["oracle"][:sequences]
    if spec["of"] == "substitutions":
        return Substitutions(drops[:sequences]), oracle
    replaced = arrays["replaced"][:, :sequences].astype(bool)
    return Subsets(arrays["fractions"], replaced, drops[:, :sequences]), oracle


def _substitutions(classifier: Any, sequences: Sequences, targets: Labels) -> Arrays:
    """The drop of every substitution ``(sequence, position, base)``, NaN for a sequence's own base,
    and their mean over the other three as the oracle's map."""
    codes, valid = sequences.codes, sequences.valid
    drops = np.where(valid[:, :, None], np.zeros(4), np.nan)
    other = valid[:, :, None] & (codes[:, :, None] != np.arange(4))
    rows, positions, bases = np.nonzero(other)
    edits = (rows, positions, bases.astype(np.uint8))
    drops[other] = single_drops(classifier, codes, targets, edits)
    return {"drops": drops, "oracle": (np.nansum(drops, axis=2) / 3).astype(np.float32)}


def _subsets(
    classifier: Any, sequences: Sequences, targets: Labels, effects: EffectsKey, seed: int
) -> Arrays:
    """Random sets of each size, whose bases become the other ones of one donor per sequence."""
    codes, valid = sequences.codes, sequences.valid
    generators = streams(seed, "donor of sets", codes)
    donor = np.stack([different(row, each) for row, each in zip(codes, generators, strict=True)])
    intact = logits(classifier, codes)
    replaced, drops = [], []
    for fraction in effects.fractions:
        count = replacement.replacement_counts((fraction,), valid)[0]
        for draw in range(effects.draws):
            chosen = _random_ranks(codes, valid, f"set {fraction} {draw}", seed) < count[:, None]
            outputs = logits(classifier, np.where(chosen, donor, codes))
            drops.append(_explained(intact, targets) - _explained(outputs, targets))
            replaced.append(chosen)
    return {
        "fractions": np.repeat(np.asarray(effects.fractions, float), effects.draws),
        "replaced": np.stack(replaced).astype(np.uint8),
        "drops": np.stack(drops),
        "oracle": drops_by_donor(classifier, sequences, donor, targets).astype(np.float32),
    }


def _explained(outputs: NDArray[np.float32], targets: Labels) -> NDArray[np.float64]:
    return curves.quantity("logit_difference", outputs, targets, targets)


def _random_ranks(
    codes: Codes, valid: NDArray[np.bool_], component: str, seed: int
) -> replacement.Ranks:
    none = np.zeros(codes.shape, np.float32)
    return replacement.replacement_ranks(none, valid, streams(seed, component, codes))
