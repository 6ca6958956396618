"""Arrays in, ``Estimate`` out: intervals, paired tests, corrections and ranks.

Values are ``(seed, sequence)``, NaN where undefined. Two populations are kept apart: *these trained
models* on other sequences, and *retraining* under other seeds. All seeds saw the same sequences, so
the two are crossed, not nested.

>>> values = np.array([[0.5, 0.7, 0.6], [0.6, 0.9, 0.6]])
>>> found = estimate(values, generator=np.random.default_rng(0))
>>> round(found.mean, 3), found.seeds, found.sequences
(0.65, 2, 3)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from xaibench.values import Estimate

Float = NDArray[np.float64]

RESAMPLES = 2000
FLIPS = 9999
LARGEST = 200_000_000
_ROUNDING = 1e-12
"""Sums of equal numbers in another order differ by less than this part of their size."""


class Interval(NamedTuple):
    low: float
    high: float


_UNDEFINED = Interval(np.nan, np.nan)


@dataclass(frozen=True, slots=True)
class Draws:
    """What resampling draws. Comparisons of the same size may share one.

    ``sequence_counts`` ``(draw, sequence)`` and ``seed_counts`` ``(draw, seed)`` say how often each
    is in a bootstrap sample; ``signs`` ``(flip, sequence)`` are -1 or 1.
    """

    sequence_counts: NDArray[np.uint16]
    seed_counts: NDArray[np.uint16]
    signs: NDArray[np.int8]


Drawing = Callable[[int, int], Draws]
"""``(seeds, sequences) -> Draws``: ``draw`` with all but the size decided, perhaps remembered."""


def draw(
    generator: np.random.Generator,
    seeds: int,
    sequences: int,
    *,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
) -> Draws:
    """The draws for values ``(seed, sequence)``; fewer where there are very many sequences, so
    that no table of draws holds more than ``LARGEST`` numbers."""
    most = max(LARGEST // max(sequences, 1), 100)
    resamples, flips = min(resamples, most), min(flips, most)
    return Draws(
        _counts(generator, resamples, sequences),
        _counts(generator, resamples, seeds),
        generator.integers(0, 2, size=(flips, sequences), dtype=np.int8) * np.int8(2) - np.int8(1),
    )


def estimate(
    values: Float,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    level: float = 0.95,
    sequences_only: bool = False,
) -> Estimate:
    """The mean of values ``(seed, sequence)`` with its intervals.

    The mean is that of the seed means, each over the sequences defined under that seed. The
    headline interval is the wider of two: percentiles of a crossed bootstrap (sequences and seeds
    drawn side by side, *Owen 2007*), and mean +- t x standard error over the seed means. With one
    seed it is NaN. With ``sequences_only`` (for values that are themselves comparisons of seeds) it
    is the interval over sequences. Effect and p-values belong to differences: NaN here.
    """
    drawing = partial(draw, generator, resamples=resamples, flips=0)
    return of_values(values, drawing, level=level, sequences_only=sequences_only)


def difference(
    first: Float,
    second: Float,
    *,
    generator: np.random.Generator,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    level: float = 0.95,
    sequences_only: bool = False,
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
    return of_differences(first - second, drawing, level=level, sequences_only=sequences_only)


def of_values(
    values: Float, drawing: Drawing, *, level: float = 0.95, sequences_only: bool = False
) -> Estimate:
    """``estimate`` with the draws decided by the caller."""
    defined = _defined(values)
    if not defined.size:
        return undefined("no value is defined", count=values.size)
    draws = drawing(*defined.shape)
    means = np.nanmean(defined, axis=1)
    drawn = _drawn_seed_means(defined, draws)
    over_sequences = _over_sequences(drawn, draws, level)
    headline = over_sequences
    if not sequences_only:
        headline = _headline(means, drawn, draws, level)
    return Estimate(
        mean=float(means.mean()),
        low=headline.low,
        high=headline.high,
        sequences_low=over_sequences.low,
        sequences_high=over_sequences.high,
        effect=np.nan,
        p_sequences=np.nan,
        p_seeds=np.nan,
        sequences=defined.shape[1],
        seeds=defined.shape[0],
        undefined=int(np.isnan(values).sum()),
        reason=_reason(len(means), defined.shape[1], sequences_only),
    )


def of_differences(
    values: Float, drawing: Drawing, *, level: float = 0.95, sequences_only: bool = False
) -> Estimate:
    """``difference`` of what is already subtracted, with the draws decided by the caller."""
    defined = _defined(values)
    if not defined.size:
        return undefined("no pair is defined", count=values.size)
    draws = drawing(*defined.shape)
    plain = of_values(values, lambda *_: draws, level=level, sequences_only=sequences_only)
    of_sequences, of_seeds = np.nanmean(defined, axis=0), np.nanmean(defined, axis=1)
    effect = _standardised(of_sequences)
    p_seeds = np.nan if sequences_only else _p_of_t(of_seeds)
    return replace(
        plain,
        effect=effect,
        p_sequences=_p_of_sign_flips(of_sequences, draws.signs),
        p_seeds=p_seeds,
        reason=_reason_of_tests(plain, effect, p_seeds),
    )


def of_ratio(
    numerator: Float,
    denominator: Float,
    drawing: Drawing,
    *,
    level: float = 0.95,
    sequences_only: bool = False,
    named: str = "the denominator",
) -> Estimate:
    """The mean of one over the mean of another, both ``(seed, sequence)``, paired.

    A pair with NaN on either side is dropped and counted as undefined. The bootstrap divides the
    means of one draw of seeds and sequences. For t over seeds the ratio is linearised (delta
    method): the seed's means a and b count as R + (a - R b) / mean of b, of which R is the mean.
    The headline is the wider of the two, as for ``estimate``; effect and p-values are NaN. All is
    NaN where the interval of the denominator (with one seed, that over sequences) does not lie
    above 0, for the ratio then has no direction; the reason calls it ``named``. ``ValueError``
    where the shapes differ.
    """
    if numerator.shape != denominator.shape:
        raise ValueError(
            f"denominator: wanted the shape of numerator {numerator.shape}, got {denominator.shape}"
        )
    unknown = np.isnan(numerator) | np.isnan(denominator)
    above, below = (_defined(np.where(unknown, np.nan, each)) for each in (numerator, denominator))
    if not above.size:
        return undefined("no pair is defined", count=unknown.size)
    draws = drawing(*above.shape)
    divisor = of_values(below, lambda *_: draws, level=level, sequences_only=sequences_only)
    problem = _why_not_above_zero(divisor, named)
    mean, over_sequences, headline = np.nan, _UNDEFINED, _UNDEFINED
    if not problem:
        mean = float(np.nanmean(above, axis=1).mean() / divisor.mean)
        over_sequences, headline = _of_ratio(above, below, draws, level)
    if sequences_only:
        headline = over_sequences
    return replace(
        divisor,
        mean=mean,
        low=headline.low,
        high=headline.high,
        sequences_low=over_sequences.low,
        sequences_high=over_sequences.high,
        undefined=int(unknown.sum()),
        reason=problem or divisor.reason,
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

    Every value must be defined. The interval is NaN with one seed or one sequence.
    """
    seeds, sequences, _ = values.shape
    means = values.mean(axis=1)
    if min(seeds, sequences) < 2:
        nowhere = np.full(values.shape[2], np.nan)
        return means.mean(axis=0), nowhere, nowhere
    counts = draws.sequence_counts.astype(np.float64) / sequences
    drawn = np.einsum("bs,sbc->bc", draws.seed_counts / seeds, counts @ values)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], axis=0)
    reach = stats.t.ppf(1 - tail, seeds - 1) * means.std(axis=0, ddof=1) / np.sqrt(seeds)
    mean = means.mean(axis=0)
    crossed = high - low > 2 * reach
    return mean, np.where(crossed, low, mean - reach), np.where(crossed, high, mean + reach)


def holm(p: ArrayLike) -> Float:
    """Holm's adjusted p-values; NaN stays NaN and is not counted among the tests.

    >>> holm([0.01, np.nan, 0.04, 0.03]).round(3).tolist()
    [0.03, nan, 0.06, 0.06]
    """
    p = np.asarray(p, np.float64)
    adjusted = np.full(p.shape, np.nan)
    order = np.argsort(p)[: np.isfinite(p).sum()]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def rank(values: ArrayLike, better: Literal["lower", "higher"]) -> Float:
    """Rank 1 is the best; equals share the better rank; NaN is not ranked.

    >>> rank([0.2, np.nan, 0.9, 0.2], "higher").tolist()
    [2.0, nan, 1.0, 2.0]
    """
    values = np.asarray(values, np.float64)
    ranks: Float = stats.rankdata(
        -values if better == "higher" else values, method="min", nan_policy="omit"
    ).astype(np.float64)
    return ranks


def _counts(generator: np.random.Generator, draws: int, population: int) -> NDArray[np.uint16]:
    """``(draw, population)``: how often each is in a sample with replacement of that size."""
    counts = np.empty((draws, population), np.uint16)
    for row in counts:
        row[:] = np.bincount(generator.integers(population, size=population), minlength=population)
    return counts


def _defined(values: Float) -> Float:
    """Without the seeds and the sequences that have no value at all."""
    values = np.asarray(values, np.float64)
    known = ~np.isnan(values)
    defined: Float = values[known.any(1)][:, known.any(0)]
    return defined


def _product(drawn: NDArray[np.integer], rows: Float) -> Float:
    """``drawn @ rows.T`` in float64: ``(draw, sequence)`` and ``(row, sequence)``.

    Not by BLAS: it would need the draws as float64, its sums depend on its threads, and these wait
    for each other where cores are shared (20 times slower was seen).
    """
    product: Float = np.einsum("ds,rs->dr", drawn, np.ascontiguousarray(rows))
    return product


def _drawn_seed_means(values: Float, draws: Draws) -> Float:
    """``(draw, seed)``: each seed's mean over the drawn sequences that are defined under it."""
    known = ~np.isnan(values)
    sums = _product(draws.sequence_counts, np.where(known, values, 0))
    if known.all():
        return _quotient(sums, np.full_like(sums, values.shape[1]))
    sizes = _product(draws.sequence_counts, known.astype(np.float64))
    return _quotient(sums, sizes)


def _weighted_mean(drawn: Float, weights: Float) -> Float:
    """``(draw,)`` over the seeds that are defined in the draw; NaN where none of weight is."""
    weights = np.where(np.isnan(drawn), 0, weights)
    sums, sizes = (np.nan_to_num(drawn) * weights).sum(1), weights.sum(1)
    return _quotient(sums, sizes)


def _quotient(sums: Float, sizes: Float) -> Float:
    """NaN where the size is zero."""
    quotient: Float = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
    return quotient


def _percentiles(means: Float, level: float) -> Interval:
    tail = (1 - level) / 2
    low, high = np.nanquantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _over_sequences(drawn: Float, draws: Draws, level: float) -> Interval:
    """The percentiles with the seeds as they are."""
    if draws.sequence_counts.shape[1] < 2:
        return _UNDEFINED
    return _percentiles(_weighted_mean(drawn, np.ones_like(drawn)), level)


def _of_ratio(above: Float, below: Float, draws: Draws, level: float) -> tuple[Interval, Interval]:
    """Of a ratio of means, the interval over sequences and the headline."""
    tops, bottoms = (_drawn_seed_means(each, draws) for each in (above, below))
    fixed, counts = np.ones_like(tops), draws.seed_counts.astype(np.float64)
    sequences, crossed = (
        _percentiles(_ratio(_weighted_mean(tops, weights), _weighted_mean(bottoms, weights)), level)
        for weights in (fixed, counts)
    )
    if len(above) < 2:
        return sequences, _UNDEFINED
    top, bottom = np.nanmean(above, axis=1), np.nanmean(below, axis=1)
    ratio = top.mean() / bottom.mean()
    linear = ratio + (top - ratio * bottom) / bottom.mean()
    return sequences, _wider(crossed, linear, level)


def _ratio(tops: Float, bottoms: Float) -> Float:
    """NaN where the bottom is zero."""
    ratio: Float = np.divide(tops, bottoms, out=np.full_like(tops, np.nan), where=bottoms != 0)
    return ratio


def _why_not_above_zero(divisor: Estimate, named: str) -> str:
    """Empty where the interval of what is divided by lies above 0."""
    low, high = divisor.low, divisor.high
    if np.isnan(low):
        low, high = divisor.sequences_low, divisor.sequences_high
    if np.isnan(low):
        return divisor.reason
    if high < 0:
        return f"the interval of {named} lies below 0: no ratio"
    return "" if low > 0 else f"the interval of {named} holds 0: no ratio"


def _headline(means: Float, drawn: Float, draws: Draws, level: float) -> Interval:
    """The wider of the crossed bootstrap and t over the seed means."""
    if len(means) < 2 or draws.sequence_counts.shape[1] < 2:
        return _UNDEFINED
    crossed = _percentiles(_weighted_mean(drawn, draws.seed_counts.astype(np.float64)), level)
    return _wider(crossed, means, level)


def _wider(crossed: Interval, means: Float, level: float) -> Interval:
    """The wider of an interval and t over the seed means."""
    reach = stats.t.ppf((1 + level) / 2, len(means) - 1) * means.std(ddof=1) / np.sqrt(len(means))
    if crossed.high - crossed.low > 2 * reach:
        return crossed
    return Interval(float(means.mean() - reach), float(means.mean() + reach))


def _all_equal(numbers: Float) -> bool:
    """Whether they differ by no more than the rounding of their sums."""
    return bool(np.ptp(numbers) <= _ROUNDING * np.abs(numbers).max())


def _standardised(differences: Float) -> float:
    """d_z; NaN where it is undefined."""
    if _all_equal(differences):
        return np.nan
    return float(differences.mean() / differences.std(ddof=1))


def _p_of_sign_flips(differences: Float, signs: NDArray[np.int8]) -> float:
    observed = abs(differences.sum()) - _ROUNDING * np.abs(differences).sum()
    as_far = int((np.abs(_product(signs, differences[None])) >= observed).sum())
    return (as_far + 1) / (len(signs) + 1)


def _p_of_t(means: Float) -> float:
    if _all_equal(means):
        return np.nan
    return float(stats.ttest_1samp(means, 0).pvalue)


def _reason(seeds: int, sequences: int, sequences_only: bool) -> str:
    reasons = []
    if sequences < 2:
        reasons.append("one sequence: no interval")
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
