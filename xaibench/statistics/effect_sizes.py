"""How large a difference is: in units of its own spread, or in shares of pairs.

A p-value says whether there is a difference, and grows smaller with the number of sequences; these
do not depend on that number.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from xaibench.shapes import Float
from xaibench.statistics.rounding import all_equal, without_rounding


def d_z(differences: ArrayLike, *, size: float = 0.0) -> float:
    """Mean over standard deviation of paired differences (*Cohen 1988*), of either sign.

    NaN among them is left out. NaN where fewer than two are left, or all are equal but for the
    rounding of numbers of this ``size``.

    >>> d_z([1.0, 2.0, 3.0])
    2.0
    """
    known = defined(differences)
    if all_equal(known, size=size):
        return np.nan
    return float(known.mean() / known.std(ddof=1))


def cliffs_delta(first: ArrayLike, second: ArrayLike) -> float:
    """The share of pairs of which the first is larger, minus that of which the second is, -1 to 1.

    Every value of ``first`` is set against every one of ``second``, so it compares two groups and
    does not use which values belong together; equal values count for neither. NaN is left out, and
    the answer is NaN where a side is empty. *Cliff 1993*.

    >>> cliffs_delta([1, 2, 3], [0, 2])
    0.5
    """
    one, other = defined(first), defined(second)
    if not (one.size and other.size):
        return np.nan
    ranks = stats.rankdata(without_rounding(np.concatenate([one, other])))[: one.size]
    wins = ranks.sum() - one.size * (one.size + 1) / 2
    return float(2 * wins / (one.size * other.size) - 1)


def defined(numbers: ArrayLike) -> Float:
    """Those that are not NaN."""
    numbers = np.asarray(numbers, np.float64)
    known: Float = numbers[~np.isnan(numbers)]
    return known
