"""What is checked once an explanation is made, on the model and sequences of the run.

``explain`` rejects what it can see in a single call: shapes, numbers that are not finite, a broken
promise of completeness, a model that is not left as found.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes, Scores
from xaibench.storage import arrays
from xaibench.values import N

GUARDED = 8
"""So many sequences are explained again, in reverse order, three at a time and the last alone."""

REPEAT_TOLERANCE = 1e-2
"""What that may change, as a share of the largest score. Rounding in single precision may move an
adaptive method by some thousandths; what depends on the batch moves by more."""


class Guards(NamedTuple):
    """``difference`` between scores and the same scores made again, as a share of the largest;
    ``flat``: the share of sequences whose positions all score the same."""

    difference: float
    flat: float


def guarded(
    scores: Scores, again: Scores, rows: NDArray[np.intp], codes: Codes, *, name: str
) -> Guards:
    """The outcome; ``again`` are the scores of ``rows`` in a different batch, ``codes`` the
    sequences.

    ValueError where scores depend on their batch or on chance, or are the same at all positions of
    every sequence.
    """
    lowest, highest, largest = _extremes(scores, codes)
    largest = largest or 1.0
    difference = float(np.abs(again - scores[rows]).max(initial=0)) / largest
    if difference > REPEAT_TOLERANCE:
        raise ValueError(
            f"{name}: the scores of {len(rows)} sequences, made again in another batch, differ by "
            f"{difference:.2g} of the largest: they depend on the batch or on chance"
        )
    flat = float(np.mean(highest <= lowest)) if len(scores) else 0.0
    if flat == 1:
        raise ValueError(f"{name}: every position of every sequence scores the same")
    return Guards(difference, flat)


def _extremes(
    scores: Scores, codes: Codes
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """``(sequence,)``: the lowest and the highest score at a known base; and the largest score of
    all, whatever its sign."""
    lowest, highest = np.empty((2, len(scores)), scores.dtype)
    largest = 0.0
    for part in arrays.parts(*scores.shape):
        valid, own = codes[part] < N, scores[part]
        lowest[part] = np.where(valid, own, np.inf).min(axis=1, initial=np.inf)
        highest[part] = np.where(valid, own, -np.inf).max(axis=1, initial=-np.inf)
        largest = max(largest, float(np.abs(own).max(initial=0)))
        arrays.release(scores)
    return lowest, highest, largest
