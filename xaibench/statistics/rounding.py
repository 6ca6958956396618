"""What differs by the rounding of sums alone is equal, for tests and ranks alike."""

from __future__ import annotations

import numpy as np

from xaibench.shapes import Float

ROUNDING = 1e-12
"""Sums of equal numbers in another order differ by less than this part of their size."""


def all_equal(numbers: Float, *, size: float = 0.0) -> bool:
    """Whether they differ by no more than rounding; so do fewer than two.

    ``size`` is that of the numbers that they are sums or differences of, where that is larger than
    their own: five means of 0, made of multiples of 1/5 in another order, differ by 1e-17.
    """
    if numbers.size < 2:
        return True
    return bool(np.ptp(numbers) <= ROUNDING * max(largest(numbers), size))


def subtracted(first: Float, second: Float, *, size: float = 0.0) -> Float:
    """``first - second``, 0 where they differ by rounding alone; ``size`` as of ``all_equal``."""
    difference = first - second
    least = ROUNDING * np.maximum(np.maximum(np.abs(first), np.abs(second)), size)
    difference[np.abs(difference) <= least] = 0
    return difference


def largest(numbers: Float) -> float:
    """The largest absolute value of those that are not NaN; 0 where there is none."""
    return float(np.nanmax(np.abs(numbers), initial=0.0))


def without_rounding(numbers: Float, *, axis: int | None = None) -> Float:
    """The same numbers, those that differ by rounding alone made equal, so that ranks do not
    depend on last bits; NaN stays NaN.

    Equal are neighbours in order that differ by less than the rounding of the largest, of all or
    along ``axis``; each takes the smallest of those it equals.

    >>> without_rounding(np.array([0.1 + 0.2, 0.3, 0.5])).tolist()
    [0.3, 0.3, 0.5]
    """
    numbers = np.asarray(numbers, np.float64)
    if axis is None:
        return without_rounding(numbers.ravel(), axis=0).reshape(numbers.shape)
    if not numbers.size:
        return numbers
    order = np.argsort(numbers, axis=axis)
    rising = np.take_along_axis(numbers, order, axis)
    finite = np.where(np.isfinite(numbers), np.abs(numbers), 0.0)
    sizes = finite.max(axis=axis, keepdims=True)
    first = np.full_like(np.take(rising, [0], axis), -np.inf)
    with np.errstate(invalid="ignore"):  # infinity less itself is NaN, and so not apart
        apart = np.diff(rising, axis=axis, prepend=first) > ROUNDING * sizes
    starts = np.maximum.accumulate(np.where(apart, rising, -np.inf), axis=axis)
    equal = np.empty_like(numbers)
    np.put_along_axis(equal, order, np.where(np.isnan(rising), np.nan, starts), axis)
    return equal
