"""The variance of a mean over seeds and sequences that are crossed, its interval and its test.

All seeds were measured on the same sequences. The model of a value is x_sq = m + a_s + b_q + e_sq,
of seed s and sequence q, with a, b and e independent, of variances A, B and E: the mean over S
seeds and Q sequences has the variance A / S + B / Q + E / (S Q). A test that takes either factor as
given mistakes its chance for an effect: t over the seeds' means finds a difference in most data
sets without one where sequences differ and seeds do not ("language as a fixed effect", *Clark
1973*). Here interval and p come from one statistic, so that p < .05 exactly where the 95 % interval
excludes 0.

>>> values = np.array([[0.5, 0.7, 0.6, 0.8], [0.6, 0.9, 0.6, 0.7]])
>>> spread = crossed(values)
>>> round(spread.mean, 3), spread.seeds.freedom, spread.sequences.freedom
(0.675, 1.0, 3.0)
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from xaibench.shapes import Float
from xaibench.statistics.rounding import ROUNDING

from .resampling import Clusters

_SMALLEST = 1e-150
"""A smaller p is given as this: squares of the quantiles of t would overflow."""


class Interval(NamedTuple):
    low: float
    high: float


UNDEFINED = Interval(np.nan, np.nan)


class Component(NamedTuple):
    """What one factor contributes to the variance of a mean, and the degrees of freedom of that."""

    variance: float
    freedom: float


class Spread(NamedTuple):
    """A mean, and where its variance comes from.

    ``seeds`` holds the variation between seeds and what neither factor explains; ``sequences`` that
    between sequences (or clusters of them). ``skewness`` is that of the sequences' contributions,
    of which there are ``units``. ``other_seeds`` are those of the other side where two sides have
    seeds of their own.
    """

    mean: float
    seeds: Component
    sequences: Component
    skewness: float
    units: int
    other_seeds: Component = Component(0.0, np.inf)

    @property
    def parts(self) -> tuple[Component, Component, Component]:
        return self.seeds, self.other_seeds, self.sequences


def crossed(values: Float, clusters: Clusters | None = None) -> Spread:
    """Of values ``(seed, sequence)``, for *retraining on other sequences*.

    The mean is that of the seeds' means m_s, each over the sequences defined under that seed. Over
    all of the same sequences the m_s vary by A + E / Q, so var(m_s) / S with S - 1 degrees of
    freedom estimates A / S + E / (S Q) at once. B / Q is estimated by moments: the variance of the
    sequences' contributions to the mean estimates B / Q + E / (S Q), and what is left in each seed
    once seed and sequence are taken out estimates the second term. The difference is 0 where it is
    negative (*Searle, Casella & McCulloch 1992*).
    """
    contributions, means = _contributions(values)
    seeds, groups = len(means), _groups(clusters)
    between = Component(float(means.var(ddof=1)) / seeds if seeds > 1 else 0.0, seeds - 1.0)
    totals, freedom = _by_unit(contributions.sum(axis=0), groups)
    rest = _of_the_rest(contributions, values, groups) if seeds > 1 else 0.0
    within = Component(max(_variance(totals) - rest, 0.0), freedom)
    spread = Spread(float(means.mean()), between, within, _skewness(totals), len(totals))
    return _without_rounding(spread, values)


def of_these_models(values: Float, clusters: Clusters | None = None) -> Spread:
    """Of values ``(seed, sequence)``, for *these trained models on other sequences*: seeds are
    given, and all that sequences vary by counts.

    The variance is that of the sequences' contributions, so B / Q + E / (S Q). A seed that is
    defined on few sequences says little about how it varies over them: its part is scaled for its
    own number, n / (n - 1), and limits the degrees of freedom.
    """
    contributions, means = _contributions(values)
    scaled, most = _for_few(contributions, values, clusters)
    totals, freedom = _by_unit(scaled.sum(axis=0), _groups(clusters))
    within = Component(_variance(totals), min(freedom, most))
    given = Component(0.0, np.inf)
    spread = Spread(float(means.mean()), given, within, _skewness(totals), len(totals))
    return _without_rounding(spread, values)


def crossed_apart(first: Float, second: Float) -> Spread:
    """Of ``second - first``, each ``(seed, sequence)``: the same sequences, seeds of their own.

    As ``crossed``, with a part for the seeds of each side. One t for both (*Welch 1947*) finds too
    much where a side has two or three seeds and the other more.
    """
    one, other = crossed(first), crossed(second)
    moved = [_contributions(each)[0] for each in (first, second)]
    totals, freedom = _by_unit(moved[1].sum(axis=0) - moved[0].sum(axis=0), None)
    rest = sum(
        _of_the_rest(each, values, None) if len(values) > 1 else 0.0
        for each, values in zip(moved, (first, second), strict=True)
    )
    within = Component(max(_variance(totals) - rest, 0.0), freedom)
    mean = other.mean - one.mean
    spread = Spread(mean, one.seeds, within, _skewness(totals), len(totals), other.seeds)
    return _without_rounding(spread, np.concatenate([first, second]))


def these_models_apart(first: Float, second: Float) -> Spread:
    """Of ``second - first`` as in ``crossed_apart``, seeds given."""
    (moved, means), (other, others) = (_contributions(each) for each in (first, second))
    (one, most), (two, limit) = (
        _for_few(each, values, None) for each, values in ((moved, first), (other, second))
    )
    totals, freedom = _by_unit(two.sum(axis=0) - one.sum(axis=0), None)
    within = Component(_variance(totals), min(freedom, most, limit))
    mean = float(others.mean() - means.mean())
    spread = Spread(mean, Component(0.0, np.inf), within, _skewness(totals), len(totals))
    return _without_rounding(spread, np.concatenate([first, second]))


def interval(spread: Spread, level: float = 0.95) -> Interval:
    """The mean minus and plus its reach on either side; undefined with one unit or one seed."""
    if not _is_estimable(spread):
        return UNDEFINED
    below, above = _reach(spread, (1 - level) / 2)
    return Interval(spread.mean - below, spread.mean + above)


def p_value(spread: Spread) -> float:
    """Two-sided, of a mean of 0: the level at which the interval ends at 0.

    NaN where the interval is undefined, 1 where the mean is 0. Where nothing varies about a mean
    that is not 0 it is that of the sign test: all units have one sign, by chance in 2^(1 - units).
    """
    if not _is_estimable(spread):
        return np.nan
    if not spread.mean:
        return 1.0
    if not any(part.variance for part in spread.parts):
        return max(2.0 ** (1 - spread.units), _SMALLEST)
    side = 0 if spread.mean > 0 else 1

    # solved over log p: p spans 150 decades and the interval's end is smooth in its logarithm
    def beyond(logarithm: float) -> float:
        return _reach(spread, math.exp(logarithm) / 2)[side] - abs(spread.mean)

    # p is no smaller than either part alone would make it
    least = max(_p_of_t(spread.mean, part) for part in spread.parts)
    least = max(least * (1 - ROUNDING), _SMALLEST)
    if beyond(0.0) >= 0:
        return 1.0
    if beyond(math.log(least)) <= 0:
        return least
    return math.exp(optimize.brentq(beyond, math.log(least), 0.0, xtol=1e-10))


def _is_estimable(spread: Spread) -> bool:
    """With several units, several seeds on each side, and every variance known."""
    enough = min(spread.units - 1, spread.seeds.freedom, spread.other_seeds.freedom) >= 1
    return enough and not np.isnan(spread.sequences.variance)


def _p_of_t(mean: float, part: Component) -> float:
    error = math.sqrt(part.variance)
    return float(2 * special.stdtr(part.freedom, -abs(mean) / error)) if error else 0.0


def _reach(spread: Spread, tail: float) -> tuple[float, float]:
    """How far the interval reaches below and above the mean, ``tail`` being left out on each side.

    The parts are independent and each has an interval of its own, +- t(freedom) sqrt(variance):
    their reaches add as squares, which keeps the level whatever the parts' sizes (*Banerjee 1961;
    Zou & Donner 2008*). One t with
    degrees of freedom between those of seeds and of sequences (*Satterthwaite 1946*) does not: with
    two or three seeds it finds twice too much where both parts are about equal.
    """
    of_seeds = math.hypot(
        *(
            math.sqrt(part.variance) * _quantile(part, tail)
            for part in (spread.seeds, spread.other_seeds)
            if part.variance
        )
    )
    error = math.sqrt(spread.sequences.variance)
    below, above = _skewed(spread, _quantile(spread.sequences, tail))
    return math.hypot(of_seeds, error * below), math.hypot(of_seeds, error * above)


def _quantile(part: Component, tail: float) -> float:
    """Of t with the part's degrees of freedom: positive, exceeded with the chance ``tail``."""
    return -float(special.stdtrit(part.freedom, tail))


def _skewed(spread: Spread, quantile: float) -> tuple[float, float]:
    """The quantile of t below and above, each lengthened where the sequences are skewed.

    g(T) = T + k T^2 / (3 sqrt n) + k^2 T^3 / (27 n) + k / (6 sqrt n) takes the skewness k out of
    the mean of n (*Hall 1992*), and is inverted here. It only widens: of symmetric data with heavy
    tails the estimated skewness is chance, and with a shortened side the test rejects too often.
    """
    slope = spread.skewness / math.sqrt(spread.units)
    if abs(slope) < 1e-6:  # the limit of what follows, which divides by it
        return quantile, quantile
    below, above = (
        3 / slope * (math.cbrt(1 + slope * (end - slope / 6)) - 1) for end in (quantile, -quantile)
    )
    return max(quantile, below), max(quantile, -above)


def _contributions(values: Float) -> tuple[Float, Float]:
    """``(seed, sequence)``: (x_sq - m_s) / (n_s S), what each value moves the mean by, 0 where it
    is undefined; and ``(seed,)``, the means m_s. Over a seed the contributions add up to 0."""
    known = ~np.isnan(values)
    counts = known.sum(axis=1, keepdims=True)
    means = np.where(known, values, 0).sum(axis=1, keepdims=True) / counts
    moved: Float = np.where(known, values - means, 0) / (counts * len(values))
    return moved, means[:, 0]


def _for_few(contributions: Float, values: Float, clusters: Clusters | None) -> tuple[Float, float]:
    """Each seed's contributions scaled to the number n of units that it is defined on, and the most
    degrees of freedom that these leave (*Satterthwaite 1946*).

    Scaled by the root of n / (n - 1) over that of all units, so that what is complete stays; NaN
    where a seed is defined on one.
    """
    known = ~np.isnan(values)
    if known.all():
        return contributions, np.inf
    groups = np.arange(values.shape[1]) if clusters is None else clusters
    counts = np.array([len(np.unique(groups[row])) for row in known], np.float64)
    units = len(np.unique(groups))
    if counts.min() < 2 or units < 2:
        return np.full_like(contributions, np.nan), 1.0
    scaled = contributions * np.sqrt(counts / (counts - 1) * (units - 1) / units)[:, None]
    parts = (scaled**2).sum(axis=1)
    shared = float((parts**2 / (counts - 1)).sum())
    return scaled, float(parts.sum()) ** 2 / shared if shared else np.inf


class _Groups(NamedTuple):
    """The cluster of each sequence, and how many sequences each cluster has."""

    members: NDArray[np.int64]
    sizes: NDArray[np.int64]


def _groups(clusters: Clusters | None) -> _Groups | None:
    if clusters is None:
        return None
    _, members, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    return _Groups(members, sizes)


def _by_unit(contributions: Float, groups: _Groups | None) -> tuple[Float, float]:
    """The contributions of each sequence, or of each cluster together, and the degrees of freedom
    of their variance.

    Of clusters of uneven size the sum of squares is a quadratic form K with
    K[g, h] = w[g] w[h] ((g = h) - w[g] - w[h] + sum of w^2), w being the clusters' shares of the
    sequences, and its degrees of freedom are tr(K)^2 / tr(K^2) (*Bell & McCaffrey 2002*); of even
    size, their number less 1.
    """
    totals = _totals(contributions, groups)
    if groups is None:
        return totals, len(totals) - 1.0
    if len(totals) < 2:
        return totals, 0.0
    shares = groups.sizes / groups.sizes.sum()
    two, three, four, five = (float((shares**power).sum()) for power in (2, 3, 4, 5))
    trace = two - 2 * three + two**2
    of_square = two**4 + 2 * four * two - 4 * two**2 * three + 2 * three**2
    of_square += four * (1 + 2 * two) - 4 * five
    return totals, max(trace**2 / of_square, 1.0)


def _totals(contributions: Float, groups: _Groups | None) -> Float:
    """The contributions of each sequence, or of each cluster together.

    A large cluster pulls the mean towards itself and so seems to differ from it by too little. Each
    counts as what leaving it out would move the mean by (the jackknife, *Bell & McCaffrey 2002*):
    its total by 1 / (1 - w), w being its share of the sequences, less the factor that clusters of
    even size have in common.
    """
    if groups is None:
        return contributions
    totals = np.bincount(groups.members, weights=contributions).astype(np.float64)
    if len(totals) > 1:
        totals *= (1 - 1 / len(totals)) / (1 - groups.sizes / groups.sizes.sum())
    return totals


def _of_the_rest(contributions: Float, values: Float, groups: _Groups | None) -> float:
    """E / (S Q), the part of the sequences' variance that interactions and noise make.

    Each contribution minus the mean of its sequence's over the seeds, which takes b_q out, has
    (S - 1) / S of the variance of e: hence the factor S / (S - 1).
    """
    seeds = len(contributions)
    known = ~np.isnan(values)
    shared = contributions.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    left = np.where(known, contributions - shared, 0)
    return sum(_variance(_totals(row, groups)) for row in left) * seeds / (seeds - 1)


def _variance(totals: Float) -> float:
    """Of the sum of ``(unit,)`` contributions, which add up to 0: sum of squares n / (n - 1)."""
    units = len(totals)
    return float((totals**2).sum() * units / (units - 1)) if units > 1 else 0.0


def _skewness(totals: Float) -> float:
    """Third moment over the second to the power 1.5; 0 where nothing varies."""
    squares = float((totals**2).mean())
    return float((totals**3).mean() / squares**1.5) if squares else 0.0


def _without_rounding(spread: Spread, values: Float) -> Spread:
    """0 in place of what is as small as the rounding of sums of such values."""
    least = ROUNDING * float(np.nanmax(np.abs(values)))
    seeds, other_seeds, sequences = (
        part._replace(variance=0.0) if part.variance <= least**2 else part for part in spread.parts
    )
    mean = spread.mean if abs(spread.mean) > least else 0.0
    return spread._replace(mean=mean, seeds=seeds, other_seeds=other_seeds, sequences=sequences)
