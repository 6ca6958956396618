"""In which order positions are replaced, how many at each step, and the replacing itself."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes, Mask, Scores

Ranks = NDArray[np.int32]
"""``(sequence, position)``: 0 is replaced first; invalid positions come last."""

MORF = "most_relevant_first"
LERF = "least_relevant_first"
"""The orders of Samek et al. (2017): MoRF and LeRF."""


def replacement_counts(fractions: tuple[float, ...], valid: Mask) -> NDArray[np.intp]:
    """How many positions are replaced ``(step, sequence)``: of the valid ones, rounded half up.

    >>> valid = np.array([[True, True, True], [True, False, False]])
    >>> replacement_counts((0, 0.5, 1), valid).tolist()
    [[0, 0], [2, 1], [3, 1]]
    """
    shares = np.outer(np.asarray(fractions, dtype=float), valid.sum(axis=1))
    return np.floor(shares + 0.5 + 1e-9).astype(np.intp)


def replacement_ranks(
    scores: Scores,
    valid: Mask,
    generators: Iterable[np.random.Generator],
    *,
    order: str = MORF,
) -> Ranks:
    """The order of replacement; ties are broken at random by each sequence's own stream.

    Least relevant first is the reverse of most relevant first, ties included.
    """
    ranked = np.empty(scores.shape, np.int32)
    places = np.arange(scores.shape[1])
    # row by row: what sorting needs is freed with the row, so memory does not grow
    for row, known, own, generator in zip(scores, valid, ranked, generators, strict=True):
        jitter = generator.random(len(row))
        falling, jitter = (-row, jitter) if order == MORF else (row, -jitter)
        own[np.lexsort((jitter, np.where(known, falling, np.inf)))] = places
    return ranked


def with_replaced(codes: Codes, donor: Codes, ranked: Ranks, count: NDArray[np.intp]) -> Codes:
    """The sequences with the first ``count`` ``(sequence,)`` positions taken from the donor."""
    taken: Codes = np.where(ranked < count[:, None], donor, codes)
    return taken
