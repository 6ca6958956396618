"""Pearson, Spearman and mean squared error of weighted sequences: predictions beside responses.

Predictions and responses are ``(sequence,)``. A bootstrap sample is a weight for each sequence, so
every number is computed from weights ``(draw, sequence)``; all ones give the number itself.

- ``pearson``: the linear correlation, in [-1, 1], higher is better; NaN where one is constant.
- ``spearman``: the same of the ranks, ties at their mean rank.
- ``mse``: the mean squared difference, in squared units of the response, lower is better.

>>> predictions, responses = np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])
>>> whole = np.ones((1, 3))
>>> [round(float(each(predictions, responses, whole)[0]), 3) for each in REGRESSION.values()]
[0.982, 1.0, 0.333]
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from xaibench.shapes import Float


def _pearson(predictions: Float, responses: Float, weights: Float) -> Float:
    return _correlation(predictions, responses, weights)


def _spearman(predictions: Float, responses: Float, weights: Float) -> Float:
    """Of the ranks in each sample, where a sequence is as often as its weight says."""
    predicted, measured = (_weighted_ranks(each, weights) for each in (predictions, responses))
    return _correlation(predicted, measured, weights)


def _mse(predictions: Float, responses: Float, weights: Float) -> Float:
    mean: Float = weights @ (predictions - responses) ** 2 / weights.sum(axis=1)
    return mean


def _correlation(first: Float, second: Float, weights: Float) -> Float:
    """``(draw,)``: of ``(sequence,)`` or ``(draw, sequence)``; NaN where one does not vary."""
    first, second = (_centred(each, weights) for each in (first, second))
    size = np.sqrt((weights * first**2).sum(1) * (weights * second**2).sum(1))
    shared = (weights * first * second).sum(1)
    correlation: Float = np.divide(shared, size, out=np.full_like(shared, np.nan), where=size > 0)
    return np.clip(correlation, -1, 1)


def _centred(values: Float, weights: Float) -> Float:
    """``(draw, sequence)``: less the weighted mean; exactly 0 where those with a weight are equal,
    whatever rounding says."""
    values = np.broadcast_to(values, weights.shape)
    inside = weights > 0
    lowest = np.where(inside, values, np.inf).min(axis=1)
    highest = np.where(inside, values, -np.inf).max(axis=1)
    mean = (weights * values).sum(1) / weights.sum(1)
    centred: Float = np.where((highest > lowest)[:, None], values - mean[:, None], 0)
    return centred


def _weighted_ranks(values: Float, weights: Float) -> Float:
    """``(draw, sequence)``: the weight of what is lower, and half of that of what is equal."""
    order = np.argsort(values, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(values[order]) > 0])
    of_value = np.add.reduceat(weights[:, order], starts, axis=1)
    ranks = np.cumsum(of_value, axis=1) - of_value / 2
    place = np.searchsorted(values[order][starts], values)
    by_sequence: Float = ranks[:, place]
    return by_sequence


REGRESSION: dict[str, Callable[[Float, Float, Float], Float]] = {
    "pearson": _pearson,
    "spearman": _spearman,
    "mse": _mse,
}

ERRORS = frozenset({"mse"})
"""Those that are better the lower they are."""
