"""What the draws of a bootstrap make of values ``(seed, sequence)``: means, percentiles, the wider.

NaN is undefined: a seed's mean is that over the drawn sequences that are defined under it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xaibench.statistics.draws import Draws

Float = NDArray[np.float64]


class Interval(NamedTuple):
    low: float
    high: float


UNDEFINED = Interval(np.nan, np.nan)


def product(drawn: NDArray[np.integer], rows: Float) -> Float:
    """``drawn @ rows.T`` in float64: ``(draw, sequence)`` and ``(row, sequence)``.

    Not by BLAS: it would need the draws as float64, its sums depend on its threads, and these wait
    for each other where cores are shared (20 times slower was seen).
    """
    sums: Float = np.einsum("ds,rs->dr", drawn, np.ascontiguousarray(rows))
    return sums


def drawn_seed_means(values: Float, draws: Draws) -> Float:
    """``(draw, seed)``: each seed's mean over the drawn sequences that are defined under it."""
    known = ~np.isnan(values)
    sums = product(draws.sequence_counts, np.where(known, values, 0))
    if known.all():
        sizes = draws.sequence_counts.sum(axis=1, dtype=np.float64)[:, None]
        return quotient(sums, np.broadcast_to(sizes, sums.shape))
    return quotient(sums, product(draws.sequence_counts, known.astype(np.float64)))


def weighted_mean(drawn: Float, weights: Float) -> Float:
    """``(draw,)`` over the seeds that are defined in the draw; NaN where none of weight is."""
    weights = np.where(np.isnan(drawn), 0, weights)
    sums, sizes = (np.nan_to_num(drawn) * weights).sum(1), weights.sum(1)
    return quotient(sums, sizes)


def quotient(sums: Float, sizes: Float) -> Float:
    """NaN where the size is zero."""
    divided: Float = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
    return divided


def percentiles(means: Float, draws: Draws, level: float) -> Interval:
    """Of the means ``(draw,)`` of a bootstrap."""
    share = tail(draws, level)
    low, high = np.nanquantile(means, [share, 1 - share])
    return Interval(float(low), float(high))


def tail(draws: Draws, level: float) -> float:
    """The share of draws to leave out at either end.

    Clusters are few, and percentiles of few units are too narrow: their tails are those that make
    the interval of a normal mean as wide as by t (*Hesterberg 2015*, expanded percentiles).
    """
    if draws.clusters is None:
        return (1 - level) / 2
    units = draws.clusters
    reach = stats.t.ppf((1 + level) / 2, units - 1) * np.sqrt(units / (units - 1))
    return float(stats.norm.sf(reach))


def over_sequences(drawn: Float, draws: Draws, level: float) -> Interval:
    """The percentiles with the seeds as they are."""
    if draws.units < 2:
        return UNDEFINED
    return percentiles(weighted_mean(drawn, np.ones_like(drawn)), draws, level)


def headline(means: Float, drawn: Float, draws: Draws, level: float) -> Interval:
    """The wider of the crossed bootstrap and t over the seed means."""
    if len(means) < 2 or draws.units < 2:
        return UNDEFINED
    seeds = draws.seed_counts.astype(np.float64)
    crossed = percentiles(weighted_mean(drawn, seeds), draws, level)
    return wider(crossed, means, level)


def wider(crossed: Interval, means: Float, level: float) -> Interval:
    """The wider of an interval and t over the seed means."""
    by_t = of_t(means, level)
    return crossed if crossed.high - crossed.low > by_t.high - by_t.low else by_t


def of_t(means: Float, level: float = 0.95) -> Interval:
    """Mean +- t x standard error of numbers ``(seed,)``; undefined for fewer than two."""
    if len(means) < 2:
        return UNDEFINED
    reach = stats.t.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    return Interval(float(means.mean() - reach), float(means.mean() + reach))
