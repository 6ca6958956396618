"""Intervals of AUROC, AUPRC and MCC from the number itself and the counts of the classes alone.

A bootstrap cannot see what it never draws: where every sequence is classified right it has no
width. These formulas have one.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from xaibench.shapes import Float, Labels

from .classification_measures import log_odds, ranked_classes, weighted_auroc
from .crossed import UNDEFINED, Interval


def from_counts(measure: str, logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of a measure whose mean over seeds is ``mean``, of logits ``(seed, sequence, class)``."""
    return _FROM_COUNTS[measure](logits, labels, mean, level)


def auroc_interval(auroc: float, inside: int, rest: int, level: float = 0.95) -> Interval:
    """The fifth interval of *Newcombe 2006* for an AUROC of so many sequences of a class (m) and of
    the rest (n): the AUROCs A with |auroc - A| <= z sqrt(V(A)).

    V(A) = A (1 - A) (1 + N (1 - A) / (2 - A) + N A / (1 + A)) / (m n), the variance of *Hanley and
    McNeil 1982* with N = (m + n) / 2 - 1 in place of m - 1 and n - 1. Taken at A and not at the
    number itself, it does not vanish at 0 and 1.

    >>> low, high = auroc_interval(1.0, 10, 20)
    >>> round(low, 3), high
    (0.849, 1.0)
    """
    z = stats.norm.ppf((1 + level) / 2)
    middle = (inside + rest) / 2 - 1

    def beyond(theta: float, sign: int) -> float:
        shape = 1 + middle * (1 - theta) / (2 - theta) + middle * theta / (1 + theta)
        reach = z * np.sqrt(theta * (1 - theta) * shape / (inside * rest))
        return float(sign * (auroc - theta) - reach)

    tiny = 1e-9
    low = 0.0 if auroc <= tiny else optimize.brentq(beyond, tiny, auroc - tiny / 2, args=(1,))
    top = 1 - tiny
    high = 1.0 if auroc >= top else optimize.brentq(beyond, auroc + tiny / 2, top, args=(-1,))
    return Interval(float(low), float(high))


def wilson_interval(share: float, trials: int, level: float = 0.95) -> Interval:
    """*Wilson 1927*: the shares p with |share - p| <= z sqrt(p (1 - p) / trials)."""
    z = stats.norm.ppf((1 + level) / 2)
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    reach = z / (1 + z**2 / trials)
    reach *= np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(float(max(middle - reach, 0)), float(min(middle + reach, 1)))


def _auroc_from_counts(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of more classes, the mean of the ends of all: as if they were wrong together."""
    odds = np.stack([log_odds(each) for each in logits])
    whole = np.ones((1, len(labels)))
    ends = []
    for place in ranked_classes(logits.shape[2]):
        inside = labels == place
        own = np.mean([weighted_auroc(each[:, place], inside, whole)[0] for each in odds])
        ends.append(auroc_interval(float(own), int(inside.sum()), int((~inside).sum()), level))
    return Interval(*np.mean(ends, axis=0).tolist())


def _auprc_from_counts(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of more classes by the smallest of them."""
    counts = np.bincount(labels, minlength=logits.shape[2])
    return wilson_interval(mean, int(counts.min() if logits.shape[2] > 2 else counts[1]), level)


def _mcc_from_counts(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of two classes; of more there is no such formula.

    MOVER (*Zou and Donner 2008*): each class's share of right predictions has Wilson's interval;
    how far the MCC moves when one share moves to its end adds as squares over the two.
    """
    if logits.shape[2] != 2:
        return UNDEFINED
    right = logits.argmax(axis=2) == labels
    counts = np.bincount(labels, minlength=2)
    shares = np.array([right[:, labels == place].mean() for place in range(2)])
    own = _mcc_of_shares(shares, counts)
    distances = []
    for side in range(2):
        moved = []
        for place in range(2):
            end = wilson_interval(float(shares[place]), int(counts[place]), level)[side]
            other = np.where(np.arange(2) == place, end, shares)
            moved.append(own - _mcc_of_shares(other, counts))
        distances.append(math.hypot(*moved))
    return Interval(max(mean - distances[0], -1.0), min(mean + distances[1], 1.0))


def _mcc_of_shares(shares: Float, counts: NDArray[np.integer]) -> float:
    """The MCC where so large a share of each class is right."""
    right, wrong = shares * counts, (1 - shares) * counts
    predicted = right + wrong[::-1]
    if not predicted.all():
        return 0.0
    return float((right.prod() - wrong.prod()) / np.sqrt(predicted.prod() * counts.prod()))


_FROM_COUNTS: dict[str, Callable[[Float, Labels, float, float], Interval]] = {
    "auroc": _auroc_from_counts,
    "auprc": _auprc_from_counts,
    "mcc": _mcc_from_counts,
}
