"""How much more one quantity varies than another that is paired with it.

>>> found = ratio_of_deviations([1.0, 5.0, 9.0, 6.0], [2.0, 2.5, 3.0, 2.4])
>>> round(found.ratio, 2), found.p < 0.05
(8.03, True)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from .rounding import all_equal


class RatioOfDeviations(NamedTuple):
    """The standard deviation of one over that of another, > 0, with its interval; ``p`` is
    two-sided, against equal ones. Where all is NaN, ``reason`` says why."""

    ratio: float
    low: float
    high: float
    p: float
    reason: str


def ratio_of_deviations(
    first: ArrayLike, second: ArrayLike, *, level: float = 0.95
) -> RatioOfDeviations:
    """The test of *Pitman 1939* and *Morgan 1939* of two normal quantities ``(pair,)``, which need
    not be independent, as the F test assumes.

    cov(x + y, x - y) = var x - var y, so sum and difference are uncorrelated exactly where the
    variances are equal. With R = s_x / s_y and r the correlation of the two, the test is that
    correlation's: t = (R - 1/R) sqrt((n - 2) / (1 - r^2)) / 2 with n - 2 degrees of freedom. For
    true deviations in the ratio q it is that of x / q and y, so the interval holds the q with
    |t(R / q)| below the quantile t: with k = 1 + 2 (1 - r^2) t^2 / (n - 2), its ends are
    R sqrt(k -+ sqrt(k^2 - 1)). NaN for fewer than three pairs, and
    where one of the two does not vary. ``ValueError`` where the shapes differ.
    """
    one, other = (np.asarray(values, np.float64) for values in (first, second))
    if one.shape != other.shape:
        raise ValueError(f"second: expected the shape of first {one.shape}, got {other.shape}")
    pairs = one.size
    if pairs < 3:
        return _no_ratio("fewer than three pairs: no test of their variances")
    if all_equal(one) or all_equal(other):
        return _no_ratio("one of the two does not vary: no ratio")
    ratio = float(one.std(ddof=1) / other.std(ddof=1))
    correlation = float(np.corrcoef(one, other)[0, 1])
    unexplained = max(1 - correlation**2, 0.0)
    quantile = stats.t.ppf((1 + level) / 2, pairs - 2)
    middle = 1 + 2 * unexplained * quantile**2 / (pairs - 2)
    width = np.sqrt(middle**2 - 1)
    low, high = (ratio * float(np.sqrt(middle + end)) for end in (-width, width))
    if not unexplained:
        return RatioOfDeviations(ratio, low, high, float(ratio == 1), "")
    statistic = (ratio - 1 / ratio) * np.sqrt((pairs - 2) / unexplained) / 2
    p = float(2 * stats.t.sf(abs(statistic), pairs - 2))
    return RatioOfDeviations(ratio, low, high, p, "")


def _no_ratio(reason: str) -> RatioOfDeviations:
    return RatioOfDeviations(np.nan, np.nan, np.nan, np.nan, reason)
