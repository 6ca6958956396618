"""Does an explanation stay when what should not matter changes?

Each metric compares the explanations of the same sequences before and after a change. The changed
ones come already mapped back to the original positions; only positions valid in the intact sequence
are compared. A constant map is perfectly stable, so these numbers alone recommend no method.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Mask, Scores, Values
from xaibench.values import Explained


@metric(
    family="stability",
    better="higher",
    range=(-1.0, 1.0),
    of="change",
    target="label",
    change="seed",
)
def seed_agreement(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Mean Spearman correlation of a map with those of other seeds; in [-1, 1], higher is better.

    NaN where one of the maps is constant: its order is undefined. ``NotApplicable`` with no other
    seed.
    """
    return _mean_spearman(explained, changed)


@metric(
    family="stability",
    better="higher",
    range=(-1.0, 1.0),
    of="change",
    change="reverse_complement",
)
def reverse_complement_consistency(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Spearman correlation of the maps of both strands; in [-1, 1], higher is better.

    NaN where one of the maps is constant: its order is undefined.
    """
    return _mean_spearman(explained, changed)


@metric(
    family="stability",
    better="lower",
    range=(0.0, np.inf),
    of="change",
    change="substitutions",
)
def substitution_sensitivity(explained: Explained, changed: Sequence[Explained]) -> Values:
    """Largest relative change of the scores over single substitutions; >= 0, lower is better.

    The L2 norm of the change over the L2 norm of the intact sequence's scores, both without the
    substituted position (found where the codes differ). NaN where the scores are all zero there.
    After max-sensitivity (*Yeh 2019*).
    """
    changes = [_relative_change(explained, each) for each in _some(changed)]
    largest: Values = np.max(changes, axis=0)
    return largest


def _some(changed: Sequence[Explained]) -> Sequence[Explained]:
    if not changed:
        raise NotApplicable("nothing to compare with: the change made no second explanation")
    return changed


def _relative_change(explained: Explained, changed: Explained) -> Values:
    unchanged = explained.sequences.codes == changed.sequences.codes
    compared = unchanged & explained.sequences.valid
    before = np.where(compared, explained.scores.astype(np.float64), 0)
    after = np.where(compared, changed.scores.astype(np.float64), 0)
    size = np.linalg.norm(before, axis=1)
    change = np.linalg.norm(after - before, axis=1)
    return _ratio(change, size)


def _mean_spearman(explained: Explained, changed: Sequence[Explained]) -> Values:
    valid = explained.sequences.valid
    before = _centred_ranks(explained.scores, valid)
    pairs = [_cosine(before, _centred_ranks(each.scores, valid)) for each in _some(changed)]
    mean: Values = np.mean(pairs, axis=0)
    return mean


def _centred_ranks(scores: Scores, valid: Mask) -> NDArray[np.float64]:
    """``(sequence, position)``: ranks among the valid positions minus their mean; 0 elsewhere."""
    ranks = rankdata(np.where(valid, scores.astype(np.float64), np.inf), axis=1)
    middle = (valid.sum(1, keepdims=True) + 1) / 2
    return np.where(valid, ranks - middle, 0)


def _cosine(first: NDArray[np.float64], second: NDArray[np.float64]) -> Values:
    size = np.sqrt((first**2).sum(1)) * np.sqrt((second**2).sum(1))
    product = (first * second).sum(1)
    return _ratio(product, size)


def _ratio(over: Values, under: Values) -> Values:
    """The quotient, NaN over zero."""
    quotient: Values = np.divide(over, under, out=np.full(len(over), np.nan), where=under > 0)
    return quotient
