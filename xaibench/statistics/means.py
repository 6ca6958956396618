"""Means of values ``(seed, sequence)`` and of paired differences, with their intervals and tests.

Values are NaN where undefined. With m_s the mean of seed s over the sequences that are defined
under it, the mean is that of the m_s: each seed counts once, however many sequences it has. Two
populations are kept apart: *these trained models* on other sequences, and *retraining* on other
sequences.

>>> estimate = of_values(np.array([[0.5, 0.7, 0.6], [0.6, 0.9, 0.6]]))
>>> round(estimate.mean, 3), estimate.seeds, estimate.sequences
(0.65, 2, 3)
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from xaibench.shapes import Float
from xaibench.statistics import shares
from xaibench.statistics.crossed import (
    Interval,
    Spread,
    crossed,
    interval,
    of_these_models,
    p_value,
)
from xaibench.statistics.effect_sizes import d_z
from xaibench.statistics.paired import paired_t
from xaibench.statistics.rounding import largest
from xaibench.values import Estimate

from .resampling import Clusters, Resampling

DEFAULT = Resampling()
"""Seeds and single sequences, 95 %."""


def of_values(values: Float, resampling: Resampling = DEFAULT, *, yes_no: bool = False) -> Estimate:
    """The mean of values ``(seed, sequence)`` with its intervals.

    ``low, high`` is for retraining on other sequences (``crossed``), NaN with one seed;
    ``sequences_low, sequences_high`` for these models on other sequences. Where ``resampling`` is
    of ``sequences_only`` the first is the second. ``yes_no`` values are 0 or 1, and their mean is a
    share (``shares.share_interval``). Effect and p belong to differences: NaN here.
    """
    defined, own = _defined(values, resampling)
    if not defined.size:
        return undefined("no value is defined", count=values.size)
    spreads, level = _spreads(defined, own), own.level
    ends = [
        shares.share_interval(each, defined, level) if yes_no else interval(each, level)
        for each in spreads
    ]
    return Estimate(
        mean=spreads[0].mean,
        low=ends[0].low,
        high=ends[0].high,
        sequences_low=ends[1].low,
        sequences_high=ends[1].high,
        effect=np.nan,
        p=np.nan,
        p_sequences=np.nan,
        p_seeds=np.nan,
        sequences=defined.shape[1],
        seeds=defined.shape[0],
        undefined=int(np.isnan(values).sum()),
        reason=_reason(len(defined), spreads[1], own),
    )


def of_differences(
    values: Float, resampling: Resampling = DEFAULT, *, yes_no: bool = False
) -> Estimate:
    """The mean of paired differences ``(seed, sequence)``, with intervals, tests and effect.

    The intervals are those of ``of_values``. ``p`` and ``p_sequences`` (two-sided) are of no
    difference, each by the statistic of the interval beside it: below .05 where that excludes 0.
    ``p_seeds`` is t over the differences of seed means (*Student 1908*), for retraining *on exactly
    these sequences*. ``p`` and ``p_seeds`` are NaN with one seed, ``p_seeds`` also where the seeds'
    means are all equal. ``effect`` is d_z, mean over standard deviation of the per-sequence
    differences; NaN where they are all equal. ``yes_no`` differences are of values that are 0 or 1:
    where all are equal, other sequences may still differ (``shares.equal_difference_interval``).
    """
    defined, own = _defined(values, resampling)
    if not defined.size:
        return undefined("no pair is defined", count=values.size)
    plain = of_values(values, resampling)
    headline, alone = _spreads(defined, own)
    if yes_no and not np.ptp(defined[~np.isnan(defined)]):
        ends = shares.equal_difference_interval(plain.mean, alone.units, own.level)
        plain = _widened(plain, ends)
    # seeds whose means differ by the rounding of values of this size agree
    size = largest(defined)
    effect = d_z(np.nanmean(defined, axis=0), size=size)
    p_seeds = np.nan if own.sequences_only else paired_t(np.nanmean(defined, axis=1), size=size).p
    return replace(
        plain,
        effect=effect,
        p=np.nan if own.sequences_only else p_value(headline),
        p_sequences=p_value(alone),
        p_seeds=p_seeds,
        reason=_reason_of_tests(plain, effect, p_seeds),
    )


def undefined(reason: str, *, count: int = 0) -> Estimate:
    """The estimate of what cannot be estimated: NaN, with the reason."""
    return Estimate(
        **dict.fromkeys(Estimate.columns()[:9], np.nan),
        sequences=0,
        seeds=0,
        undefined=count,
        reason=reason,
    )


def bands(
    values: Float, clusters: Clusters | None = None, *, level: float = 0.95
) -> tuple[Float, Float, Float]:
    """The mean and the headline interval ``(column,)`` of values ``(seed, sequence, column)``.

    The interval is NaN with one seed, one sequence or one cluster.
    """
    spreads = [crossed(values[:, :, column], clusters) for column in range(values.shape[2])]
    lows, highs = np.array([interval(each, level) for each in spreads]).T
    return np.array([each.mean for each in spreads]), lows, highs


def defined_part(values: Float, clusters: Clusters | None = None) -> tuple[Float, Clusters | None]:
    """Without the seeds and the sequences that have no value at all; the clusters of those left."""
    values = np.asarray(values, np.float64)
    if clusters is not None and np.shape(clusters) != values.shape[1:]:
        raise ValueError(
            f"clusters: expected one number for each of {values.shape[1]} sequences, "
            f"got the shape {np.shape(clusters)}"
        )
    known = ~np.isnan(values)
    seeds, sequences = known.any(1), known.any(0)
    defined: Float = values[seeds][:, sequences]
    return defined, None if clusters is None else clusters[sequences]


def _defined(values: Float, resampling: Resampling) -> tuple[Float, Resampling]:
    """``defined_part`` of the values, and how that part is resampled."""
    defined, clusters = defined_part(values, resampling.clusters)
    return defined, replace(resampling, clusters=clusters)


def _spreads(defined: Float, resampling: Resampling) -> tuple[Spread, Spread]:
    """Of the headline interval, and of that for these models."""
    alone = of_these_models(defined, resampling.clusters)
    return alone if resampling.sequences_only else crossed(defined, resampling.clusters), alone


def _widened(plain: Estimate, ends: Interval) -> Estimate:
    """With these ends for every interval that it has."""
    low, high = ends if not np.isnan(plain.low) else (np.nan, np.nan)
    return replace(plain, low=low, high=high, sequences_low=ends.low, sequences_high=ends.high)


def _reason(seeds: int, alone: Spread, resampling: Resampling) -> str:
    """Why an interval is missing; empty where none is."""
    reasons = []
    unit = "sequence" if resampling.clusters is None else "cluster"
    if alone.units < 2:
        reasons.append(f"one {unit}: no interval")
    elif np.isnan(alone.sequences.variance):
        reasons.append(f"a seed with one {unit}: no interval over sequences")
    if resampling.sequences_only:
        reasons.append("the values compare seeds: interval over sequences only")
    elif seeds < 2:
        reasons.append("one replicate: no interval over replicates")
    return "; ".join(reasons)


def _reason_of_tests(plain: Estimate, effect: float, p_seeds: float) -> str:
    """Adds to the reason what only differences can leave undefined."""
    reasons = [plain.reason] if plain.reason else []
    if np.isnan(effect) and plain.sequences > 1:
        reasons.append("the differences are all equal: no effect size")
    if np.isnan(p_seeds) and not plain.reason:
        reasons.append("the seeds agree: no test over seeds")
    return "; ".join(reasons)
