"""p-values of a family of tests, adjusted for how many they are.

A family is what one would look through for a winner: here the methods within a model for one
question, metric and operator. Holm keeps the chance of one false finding in the family below the
level; Benjamini and Hochberg the expected share of false ones among the findings, where there are
thousands of tests and some false findings are acceptable.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xaibench.shapes import Float


def holm(p: ArrayLike) -> Float:
    """Holm's adjusted p-values; NaN stays NaN and is not counted among the tests (*Holm 1979*).

    With p_(1) <= ... <= p_(m), the i-th becomes the largest of (m - j + 1) p_(j) over j <= i, at
    most 1.

    >>> holm([0.01, np.nan, 0.04, 0.03]).round(3).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def benjamini_hochberg(p: ArrayLike) -> Float:
    """Benjamini and Hochberg's adjusted p-values (q); NaN stays NaN and is not counted among the
    tests (*Benjamini and Hochberg 1995*).

    With p_(1) <= ... <= p_(m), the i-th becomes the smallest of m p_(j) / j over j >= i.

    >>> benjamini_hochberg([0.01, np.nan, 0.04, 0.03]).round(3).tolist()
    [0.03, nan, 0.04, 0.04]
    """
    p = np.asarray(p, np.float64)
    adjusted, known = np.full(p.shape, np.nan), np.isfinite(p)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return adjusted
