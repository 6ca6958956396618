"""How much of the variance of single values comes from each factor: sequence, seed, draw, operator.

All factors are random and fully crossed: each level was measured with every level of the others
(*Searle, Casella & McCulloch 1992*). A value is a sum of independent effects, one for each set T of
factors, of variance V_T. The mean square of T in the analysis of variance has the expectation

    E M_T = sum over sets U that include T of V_U prod(levels of the factors not in U),

and inverting this over the sets (Moebius) gives the estimate by the method of moments

    V_T = (prod(levels of T) / number of values) sum over U >= T of (-1)^(|U| - |T|) M_U.

>>> values = np.array([[1.0, 2, 6], [3, 4, 8]])  # the second seed is 2 above the first throughout
>>> {name: round(part, 3) for name, part in components(values, ("seed", "sequence")).items()}
{'seed': 2.0, 'sequence': 7.0, 'residual': 0.0}
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from xaibench.shapes import Float

RESIDUAL = "residual"


def components(values: Float, factors: tuple[str, ...]) -> dict[str, float]:
    """By factor, its part of the variance of a single value, and what remains as ``residual``.

    ``values`` has one axis per factor. ``residual`` are the interactions of the factors and the
    noise of a single value. An estimate below 0 is given as 0, see ``terms`` for the estimate
    itself. A factor with one level is NaN: its effect is the same for all. With fewer than two
    factors that vary, all is NaN.
    """
    every = terms(values, factors)
    parts = {factor: every[factor] for factor in factors}
    left = [every[term] for term in every if term not in factors]
    parts[RESIDUAL] = float(np.nansum(left)) if np.isfinite(left).any() else np.nan
    return {name: float(np.maximum(part, 0)) for name, part in parts.items()}


def terms(values: Float, factors: tuple[str, ...]) -> dict[str, float]:
    """The variance of every factor and interaction (``seed x sequence``), as it was estimated.

    An estimate below 0 says that the variance is smaller than its error. The interaction of all
    factors cannot be separated from the noise of a single value. Where a value is NaN, its level of
    the longest axis is left out. ``ValueError`` where the axes are not the factors.
    """
    if values.ndim != len(factors):
        raise ValueError(
            f"factors: expected one for each axis of {values.shape}, got {', '.join(factors)}"
        )
    values = _without_holes(np.asarray(values, np.float64))
    varying = [axis for axis, levels in enumerate(values.shape) if levels > 1]
    names = [_term_name(factors, each) for each in _sets_of(range(len(factors)))]
    variances = dict.fromkeys(names, np.nan)
    if values.size and len(varying) > 1:
        for term, part in _moments(values.squeeze()).items():
            variances[_term_name(factors, tuple(varying[axis] for axis in term))] = part
    return variances


def _moments(values: Float) -> dict[tuple[int, ...], float]:
    """By term, the alternating sum of the mean squares of the terms that include it."""
    squares = {each: _mean_square(values, each) for each in _sets_of(range(values.ndim))}
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
    """M_T: the sum of squared effects of the term over all values, by its degrees of freedom.

    The effect is the mean over the other axes, less its mean over each axis of the term in turn.
    """
    effect = values.mean(axis=tuple(set(range(values.ndim)) - set(term)), keepdims=True)
    for axis in term:
        effect = effect - effect.mean(axis=axis, keepdims=True)
    freedom = np.prod([values.shape[axis] - 1 for axis in term])
    return float((effect**2).sum() * values.size / effect.size / freedom)


def _without_holes(values: Float) -> Float:
    """Without the levels that have no value, then without the levels of the longest axis, of which
    there are most, that still have a NaN."""
    for axis in range(values.ndim):
        others = tuple(set(range(values.ndim)) - {axis})
        values = values.compress(~np.isnan(values).all(axis=others), axis=axis)
    if not values.size:
        return values
    longest = int(np.argmax(values.shape))
    others = tuple(set(range(values.ndim)) - {longest})
    return values.compress(~np.isnan(values).any(axis=others), axis=longest)


def _sets_of(axes: range) -> list[tuple[int, ...]]:
    """Every set of axes but the empty one, small ones first."""
    return [each for size in axes for each in combinations(axes, size + 1)]


def _term_name(factors: tuple[str, ...], term: tuple[int, ...]) -> str:
    return " x ".join(factors[axis] for axis in term)
