"""Does an explanation look at what the model has learnt?

Each metric compares the explanations of the same sequences, for the same targets, by the trained
model and by models that have lost what they learnt (*Adebayo 2018*). A map that stays as it was
comes from the sequence and the architecture alone, so all of these are lower the better; but noise
and a constant map of zeros fare well too, so these numbers alone recommend no method.

Maps are compared before they are multiplied by the input, which no randomisation changes: where
both explanations hold hypothetical scores, those of all bases at the valid positions; else the
scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Mask, Values
from xaibench.values import Explained

from .agreement import spearman

_randomisation = partial(
    metric,
    family="randomisation",
    better="lower",
    range=(-1.0, 1.0),
    of="change",
    invariant=("scale", "monotone"),
)


@_randomisation(change="cascading")
def cascading_randomisation(
    explained: Explained, changed: Sequence[Explained], *, absolute: bool = False
) -> Values:
    """Mean Spearman correlation with the maps after all layers from the output down to one were
    re-initialised; in [-1, 1], lower is better.

    ``changed`` are several re-initialisations of the same layers. A new output layer may flip the
    sign of a map and leave its shape: such correlations cancel, and only those of ``absolute``
    scores show it (*Adebayo 2018* give both). NaN where a map is constant. ``NotApplicable`` with
    no re-initialisation.
    """
    return _mean_similarity(explained, changed, absolute)


@_randomisation(change="independent")
def independent_randomisation(
    explained: Explained, changed: Sequence[Explained], *, absolute: bool = False
) -> Values:
    """Mean Spearman correlation with the maps after one layer alone was re-initialised; in [-1, 1],
    lower is better.

    ``changed``, ``absolute`` and what is undefined as in ``cascading_randomisation``. A layer that
    the model does not need leaves every map alone: compare methods, not layers.
    """
    return _mean_similarity(explained, changed, absolute)


@_randomisation(change="random_labels")
def random_label_similarity(
    explained: Explained, changed: Sequence[Explained], *, absolute: bool = False
) -> Values:
    """Mean Spearman correlation with the maps of models trained on permuted labels; in [-1, 1],
    lower is better.

    ``absolute`` and what is undefined as in ``cascading_randomisation``.
    """
    return _mean_similarity(explained, changed, absolute)


def _mean_similarity(explained: Explained, changed: Sequence[Explained], absolute: bool) -> Values:
    """Mean Spearman correlation with the changed maps; ``NotApplicable`` without any."""
    if not changed:
        raise NotApplicable("nothing to compare with: no randomised model gave an explanation")
    pairs = [spearman(*_comparable_maps(explained, each, absolute)) for each in changed]
    mean: Values = np.mean(pairs, axis=0)
    return mean


def _comparable_maps(
    explained: Explained, changed: Explained, absolute: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32], Mask]:
    """Both maps and what is valid of them, ``(sequence, position)`` or ``(sequence, base and
    position)``."""
    first, second, valid = explained.scores, changed.scores, explained.sequences.valid
    if explained.hypothetical is not None and changed.hypothetical is not None:
        bases = explained.hypothetical.shape[1]
        first = explained.hypothetical.reshape(len(first), -1)
        second = changed.hypothetical.reshape(len(second), -1)
        valid = np.tile(valid, (1, bases))
    if absolute:
        first, second = np.abs(first), np.abs(second)
    return first, second, valid
