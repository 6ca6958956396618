"""How well scores tell classes apart: AUROC, AUPRC and MCC, which are no means over sequences.

Scores are logits ``(seed, sequence, class)`` of one model under several seeds, on the same
sequences with the same labels. A bootstrap sample is a weight for each sequence, so every number is
computed from weights ``(draw, sequence)``; all ones give the number itself.

- ``auroc``: the chance that a sequence of the class has the higher log-odds of it than one of
  another class, ties counting half (*Hanley and McNeil 1982*); 0.5 is chance.
- ``auprc``: average precision, the mean over the sequences of the class of the precision among
  those that score as high (*Boyd et al. 2013*); the share of the class is chance.
- ``mcc``: Matthews' correlation of labels and predictions (*Gorodkin 2004*); 0 is chance, and what
  a model has that always predicts one class.

Of two classes AUPRC is that of the second; of more, AUROC and AUPRC are the mean over classes of
each against the rest (macro). NaN where a class has no sequence.

>>> logits = np.array([[[0.0, 1.0], [0.0, 3.0], [0.0, 2.0], [0.0, 4.0]]])
>>> labels = np.array([0, 0, 1, 1])
>>> float(of_seeds("auroc", logits, labels)[0])
0.75
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special, stats

from .resampling import Clusters, Drawing, Draws

MEASURES = ("auroc", "auprc", "mcc")

_RANGES = {"auroc": (0.0, 1.0), "auprc": (0.0, 1.0), "mcc": (-1.0, 1.0)}

RESAMPLES = 1000
"""Half of those of means: each is a pass over all sequences."""

_TOGETHER = 2**22
"""Weights at a time."""

Float = NDArray[np.float64]
Labels = NDArray[np.integer]


class Interval(NamedTuple):
    low: float
    high: float


UNDEFINED = Interval(np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Discrimination:
    """A measure, or the difference of one between two models, with its intervals.

    ``low, high`` are for retraining under other seeds on other sequences; ``sequences_low,
    sequences_high`` for these trained models on other sequences.
    """

    mean: float
    low: float = np.nan
    high: float = np.nan
    sequences_low: float = np.nan
    sequences_high: float = np.nan
    sequences: int = 0
    seeds: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What the draws make of a measure: ``(seed,)`` itself and ``(draw, seed)``."""

    own: Float
    drawn: Float
    beside: Interval
    """What the number and the counts of the classes alone allow, for these trained models."""


def estimate(
    measure: str,
    logits: Float,
    labels: Labels,
    drawing: Drawing,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
) -> Discrimination:
    """A measure of a model, the mean over its seeds.

    The interval for these models comes from a bootstrap of the sequences, drawn for all seeds
    alike, and holds the interval that the number and the counts of the classes give by themselves:
    percentiles of a bootstrap miss too often near 1 and with few sequences of a class, and have no
    width where every sequence is told right. That is *Newcombe 2006*'s fifth for AUROC, Wilson's
    with as many trials as the class has sequences for AUPRC (after *Boyd et al. 2013*), and for the
    MCC of two classes Wilson's for the share of each class that is right, combined (MOVER, *Zou and
    Donner 2008*). For retraining, its reach and that of t over the seeds add as squares, as those
    of independent parts do.
    """
    why = _problem(logits, labels)
    if why:
        return _undefined(why)
    draws = _draws(logits, drawing, clusters)
    found = _drawn(measure, logits, labels, draws, level)
    return _with_intervals(found, draws, level, _RANGES[measure], logits.shape[1])


def difference(
    measure: str,
    first: Float,
    second: Float,
    labels: Labels,
    drawing: Drawing,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
) -> Discrimination:
    """A measure of ``first`` minus that of ``second``, paired by seed and sequence.

    The interval that the counts alone allow is made of those of both models and of the correlation
    that the bootstrap finds between them (MOVER, *Zou and Donner 2008*).
    """
    if first.shape != second.shape:
        raise ValueError(f"second: wanted the shape of first {first.shape}, got {second.shape}")
    why = _problem(first, labels) or _problem(second, labels)
    if why:
        return _undefined(why)
    draws = _draws(first, drawing, clusters)
    one, two = (_drawn(measure, logits, labels, draws, level) for logits in (first, second))
    own, drawn = one.own - two.own, one.drawn - two.drawn
    found = _Drawn(own, drawn, _of_difference(one, two))
    lowest, highest = _RANGES[measure]
    apart = lowest - highest, highest - lowest
    return _with_intervals(found, draws, level, apart, first.shape[1])


def of_seeds(measure: str, logits: Float, labels: Labels) -> Float:
    """``(seed,)``: a measure under each seed."""
    whole = np.ones((1, len(labels)))
    return np.array([_MEASURES[measure](each, labels, whole)[0] for each in logits])


def _problem(logits: Float, labels: Labels) -> str:
    """Why nothing can be said of these predictions; nothing where something can."""
    if not logits.size:
        return "no predictions"
    if not np.isfinite(logits).all():
        return "some logits are not finite"
    counts = np.bincount(labels, minlength=logits.shape[2])
    if (counts == 0).any():
        return f"class {int(np.argmin(counts))} has no test sequence"
    return ""


def _undefined(reason: str) -> Discrimination:
    return Discrimination(np.nan, reason=reason)


def _draws(logits: Float, drawing: Drawing, clusters: Clusters | None) -> Draws:
    if clusters is None:
        return drawing(*logits.shape[:2])
    return drawing(*logits.shape[:2], clusters=clusters)


def _with_intervals(
    found: _Drawn, draws: Draws, level: float, within: tuple[float, float], sequences: int
) -> Discrimination:
    """Of a measure in ``within``, which t over few seeds would leave."""
    own, drawn, beside = found.own, found.drawn, found.beside
    models = _hull(_over_sequences(drawn, draws, level), beside)
    retraining = _with_seeds(own, models, level)
    reasons = []
    if len(own) < 2:
        reasons.append("one seed: no interval over retraining")
    if np.isnan(models.low):
        reasons.append(f"one {'sequence' if draws.clusters is None else 'cluster'}: no interval")
    low, high, sequences_low, sequences_high = np.clip([*retraining, *models], *within).tolist()
    return Discrimination(
        mean=float(own.mean()),
        low=low,
        high=high,
        sequences_low=sequences_low,
        sequences_high=sequences_high,
        sequences=sequences,
        seeds=len(own),
        reason="; ".join(reasons),
    )


def _drawn(measure: str, logits: Float, labels: Labels, draws: Draws, level: float) -> _Drawn:
    function, counts = _MEASURES[measure], draws.sequence_counts
    rows = max(_TOGETHER // len(labels), 1)
    parts = [counts[start : start + rows] for start in range(0, len(counts), rows)]
    drawn = [
        np.concatenate([function(each, labels, part.astype(np.float64)) for part in parts])
        for each in logits
    ]
    own = of_seeds(measure, logits, labels)
    beside = _BESIDE[measure](logits, labels, float(own.mean()), level)
    return _Drawn(own, np.stack(drawn, axis=1), beside)


def _over_sequences(drawn: Float, draws: Draws, level: float) -> Interval:
    """Percentiles over the draws ``(draw, seed)`` in which every class is, the seeds as they are.

    Clusters are few: tails are as small as t of so many asks (*Hesterberg 2015*).
    """
    means = drawn.mean(axis=1)
    means = means[~np.isnan(means)]
    if draws.units < 2 or not len(means):
        return UNDEFINED
    tail, units = (1 - level) / 2, draws.units
    if draws.clusters is not None:
        reach = stats.t.ppf(1 - tail, units - 1) * math.sqrt(units / (units - 1))
        tail = float(stats.norm.sf(reach))
    low, high = np.quantile(means, [tail, 1 - tail]).tolist()
    return Interval(low, high)


def _with_seeds(own: Float, models: Interval, level: float) -> Interval:
    """The interval for these models, grown by t over the seeds."""
    seeds = len(own)
    if seeds < 2:
        return UNDEFINED
    reach = stats.t.ppf((1 + level) / 2, seeds - 1) * own.std(ddof=1) / math.sqrt(seeds)
    mean = float(own.mean())
    below, above = math.hypot(mean - models.low, reach), math.hypot(models.high - mean, reach)
    return Interval(mean - below, mean + above)


def _hull(first: Interval, second: Interval) -> Interval:
    """The smallest that holds both; an undefined one has no part in it."""
    if np.isnan(first.low):
        return first
    return Interval(float(np.fmin(first.low, second.low)), float(np.fmax(first.high, second.high)))


# The measures


def log_odds(logits: Float) -> Float:
    """Of each class against all others; it orders as the probability does and does not saturate.

    To 12 digits of the largest: the last bits of a sum over classes would part what is tied.
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
    parts = [of_class(odds[:, each], labels == each, weights) for each in _asked(classes)]
    mean: Float = np.mean(parts, axis=0)
    return mean


def _asked(classes: int) -> Iterable[int]:
    return range(classes) if classes > 2 else (1,)


def _auroc(scores: Float, inside: NDArray[np.bool_], weights: Float) -> Float:
    of_class, of_rest = _by_threshold(scores, inside, weights)
    below = np.cumsum(of_rest, axis=1) - of_rest / 2
    pairs = of_class.sum(axis=1) * of_rest.sum(axis=1)
    return _ratio((of_class * below).sum(axis=1), pairs)


def _auprc(scores: Float, inside: NDArray[np.bool_], weights: Float) -> Float:
    of_class, of_rest = (part[:, ::-1] for part in _by_threshold(scores, inside, weights))
    hits = np.cumsum(of_class, axis=1)
    precision = _ratio(hits, hits + np.cumsum(of_rest, axis=1))
    found = (of_class * np.nan_to_num(precision)).sum(axis=1)
    return _ratio(found, np.where(of_rest.sum(axis=1) > 0, hits[:, -1], 0))


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
    classes = logits.shape[1]
    predicted = logits.argmax(axis=1)
    true, guessed = (_totals(each, classes, weights) for each in (labels, predicted))
    right = weights[:, labels == predicted].sum(axis=1)
    size = weights.sum(axis=1)
    spread = (size**2 - (guessed**2).sum(axis=1)), (size**2 - (true**2).sum(axis=1))
    shared = right * size - (guessed * true).sum(axis=1)
    found = _ratio(shared, np.sqrt(spread[0] * spread[1]))
    constant = np.where(spread[1] > 0, 0.0, np.nan)  # one class predicted; one class there
    return np.where(spread[0] * spread[1] > 0, found, constant)


def _totals(numbers: Labels, classes: int, weights: Float) -> Float:
    """``(draw, class)``"""
    members = numbers == np.arange(classes)[:, None]
    return np.stack([weights[:, member].sum(axis=1) for member in members], axis=1)


def _ratio(part: Float, whole: Float) -> Float:
    divided: Float = np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)
    return divided


_MEASURES: dict[str, Callable[[Float, Labels, Float], Float]] = {
    "auroc": partial(_over_classes, _auroc),
    "auprc": partial(_over_classes, _auprc),
    "mcc": _mcc,
}


# What the number and the counts of the classes allow


def of_auroc(auroc: float, inside: int, rest: int, level: float = 0.95) -> Interval:
    """The fifth interval of *Newcombe 2006* for an AUROC of so many sequences of a class and of the
    rest: where it lies just as far from the number as chance reaches, by the variance of *Hanley
    and McNeil 1982* with the mean of both counts in it.

    >>> low, high = of_auroc(1.0, 10, 20)
    >>> round(low, 3), high
    (0.849, 1.0)
    """
    z = stats.norm.ppf((1 + level) / 2)
    middle = (inside + rest) / 2 - 1

    def beyond(theta: float, sign: int) -> float:
        shape = 1 + middle * (1 - theta) / (2 - theta) + middle * theta / (1 + theta)
        reach = z * np.sqrt(theta * (1 - theta) * shape / (inside * rest))
        return float(sign * (auroc - theta) - reach)

    tiny = 1e-9
    low = 0.0 if auroc <= tiny else optimize.brentq(beyond, tiny, auroc - tiny / 2, args=(1,))
    top = 1 - tiny
    high = 1.0 if auroc >= top else optimize.brentq(beyond, auroc + tiny / 2, top, args=(-1,))
    return Interval(float(low), float(high))


def wilson(share: float, trials: int, level: float = 0.95) -> Interval:
    """*Wilson 1927*: of a share of so many trials."""
    z = stats.norm.ppf((1 + level) / 2)
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    reach = z / (1 + z**2 / trials)
    reach *= np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return Interval(float(max(middle - reach, 0)), float(min(middle + reach, 1)))


def _beside_auroc(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of more classes, the mean of the ends of all: as if they were wrong together."""
    odds = np.stack([log_odds(each) for each in logits])
    whole = np.ones((1, len(labels)))
    ends = []
    for place in _asked(logits.shape[2]):
        inside = labels == place
        own = np.mean([_auroc(each[:, place], inside, whole)[0] for each in odds])
        ends.append(of_auroc(float(own), int(inside.sum()), int((~inside).sum()), level))
    return Interval(*np.mean(ends, axis=0).tolist())


def _beside_auprc(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of more classes by the smallest of them."""
    counts = np.bincount(labels, minlength=logits.shape[2])
    return wilson(mean, int(counts.min() if logits.shape[2] > 2 else counts[1]), level)


def _beside_mcc(logits: Float, labels: Labels, mean: float, level: float) -> Interval:
    """Of two classes; of more there is no such formula."""
    if logits.shape[2] != 2:
        return UNDEFINED
    right = logits.argmax(axis=2) == labels
    counts = np.bincount(labels, minlength=2)
    shares = np.array([right[:, labels == place].mean() for place in range(2)])
    own = _of_shares(shares, counts)
    distances = []
    for side in range(2):
        moved = []
        for place in range(2):
            end = wilson(float(shares[place]), int(counts[place]), level)[side]
            other = np.where(np.arange(2) == place, end, shares)
            moved.append(own - _of_shares(other, counts))
        distances.append(math.hypot(*moved))
    return Interval(max(mean - distances[0], -1.0), min(mean + distances[1], 1.0))


def _of_shares(shares: Float, counts: NDArray[np.integer]) -> float:
    """The MCC where so large a share of each class is right."""
    right, wrong = shares * counts, (1 - shares) * counts
    predicted = right + wrong[::-1]
    if not predicted.all():
        return 0.0
    return float((right.prod() - wrong.prod()) / np.sqrt(predicted.prod() * counts.prod()))


def _of_difference(one: _Drawn, two: _Drawn) -> Interval:
    """MOVER with the correlation of the two in the draws, the seeds as they are."""
    if np.isnan(one.beside.low) or np.isnan(two.beside.low):
        return UNDEFINED
    means = np.stack([one.drawn.mean(axis=1), two.drawn.mean(axis=1)])
    means = means[:, ~np.isnan(means).any(axis=0)]
    varies = means.shape[1] > 1 and (np.ptp(means, axis=1) > 0).all()
    correlation = float(np.corrcoef(means)[0, 1]) if varies else 0.0
    first, second = one.own.mean(), two.own.mean()

    def reach(up: float, down: float) -> float:
        return float(np.sqrt(max(up**2 + down**2 - 2 * correlation * up * down, 0)))

    low = reach(first - one.beside.low, two.beside.high - second)
    high = reach(one.beside.high - first, second - two.beside.low)
    return Interval(float(first - second - low), float(first - second + high))


_BESIDE: dict[str, Callable[[Float, Labels, float, float], Interval]] = {
    "auroc": _beside_auroc,
    "auprc": _beside_auprc,
    "mcc": _beside_mcc,
}
