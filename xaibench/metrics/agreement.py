"""How alike are two maps of the same sequences? Comparisons that know nothing of what made them.

Maps are ``(sequence, position)``. What is compared are the positions that are ``valid`` and have a
score in both: NaN is no score. A constant map has no order, but it does have a top: the places in
it are shared among the tied.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import scipy
from numpy.typing import NDArray

from xaibench.dna.replacement import replacement_counts
from xaibench.shapes import Mask, Scores, Values

from .quotient import ratio

Summary = NDArray[np.float64]
"""``(sequence, position)``: what of one map is compared with others."""


def spearman(first: Scores, second: Scores, valid: Mask) -> Values:
    """Spearman correlation, tied positions at their mean rank; in [-1, 1], 1 is the same order.

    NaN where one of the maps is constant.
    """
    compared = _compared_positions((first, second), valid)
    return _cosine(centred_ranks(first, compared), centred_ranks(second, compared))


def overlap(first: Scores, second: Scores, valid: Mask, *, share: float = 0.1) -> Values:
    """How many of the top positions two maps share: their Jaccard index; in [0, 1].

    The top are a ``share`` of the positions, rounded half up, at least one. Where ties reach over
    its edge they share the places left, so no position is favoured and nothing is drawn: a position
    is in the top to a degree, and the index is the sum of the smaller degrees over that of the
    larger ones (*Ruzicka 1958*). Without ties that is the plain one. NaN where nothing is compared.
    """
    compared = _compared_positions((first, second), valid)
    return _jaccard(_top(first, compared, share), _top(second, compared, share))


def relative_change(first: Scores, second: Scores, valid: Mask) -> Values:
    """L2 norm of the change over the L2 norm of the first map; >= 0, NaN where that one is 0."""
    compared = _compared_positions((first, second), valid)
    before = np.where(compared, first.astype(np.float64), 0)
    after = np.where(compared, second.astype(np.float64), 0)
    return ratio(np.linalg.norm(after - before, axis=1), np.linalg.norm(before, axis=1))


def pairwise_spearman(maps: Sequence[Scores], valid: Mask) -> NDArray[np.float64]:
    """``(map, map, sequence)``: ``spearman`` of every two maps, each ranked once."""
    compared = _compared_positions(maps, valid)
    return _pairwise([centred_ranks(scores, compared) for scores in maps], _cosine)


def pairwise_overlap(
    maps: Sequence[Scores], valid: Mask, *, share: float = 0.1
) -> NDArray[np.float64]:
    """``(map, map, sequence)``: ``overlap`` of every two maps, each sorted once."""
    compared = _compared_positions(maps, valid)
    return _pairwise([_top(scores, compared, share) for scores in maps], _jaccard)


def _compared_positions(maps: Sequence[Scores], valid: Mask) -> Mask:
    """The valid positions that have a score in every map."""
    missing = [np.isnan(scores) for scores in maps]
    compared: Mask = valid & ~np.logical_or.reduce(missing)
    return compared


def _pairwise(
    summaries: Sequence[Summary], compare: Callable[[Summary, Summary], Values]
) -> NDArray[np.float64]:
    """``(map, map, sequence)``: what ``compare`` says of every two maps; it is symmetric."""
    matrix = np.empty((len(summaries), len(summaries), len(summaries[0])))
    for row, first in enumerate(summaries):
        for column, second in enumerate(summaries[: row + 1]):
            matrix[row, column] = matrix[column, row] = compare(first, second)
    return matrix


def centred_ranks(scores: NDArray[np.floating], compared: Mask) -> Summary:
    """Ranks among the compared positions minus their mean; 0 elsewhere."""
    ranks = scipy.stats.rankdata(np.where(compared, scores.astype(np.float64), np.inf), axis=1)
    middle = (compared.sum(1, keepdims=True) + 1) / 2
    return np.where(compared, ranks - middle, 0)


def _cosine(first: Summary, second: Summary) -> Values:
    size = np.sqrt((first**2).sum(1)) * np.sqrt((second**2).sum(1))
    return ratio((first * second).sum(1), size)


def _top(scores: Scores, compared: Mask, share: float) -> Summary:
    """The degree to which each position is in the top, in [0, 1]; they sum to its places."""
    falling = np.where(compared, -scores.astype(np.float64), np.inf)
    places = np.maximum(replacement_counts((share,), compared)[0], 1)[:, None]
    last = np.take_along_axis(np.sort(falling, axis=1), places - 1, axis=1)
    inside, tied = falling < last, compared & (falling == last)
    left = places - inside.sum(1, keepdims=True)
    degrees: Summary = inside + tied * (left / np.maximum(tied.sum(1, keepdims=True), 1))
    return degrees


def _jaccard(first: Summary, second: Summary) -> Values:
    return ratio(np.minimum(first, second).sum(1), np.maximum(first, second).sum(1))
