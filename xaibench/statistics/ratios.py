"""The mean of one quantity over the mean of another, and two such ratios compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.statistics.bootstrap import (
    defined_part,
    drawn_for,
    of_differences,
    of_values,
    undefined,
)
from xaibench.statistics.draws import Clusters, Drawing, Draws
from xaibench.statistics.intervals import (
    UNDEFINED,
    Interval,
    drawn_seed_means,
    percentiles,
    weighted_mean,
    wider,
)
from xaibench.values import Estimate

Float = NDArray[np.float64]


def of_ratio(
    numerator: Float,
    denominator: Float,
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
    named: str = "the denominator",
) -> Estimate:
    """The mean of one over the mean of another, both ``(seed, sequence)``, paired.

    A pair with NaN on either side is dropped and counted as undefined. The bootstrap divides the
    means of one draw of seeds and sequences. For t over seeds the ratio is linearised (delta
    method): the seed's means a and b count as R + (a - R b) / mean of b, of which R is the mean.
    The headline is the wider of the two, as for ``estimate``; effect and p-values are NaN. All is
    NaN where the interval of the denominator (with one seed, that over sequences) does not lie
    above 0, for the ratio then has no direction; the reason calls it ``named``. ``ValueError``
    where the shapes differ.
    """
    if numerator.shape != denominator.shape:
        raise ValueError(
            f"denominator: wanted the shape of numerator {numerator.shape}, got {denominator.shape}"
        )
    unknown = np.isnan(numerator) | np.isnan(denominator)
    above, below = (np.where(unknown, np.nan, each) for each in (numerator, denominator))
    if unknown.all():
        return undefined("no pair is defined", count=unknown.size)
    draws = drawn_for(above, drawing, clusters)
    above, below = defined_part(above), defined_part(below)
    divisor = of_values(below, lambda *_: draws, level=level, sequences_only=sequences_only)
    problem = _why_not_above_zero(divisor, named)
    mean, over_sequences, headline = np.nan, UNDEFINED, UNDEFINED
    if not problem:
        mean = float(np.nanmean(above, axis=1).mean() / divisor.mean)
        over_sequences, headline = _of_ratio(above, below, draws, level)
    if sequences_only:
        headline = over_sequences
    return replace(
        divisor,
        mean=mean,
        low=headline.low,
        high=headline.high,
        sequences_low=over_sequences.low,
        sequences_high=over_sequences.high,
        undefined=int(unknown.sum()),
        reason=problem or divisor.reason,
    )


def difference_of_ratios(
    first: tuple[Float, Float],
    second: tuple[Float, Float],
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
    named: str = "the denominator",
) -> Estimate:
    """A ratio of means minus another, each ``(numerator, denominator)`` of ``(seed, sequence)``,
    all paired.

    Linearised (delta method): a pair of values a and b counts as R + (a - R b) / mean of b, whose
    mean is the ratio R; the rest is that of the paired difference of these. NaN in any of the four
    drops the pair from all. All is NaN where the interval of a denominator does not lie above 0.
    ``ValueError`` where the shapes differ.
    """
    every = [*first, *second]
    shapes = [values.shape for values in every]
    if len(set(shapes)) > 1:
        raise ValueError(f"wanted four arrays of one shape, got {shapes}")
    unknown = np.isnan(every).any(axis=0)
    if unknown.all():
        return undefined("no pair is defined", count=unknown.size)
    known = [np.where(unknown, np.nan, values) for values in every]
    options: dict[str, Any] = {"sequences_only": sequences_only, "clusters": clusters}
    for below in known[1::2]:
        divisor = of_values(below, drawing, level=level, **options)
        problem = _why_not_above_zero(divisor, named)
        if problem:
            return undefined(problem, count=int(unknown.sum()))
    one, other = linearised(known[0], known[1]), linearised(known[2], known[3])
    return of_differences(one - other, drawing, level=level, **options)


def linearised(numerator: Float, denominator: Float) -> Float:
    """``(seed, sequence)``: values whose mean over seed means is the ratio of those means."""
    top, bottom = (
        np.nanmean(defined_part(values), axis=1).mean() for values in (numerator, denominator)
    )
    ratio = top / bottom
    values: Float = ratio + (numerator - ratio * denominator) / bottom
    return values


def _of_ratio(above: Float, below: Float, draws: Draws, level: float) -> tuple[Interval, Interval]:
    """Of a ratio of means, the interval over sequences and the headline."""
    tops, bottoms = (drawn_seed_means(each, draws) for each in (above, below))
    fixed, counts = np.ones_like(tops), draws.seed_counts.astype(np.float64)
    sequences, crossed = (
        percentiles(_drawn_ratio(tops, bottoms, weights), draws, level)
        for weights in (fixed, counts)
    )
    if len(above) < 2:
        return sequences, UNDEFINED
    top, bottom = np.nanmean(above, axis=1), np.nanmean(below, axis=1)
    ratio = top.mean() / bottom.mean()
    linear = ratio + (top - ratio * bottom) / bottom.mean()
    return sequences, wider(crossed, linear, level)


def _drawn_ratio(tops: Float, bottoms: Float, weights: Float) -> Float:
    """``(draw,)`` from means ``(draw, seed)``; NaN where the bottom is zero."""
    top, bottom = (weighted_mean(each, weights) for each in (tops, bottoms))
    ratio: Float = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
    return ratio


def _why_not_above_zero(divisor: Estimate, named: str) -> str:
    """Empty where the interval of what is divided by lies above 0."""
    low, high = divisor.low, divisor.high
    if np.isnan(low):
        low, high = divisor.sequences_low, divisor.sequences_high
    if np.isnan(low):
        return divisor.reason
    if high < 0:
        return f"the interval of {named} lies below 0: no ratio"
    return "" if low > 0 else f"the interval of {named} holds 0: no ratio"
