"""The difference of two runs whose seeds are not the same, on the sequences that are.

A seed of one run has no partner in the other, so the seeds of each run vary on their own; sequences
are still paired.

>>> one, other = np.array([[0.1, 0.3], [0.2, 0.2]]), np.array([[0.4, 0.8], [0.5, 0.6], [0.7, 0.9]])
>>> estimate = of_unpaired(one, other)
>>> round(estimate.mean, 3), estimate.sequences, estimate.seeds
(0.45, 2, 2)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import stats

from xaibench.shapes import Float
from xaibench.statistics.crossed import crossed_apart, interval, p_value, these_models_apart
from xaibench.statistics.effect_sizes import d_z
from xaibench.statistics.means import DEFAULT, defined_part, undefined
from xaibench.statistics.resampling import Resampling
from xaibench.statistics.rounding import all_equal, largest, subtracted
from xaibench.values import Estimate


class Welch(NamedTuple):
    """t of the difference of two means whose variances may differ; NaN where it is undefined."""

    p: float
    low: float
    high: float


def of_unpaired(first: Float, second: Float, resampling: Resampling = DEFAULT) -> Estimate:
    """The mean of ``second - first``, each ``(seed, sequence)`` with seeds of its own.

    The sequences are the same, column by column; one without any value on either side is dropped.
    Intervals, ``p`` and ``p_sequences`` are as those of ``of_differences``, with the variances of
    both runs' seeds; ``p_seeds``, for exactly these sequences, is *Welch 1947*. What is about
    retraining is NaN where a run has one seed. ``seeds`` is the smaller number. ``ValueError``
    where the sequences differ in number.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"second: expected {first.shape[1]} sequences, got {second.shape[1]}")
    known = ~(np.isnan(first).all(axis=0) | np.isnan(second).all(axis=0))
    one, other = defined_part(first[:, known])[0], defined_part(second[:, known])[0]
    if not one.size or not other.size:
        return undefined("no sequence has a value in both runs", count=first.shape[1])
    level, sequences_only = resampling.level, resampling.sequences_only
    means = np.nanmean(one, axis=1), np.nanmean(other, axis=1)
    alone = these_models_apart(one, other)
    headline = alone if sequences_only else crossed_apart(one, other)
    seeds = welch(*means, level=level, size=_largest(one, other))
    ends, of_sequences = interval(headline, level), interval(alone, level)
    return Estimate(
        mean=alone.mean,
        low=ends.low,
        high=ends.high,
        sequences_low=of_sequences.low,
        sequences_high=of_sequences.high,
        effect=d_z(subtracted(np.nanmean(other, axis=0), np.nanmean(one, axis=0))),
        p=np.nan if sequences_only else p_value(headline),
        p_sequences=p_value(alone),
        p_seeds=np.nan if sequences_only else seeds.p,
        sequences=int(known.sum()),
        seeds=min(len(one), len(other)),
        undefined=int((~known).sum()),
        reason=_reason_unpaired((one, other), int(known.sum()), sequences_only),
    )


def welch(first: Float, second: Float, *, level: float = 0.95, size: float = 0.0) -> Welch:
    """*Welch 1947* of ``second - first``, two-sided; ``size`` as of ``all_equal``."""
    alike = all(all_equal(each, size=size) for each in (first, second))
    if min(len(first), len(second)) < 2 or alike:
        return Welch(np.nan, np.nan, np.nan)
    parts = [each.var(ddof=1) / len(each) for each in (first, second)]
    error = np.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(each) - 1) for part, each in zip(parts, (first, second), strict=True)
    )
    mean = second.mean() - first.mean()
    reach = stats.t.ppf((1 + level) / 2, freedom) * error
    p = 2 * stats.t.sf(abs(mean) / error, freedom)
    return Welch(float(p), float(mean - reach), float(mean + reach))


def _largest(*values: Float) -> float:
    """The largest absolute value in any of these."""
    return max(largest(each) for each in values)


def _reason_unpaired(values: tuple[Float, Float], sequences: int, sequences_only: bool) -> str:
    """Why an interval or a test is missing; empty where none is."""
    reasons = ["one sequence: no interval"] if sequences < 2 else []
    means = [np.nanmean(each, axis=1) for each in values]
    if sequences_only:
        reasons.append("the values compare seeds: interval over sequences only")
    elif min(map(len, means)) < 2:
        reasons.append("one replicate in a run: no interval over replicates")
    elif all(all_equal(each, size=_largest(*values)) for each in means):
        reasons.append("the seeds agree: no test over seeds")
    return "; ".join(reasons)
