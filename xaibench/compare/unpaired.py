"""The difference of two runs whose seeds are not the same, on the sequences that are.

A seed of one run has no partner in the other, so seeds are drawn apart; sequences still have one.

>>> one, other = np.array([[0.1, 0.3], [0.2, 0.2]]), np.array([[0.4, 0.8], [0.5, 0.6], [0.7, 0.9]])
>>> from xaibench.statistics.draws import draw
>>> found = of_unpaired(one, other, lambda *size: draw(np.random.default_rng(0), *size))
>>> round(found.mean, 3), found.sequences, found.seeds
(0.45, 2, 2)
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xaibench.statistics.bootstrap import Drawing, Draws, defined_part, undefined
from xaibench.statistics.effect_sizes import all_equal, d_z
from xaibench.statistics.intervals import (
    UNDEFINED,
    Interval,
    drawn_seed_means,
    percentiles,
    weighted_mean,
)
from xaibench.statistics.paired import p_of_sign_flips
from xaibench.values import Estimate

Float = NDArray[np.float64]


class Welch(NamedTuple):
    """t of the difference of two means whose variances may differ; NaN where it is undefined."""

    p: float
    interval: Interval


def of_unpaired(
    first: Float,
    second: Float,
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
) -> Estimate:
    """The mean of ``second - first``, each ``(seed, sequence)`` with seeds of its own.

    The sequences are the same, column by column; one without any value on either side is dropped.
    The headline is the wider of a bootstrap that draws the sequences once and the seeds of each run
    apart, and of Welch's interval over the seed means. ``p_sequences`` flips the signs of the
    per-sequence differences of seed averages; ``p_seeds`` is *Welch 1947*, NaN where a run has one
    seed. ``seeds`` is the smaller number. ``ValueError`` where the sequences differ in number.
    """
    if first.shape[1] != second.shape[1]:
        raise ValueError(f"second: wanted {first.shape[1]} sequences, got {second.shape[1]}")
    known = ~(np.isnan(first).all(axis=0) | np.isnan(second).all(axis=0))
    one, other = defined_part(first[:, known]), defined_part(second[:, known])
    if not one.size:
        return undefined("no sequence has a value in both runs", count=first.shape[1])
    of_sequences = np.nanmean(other, axis=0) - np.nanmean(one, axis=0)
    means = np.nanmean(one, axis=1), np.nanmean(other, axis=1)
    test = Welch(np.nan, UNDEFINED) if sequences_only else welch(*means, level=level)
    draws = _apart(drawing(*one.shape), drawing(*other.shape))
    sequences, crossed = _intervals((one, other), draws, level)
    headline = sequences if sequences_only else _wider(crossed, test.interval)
    return Estimate(
        mean=float(means[1].mean() - means[0].mean()),
        low=headline.low,
        high=headline.high,
        sequences_low=sequences.low,
        sequences_high=sequences.high,
        effect=d_z(of_sequences),
        p_sequences=p_of_sign_flips(of_sequences, draws[0].signs),
        p_seeds=test.p,
        sequences=int(known.sum()),
        seeds=min(len(one), len(other)),
        undefined=int((~known).sum()),
        reason=_reason(*means, int(known.sum()), sequences_only),
    )


def welch(first: Float, second: Float, *, level: float = 0.95) -> Welch:
    """*Welch 1947* of ``second - first``, two-sided."""
    if min(len(first), len(second)) < 2 or (all_equal(first) and all_equal(second)):
        return Welch(np.nan, UNDEFINED)
    parts = [each.var(ddof=1) / len(each) for each in (first, second)]
    error = np.sqrt(sum(parts))
    freedom = sum(parts) ** 2 / sum(
        part**2 / (len(each) - 1) for part, each in zip(parts, (first, second), strict=True)
    )
    difference = second.mean() - first.mean()
    reach = stats.t.ppf((1 + level) / 2, freedom) * error
    p = 2 * stats.t.sf(abs(difference) / error, freedom)
    return Welch(float(p), Interval(float(difference - reach), float(difference + reach)))


def _apart(first: Draws, second: Draws) -> tuple[Draws, Draws]:
    """The same sequences in both, and seeds drawn apart also where both have as many, for draws of
    one size are shared: those of the second are taken from the next draw."""
    seeds = np.roll(second.seed_counts, 1, axis=0)
    return first, replace(first, seed_counts=seeds)


def _intervals(
    values: tuple[Float, Float], draws: tuple[Draws, Draws], level: float
) -> tuple[Interval, Interval]:
    """With the seeds as they are, and with seeds drawn beside the sequences."""
    if values[0].shape[1] < 2:
        return UNDEFINED, UNDEFINED
    drawn = [drawn_seed_means(*each) for each in zip(values, draws, strict=True)]
    fixed = [weighted_mean(each, np.ones_like(each)) for each in drawn]
    crossed = [
        weighted_mean(each, drew.seed_counts.astype(np.float64))
        for each, drew in zip(drawn, draws, strict=True)
    ]
    return (
        percentiles(fixed[1] - fixed[0], draws[0], level),
        percentiles(crossed[1] - crossed[0], draws[0], level),
    )


def _wider(crossed: Interval, over_seeds: Interval) -> Interval:
    """NaN where nothing is known of retraining."""
    if np.isnan(over_seeds.low) or np.isnan(crossed.low):
        return UNDEFINED
    width, other = crossed.high - crossed.low, over_seeds.high - over_seeds.low
    return crossed if width > other else over_seeds


def _reason(first: Float, second: Float, sequences: int, sequences_only: bool) -> str:
    reasons = ["one sequence: no interval"] if sequences < 2 else []
    if sequences_only:
        reasons.append("the values compare seeds: interval over sequences only")
    elif min(len(first), len(second)) < 2:
        reasons.append("one seed in a run: no interval over retraining")
    elif all_equal(first) and all_equal(second):
        reasons.append("the seeds agree: no test over seeds")
    return "; ".join(reasons)
