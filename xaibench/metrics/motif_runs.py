"""Instances of motifs: runs of positions, and how well others cover them."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Evidence, Mask, Values
from xaibench.values import NO_CLASS

from .quotient import ratio


class Runs(NamedTuple):
    """Runs of positions of one class, as long as they can be.

    ``numbers`` ``(sequence, position)`` counts them from 1 and is 0 outside; of each ``(run,)``
    there is its row and its class.
    """

    numbers: NDArray[np.intp]
    rows: NDArray[np.intp]
    classes: Evidence

    @property
    def sizes(self) -> NDArray[np.intp]:
        """``(run,)``: how many positions each has."""
        return np.bincount(self.numbers.ravel())[1:]


def runs(evidence: Evidence) -> Runs:
    """The runs of each class in ``(sequence, position)``; runs of different classes may touch."""
    before = np.pad(evidence[:, :-1], ((0, 0), (1, 0)), constant_values=NO_CLASS)
    starts = (evidence != NO_CLASS) & (evidence != before)
    numbers = np.cumsum(starts).reshape(evidence.shape)
    numbers = np.where(evidence != NO_CLASS, numbers, 0)
    return Runs(numbers, np.nonzero(starts)[0], evidence[starts])


def runs_of(mask: Mask) -> Runs:
    """The runs of True, as if of one class."""
    return runs(np.where(mask, 0, NO_CLASS).astype(np.int8))


def known_first(values: NDArray[Any], valid: Mask) -> NDArray[Any]:
    """The columns of each row in their order, unknown ones last, so that they separate nothing."""
    return np.take_along_axis(values, np.argsort(~valid, axis=1, kind="stable"), axis=1)


def join_runs(mask: Mask, gap: int) -> Mask:
    """True also where at most ``gap`` positions in a row are between two that are.

    >>> join_runs(np.array([[True, False, True, False, False, True]]), 1).tolist()
    [[True, True, True, False, False, True]]
    """
    columns = np.arange(mask.shape[1])
    last = np.maximum.accumulate(np.where(mask, columns, -np.inf), axis=1)
    following = np.where(mask, columns, np.inf)[:, ::-1]
    following = np.minimum.accumulate(following, axis=1)[:, ::-1]
    return np.asarray(following - last <= gap + 1)


def best_overlaps(instances: Runs, stretches: Runs) -> Values:
    """``(instance,)``: the largest intersection over union with a stretch, 0 where none touches."""
    both = (instances.numbers > 0) & (stretches.numbers > 0)
    base = len(stretches.rows) + 1
    pairs, shared = np.unique(
        instances.numbers[both] * base + stretches.numbers[both], return_counts=True
    )
    instance, stretch = pairs // base - 1, pairs % base - 1
    union = instances.sizes[instance] + stretches.sizes[stretch] - shared
    best = np.zeros(len(instances.rows))
    np.maximum.at(best, instance, shared / union)
    return best


def share(of: Runs, hit: NDArray[np.bool_], sequences: int) -> Values:
    """``(sequence,)``: the share of its runs that are ``hit`` ``(run,)``; NaN where it has none."""
    counts = np.bincount(of.rows, minlength=sequences)
    hits = np.bincount(of.rows, hit, minlength=sequences)
    return ratio(hits, counts)
