"""A quotient that is NaN where it is undefined."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(
    numerator: NDArray[np.generic],
    denominator: ArrayLike,
    *,
    defined: NDArray[np.bool_] | None = None,
) -> NDArray[np.float64]:
    """``numerator / denominator`` element by element, of the numerator's shape.

    NaN where not ``defined``; by default that is where the denominator is positive.

    >>> ratio(np.array([1.0, 2.0]), np.array([4, 0])).tolist()
    [0.25, nan]
    """
    where = np.asarray(denominator) > 0 if defined is None else defined
    quotient: NDArray[np.float64] = np.divide(
        numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=where
    )
    return quotient
