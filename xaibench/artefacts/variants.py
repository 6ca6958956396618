"""What metrics of change compare a map with: changed sequences, other weights, other settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from xaibench.dna import encoding
from xaibench.dna.variants import in_hamming_ball, offset_of, shifted, substituted, unshifted
from xaibench.explanation.method_call import other_strands
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.protocols import OfChange
from xaibench.randomness import stream
from xaibench.shapes import Codes, Scores

from .given_weights import seed_of_streams
from .job import Work, facts_of_metric, require_training
from .models import RANDOM_LABELS, model_artefact
from .networks import build
from .trained_models import TrainedModel

INTACT = "intact"
"""No change; stored beside those of the weights for its hypothetical scores."""


@dataclass(frozen=True, slots=True)
class Change:
    """What is done to the first ``sequences`` of those that are explained (None: all), ``draws``
    times.

    ``extent`` is the radius of a ball or the offset of a shift; ``layer`` the one whose weights are
    re-initialised.
    """

    kind: str | None = None
    draws: int = 1
    sequences: int | None = None
    extent: int = 0
    layer: str = ""


UNCHANGED = Change()


def changes_of(work: Work, metric: str, model: str) -> list[Change]:
    """The changes that a metric of the plan compares, one but for those of layers; none for one
    of seeds."""
    kind = facts_of_metric(work, metric).kind
    if not isinstance(kind, OfChange) or kind.change == "seed":
        return []
    options = work.plan.metrics[metric].options
    draws, extent = options.get("draws", 1), options.get("radius", options.get("offset", 0))
    change = Change(kind.change, draws, options["sequences"], extent)
    if kind.change not in PER_LAYER:
        return [change]
    names = layers(build(work, model))
    return [Change(kind.change, draws, options["sequences"], layer=name) for name in names]


def intact(change: Change) -> Change:
    """What a change of weights is compared with."""
    return Change(INTACT, 1, change.sequences)


def changes(work: Work, model: str) -> list[Change]:
    """The different changes that the plan's metrics ask for."""
    every = [each for metric in work.plan.metrics for each in changes_of(work, metric, model)]
    beside = [intact(change) for change in every if change.kind in OF_WEIGHTS]
    return list(dict.fromkeys([*every, *beside]))


# Of sequences


class Draw(NamedTuple):
    """One draw of a change: its number, the seed of the data and the extent of the change."""

    number: int
    data_seed: int
    extent: int = 0


@dataclass(frozen=True, slots=True)
class SequenceVariant:
    """A change of sequences.

    ``apply`` gives the changed codes. ``map_back`` gives their scores on the positions of the
    intact sequences, NaN where a position was pushed out. ``apply_to_references`` changes the
    references ``(sequence, reference, position)`` as their sequence is. ``substitutes`` where
    positions stay and hold other bases.
    """

    apply: Callable[[Codes, Draw], Codes]
    map_back: Callable[[Scores, Codes, Draw], Scores] = lambda scores, codes, draw: scores
    apply_to_references: Callable[[Codes, Codes, Draw], Codes] = lambda references, codes, draw: (
        references
    )
    substitutes: bool = False


def _substituted(codes: Codes, draw: Draw) -> Codes:
    return np.stack([substituted(row, draw.number, draw.data_seed) for row in codes])


def _in_hamming_ball(codes: Codes, draw: Draw) -> Codes:
    number, seed, radius = draw
    return np.stack([in_hamming_ball(row, number, seed, radius=radius) for row in codes])


def _offsets(codes: Codes, draw: Draw) -> list[int]:
    """By how many positions each sequence moves."""
    return [offset_of(row, draw.number, draw.data_seed, largest=draw.extent) for row in codes]


def _shifted(codes: Codes, draw: Draw) -> Codes:
    rows = zip(codes, _offsets(codes, draw), strict=True)
    return np.stack([shifted(row, offset, draw.data_seed) for row, offset in rows])


def _unshifted(scores: Scores, codes: Codes, draw: Draw) -> Scores:
    rows = zip(scores, codes, _offsets(codes, draw), strict=True)
    return np.stack([unshifted(each, row, offset) for each, row, offset in rows])


def _shifted_references(references: Codes, codes: Codes, draw: Draw) -> Codes:
    rows = zip(references, _offsets(codes, draw), strict=True)
    return np.array([[shifted(one, offset, draw.data_seed) for one in row] for row, offset in rows])


SEQUENCE_VARIANTS = {
    "substitutions": SequenceVariant(_substituted, substitutes=True),
    "hamming_ball": SequenceVariant(_in_hamming_ball, substitutes=True),
    "shift": SequenceVariant(_shifted, _unshifted, _shifted_references),
    "reverse_complement": SequenceVariant(
        apply=lambda codes, draw: encoding.reverse_complement(codes),
        map_back=lambda scores, codes, draw: encoding.unreverse(scores, codes),
        apply_to_references=lambda references, codes, draw: other_strands(references),
    ),
}


def codes_after(codes: Codes, change: Change, number: int, data_seed: int) -> Codes:
    """The bases at the positions of the intact sequences after a draw of a change."""
    variant = SEQUENCE_VARIANTS.get(str(change.kind))
    if variant is None or not variant.substitutes:
        return codes
    return variant.apply(codes, Draw(number, data_seed, change.extent))


# Of weights

WeightVariant = Callable[[Work, TrainedModel, Any, Change], Iterator[Any]]
"""The models of a change, one per draw: of a work, the name of a trained model and that model
itself."""


def _itself(work: Work, trained: TrainedModel, classifier: Any, change: Change) -> Iterator[Any]:
    yield classifier


def _of_random_labels(
    work: Work, trained: TrainedModel, classifier: Any, change: Change
) -> Iterator[Any]:
    """The model that learnt from random labels, whatever was tried of it."""
    require_training(work.plan, trained.name)
    artefact = model_artefact(work, trained, learnt_from=RANDOM_LABELS)
    status, reason = work.store.outcome(artefact.spec)
    if reason:
        raise RuntimeError(f"the model of random labels: {status}, {reason}")
    yield artefact.load(work.store)


def _cascading(work: Work, trained: TrainedModel, classifier: Any, change: Change) -> Iterator[Any]:
    """Re-initialised from the output down to a layer."""
    names = layers(classifier)
    yield from _reinitialised(
        classifier, names[: names.index(change.layer) + 1], seed_of_streams(work, trained), change
    )


def _independent(
    work: Work, trained: TrainedModel, classifier: Any, change: Change
) -> Iterator[Any]:
    """One layer alone re-initialised."""
    yield from _reinitialised(classifier, [change.layer], seed_of_streams(work, trained), change)


def _reinitialised(classifier: Any, names: list[str], seed: int, change: Change) -> Iterator[Any]:
    for draw in range(change.draws):
        yield reinitialised(classifier, names, stream(seed, "weights drawn anew", draw))


WEIGHT_VARIANTS: dict[str, WeightVariant] = {
    INTACT: _itself,
    "cascading": _cascading,
    "independent": _independent,
    "random_labels": _of_random_labels,
}

OF_WEIGHTS = tuple(kind for kind in WEIGHT_VARIANTS if kind != INTACT)
"""Changes of the model: maps are compared without multiplying by the input."""

PER_LAYER = ("cascading", "independent")
