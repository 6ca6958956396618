"""How well scores discriminate between classes: AUROC, AUPRC and MCC with their intervals; and how
well single outputs predict measured numbers.

These are no means over sequences, so they have no ``Estimate``. Predictions are those of one model
under several seeds on the same sequences: of ``MEASURES`` logits ``(seed, sequence, class)``, whose
``truth`` ``(sequence,)`` is the labels; of ``REGRESSION`` numbers ``(seed, sequence)``, whose truth
is the measured responses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xaibench.shapes import Float, Labels

from .classification_intervals import from_counts
from .classification_measures import MEASURE
from .crossed import UNDEFINED, Interval
from .regression_measures import REGRESSION
from .resampling import Clusters, Drawing, Draws, draw_blocks

_Truth = NDArray[Any]
"""Labels or responses, as the measure asks."""

MEASURES = tuple(MEASURE)

_FUNCTIONS: dict[str, Callable[[Float, Any, Float], Float]] = {**MEASURE, **REGRESSION}
"""``(predictions, truth, weights (draw, sequence)) -> (draw,)``, of one seed."""

_RANGES = {
    **{"auroc": (0.0, 1.0), "auprc": (0.0, 1.0), "mcc": (-1.0, 1.0)},
    **{"pearson": (-1.0, 1.0), "spearman": (-1.0, 1.0), "mse": (0.0, math.inf)},
}

PASSES = 1000
"""Bootstrap samples, half of those of means: each is a pass over all sequences."""

_WEIGHTS_AT_ONCE = 2**22


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
class _Bootstrapped:
    """A measure ``(seed,)``, the same ``(draw, seed)`` in bootstrap samples, and the interval for
    these trained models that the number and the counts of the classes allow."""

    own: Float
    drawn: Float
    by_counts: Interval


def of_seeds(measure: str, predictions: Float, truth: _Truth) -> Float:
    """``(seed,)``: a measure of the predictions under each seed."""
    whole = np.ones((1, len(truth)))
    return np.array([_FUNCTIONS[measure](each, truth, whole)[0] for each in predictions])


def estimate(
    measure: str,
    predictions: Float,
    truth: _Truth,
    drawing: Drawing,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
) -> Discrimination:
    """A measure of a model, the mean over its seeds.

    The interval for these models comes from a bootstrap of the sequences, drawn for all seeds
    alike, and includes that of the number and the counts of the classes alone: percentiles of a
    bootstrap miss too often near 1 and with few sequences of a class, and have no width where every
    sequence is classified right. That is *Newcombe 2006*'s fifth for AUROC, Wilson's with as many
    trials as the class has sequences for AUPRC (after *Boyd et al. 2013*), and for the MCC of two
    classes Wilson's for the share of each class that is right, combined (MOVER, *Zou and Donner
    2008*). ``REGRESSION`` has the bootstrap alone. For retraining, its reach and that of t over the
    seeds add as squares, as those of independent parts do.
    """
    problem = _problem(measure, predictions, truth)
    if problem:
        return Discrimination(np.nan, reason=problem)
    draws = _draws(predictions, drawing, clusters)
    bootstrapped = _bootstrapped(measure, predictions, truth, draws, level)
    return _with_intervals(bootstrapped, draws, level, _RANGES[measure], len(truth))


def difference(
    measure: str,
    first: Float,
    second: Float,
    truth: _Truth,
    drawing: Drawing,
    *,
    clusters: Clusters | None = None,
    level: float = 0.95,
) -> Discrimination:
    """A measure of the predictions ``first`` minus that of ``second``, paired by seed and sequence.

    The interval that the counts alone allow is made of those of both models and of the correlation
    that the bootstrap finds between them (MOVER, *Zou and Donner 2008*).
    """
    if first.shape != second.shape:
        raise ValueError(f"second: expected the shape of first {first.shape}, got {second.shape}")
    problem = _problem(measure, first, truth) or _problem(measure, second, truth)
    if problem:
        return Discrimination(np.nan, reason=problem)
    draws = _draws(first, drawing, clusters)
    one, two = (_bootstrapped(measure, each, truth, draws, level) for each in (first, second))
    own, drawn = one.own - two.own, one.drawn - two.drawn
    bootstrapped = _Bootstrapped(own, drawn, _difference_by_counts(one, two))
    lowest, highest = _RANGES[measure]
    differences = lowest - highest, highest - lowest
    return _with_intervals(bootstrapped, draws, level, differences, len(truth))


def _problem(measure: str, predictions: Float, truth: _Truth) -> str:
    """Why nothing can be said of these predictions; nothing where something can."""
    if not predictions.size:
        return "no predictions"
    if measure in REGRESSION:
        return _problem_of_numbers(measure, predictions, truth)
    return _problem_of_classes(predictions, truth)


def _problem_of_numbers(measure: str, predictions: Float, responses: Float) -> str:
    if not (np.isfinite(predictions).all() and np.isfinite(responses).all()):
        return "some predictions or responses are not finite"
    if np.isnan(of_seeds(measure, predictions, responses)).any():
        return "predictions or responses are constant"
    return ""


def _problem_of_classes(logits: Float, labels: Labels) -> str:
    if logits.shape[2] == 1 or np.isnan(logits[:, :, 1:]).all():
        return "a model gives one number per sequence and no classes"
    if not np.isfinite(logits).all():
        return "some logits are not finite"
    counts = np.bincount(labels, minlength=logits.shape[2])
    if (counts == 0).any():
        return f"class {int(np.argmin(counts))} has no test sequence"
    return ""


def _draws(predictions: Float, drawing: Drawing, clusters: Clusters | None) -> Draws:
    """The draws for so many seeds and sequences."""
    if clusters is None:
        return drawing(*predictions.shape[:2])
    return drawing(*predictions.shape[:2], clusters=clusters)


def _with_intervals(
    part: _Bootstrapped, draws: Draws, level: float, within: tuple[float, float], sequences: int
) -> Discrimination:
    """Of a measure in ``within``, which t over few seeds would leave."""
    own, drawn = part.own, part.drawn
    models = _hull(_over_sequences(drawn, draws, level), part.by_counts)
    retraining = _with_seeds(own, models, level)
    reasons = []
    if len(own) < 2:
        reasons.append("one replicate: no interval over replicates")
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


def _bootstrapped(
    measure: str, predictions: Float, truth: _Truth, draws: Draws, level: float
) -> _Bootstrapped:
    """A measure of every seed and bootstrap sample."""
    function, counts = _FUNCTIONS[measure], draws.sequence_counts
    # draws by blocks: weights of all at once would be draws x sequences doubles
    rows = max(_WEIGHTS_AT_ONCE // len(truth), 1)

    def measured(of_seed: Float) -> Iterator[Float]:
        for block in draw_blocks(counts):
            for start in range(0, len(block), rows):
                yield function(of_seed, truth, block[start : start + rows].astype(np.float64))

    drawn = [np.concatenate([*measured(each)]) for each in predictions]
    own = of_seeds(measure, predictions, truth)
    by_counts = UNDEFINED
    if measure in MEASURE:
        by_counts = from_counts(measure, predictions, truth, float(own.mean()), level)
    return _Bootstrapped(own, np.stack(drawn, axis=1), by_counts)


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
    """The smallest that holds both; an undefined second one is left out."""
    if np.isnan(first.low):
        return first
    return Interval(float(np.fmin(first.low, second.low)), float(np.fmax(first.high, second.high)))


def _difference_by_counts(one: _Bootstrapped, two: _Bootstrapped) -> Interval:
    """MOVER (*Zou and Donner 2008*) for a difference a - b, the seeds as they are.

    With r the correlation of the two in the draws it reaches sqrt(u^2 + d^2 - 2 r u d) below a - b,
    for the distances u from a to its lower end and d from b to its upper one; above, with the other
    two ends.
    """
    if np.isnan(one.by_counts.low) or np.isnan(two.by_counts.low):
        return UNDEFINED
    means = np.stack([one.drawn.mean(axis=1), two.drawn.mean(axis=1)])
    means = means[:, ~np.isnan(means).any(axis=0)]
    varies = means.shape[1] > 1 and (np.ptp(means, axis=1) > 0).all()
    correlation = float(np.corrcoef(means)[0, 1]) if varies else 0.0
    first, second = one.own.mean(), two.own.mean()

    def reach(up: float, down: float) -> float:
        return float(np.sqrt(max(up**2 + down**2 - 2 * correlation * up * down, 0)))

    low = reach(first - one.by_counts.low, two.by_counts.high - second)
    high = reach(one.by_counts.high - first, second - two.by_counts.low)
    return Interval(float(first - second - low), float(first - second + high))
