"""AUROC, AUPRC and MCC of weighted sequences.

Scores are logits ``(sequence, class)``. A bootstrap sample is a weight for each sequence, so every
number is computed from weights ``(draw, sequence)``; all ones give the number itself.

- ``auroc``: the chance that a sequence of the class has the higher log-odds of it than one of
  another class, ties counting half (*Hanley and McNeil 1982*); 0.5 is chance.
- ``auprc``: average precision, the mean over the sequences of the class of the precision among
  those that score as high (*Boyd et al. 2013*); the share of the class is chance.
- ``mcc``: Matthews' correlation of labels and predictions (*Gorodkin 2004*); 0 is chance, and what
  a model has that always predicts one class.

Of two classes AUPRC is that of the second; of more, AUROC and AUPRC are the mean over classes of
each against the rest (macro). NaN where a class has no sequence.

>>> logits = np.array([[0.0, 1.0], [0.0, 3.0], [0.0, 2.0], [0.0, 4.0]])
>>> labels, whole = np.array([0, 0, 1, 1]), np.ones((1, 4))
>>> float(MEASURE["auroc"](logits, labels, whole)[0])
0.75
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import special

from xaibench.shapes import Float, Labels


def log_odds(logits: Float) -> Float:
    """``(..., class)``: z_c - log sum over other classes of exp z, for logits z.

    It orders sequences as the probability of the class does and does not saturate at 1. To 12
    digits of the largest: the last bits of a sum over classes would separate what is tied.
    """
    odds = np.empty_like(logits)
    for place in range(logits.shape[-1]):
        others = np.delete(logits, place, axis=-1)
        odds[..., place] = logits[..., place] - special.logsumexp(others, axis=-1)
    largest = np.abs(odds).max(initial=0) or 1.0
    rounded: Float = np.round(odds / largest, 12) * largest
    return rounded


def _over_classes(
    of_class: Callable[[Float, NDArray[np.bool_], Float], Float],
    logits: Float,
    labels: Labels,
    weights: Float,
) -> Float:
    """``(draw,)``: of two classes that of the second, of more the mean over classes."""
    odds = log_odds(logits)
    classes = logits.shape[1]
    parts = [of_class(odds[:, each], labels == each, weights) for each in ranked_classes(classes)]
    mean: Float = np.mean(parts, axis=0)
    return mean


def ranked_classes(classes: int) -> list[int]:
    """The classes that are set against the rest: all, or of two the second."""
    return list(range(classes)) if classes > 2 else [1]


def weighted_auroc(scores: Float, inside: NDArray[np.bool_], weights: Float) -> Float:
    """``(draw,)``: sum over thresholds t of w(class, t) (w(rest, below t) + w(rest, t) / 2), over
    w(class) w(rest), for weights w of the sequences ``inside`` the class and of the rest."""
    of_class, of_rest = _by_threshold(scores, inside, weights)
    below = np.cumsum(of_rest, axis=1) - of_rest / 2
    pairs = of_class.sum(axis=1) * of_rest.sum(axis=1)
    return _weighted_ratio((of_class * below).sum(axis=1), pairs)


def _auprc(scores: Float, inside: NDArray[np.bool_], weights: Float) -> Float:
    """``(draw,)``: sum over thresholds t of w(class, t) precision(t), over w(class); the precision
    at t is among all that score at least t."""
    of_class, of_rest = (part[:, ::-1] for part in _by_threshold(scores, inside, weights))
    hits = np.cumsum(of_class, axis=1)
    precision = _weighted_ratio(hits, hits + np.cumsum(of_rest, axis=1))
    total = (of_class * np.nan_to_num(precision)).sum(axis=1)
    return _weighted_ratio(total, np.where(of_rest.sum(axis=1) > 0, hits[:, -1], 0))


def _by_threshold(scores: Float, inside: NDArray[np.bool_], weights: Float) -> tuple[Float, Float]:
    """``(draw, threshold)``: the weight of the class, and of the rest, at each different score,
    rising."""
    order = np.argsort(scores, kind="stable")
    ordered = scores[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    sorted_weights, member = weights[:, order], inside[order]
    of_class = np.add.reduceat(sorted_weights * member, starts, axis=1)
    return of_class, np.add.reduceat(sorted_weights * ~member, starts, axis=1)


def _mcc(logits: Float, labels: Labels, weights: Float) -> Float:
    """``(draw,)``: (c s - sum_k p_k t_k) / sqrt((s^2 - sum p_k^2)(s^2 - sum t_k^2)), for the weight
    s of all, c of those predicted right, p_k of those predicted as k and t_k of those labelled k.
    """
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    true, guessed = (_totals(each, classes, weights) for each in (labels, predicted))
    right = weights[:, labels == predicted].sum(axis=1)
    size = weights.sum(axis=1)
    spread = (size**2 - (guessed**2).sum(axis=1)), (size**2 - (true**2).sum(axis=1))
    shared = right * size - (guessed * true).sum(axis=1)
    correlation = _weighted_ratio(shared, np.sqrt(spread[0] * spread[1]))
    # 0 where one class alone is predicted, NaN where there is only one
    constant = np.where(spread[1] > 0, 0.0, np.nan)
    return np.where(spread[0] * spread[1] > 0, correlation, constant)


def _totals(numbers: Labels, classes: int, weights: Float) -> Float:
    """``(draw, class)``: the weight of the sequences whose number is each class."""
    members = numbers == np.arange(classes)[:, None]
    return np.stack([weights[:, member].sum(axis=1) for member in members], axis=1)


def _weighted_ratio(part: Float, whole: Float) -> Float:
    """NaN where the whole is 0."""
    divided: Float = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return divided


MEASURE: dict[str, Callable[[Float, Labels, Float], Float]] = {
    "auroc": partial(_over_classes, weighted_auroc),
    "auprc": partial(_over_classes, _auprc),
    "mcc": _mcc,
}
