"""Intervals of shares: means of values that are 0 or 1, such as accuracy or the pointing game.

Near 0 and 1 a share is skewed, and where all values are equal there is no variance to make an
interval of, though other sequences may differ. An interval of a share is that of a binomial share
with as many cases as would vary as much (*Korn & Graubard 1998*), exact (*Clopper & Pearson 1934*).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xaibench.statistics.crossed import UNDEFINED, Interval, Spread, interval


def share_interval(spread: Spread, values: NDArray[np.float64], level: float) -> Interval:
    """The interval of a share, 0 to 1, whose mean and variance are those of ``spread``.

    With z the normal quantile and w how far its symmetric interval reaches, a share is worth
    n = share (1 - share) (z / w)^2 independent cases, at most the number of ``values``; as many as
    there are sequences or clusters where nothing varies. Undefined where the spread's is.

    >>> from xaibench.statistics.crossed import of_these_models
    >>> none_of_100 = np.zeros((1, 100))
    >>> low, high = share_interval(of_these_models(none_of_100), none_of_100, 0.95)
    >>> low, round(high, 3)
    (0.0, 0.036)
    """
    symmetric = interval(spread._replace(skewness=0.0), level)
    if np.isnan(symmetric.low):
        return UNDEFINED
    share, reach = spread.mean, symmetric.high - spread.mean
    cases = share * (1 - share) * (special.ndtri((1 + level) / 2) / reach) ** 2 if reach else np.inf
    most = int((~np.isnan(values)).sum()) if reach else spread.units
    return _exact(share, min(cases, most), level)


def equal_difference_interval(difference: float, units: int, level: float) -> Interval:
    """The interval of a difference of two shares that is the same, -1 to 1, in all ``units``.

    At most a share q of other sequences, by the exact interval of none in so many, may differ, by
    as much as a difference can.
    """
    if units < 2:
        return UNDEFINED
    most = _exact(0.0, units, level).high
    return Interval(difference - most * (1 + difference), difference + most * (1 - difference))


def _exact(share: float, cases: float, level: float) -> Interval:
    """*Clopper & Pearson 1934*, by the beta distribution for any number of cases."""
    tail, hits = (1 - level) / 2, share * cases
    misses = cases - hits
    low = special.betaincinv(hits, misses + 1, tail) if hits > 0 else 0.0
    high = special.betaincinv(hits + 1, misses, 1 - tail) if misses > 0 else 1.0
    return Interval(float(low), float(high))
