"""Which method is best, and whether the order of several methods is more than chance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xaibench.shapes import Float
from xaibench.statistics.rounding import ROUNDING, without_rounding

from .resampling import Draws, drawn_seed_means, weighted_mean


class Friedman(NamedTuple):
    """Whether several methods rank alike, over blocks that each ranked all of them.

    ``mean_ranks`` ``(method,)``: 1 is best. Two methods differ where their mean ranks do by more
    than ``critical_difference``. ``blocks`` were used, ``dropped`` had a NaN. Where ``statistic``
    and ``p`` are NaN, ``reason`` says why.
    """

    statistic: float
    p: float
    mean_ranks: Float
    critical_difference: float
    blocks: int
    dropped: int
    reason: str


def rank(values: ArrayLike) -> Float:
    """Rank 1 is the highest; equals share the smaller rank; NaN is not ranked.

    >>> rank([0.2, np.nan, 0.9, 0.2]).tolist()
    [2.0, nan, 1.0, 2.0]
    """
    values = without_rounding(np.asarray(values, np.float64))
    ranks: Float = stats.rankdata(-values, method="min", nan_policy="omit").astype(np.float64)
    return ranks


def friedman(values: Float, *, level: float = 0.95) -> Friedman:
    """The ranks of methods over values ``(block, method)``, tested (*Friedman 1937*).

    A block is what was measured under every method: a sequence for these trained models, a seed for
    retraining. The highest value has rank 1; equals share the mean of their ranks. p is that of
    chi-squared, which is rough for fewer than 10 blocks. A block with a NaN is dropped.
    """
    known = ~np.isnan(values).any(axis=1)
    complete, methods = without_rounding(values[known], axis=1), values.shape[1]
    ranks = stats.rankdata(-complete, axis=1)
    reason = _why_no_friedman(ranks)
    statistic = p = np.nan
    if not reason:
        statistic, p = map(float, stats.friedmanchisquare(*ranks.T))
    return Friedman(
        statistic,
        p,
        ranks.mean(axis=0) if len(complete) else np.full(methods, np.nan),
        critical_difference(methods, len(complete), level=level),
        len(complete),
        int((~known).sum()),
        reason,
    )


def critical_difference(methods: int, blocks: int, *, level: float = 0.95) -> float:
    """By how much mean ranks of two of k methods over n blocks must differ (*Nemenyi 1963; Demsar
    2006*): q sqrt(k (k + 1) / (12 n)), q being the quantile of the studentised range of k.

    It holds for all pairs together. NaN with fewer than two methods or blocks.

    >>> round(critical_difference(4, 14), 3)
    1.254
    """
    if min(methods, blocks) < 2:
        return np.nan
    q = stats.studentized_range.ppf(level, methods, np.inf)
    return float(q * np.sqrt(methods * (methods + 1) / (12 * blocks)))


def best_shares(values: Float, draws: Draws) -> Float:
    """``(method,)``: in which share of crossed bootstrap draws each has the highest mean, 0 to 1.

    A draw samples seeds and sequences with replacement, the same for all methods (*Owen 2007*).
    ``values`` are ``(method, seed, sequence)``; equals share a draw. A method without a value is
    NaN and not compared; of the others only sequences count that are defined for every one of
    them under every seed. All is NaN where no sequence is.
    """
    with_values = ~np.isnan(values).all(axis=(1, 2))
    shares = np.full(len(values), np.nan)
    common = ~np.isnan(values[with_values]).any(axis=(0, 1))
    if not (with_values.any() and common.any()):
        return shares
    compared = np.where(common, values[with_values], np.nan)
    weights = draws.seed_counts.astype(np.float64)
    means = np.stack([weighted_mean(drawn_seed_means(each, draws), weights) for each in compared])
    shares[with_values] = _shares_of_wins(means)
    return shares


def _shares_of_wins(means: Float) -> Float:
    """The mean over draws of a win, shared by equals, of means ``(method, draw)``."""
    means = means[:, ~np.isnan(means).any(axis=0)]
    best = means >= means.max(axis=0) - ROUNDING * np.abs(means).max(axis=0)
    shares: Float = (best / best.sum(axis=0)).mean(axis=1)
    return shares


def _why_no_friedman(ranks: Float) -> str:
    blocks, methods = ranks.shape
    if methods < 3:
        return "two methods: a paired test says more" if methods == 2 else "one method: no test"
    if blocks < 2:
        return "one block: no test" if blocks else "no block: no test"
    return "" if np.ptp(ranks) else "all methods are equal in every block"
