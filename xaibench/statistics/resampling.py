"""How values are resampled, and what is drawn for it: sequences, seeds, signs.

All seeds were measured on the same sequences, so one draw of sequences serves every seed. Sequences
of one chromosome or region are not independent; where clusters are named, whole clusters are drawn
and change their sign together, and the cluster is the unit that an interval counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.randomness import stream
from xaibench.shapes import Float

RESAMPLES = 2000
FLIPS = 9999
LARGEST = 200_000_000

_CACHE_BYTES = 2**28
"""So many bytes of draws are remembered."""

_TOGETHER = 2**16
"""How many numbers one call draws: with a call per draw the calls take nearly all of the time."""


Clusters = NDArray[np.intp]
"""``(sequence,)``: the number of the chromosome or region that each sequence lies in."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampling:
    """What varies between one sample of values ``(seed, sequence)`` and another, and the ``level``
    of intervals.

    ``clusters`` ``(sequence,)`` names the group of each sequence where those of one group are not
    independent; without, each sequence is drawn for itself. ``sequences_only`` is for values that
    are themselves comparisons of seeds, so that seeds are not resampled on top.
    """

    level: float = 0.95
    sequences_only: bool = False
    clusters: Clusters | None = None


@dataclass(frozen=True, slots=True)
class Draws:
    """What resampling draws. Comparisons of the same size may share one.

    ``sequence_counts`` ``(draw, sequence)`` and ``seed_counts`` ``(draw, seed)`` say how often each
    is in a bootstrap sample; ``signs`` ``(flip, sequence)`` are -1 or 1. ``clusters`` is how many
    clusters were drawn whole, None where each sequence was drawn for itself.
    """

    sequence_counts: NDArray[np.uint16]
    seed_counts: NDArray[np.uint16]
    signs: NDArray[np.int8]
    clusters: int | None = None

    @property
    def units(self) -> int:
        """How many things were drawn from: sequences, or clusters of them."""
        return self.sequence_counts.shape[1] if self.clusters is None else self.clusters


Drawing = Callable[..., Draws]
"""``(seeds, sequences) -> Draws``: ``draw`` with all but the size given, perhaps from a cache.
Where the values have clusters it is called with ``clusters=`` too, those of the sequences left."""


def draw(
    generator: np.random.Generator,
    seeds: int,
    sequences: int,
    *,
    resamples: int = RESAMPLES,
    flips: int = FLIPS,
    clusters: Clusters | None = None,
) -> Draws:
    """The draws for values ``(seed, sequence)``; fewer where there are very many sequences, so
    that no table of draws takes more than ``LARGEST`` bytes.

    With ``clusters`` a sample holds as many clusters as there are, so its number of sequences
    varies. ``ValueError`` where these are not one number per sequence.
    """
    most = LARGEST // max(sequences, 1)
    resamples, flips = min(resamples, max(most // 2, 100)), min(flips, max(most, 100))
    if clusters is not None:
        return _draw_clusters(generator, seeds, resamples, flips, _members(clusters, sequences))
    return Draws(
        _counts(generator, resamples, sequences),
        _counts(generator, resamples, seeds),
        _signs(generator, flips, sequences),
    )


def shared_draws(
    data_seed: int, purpose: str, *, resamples: int = RESAMPLES, flips: int = FLIPS
) -> Drawing:
    """Draws that depend on the size (and the clusters) alone, so that comparisons can share them;
    the last few sizes are cached."""
    cache: dict[tuple[int | bytes, ...], Draws] = {}

    def drawing(seeds: int, sequences: int, *, clusters: Clusters | None = None) -> Draws:
        size = (seeds, sequences) if clusters is None else (seeds, sequences, clusters.tobytes())
        draws = cache.pop(size, None)
        cache[size] = draws or draw(
            stream(data_seed, purpose, *size),
            seeds,
            sequences,
            resamples=resamples,
            flips=flips,
            clusters=clusters,
        )
        while len(cache) > 1 and sum(map(_bytes, cache.values())) > _CACHE_BYTES:
            del cache[next(iter(cache))]  # the least recently used
        return cache[size]

    return drawing


def product(drawn: NDArray[np.integer], rows: Float) -> Float:
    """``drawn @ rows.T`` in float64: ``(draw, sequence)`` and ``(row, sequence)``.

    Not by BLAS: it would need the draws as float64, its sums depend on its threads, and these wait
    for each other where cores are shared (20 times slower was seen).
    """
    sums: Float = np.einsum("ds,rs->dr", drawn, np.ascontiguousarray(rows))
    return sums


def drawn_seed_means(values: Float, draws: Draws) -> Float:
    """``(draw, seed)``: each seed's mean over the drawn sequences that are defined under it."""
    known = ~np.isnan(values)
    sums = product(draws.sequence_counts, np.where(known, values, 0))
    if known.all():
        sizes = draws.sequence_counts.sum(axis=1, dtype=np.float64)[:, None]
        return quotient(sums, np.broadcast_to(sizes, sums.shape))
    return quotient(sums, product(draws.sequence_counts, known.astype(np.float64)))


def weighted_mean(drawn: Float, weights: Float) -> Float:
    """``(draw,)`` over the seeds that are defined in the draw; NaN where none of weight is."""
    weights = np.where(np.isnan(drawn), 0, weights)
    sums, sizes = (np.nan_to_num(drawn) * weights).sum(1), weights.sum(1)
    return quotient(sums, sizes)


def quotient(sums: Float, sizes: Float) -> Float:
    """NaN where the size is zero."""
    divided: Float = np.divide(sums, sizes, out=np.full_like(sums, np.nan), where=sizes > 0)
    return divided


def _bytes(draws: Draws) -> int:
    return draws.sequence_counts.nbytes + draws.seed_counts.nbytes + draws.signs.nbytes


def _draw_clusters(
    generator: np.random.Generator, seeds: int, resamples: int, flips: int, members: Clusters
) -> Draws:
    """Counts and signs are drawn per cluster, and each sequence has those of its cluster."""
    clusters = int(members.max()) + 1
    return Draws(
        _counts(generator, resamples, clusters)[:, members],
        _counts(generator, resamples, seeds),
        _signs(generator, flips, clusters)[:, members],
        clusters,
    )


def _members(clusters: Clusters, sequences: int) -> Clusters:
    """The cluster of each sequence, numbered from 0 without a gap."""
    if np.shape(clusters) != (sequences,):
        raise ValueError(
            f"clusters: expected one number for each of {sequences} sequences, "
            f"got the shape {np.shape(clusters)}"
        )
    return np.unique(clusters, return_inverse=True)[1]


def _counts(generator: np.random.Generator, draws: int, population: int) -> NDArray[np.uint16]:
    """``(draw, population)``: how often each is in a sample with replacement of that size."""
    counts = np.empty((draws, population), np.uint16)
    together = max(_TOGETHER // max(population, 1), 1)
    for start in range(0, draws, together):
        block = counts[start : start + together]
        drawn = generator.integers(population, size=block.shape)
        drawn += population * np.arange(len(block))[:, None]  # each draw in bins of its own
        block[:] = np.bincount(drawn.ravel(), minlength=block.size).reshape(block.shape)
    return counts


def _signs(generator: np.random.Generator, flips: int, population: int) -> NDArray[np.int8]:
    """``(flip, population)``: -1 or 1 by chance."""
    signs = generator.integers(0, 2, size=(flips, population), dtype=np.int8)
    signs *= 2  # in place: of very many this is the largest table there is
    signs -= 1
    return signs
