"""How much of the variance of single values each factor brings: sequence, seed, draw, operator.

All factors are taken as random and fully crossed: each level was seen with every level of the
others (*Searle, Casella & McCulloch 1992*).

>>> values = np.array([[1.0, 2, 6], [3, 4, 8]])  # the second seed is 2 above the first throughout
>>> {name: round(part, 3) for name, part in components(values, ("seed", "sequence")).items()}
{'seed': 2.0, 'sequence': 7.0, 'residual': 0.0}
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

RESIDUAL = "residual"


def components(values: Float, factors: tuple[str, ...]) -> dict[str, float]:
    """The variance that each factor brings to a single value, and what is left, as variances.

    ``values`` has one axis a factor. ``residual`` is all that the factors do not bring alone: their
    interactions, and the noise of a single value. Estimates are by the method of moments; one below
    0 is given as 0, see ``terms`` for the estimate itself. A factor with one level is NaN: what it
    brings is the same for all. With fewer than two factors that vary, all is NaN.
    """
    found = terms(values, factors)
    parts = {factor: found[factor] for factor in factors}
    left = [found[term] for term in found if term not in factors]
    parts[RESIDUAL] = float(np.nansum(left)) if np.isfinite(left).any() else np.nan
    return {name: float(np.maximum(part, 0)) for name, part in parts.items()}


def terms(values: Float, factors: tuple[str, ...]) -> dict[str, float]:
    """The variance of every factor and interaction (``seed x sequence``), as it was estimated.

    An estimate below 0 says that the variance is smaller than its error. The interaction of all
    factors cannot be told from the noise of a single value. Where a value is NaN, the level of the
    longest axis in which it lies is left out. ``ValueError`` where the axes are not the factors.
    """
    if values.ndim != len(factors):
        raise ValueError(
            f"factors: wanted one for each axis of {values.shape}, got {', '.join(factors)}"
        )
    values = _without_holes(np.asarray(values, np.float64))
    varying = [axis for axis, levels in enumerate(values.shape) if levels > 1]
    found = dict.fromkeys([_name(factors, each) for each in _subsets(range(len(factors)))], np.nan)
    if values.size and len(varying) > 1:
        for term, part in _moments(values.squeeze()).items():
            found[_name(factors, tuple(varying[axis] for axis in term))] = part
    return found


def _moments(values: Float) -> dict[tuple[int, ...], float]:
    """Each component as the alternating sum of the mean squares of the terms that hold its own."""
    squares = {each: _mean_square(values, each) for each in _subsets(range(values.ndim))}
    return {
        term: sum(
            (-1) ** (len(other) - len(term)) * square
            for other, square in squares.items()
            if set(other) >= set(term)
        )
        * np.prod([values.shape[axis] for axis in term])
        / values.size
        for term in squares
    }


def _mean_square(values: Float, term: tuple[int, ...]) -> float:
    """Of the term of an analysis of variance: its effect in every cell, squared, by its freedom."""
    effect = values.mean(axis=tuple(set(range(values.ndim)) - set(term)), keepdims=True)
    for axis in term:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    freedom = np.prod([values.shape[axis] - 1 for axis in term])
    return float((effect**2).sum() * values.size / effect.size / freedom)


def _without_holes(values: Float) -> Float:
    """Without the levels that have no value, then without the holes that are left."""
    for axis in range(values.ndim):
        others = tuple(set(range(values.ndim)) - {axis})
        values = values.compress(~np.isnan(values).all(axis=others), axis=axis)
    if not values.size:
        return values
    longest = int(np.argmax(values.shape))
    others = tuple(set(range(values.ndim)) - {longest})
    return values.compress(~np.isnan(values).any(axis=others), axis=longest)


def _subsets(axes: range) -> list[tuple[int, ...]]:
    return [each for size in axes for each in combinations(axes, size + 1)]


def _name(factors: tuple[str, ...], term: tuple[int, ...]) -> str:
    return " x ".join(factors[axis] for axis in term)
