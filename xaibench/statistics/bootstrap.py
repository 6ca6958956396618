"""Means of values ``(seed, sequence)`` and of paired differences, with their intervals.

Values are ``(seed, sequence)``, NaN where undefined. Two populations are kept apart: *these trained
models* on other sequences, and *retraining* under other seeds. All seeds saw the same sequences, so
the two are crossed, not nested.

>>> values = np.array([[0.5, 0.7, 0.6], [0.6, 0.9, 0.6]])
>>> found = estimate(values, generator=np.random.default_rng(0))
>>> round(found.mean, 3), found.seeds, found.sequences
(0.65, 2, 3)
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xaibench.statistics.draws import FLIPS, RESAMPLES, Clusters, Drawing, Draws, draw
from xaibench.statistics.effect_sizes import d_z
from xaibench.statistics.intervals import drawn_seed_means, headline, over_sequences, tail
from xaibench.statistics.paired import p_of_sign_flips, paired_t
from xaibench.values import Estimate

Float = NDArray[np.float64]

__all__ = [
    "Drawing",
    "Draws",
    "bands",
    "defined_part",
    "difference",
    "draw",
    "drawn_for",
    "estimate",
    "of_differences",
    "of_values",
    "undefined",
]


def estimate(
    values: Float,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
) -> Estimate:
    """The mean of values ``(seed, sequence)`` with its intervals.

    The mean is that of the seed means, each over the sequences defined under that seed. The
    headline interval is the wider of two: percentiles of a crossed bootstrap (sequences and seeds
    drawn side by side, *Owen 2007*), and mean +- t x standard error over the seed means. With one
    seed it is NaN. With ``sequences_only`` (for values that are themselves comparisons of seeds) it
    is the interval over sequences. Effect and p-values belong to differences: NaN here.
    """
    drawing = partial(draw, generator, resamples=resamples, flips=0)
    return of_values(values, drawing, level=level, sequences_only=sequences_only, clusters=clusters)


def difference(
    first: Float,
    second: Float,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
) -> Estimate:
    """The mean of ``first - second``, paired by seed and sequence, with intervals and two tests.

    A pair with NaN on either side is dropped and counted as undefined. ``p_sequences`` (two-sided)
    flips the signs of the per-sequence differences, averaged over seeds: (b + 1) / (flips + 1).
    ``p_seeds`` (two-sided) is t over the differences of seed means; NaN with one seed, and where
    these are all equal, for t is then infinite or 0/0. ``effect`` is d_z, mean over standard
    deviation of the per-sequence differences; NaN where they are all equal. The intervals are those
    of ``estimate``. ``ValueError`` where the shapes differ.
    """
    if first.shape != second.shape:
        raise ValueError(f"second: wanted the shape of first {first.shape}, got {second.shape}")
    drawing = partial(draw, generator, resamples=resamples, flips=flips)
    return of_differences(
        first - second, drawing, level=level, sequences_only=sequences_only, clusters=clusters
    )


def of_values(
    values: Float,
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
) -> Estimate:
    """``estimate`` with the draws decided by the caller."""
    defined = defined_part(values)
    if not defined.size:
        return undefined("no value is defined", count=values.size)
    draws = drawn_for(values, drawing, clusters)
    means = np.nanmean(defined, axis=1)
    drawn = drawn_seed_means(defined, draws)
    sequences = over_sequences(drawn, draws, level)
    interval = sequences if sequences_only else headline(means, drawn, draws, level)
    return Estimate(
        mean=float(means.mean()),
        low=interval.low,
        high=interval.high,
        sequences_low=sequences.low,
        sequences_high=sequences.high,
        effect=np.nan,
        p_sequences=np.nan,
        p_seeds=np.nan,
        sequences=defined.shape[1],
        seeds=defined.shape[0],
        undefined=int(np.isnan(values).sum()),
        reason=_reason(len(means), draws, sequences_only),
    )


def of_differences(
    values: Float,
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
    clusters: Clusters | None = None,
) -> Estimate:
    """``difference`` of what is already subtracted, with the draws decided by the caller."""
    defined = defined_part(values)
    if not defined.size:
        return undefined("no pair is defined", count=values.size)
    draws = drawn_for(values, drawing, clusters)
    plain = of_values(values, lambda *_: draws, level=level, sequences_only=sequences_only)
    of_sequences, of_seeds = np.nanmean(defined, axis=0), np.nanmean(defined, axis=1)
    effect = d_z(of_sequences)
    p_seeds = np.nan if sequences_only else paired_t(of_seeds).p
    return replace(
        plain,
        effect=effect,
        p_sequences=p_of_sign_flips(of_sequences, draws.signs),
        p_seeds=p_seeds,
        reason=_reason_of_tests(plain, effect, p_seeds),
    )


def undefined(reason: str, *, count: int = 0) -> Estimate:
    """The estimate of what cannot be estimated: NaN, with the reason."""
    return Estimate(
        **dict.fromkeys(Estimate.columns()[:8], np.nan),
        sequences=0,
        seeds=0,
        undefined=count,
        reason=reason,
    )


def bands(values: Float, draws: Draws, *, level: float = 0.95) -> tuple[Float, Float, Float]:
    """The mean and the headline interval ``(column,)`` of values ``(seed, sequence, column)``.

    Every value must be defined. The interval is NaN with one seed, one sequence or one cluster.
    """
    seeds = len(values)
    means = values.mean(axis=1)
    if min(seeds, draws.units) < 2:
        nowhere = np.full(values.shape[2], np.nan)
        return means.mean(axis=0), nowhere, nowhere
    counts = draws.sequence_counts.astype(np.float64)
    counts /= counts.sum(axis=1, keepdims=True)
    drawn = np.einsum("bs,sbc->bc", draws.seed_counts / seeds, counts @ values)
    share = tail(draws, level)
    low, high = np.quantile(drawn, [share, 1 - share], axis=0)
    reach = stats.t.ppf(1 - (1 - level) / 2, seeds - 1) * means.std(axis=0, ddof=1) / np.sqrt(seeds)
    mean = means.mean(axis=0)
    crossed = high - low > 2 * reach
    return mean, np.where(crossed, low, mean - reach), np.where(crossed, high, mean + reach)


def drawn_for(values: Float, drawing: Drawing, clusters: Clusters | None) -> Draws:
    """The draws for the seeds and sequences of ``values`` that have a value at all."""
    known = ~np.isnan(values)
    seeds, sequences = known.any(1), known.any(0)
    if clusters is None:
        return drawing(int(seeds.sum()), int(sequences.sum()))
    return drawing(int(seeds.sum()), int(sequences.sum()), clusters=clusters[sequences])


def defined_part(values: Float) -> Float:
    """Without the seeds and the sequences that have no value at all."""
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    defined: Float = values[known.any(1)][:, known.any(0)]
    return defined


def _reason(seeds: int, draws: Draws, sequences_only: bool) -> str:
    reasons = []
    if draws.units < 2:
        unit = "sequence" if draws.clusters is None else "cluster"
        reasons.append(f"one {unit}: no interval")
    if sequences_only:
        reasons.append("the values compare seeds: interval over sequences only")
    elif seeds < 2:
        reasons.append("one seed: no interval over retraining")
    return "; ".join(reasons)


def _reason_of_tests(plain: Estimate, effect: float, p_seeds: float) -> str:
    """Adds to the reason what only differences can leave undefined."""
    reasons = [plain.reason] if plain.reason else []
    if np.isnan(effect) and plain.sequences > 1:
        reasons.append("the differences are all equal: no effect size")
    if np.isnan(p_seeds) and not plain.reason:
        reasons.append("the seeds agree: no test over seeds")
    return "; ".join(reasons)
