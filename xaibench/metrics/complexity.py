"""On how few positions does a map rest? Of the absolute scores at known positions.

Neither few nor many is better: a map of one random position is as sparse as can be. These numbers
describe a method and rank nothing. NaN for a map of zeros.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.protocols import metric
from xaibench.shapes import Values
from xaibench.values import Explained

from .quotient import ratio

_complexity = partial(
    metric, family="complexity", better="neither", of="explanation", invariant=("scale",)
)


@_complexity(range=(0.0, 1.0))
def gini(explained: Explained) -> Values:
    """How unequal the absolute scores are, from 0 (all equal) to 1 - 1/L (one has all).

    The Gini index over L known positions (*Hurley and Rickard 2009*), without anything added to
    the scores. NaN where all are zero.
    """
    magnitudes = np.sort(_magnitudes(explained), axis=1)
    positions = explained.sequences.valid.sum(axis=1)
    # Unknown positions have score 0 and come first, or among zeros, where no weight counts.
    places = np.arange(1, magnitudes.shape[1] + 1) - (magnitudes.shape[1] - positions[:, None])
    weights = 2 * places - positions[:, None] - 1
    return ratio((weights * magnitudes).sum(axis=1), positions * magnitudes.sum(axis=1))


@_complexity(range=(0.0, np.inf))
def entropy(explained: Explained) -> Values:
    """Shannon entropy in bits of the shares of the absolute scores, from 0 to log2 L.

    0 where one of the L known positions has all, log2 L where all are equal. After complexity
    (*Bhatt 2020*, there in nats). NaN where all scores are zero.
    """
    bits: Values = _nats(explained) / np.log(2)
    return bits


@_complexity(range=(1.0, np.inf))
def effective_positions(explained: Explained) -> Values:
    """How many positions with equal scores would be as complex as this map, from 1 to L.

    Two to the power of ``entropy``: the effective number of *Hill 1973* (order 1) over the L known
    positions. NaN where all scores are zero.
    """
    effective: Values = np.exp(_nats(explained))
    return effective


def _magnitudes(explained: Explained) -> NDArray[np.float64]:
    """``(sequence, position)``: absolute scores, 0 where no base is known."""
    return np.where(explained.sequences.valid, np.abs(explained.scores.astype(np.float64)), 0)


def _nats(explained: Explained) -> Values:
    """Shannon entropy in nats of the shares of the absolute scores."""
    from scipy.special import entr  # slow to import, and a plan alone needs none

    magnitudes = _magnitudes(explained)
    shares = ratio(magnitudes, magnitudes.sum(axis=1, keepdims=True))
    nats: Values = entr(shares).sum(axis=1)
    return nats
