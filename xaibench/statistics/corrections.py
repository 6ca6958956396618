"""p-values of a family of tests, adjusted for how many they are.

A family is what one would look through for a winner: here the methods within a model for one
question, metric and operator. Holm keeps the chance of one false finding in the family below the
level, Benjamini and Hochberg the share of false ones among the findings.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Float = NDArray[np.float64]


def holm(p: ArrayLike) -> Float:
    """Holm's adjusted p-values; NaN stays NaN and is not counted among the tests (*Holm 1979*).

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
    """Adjusted p-values for the false discovery rate; NaN stays NaN and is not counted.

    They hold where the tests are independent or positively dependent (*Benjamini & Hochberg 1995;
    Benjamini & Yekutieli 2001*).

    >>> benjamini_hochberg([0.01, np.nan, 0.04, 0.03]).round(3).tolist()
    [0.03, nan, 0.04, 0.04]
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    steps = p[order] * len(order) / np.arange(1, len(order) + 1)
    adjusted[order] = np.minimum(np.minimum.accumulate(steps[::-1])[::-1], 1)
    return adjusted
