"""Bases put back in the place of those removed, drawn from what the bases around them make likely.

After ROAD (*Rong et al. 2022*): where a replaced position can be told from a kept one, the choice
of positions itself speaks to the model, and a metric measures that as well. ROAD fills pixels in
from their neighbours, with a little noise; here a Markov chain fitted to train draws bases given
everything that was kept, so that the filled-in sequence is a likely one.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes, Mask
from xaibench.values import N


@dataclass(frozen=True, slots=True)
class Chain:
    """A first-order Markov chain over A C G T.

    ``start`` ``(base,)`` is the probability of the first base, ``steps[a, b]`` ``(base, base)``
    that b follows a; all rows have the sum 1.
    """

    start: NDArray[np.float64]
    steps: NDArray[np.float64]

    def __post_init__(self) -> None:
        if self.start.shape != (4,) or self.steps.shape != (4, 4):
            raise ValueError(
                f"expected start (4,) and steps (4, 4), got {self.start.shape} and "
                f"{self.steps.shape}"
            )
        rows = np.vstack([self.start, self.steps])
        if (rows < 0).any() or not np.allclose(rows.sum(axis=1), 1):
            raise ValueError("expected probabilities whose rows sum to 1 in start and steps")


def fitted(codes: Codes) -> Chain:
    """The chain of sequences: counts of dinucleotides and of bases, one added to each.

    A sequence is taken as cut out of something longer, so it starts with any of its bases, not with
    those that happen to come first. Pairs with an N are left out.
    """
    pairs = np.uint8(N + 1) * codes[:, :-1] + codes[:, 1:]
    start = 1 + np.array([_count(codes, base) for base in range(4)])
    steps = 1 + np.array([[_count(pairs, (N + 1) * a + b) for b in range(4)] for a in range(4)])
    return Chain(start / start.sum(), steps / steps.sum(axis=1, keepdims=True))


def _count(codes: Codes, code: int) -> int:
    # one code at a time: bincount would take eight times the memory of the codes
    return int(np.count_nonzero(codes == code))


def imputed(
    codes: Codes, replaced: Mask, chain: Chain, generators: Iterable[np.random.Generator]
) -> Codes:
    """The sequences with their ``replaced`` positions drawn from ``chain``, given all that is kept.

    Exact: from left to right each base is drawn given the one before it and the next one that is
    kept. N is a base that nobody observed: the chain runs through it, and it stays N. Each position
    has a number of its own from its sequence's generator, so the draws of a sequence depend on
    nothing else, and nested sets share their numbers where generators are made anew. ``ValueError``
    where the kept bases cannot follow each other, which a fitted chain allows always.
    """
    numbers = np.array([generator.random(codes.shape[1]) for generator in generators])
    if len(numbers) != len(codes):
        raise ValueError(f"generators: expected one a sequence, {len(codes)}, got {len(numbers)}")
    numbers = numbers.reshape(codes.shape)
    kept = (codes < N) & ~replaced
    ahead, distance = _next_kept(codes, kept)
    thresholds = _thresholds(chain, distance.max(initial=0))
    walked = _walked(codes, kept, numbers, thresholds, ahead + (N + 1) * distance)
    return np.where((codes < N) & replaced, walked, codes)


def _next_kept(codes: Codes, kept: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """``(sequence, position)``: the next kept base from here on, and how far it is; N and 0 where
    none is left."""
    length = codes.shape[1]
    positions = np.arange(length)
    places = np.where(kept, positions, length)
    places = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    there = places < length
    ahead = np.take_along_axis(codes, np.where(there, places, 0), axis=1)
    return np.where(there, ahead, N).astype(np.intp), np.where(there, places - positions, 0)


def _thresholds(chain: Chain, furthest: int) -> NDArray[np.float64]:
    """``(distance, next kept base, base before, base)``: cumulated probabilities of a base.

    That of x after a and before y is ``steps[a, x]`` times the probability to come from x to y in
    so many steps, over its sum. N as the next means that none is kept, and as the one before that
    the sequence starts here. NaN where there is no way.
    """
    arriving = [np.eye(4)]
    for _ in range(furthest):
        arriving.append(chain.steps @ arriving[-1])
    to_kept = np.concatenate([np.array(arriving), np.ones((furthest + 1, 4, 1))], axis=2)
    leaving = np.vstack([chain.steps, chain.start])
    cumulated = np.cumsum(leaving * to_kept.transpose(0, 2, 1)[:, :, None], axis=3)
    whole = cumulated[..., -1:]
    undefined = np.full_like(cumulated, np.nan)
    thresholds: NDArray[np.float64] = np.divide(cumulated, whole, out=undefined, where=whole > 0)
    return thresholds


def _walked(
    codes: Codes,
    kept: Mask,
    numbers: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    bridges: NDArray[np.intp],
) -> Codes:
    """All sequences draw their bases together, position by position."""
    table = np.ascontiguousarray(thresholds.reshape(-1, 4))
    walked = np.empty(codes.shape[::-1], np.uint8)
    before = np.full(len(codes), N, np.intp)
    for position in range(codes.shape[1]):
        rows = table[bridges[:, position] * (N + 1) + before]
        drawn = (numbers[:, position, None] >= rows).sum(axis=1)
        before = np.where(kept[:, position], codes[:, position], drawn)
        if np.isnan(rows[:, 0]).any():
            raise ValueError(f"the kept bases around position {position} cannot follow each other")
        walked[position] = before
    return walked.T
