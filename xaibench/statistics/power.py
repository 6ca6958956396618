"""What n pairs can show: the smallest difference that a test finds, and the smallest p it can give.

>>> round(detectable_difference(1.0, 5), 2)  # five seeds detect 1.7 standard deviations
1.68
>>> smallest_p("wilcoxon", 5)  # five seeds never reach .05 by ranks or signs
0.0625
"""

from __future__ import annotations

import math
from functools import cache
from typing import Literal

import numpy as np
from scipy import optimize, stats

from .crossed import Spread

_SIGNED = ("wilcoxon", "sign_flips", "mcnemar")
"""Tests that go by the sign of each pair: of 2 ** n outcomes two are the most extreme."""


def detectable_difference(
    spread: float, n: int, *, level: float = 0.95, power: float = 0.8
) -> float:
    """The smallest true mean that a t test of ``n`` paired differences finds with this power.

    In the unit of ``spread``, the standard deviation of the differences: spread shift / sqrt n. The
    test is two-sided at 1 - ``level`` (noncentral t, *Cohen 1988*). NaN with fewer than two pairs.
    It is a statement about the design, of the spread and not of the mean that was observed.
    """
    if n < 2 or np.isnan(spread):
        return np.nan
    return float(spread * _shift(n, level, power) / np.sqrt(n))


def detectable_by(spread: Spread, *, level: float = 0.95, power: float = 0.8) -> float:
    """The same of the test of a mean whose variance comes from seeds and from sequences.

    sqrt(sum of (shift of the part)^2 variance of the part), as the reaches of the parts add in the
    interval that the test belongs to (``crossed``).
    """
    parts = (part for part in spread.parts if part.variance)
    reaches = (math.sqrt(each.variance) * _shift(each.freedom + 1, level, power) for each in parts)
    return math.hypot(*reaches)


def smallest_p(test: Literal["wilcoxon", "sign_flips", "mcnemar", "paired_t"], n: int) -> float:
    """The smallest two-sided p that the test can give for ``n`` pairs without ties or zeros.

    Pairs of McNemar's test are those on which one side alone is right. NaN for t, whose p can be
    as small as one likes, and where there is no pair. ``ValueError`` for another test.
    """
    if test not in (*_SIGNED, "paired_t"):
        raise ValueError(f"test: expected one of {', '.join(_SIGNED)} or paired_t, got {test!r}")
    if test == "paired_t" or n < 1:
        return np.nan
    return float(2.0 ** (1 - n))


@cache
def _shift(n: float, level: float, power: float) -> float:
    """The noncentrality d of t with n - 1 degrees of freedom that gives this power: P(|T_d| > t) =
    power, t being the quantile of the two-sided test."""
    critical = float(stats.t.ppf((1 + level) / 2, n - 1))

    def lacking(shift: float) -> float:
        # the far side is NaN for some shifts, all of them where less than 1e-8 lies there
        far = np.nan_to_num(stats.nct.cdf(-critical, n - 1, shift))
        return power - 1 + float(stats.nct.cdf(critical, n - 1, shift) - far)

    # doubled rather than far off at once: the distribution is NaN for a large noncentrality
    most = critical
    while lacking(most) > 0:
        most *= 2
    return float(optimize.brentq(lacking, 0, most))
