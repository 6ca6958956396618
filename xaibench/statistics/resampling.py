"""How values are resampled, and what is drawn for it: sequences, seeds, signs.

All seeds were measured on the same sequences, so one draw of sequences serves every seed. Sequences
of one chromosome or region are not independent; where clusters are named, whole clusters are drawn
and change their sign together, and the cluster is the unit that an interval counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.randomness import stream
from xaibench.shapes import Float

RESAMPLES = 2000
FLIPS = 9999
LARGEST = 200_000_000
HELD = 20_000
"""Of more sequences no table of draws is held: the same is drawn each time it is read."""


_CACHE_BYTES = 2**28
"""So many bytes of draws are remembered."""

_TOGETHER = 2**16
"""How many numbers one call draws: with a call per draw the calls take nearly all of the time."""

_SIGNS_TOGETHER = 2**24


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
class DrawnAgain:
    """A table ``(draw, sequence)`` that is not held: some of its rows at a time, in their order."""

    shape: tuple[int, int]
    blocks: Callable[[], Iterator[NDArray[Any]]]

    def __len__(self) -> int:
        return self.shape[0]


DrawTable = NDArray[Any] | DrawnAgain
"""``(draw, sequence)``: how often each is in a bootstrap sample, or its sign."""


@dataclass(frozen=True, slots=True)
class Draws:
    """What resampling draws. Comparisons of the same size may share one.

    ``sequence_counts`` ``(draw, sequence)`` and ``seed_counts`` ``(draw, seed)`` say how often each
    is in a bootstrap sample; ``signs`` ``(flip, sequence)`` are -1 or 1. ``clusters`` is how many
    clusters were drawn whole, None where each sequence was drawn for itself.
    """

    sequence_counts: DrawTable
    seed_counts: NDArray[np.uint16]
    signs: DrawTable
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
    """The draws for values ``(seed, sequence)``; fewer where there are very many sequences: tables
    of at most ``LARGEST`` bytes, which are not held of more than ``HELD`` sequences.

    With ``clusters`` a sample holds as many clusters as there are, so its number of sequences
    varies. ``ValueError`` where these are not one number per sequence.
    """
    most = LARGEST // max(sequences, 1)
    resamples, flips = min(resamples, max(most // 2, 100)), min(flips, max(most, 100))
    members = None if clusters is None else _members(clusters, sequences)
    units = sequences if members is None else int(members.max()) + 1
    table = partial(_table, generator, members=members, held=sequences <= HELD)
    return Draws(
        table(_counts, (resamples, units)),
        _joined(_counts(generator, resamples, seeds), (resamples, seeds)),
        table(_signs, (flips, units)),
        None if members is None else units,
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


def draw_blocks(table: DrawTable) -> Iterator[NDArray[Any]]:
    """Its rows, those that are held all at once."""
    return iter([table]) if isinstance(table, np.ndarray) else table.blocks()


def of_columns(table: DrawTable, columns: NDArray[np.intp]) -> DrawTable:
    """The table of some of the sequences, or of one more than once."""
    if isinstance(table, np.ndarray):
        return table[:, columns]
    shape = len(table), len(columns)
    return DrawnAgain(shape, lambda: (block[:, columns] for block in table.blocks()))


def product(drawn: DrawTable, rows: Float) -> Float:
    """``drawn @ rows.T`` in float64: ``(draw, sequence)`` and ``(row, sequence)``.

    Not by BLAS: it would need the draws as float64, its sums depend on its threads, and these wait
    for each other where cores are shared (20 times slower was seen).
    """
    whole = np.ascontiguousarray(rows)
    sums = [np.einsum("ds,rs->dr", block, whole) for block in draw_blocks(drawn)]
    return np.concatenate([np.empty((0, len(rows))), *sums])


def drawn_seed_means(values: Float, draws: Draws) -> Float:
    """``(draw, seed)``: each seed's mean over the drawn sequences that are defined under it."""
    known = ~np.isnan(values)
    sums = product(draws.sequence_counts, np.where(known, values, 0))
    if known.all():
        blocks = draw_blocks(draws.sequence_counts)
        sizes = np.concatenate([block.sum(axis=1, dtype=np.float64) for block in blocks])[:, None]
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
    tables = draws.sequence_counts, draws.seed_counts, draws.signs
    return sum(table.nbytes for table in tables if isinstance(table, np.ndarray))


_Drawn = Iterator[NDArray[Any]]
"""Some rows at a time."""


def _table(
    generator: np.random.Generator,
    drawn: Callable[[np.random.Generator, int, int], _Drawn],
    shape: tuple[int, int],
    *,
    members: Clusters | None,
    held: bool,
) -> DrawTable:
    """What is drawn ``(draw, unit)``, each sequence having that of its cluster. The generator is
    the same afterwards whether the table is held or not."""
    if held:
        whole = _joined(drawn(generator, *shape), shape)
        return whole if members is None else whole[:, members]
    before = deepcopy(generator)
    for _ in drawn(generator, *shape):
        pass
    again = DrawnAgain(shape, lambda: drawn(deepcopy(before), *shape))
    return again if members is None else of_columns(again, members)


def _joined(drawn: _Drawn, shape: tuple[int, int]) -> NDArray[Any]:
    whole, end = np.empty((0, shape[1]), np.int8), 0
    for block in drawn:
        if not end:
            whole = np.empty(shape, block.dtype)
        whole[end : end + len(block)] = block
        end += len(block)
    return whole


def _members(clusters: Clusters, sequences: int) -> Clusters:
    """The cluster of each sequence, numbered from 0 without a gap."""
    if np.shape(clusters) != (sequences,):
        raise ValueError(
            f"clusters: expected one number for each of {sequences} sequences, "
            f"got the shape {np.shape(clusters)}"
        )
    return np.unique(clusters, return_inverse=True)[1]


def _counts(generator: np.random.Generator, draws: int, population: int) -> _Drawn:
    """``(draw, population)`` uint16: how often each is in a sample with replacement."""
    together = max(_TOGETHER // max(population, 1), 1)
    for start in range(0, draws, together):
        shape = min(together, draws - start), population
        drawn = generator.integers(population, size=shape)
        drawn += population * np.arange(len(drawn))[:, None]  # each draw in bins of its own
        counts = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(shape)
        yield counts.astype(np.uint16)


def _signs(generator: np.random.Generator, flips: int, population: int) -> _Drawn:
    """``(flip, population)`` int8: -1 or 1 by chance."""
    # four are made of one random number, and what a call does not use of the last is lost
    together = 4 * max(_SIGNS_TOGETHER // (4 * max(population, 1)), 1)
    for start in range(0, flips, together):
        shape = min(together, flips - start), population
        signs = generator.integers(0, 2, size=shape, dtype=np.int8)
        signs *= 2
        signs -= 1
        yield signs
