"""The mean of one quantity over the mean of another, and two such ratios compared.

The ratio of the means, R = mean a / mean b, and not the mean of ratios a / b: single values of b
may be near 0 or of the other sign while their mean is well above it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import optimize

from xaibench.shapes import Float
from xaibench.statistics.crossed import Interval, Spread, crossed, interval, of_these_models
from xaibench.statistics.means import (
    DEFAULT,
    defined_part,
    of_differences,
    of_values,
    undefined,
)
from xaibench.statistics.rounding import largest, subtracted
from xaibench.values import Estimate

from .resampling import Clusters, Resampling

_DOUBLINGS = 50
"""Of the distance from the ratio, until its interval counts as without end."""


def of_ratio(
    numerator: Float,
    denominator: Float,
    resampling: Resampling = DEFAULT,
    *,
    named: str = "the denominator",
) -> Estimate:
    """The mean of one over the mean of another, both ``(seed, sequence)``, paired.

    A pair with NaN on either side is dropped and counted as undefined. Tests are of a ratio of 0,
    that is of a numerator of 0, and the intervals hold the ratios that the same test would not
    reject (*Fieller 1954*); effect is NaN. All is NaN where the interval of the denominator (with
    one seed, that over sequences) is not above 0, for the ratio then has no direction; the reason
    calls it ``named``. ``ValueError`` where the shapes differ.
    """
    if numerator.shape != denominator.shape:
        raise ValueError(
            f"denominator: expected the shape of numerator {numerator.shape}, "
            f"got {denominator.shape}"
        )
    above, below = _paired(numerator, denominator)
    divisor = of_values(below, resampling)
    problem = _why_not_above_zero(divisor, named)
    if problem:
        nothing = undefined(problem, count=divisor.undefined)
        return replace(nothing, seeds=divisor.seeds, sequences=divisor.sequences)
    difference = of_differences(above, resampling)
    pair = defined_part(above)[0], *defined_part(below, resampling.clusters)
    alone = _fieller(*pair, of_these_models, resampling.level)
    headline = alone
    if not resampling.sequences_only:
        headline = _fieller(*pair, crossed, resampling.level)
    return replace(
        difference,
        mean=float(difference.mean / divisor.mean),
        low=headline.low,
        high=headline.high,
        sequences_low=alone.low,
        sequences_high=alone.high,
        effect=np.nan,
        reason=divisor.reason,
    )


def difference_of_ratios(
    first: tuple[Float, Float],
    second: tuple[Float, Float],
    resampling: Resampling = DEFAULT,
    *,
    named: str = "the denominator",
) -> Estimate:
    """A ratio of means minus another, each ``(numerator, denominator)`` of ``(seed, sequence)``,
    all paired.

    Linearised (delta method): the rest is that of the paired difference of these values. NaN in
    any of the four drops the pair from all. All is NaN where the interval of a denominator is
    not above 0. ``ValueError`` where the shapes differ.
    """
    every = [*first, *second]
    shapes = [values.shape for values in every]
    if len(set(shapes)) > 1:
        raise ValueError(f"expected four arrays of one shape, got {shapes}")
    known = _paired(*every)
    for below in known[1::2]:
        problem = _why_not_above_zero(of_values(below, resampling), named)
        if problem:
            return undefined(problem, count=int(np.isnan(below).sum()))
    one, other = linearised(known[0], known[1]), linearised(known[2], known[3])
    size = max(largest(one), largest(other))
    return of_differences(subtracted(one, other, size=size), resampling)


def linearised(numerator: Float, denominator: Float) -> Float:
    """``(seed, sequence)``: values whose mean over seed means is the ratio R of those means.

    A pair a, b counts as R + (a - R b) / mean of b: what it moves the ratio by, to first order.
    """
    top, bottom = (
        np.nanmean(defined_part(values)[0], axis=1).mean() for values in (numerator, denominator)
    )
    ratio = top / bottom
    values: Float = ratio + (numerator - ratio * denominator) / bottom
    return values


def _fieller(
    numerator: Float,
    denominator: Float,
    clusters: Clusters | None,
    spread: Callable[[Float, Clusters | None], Spread],
    level: float,
) -> Interval:
    """The ratios R for which the interval of the mean of a - R b includes 0 (*Fieller 1954*).

    a - R b is linear in the data, so its interval is exact where that of a mean is, and R is in
    this one exactly where the test of a - R b = 0 does not reject it. It is asymmetric where the
    denominator is not well known; the delta method, which is symmetric, misses a ratio of .8 in 7
    to 10 % of data sets where the denominator is three standard errors from 0. An end is found by
    doubling the distance from the ratio and then by Brent's method; infinite where there is none.
    """
    size = largest(numerator)

    def residual_interval(ratio: float) -> Interval:
        residuals = subtracted(numerator, ratio * denominator, size=size)
        return interval(spread(residuals, clusters), level)

    above, below = (spread(each, clusters).mean for each in (numerator, denominator))
    ratio = above / below
    around = residual_interval(ratio)
    if not around.low < around.high:  # undefined, or nothing varies
        return around if np.isnan(around.low) else Interval(ratio, ratio)
    step = (around.high - around.low) / below
    return Interval(
        _end(lambda at: -residual_interval(at).low, ratio, -step),
        _end(lambda at: residual_interval(at).high, ratio, step),
    )


def _end(inside: Callable[[float], float], start: float, step: float) -> float:
    """The first zero of ``inside`` from ``start``, where it is positive, in the way of ``step``."""
    if start * step < 0 and inside(0.0) <= 0:  # a step could pass over 0, the ratio of the test
        return float(optimize.brentq(inside, 0.0, start))
    for _ in range(_DOUBLINGS):
        if inside(start + step) <= 0:
            return float(optimize.brentq(inside, start, start + step))
        step *= 2
    return float(np.copysign(np.inf, step))


def _paired(*arrays: Float) -> list[Float]:
    """NaN in all where it is in one."""
    unknown = np.isnan(arrays).any(axis=0)
    return [np.where(unknown, np.nan, values) for values in arrays]


def _why_not_above_zero(divisor: Estimate, named: str) -> str:
    """Empty where the interval of what is divided by is above 0."""
    if not divisor.sequences:
        return "no pair is defined"
    low, high = divisor.low, divisor.high
    if np.isnan(low):
        low, high = divisor.sequences_low, divisor.sequences_high
    if np.isnan(low):
        return divisor.reason
    if high < 0:
        return f"the interval of {named} lies below 0: no ratio"
    return "" if low > 0 else f"the interval of {named} includes 0: no ratio"
