"""Does an explanation stay when what should not matter changes?

Each metric compares the explanations of the same sequences before and after a change. The changed
ones come already mapped back to the original positions, NaN where the changed sequence does not
have one; only positions valid in the intact sequence, and with a score in both, are compared. A
constant map is perfectly stable, so these numbers alone recommend no method.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import comb
from typing import Annotated

import numpy as np
from pydantic import Field

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Mask, Values
from xaibench.values import Explained

from .agreement import overlap, relative_change, spearman

_stability = partial(metric, family="stability", of="change")
_agreement_metric = partial(_stability, better="higher", invariant=("scale", "monotone"))
_sensitivity_metric = partial(_stability, better="lower", range=(0.0, np.inf), invariant=("scale",))


@_agreement_metric(range=(-1.0, 1.0), change="seed", target="label")
def seed_agreement(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Mean Spearman correlation of a map with those of other seeds; in [-1, 1], higher is better.

    NaN where one of the maps is constant: its order is undefined. ``NotApplicable`` with no other
    seed.
    """
    return _mean_spearman(explained, changed)


@_agreement_metric(range=(0.0, 1.0), change="seed", target="label")
def seed_overlap(
    explained: Explained,
    changed: Sequence[Explained],
    *,
    share: Annotated[float, Field(gt=0, le=1)] = 0.1,
) -> Values:
    """Mean Jaccard index of the top positions of a map and of those of other seeds; in [0, 1],
    higher is better.

    The top are a ``share`` of the valid positions; ties share its last places, as in
    ``agreement.overlap``. Maps in random order reach about ``share / (2 - share)``. NaN where no
    position is valid. ``NotApplicable`` with no other seed.
    """
    valid = explained.sequences.valid
    pairs = [
        overlap(explained.scores, each.scores, valid, share=share) for each in _not_empty(changed)
    ]
    mean: Values = np.mean(pairs, axis=0)
    return mean


@_agreement_metric(range=(-1.0, 1.0), change="reverse_complement")
def reverse_complement_consistency(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Spearman correlation of the maps of both strands; in [-1, 1], higher is better.

    NaN where one of the maps is constant: its order is undefined.
    """
    return _mean_spearman(explained, changed)


@_agreement_metric(range=(-1.0, 1.0), change="shift")
def shift_consistency(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Mean Spearman correlation with the maps of the sequence moved by a few positions, over the
    bases that both have; in [-1, 1], higher is better.

    NaN where one of the maps is constant there, or where a shift left no base.
    """
    return _mean_spearman(explained, changed)


@_sensitivity_metric(change="substitutions")
def substitution_sensitivity(
    explained: Explained, changed: Sequence[Explained], *, of: Annotated[int, Field(ge=1)] = 5
) -> Values:
    """Largest relative change of the scores over single substitutions; >= 0, lower is better.

    The L2 norm of the change over the L2 norm of the intact sequence's scores, both without the
    substituted position (found where the codes differ). A maximum grows with the number of draws,
    so it is the one expected ``of`` so many: the mean over all choices of them from the draws.
    NaN where the scores are all zero there. ``NotApplicable`` with fewer draws. After
    max-sensitivity (*Yeh 2019*).
    """
    return _expected_maximum(
        [_relative_change(explained, each) for each in _not_empty(changed)], of
    )


@_sensitivity_metric(change="hamming_ball")
def lipschitz(
    explained: Explained, changed: Sequence[Explained], *, of: Annotated[int, Field(ge=1)] = 5
) -> Values:
    """Largest relative change of the scores for the distance, in a Hamming ball; >= 0, lower is
    better.

    The relative change as in ``substitution_sensitivity``, over the square root of the number of
    changed bases, which is the Euclidean distance of one-hot sequences up to a factor: the local
    Lipschitz estimate of *Alvarez-Melis and Jaakkola 2018* on the simplex. The maximum expected
    ``of`` so many draws. NaN where the scores are all zero outside the changed bases, or where no
    base could be changed. ``NotApplicable`` with fewer draws.
    """
    slopes = [
        _relative_change(explained, each) / _distance(explained, each)
        for each in _not_empty(changed)
    ]
    return _expected_maximum(slopes, of)


@_sensitivity_metric(change="settings")
def settings_sensitivity(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Largest relative change of the scores when the method's own settings change; >= 0, lower is
    better.

    The L2 norm of the change over the L2 norm of the scores. Settings are listed, not drawn, so the
    maximum is the plain one. NaN where the scores are all zero.
    """
    largest: Values = np.max(
        [_relative_change(explained, each) for each in _not_empty(changed)], axis=0
    )
    return largest


def _not_empty(changed: Sequence[Explained]) -> Sequence[Explained]:
    """The changed explanations; ``NotApplicable`` where there is none."""
    if not changed:
        raise NotApplicable("nothing to compare with: the change made no second explanation")
    return changed


def _mean_spearman(explained: Explained, changed: Sequence[Explained]) -> Values:
    valid = explained.sequences.valid
    pairs = [spearman(explained.scores, each.scores, valid) for each in _not_empty(changed)]
    mean: Values = np.mean(pairs, axis=0)
    return mean


def _relative_change(explained: Explained, changed: Explained) -> Values:
    """The relative change of the scores outside the substituted positions."""
    compared = explained.sequences.valid & ~_substituted(explained, changed)
    return relative_change(explained.scores, changed.scores, compared)


def _distance(explained: Explained, changed: Explained) -> Values:
    """The square root of the number of changed bases; NaN where none changed: there is no slope
    over no distance."""
    count = _substituted(explained, changed).sum(1)
    return np.sqrt(np.where(count > 0, count, np.nan))


def _substituted(explained: Explained, changed: Explained) -> Mask:
    """The positions at which the codes differ."""
    substituted: Mask = explained.sequences.codes != changed.sequences.codes
    return substituted


def _expected_maximum(draws: Sequence[Values], of: int) -> Values:
    """The mean, over all choices of ``of`` draws, of the largest among them; NaN where one is.

    The i-th smallest of n draws is the largest of ``comb(i - 1, of - 1)`` choices. Its expectation
    is that of the maximum of ``of`` draws, for any n (a U-statistic, *Hoeffding 1948*).
    """
    count = len(draws)
    if count < of:
        raise NotApplicable(f"expected at least {of} draws for the largest of {of}, got {count}")
    largest = np.sort(draws, axis=0)[of - 1 :]
    weights = [comb(below, of - 1) / comb(count, of) for below in range(of - 1, count)]
    expected: Values = np.tensordot(weights, largest, axes=1)
    return expected
