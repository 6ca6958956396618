"""Tests of paired differences against no difference, two-sided.

What the pairs are decides about which population a test is: pairs of seeds, retraining; pairs of
sequences, these trained models.

>>> wilcoxon([0.3, 0.1, 0.2, 0.5, 0.4]).p
0.0625
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats

from xaibench.shapes import Float
from xaibench.statistics.crossed import UNDEFINED, Interval
from xaibench.statistics.effect_sizes import defined
from xaibench.statistics.rounding import ROUNDING, all_equal, without_rounding

from .power import smallest_p
from .resampling import FLIPS, Clusters, DrawTable, of_columns, product


class Test(NamedTuple):
    """The result of a test; ``p`` is two-sided.

    ``smallest`` is the smallest p that the test can give for so many pairs, NaN where there is
    none. Where ``p`` is NaN, ``reason`` says why.
    """

    statistic: float
    p: float
    pairs: int
    smallest: float
    reason: str


def paired_t(differences: ArrayLike, *, size: float = 0.0) -> Test:
    """*Student 1908*: t = mean / (s / sqrt n) of ``(pair,)`` differences, n - 1 degrees of freedom.

    s is their standard deviation (divisor n - 1), p = 2 P(T > |t|). NaN among them is left out. No
    test where they are equal but for the rounding of numbers of this ``size``.
    """
    known = defined(differences)
    if known.size < 2:
        return _no_test(known.size)
    if all_equal(known, size=size):
        return _no_test(known.size, "the differences are all equal: no t")
    # scipy's ttest_1samp in its own order, to the bit, without 0.4 ms of checks for each estimate
    mean, pairs = known.mean(), known.size
    variance = ((known - mean) ** 2).mean() * (pairs / (pairs - 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = mean / np.sqrt(variance / pairs)
    return Test(float(t), float(2 * special.stdtr(pairs - 1, -abs(t))), pairs, np.nan, "")


def of_t(means: Float, level: float = 0.95) -> Interval:
    """mean +- t(level) s / sqrt n of numbers ``(seed,)``; undefined for fewer than two."""
    if len(means) < 2:
        return UNDEFINED
    reach = stats.t.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean() - reach), float(means.mean() + reach))


def wilcoxon(differences: ArrayLike) -> Test:
    """*Wilcoxon 1945*: the smaller of the two sums of ranks of |difference|, by sign.

    A zero takes its rank and counts for neither side (*Pratt 1959*): leaving it out first would
    give every other difference a lower rank, and the more zeros, the more. Exact up to 50 pairs,
    with ties or zeros up to 13; beyond, the normal approximation. NaN is left out.
    """
    known = defined(differences)
    if known.size < 2:
        return _no_test(known.size)
    sizes = without_rounding(np.append(np.abs(known), 0.0))[:-1]  # ranked, so ties must be ties
    known = np.sign(known) * sizes
    signed = int(np.count_nonzero(known))
    if not signed:
        return _no_test(known.size, "the differences are all zero: no ranks")
    statistic, p = stats.wilcoxon(known, zero_method="pratt")
    return Test(float(statistic), float(p), known.size, smallest_p("wilcoxon", signed), "")


def sign_flips(
    differences: ArrayLike,
    signs: DrawTable | np.random.Generator,
    *,
    flips: int = FLIPS,
    clusters: Clusters | None = None,
) -> Test:
    """How often |sum of e d| reaches |sum of d| where each sign e is -1 or 1 by chance (*Fisher
    1935*), for differences d ``(pair,)``; ``statistic`` is their mean.

    Without a difference between the two sides either sign of a pair was equally likely. All 2^n
    signs are tried where these are at most ``flips`` (the rows of ``signs``, where given), and p is
    their share; else those of ``signs`` ``(flip, pair)``, or as many drawn: of b that reach it,
    p = (b + 1) / (flips + 1), for what was observed is one of the signs too. With ``clusters``
    ``(pair,)`` all of one cluster have one sign. NaN is left out.
    """
    differences = np.asarray(differences, np.float64)
    known = ~np.isnan(differences)
    pairs = int(known.sum())
    sums, first = _summed(differences, known, clusters)
    if len(sums) < 2:
        return _no_test(pairs, "one cluster: no test" if pairs > 1 else "")
    if not isinstance(signs, np.random.Generator):
        flips = len(signs)
        if not np.array_equal(first, np.arange(signs.shape[1])):  # no copy of so large a table
            signs = of_columns(signs, first)
    mean = float(differences[known].mean())
    if 2 ** len(sums) <= flips:
        p = float(_as_far(sums, _all_signs(len(sums))).mean())
        return Test(mean, p, pairs, smallest_p("sign_flips", len(sums)), "")
    if isinstance(signs, np.random.Generator):
        signs = signs.integers(0, 2, size=(flips, len(sums)), dtype=np.int8) * np.int8(2) - 1
    return Test(mean, p_of_sign_flips(sums, signs), pairs, 1 / (flips + 1), "")


def mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> Test:
    """Whether two models are right equally often on the same sequences (*McNemar 1947*), exactly.

    Of the n sequences that one model alone gets right, b are those of ``first``: without a
    difference b is binomial (n, 1/2), and p is that test's. ``statistic`` is how many more
    ``first`` gets right, 2 b - n; where n is 0, p is 1. ``ValueError`` where the shapes differ.
    """
    first, second = np.asarray(first, bool), np.asarray(second, bool)
    if first.shape != second.shape:
        raise ValueError(f"second: expected the shape of first {first.shape}, got {second.shape}")
    if not first.size:
        return _no_test(0)
    alone, other = int((first & ~second).sum()), int((second & ~first).sum())
    if not alone + other:
        return Test(0.0, 1.0, first.size, 1.0, "")
    p = float(stats.binomtest(alone, alone + other).pvalue)
    return Test(float(alone - other), p, first.size, smallest_p("mcnemar", alone + other), "")


def p_of_sign_flips(differences: Float, signs: DrawTable) -> float:
    """p = (b + 1) / (flips + 1) of ``signs`` ``(flip, pair)``, as ``sign_flips``; no NaN."""
    return (int(_as_far(differences, signs).sum()) + 1) / (len(signs) + 1)


def _as_far(differences: Float, signs: DrawTable) -> NDArray[np.bool_]:
    """``(flip,)``: whether the sum under these signs is as far from 0 as that observed."""
    # a sum of the same numbers in another order must count as equal: ROUNDING of their size less
    observed = abs(differences.sum()) - ROUNDING * np.abs(differences).sum()
    as_far: NDArray[np.bool_] = (np.abs(product(signs, differences[None])) >= observed)[:, 0]
    return as_far


def _all_signs(pairs: int) -> NDArray[np.int8]:
    """``(2 ** pairs, pair)``"""
    bits = np.arange(2**pairs)[:, None] >> np.arange(pairs) & 1
    return (2 * bits - 1).astype(np.int8)


def _summed(
    differences: Float, known: NDArray[np.bool_], clusters: Clusters | None
) -> tuple[Float, NDArray[np.intp]]:
    """``(unit,)``: the sum of the defined differences of each pair, or of each cluster of pairs,
    whose sign is drawn; and the position of its first one in ``differences``."""
    places = np.flatnonzero(known)
    if clusters is None:
        return differences[known], places
    _, first, members = np.unique(
        np.asarray(clusters)[known], return_index=True, return_inverse=True
    )
    sums = np.bincount(members, weights=differences[known]).astype(np.float64)
    return sums, places[first]


def _no_test(pairs: int, reason: str = "") -> Test:
    """No test, because there are fewer than two pairs or for the ``reason`` given."""
    few = "one pair: no test" if pairs else "no pair: no test"
    return Test(np.nan, np.nan, pairs, np.nan, reason or few)
