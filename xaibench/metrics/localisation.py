"""Does a method point at the motif? Scores against the positions that carry the truth.

Scores are taken for the true label. Of signed scores the positive part counts (evidence for the
label); of all scores only the valid positions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from xaibench.errors import NotApplicable
from xaibench.protocols import metric
from xaibench.shapes import Mask, Values
from xaibench.values import Explained


@metric(
    family="localisation",
    better="higher",
    range=(0.0, 1.0),
    of="explanation",
    target="label",
    needs_motif=True,
)
def auprc(explained: Explained) -> Values:
    """Average precision of the scores for the motif's positions; in (0, 1], higher is better.

    The step-wise sum over distinct scores, tied positions entering together (*Davis and Goadrich
    2006* on why not the trapezoid). NaN for a sequence without the motif, or with no valid
    position outside it. ``chance_auprc`` is what a random order reaches.
    """
    inside, valid = _inside_motif(explained), explained.sequences.valid
    scores = np.where(valid, _evidence(explained), -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked_inside = np.take_along_axis(inside, order, axis=1)
    hits = np.cumsum(ranked_inside, axis=1)
    precision = hits / np.arange(1, hits.shape[1] + 1)
    ends = _ends_of_ties(np.take_along_axis(scores, order, axis=1))
    precision = np.take_along_axis(precision, ends, axis=1)
    motif_positions, positions = inside.sum(1), valid.sum(1)
    undefined = (motif_positions == 0) | (motif_positions == positions)
    return _ratio(np.where(ranked_inside, precision, 0).sum(1), motif_positions, undefined)


@metric(
    family="localisation",
    better="higher",
    range=(0.0, 1.0),
    of="explanation",
    target="label",
    needs_motif=True,
)
def relevance_mass(explained: Explained) -> Values:
    """Share of the positive relevance that lies inside the motif; in [0, 1], higher is better.

    Relevance mass accuracy (*Arras 2022*). Equal scores reach the motif's share of the valid
    positions, which is chance. NaN where there is no motif or no positive score.
    """
    inside, valid = _inside_motif(explained), explained.sequences.valid
    relevance = np.where(valid, np.maximum(_float64(explained), 0), 0)
    total = relevance.sum(1)
    undefined = ~inside.any(1) | (total == 0)
    return _ratio(np.where(inside, relevance, 0).sum(1), total, undefined)


def chance_auprc(motif_positions: ArrayLike, positions: ArrayLike) -> Values:
    """The expected average precision of a random order, exactly.

    For R motif positions among N valid ones, with H the N-th harmonic number, it is
    ``H/N + (R-1)/(N-1) (1 - H/N)``: above R/N, for the first hits of a random order are measured
    on few positions. NaN where ``auprc`` is (no motif position, or nothing but).

    >>> chance_auprc([1, 15, 0], [2, 200, 200]).round(4).tolist()
    [0.75, 0.0977, nan]
    """
    motif, count = np.asarray(motif_positions, float), np.asarray(positions, float)
    defined = (motif > 0) & (motif < count)
    motif, count = np.where(defined, motif, 1), np.where(defined, count, 2)
    first = (digamma(count + 1) + np.euler_gamma) / count
    return np.where(defined, first + (motif - 1) / (count - 1) * (1 - first), np.nan)


def _inside_motif(explained: Explained) -> Mask:
    inside = explained.sequences.inside_motif
    if inside is None:
        raise NotApplicable("the dataset does not say where its motifs are")
    return inside & explained.sequences.valid


def _float64(explained: Explained) -> NDArray[np.float64]:
    return explained.scores.astype(np.float64)


def _evidence(explained: Explained) -> NDArray[np.float64]:
    scores = _float64(explained)
    return np.maximum(scores, 0) if explained.signed else scores


def _ends_of_ties(ranked: NDArray[np.float64]) -> NDArray[np.intp]:
    """For each entry of sorted rows, the column of the last entry equal to it."""
    columns = np.arange(ranked.shape[1])
    ends = np.full(ranked.shape, ranked.shape[1] - 1)
    ends[:, :-1] = np.where(ranked[:, :-1] != ranked[:, 1:], columns[:-1], ends[:, :-1])
    reversed_minimum = np.minimum.accumulate(ends[:, ::-1], axis=1)
    return reversed_minimum[:, ::-1]


def _ratio(over: NDArray[np.float64], under: ArrayLike, undefined: NDArray[np.bool_]) -> Values:
    """The quotient, NaN where undefined."""
    quotient: Values = np.divide(over, under, out=np.full(len(over), np.nan), where=~undefined)
    return quotient
