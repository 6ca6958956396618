"""Tests of paired differences against no difference, two-sided.

Which population a test speaks of is decided by what its pairs are: over seeds it is retraining,
over sequences these trained models.

>>> wilcoxon([0.3, 0.1, 0.2, 0.5, 0.4]).p
0.0625
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from xaibench.statistics.crossed import UNDEFINED, Interval
from xaibench.statistics.effect_sizes import defined
from xaibench.statistics.rounding import ROUNDING, all_equal, without_rounding

from .power import smallest_p
from .resampling import FLIPS, Clusters, product

Float = NDArray[np.float64]
Signs = NDArray[np.int8]


class Test(NamedTuple):
    """What a test found; ``p`` is two-sided.

    ``smallest`` is the smallest p that the test can give for so many pairs, NaN where there is
    none. Where ``p`` is NaN, ``reason`` says why.
    """

    statistic: float
    p: float
    pairs: int
    smallest: float
    reason: str


def paired_t(differences: ArrayLike, *, size: float = 0.0) -> Test:
    """*Student 1908*: t of the mean difference. NaN among them is left out.

    No test where they are equal but for the rounding of numbers of this ``size``.
    """
    known = defined(differences)
    if known.size < 2:
        return _none(known.size)
    if all_equal(known, size=size):
        return _none(known.size, "the differences are all equal: no t")
    # scipy's ttest_1samp in its own order, to the bit, without 0.4 ms of checks for each estimate
    mean, pairs = known.mean(), known.size
    variance = ((known - mean) ** 2).mean() * (pairs / (pairs - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(variance / pairs)
    return Test(float(t), float(2 * special.stdtr(pairs - 1, -abs(t))), pairs, np.nan, "")


def of_t(means: Float, level: float = 0.95) -> Interval:
    """Mean +- t x standard error of numbers ``(seed,)``; undefined for fewer than two."""
    if len(means) < 2:
        return UNDEFINED
    reach = stats.t.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean() - reach), float(means.mean() + reach))


def wilcoxon(differences: ArrayLike) -> Test:
    """*Wilcoxon 1945*: the smaller sum of signed ranks.

    A zero takes its rank and counts for neither side (*Pratt 1959*). Exact up to 50 pairs, with
    ties or zeros up to 13; beyond, the normal approximation. NaN among the differences is left out.
    """
    known = defined(differences)
    if known.size < 2:
        return _none(known.size)
    sizes = without_rounding(np.append(np.abs(known), 0.0))[:-1]  # ranked, so ties must be ties
    known = np.sign(known) * sizes
    turning = int(np.count_nonzero(known))
    if not turning:
        return _none(known.size, "the differences are all zero: no ranks")
    found = stats.wilcoxon(known, zero_method="pratt")
    smallest = smallest_p("wilcoxon", turning)
    return Test(float(found.statistic), float(found.pvalue), known.size, smallest, "")


def sign_flips(
    differences: ArrayLike,
    signs: Signs | np.random.Generator,
    *,
    flips: int = FLIPS,
    clusters: Clusters | None = None,
) -> Test:
    """How often the mean is as far from 0 once each difference takes a sign by chance (*Fisher
    1935*); ``statistic`` is the mean.

    All signs are tried where these are at most ``flips`` (the rows of ``signs``, where given);
    else those of ``signs`` ``(flip, pair)``, or as many drawn: p = (b + 1) / (flips + 1). With
    ``clusters`` ``(pair,)`` those of one cluster turn together. NaN is left out.
    """
    differences = np.asarray(differences, np.float64)
    known = ~np.isnan(differences)
    pairs = int(known.sum())
    sums, first = _summed(differences, known, clusters)
    if len(sums) < 2:
        return _none(pairs, "one cluster: no test" if pairs > 1 else "")
    if not isinstance(signs, np.random.Generator):
        flips, signs = len(signs), signs[:, first]
    mean = float(differences[known].mean())
    if 2 ** len(sums) <= flips:
        p = float(_as_far(sums, _all_signs(len(sums))).mean())
        return Test(mean, p, pairs, smallest_p("sign_flips", len(sums)), "")
    if isinstance(signs, np.random.Generator):
        signs = signs.integers(0, 2, size=(flips, len(sums)), dtype=np.int8) * np.int8(2) - 1
    return Test(mean, p_of_sign_flips(sums, signs), pairs, 1 / (flips + 1), "")


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Test:
    """Whether two models are right equally often on the same sequences (*McNemar 1947*), exactly.

    Only sequences that one alone gets right count: under no difference either does so with
    probability 1/2. ``statistic`` is how many more ``first`` gets right; where there is none to
    count, p is 1. ``ValueError`` where the shapes differ.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise ValueError(f"second: wanted the shape of first {first.shape}, got {second.shape}")
    if not first.size:
        return _none(0)
    alone, other = int((first & ~second).sum()), int((second & ~first).sum())
    if not alone + other:
        return Test(0.0, 1.0, first.size, 1.0, "")
    p = float(stats.binomtest(alone, alone + other).pvalue)
    return Test(float(alone - other), p, first.size, smallest_p("mcnemar", alone + other), "")


def p_of_sign_flips(differences: Float, signs: Signs) -> float:
    """p = (b + 1) / (flips + 1) of ``signs`` ``(flip, pair)``; nothing may be NaN."""
    return (int(_as_far(differences, signs).sum()) + 1) / (len(signs) + 1)


def _as_far(differences: Float, signs: Signs) -> NDArray[np.bool_]:
    """``(flip,)``: whether the sum under these signs is as far from 0 as that observed."""
    observed = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    as_far: NDArray[np.bool_] = (np.abs(product(signs, differences[None])) >= observed)[:, 0]
    return as_far


def _all_signs(pairs: int) -> Signs:
    """``(2 ** pairs, pair)``"""
    bits = np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1
    return (2 * bits - 1).astype(np.int8)


def _summed(
    differences: Float, known: NDArray[np.bool_], clusters: Clusters | None
) -> tuple[Float, NDArray[np.intp]]:
    """The sum of the defined differences of each unit that turns, and where its first one is."""
    places = np.flatnonzero(known)
    if clusters is None:
        return differences[known], places
    _, first, members = np.unique(
        np.asarray(clusters)[known], return_index=True, return_inverse=True
    )
    sums = np.bincount(members, weights=differences[known]).astype(np.float64)
    return sums, places[first]


def _none(pairs: int, reason: str = "") -> Test:
    """No test, because there are fewer than two pairs or for the ``reason`` given."""
    few = "one pair: no test" if pairs else "no pair: no test"
    return Test(np.nan, np.nan, pairs, np.nan, reason or few)
