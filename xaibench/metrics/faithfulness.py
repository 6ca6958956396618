"""Does what a method calls relevant carry the prediction? Areas under replacement curves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xaibench.protocols import metric
from xaibench.shapes import Values
from xaibench.values import Curves

_UNBOUNDED = (-np.inf, np.inf)
"""A logit difference has no bounds; for a probability or an accuracy the area lies in [0, 1]."""


@metric(family="faithfulness", better="lower", range=_UNBOUNDED, of="curves")
def deletion(curves: Curves) -> Values:
    """Area under the curve of replacing the most relevant positions first; lower is better.

    In the unit of the curve, over fractions of the valid positions (trapezoid), one number a
    sequence. After the deletion curve of *Petsiuk 2018* (RISE).

    >>> fractions = np.array([0.0, 0.5, 1.0])
    >>> deletion(Curves(fractions, np.array([[1.0], [0.0], [0.0]]))).tolist()
    [0.25]
    """
    return _area(curves.most_relevant_first, curves.fractions)


@metric(
    family="faithfulness",
    better="higher",
    range=_UNBOUNDED,
    of="curves",
    needs_least_relevant_first=True,
)
def insertion(curves: Curves) -> Values:
    """Area under the curve of putting the most relevant positions back; higher is better.

    Keeping the most relevant g of the positions is replacing the least relevant 1 - g, so this is
    the area under ``least_relevant_first``, in the unit of the curve. ``ValueError`` where that
    curve was not made. After the insertion curve of *Petsiuk 2018* (RISE).
    """
    if curves.least_relevant_first is None:
        raise ValueError("insertion: wanted curves with least_relevant_first, got None")
    return _area(curves.least_relevant_first, curves.fractions)


def _area(curve: NDArray[np.float64], fractions: NDArray[np.float64]) -> Values:
    """``(step, sequence)`` over ``(step,)`` -> ``(sequence,)``."""
    area: Values = np.trapezoid(np.asarray(curve, np.float64), fractions, axis=0)
    return area
