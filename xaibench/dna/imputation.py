"""Imputation: removed bases are drawn from what the remaining bases around them make likely.

After ROAD (*Rong et al. 2022*): where a model can distinguish replaced positions from others, the
choice of positions is itself information, and a metric measures that as well. ROAD fills pixels in
from their neighbours, with a little noise; here a first-order Markov chain fitted to train draws
bases given all that remain, so that the imputed sequence is a likely one.

With ``P[a, b]`` the probability that b follows a, the removed bases between the base ``a`` at
position i and the next remaining base ``y``, d positions after position j > i, have the exact
conditional law of a bridge:

    p(x at j | a at j - 1, y at j + d) = P[a, x] (P^d)[x, y] / (P^(d+1))[a, y].

Drawn from left to right, with each draw the a of the next, that is a draw of all of them together.
Where no base remains to the right, (P^d)[x, y] is 1; where a sequence begins with a removed base,
P[a, x] is the probability of x as a first base.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes, Mask
from xaibench.values import N


@dataclass(frozen=True, slots=True)
class DinucleotideChain:
    """A first-order Markov chain over A C G T whose first base has a distribution of its own.

    ``start`` ``(base,)`` is the probability of the first base, ``steps[a, b]`` ``(base, base)``
    that b follows a; all rows have the sum 1. Unlike ``data.synthetic.backgrounds.MarkovChain`` it
    need not begin at its equilibrium.
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


def fit_dinucleotide_chain(codes: Codes) -> DinucleotideChain:
    """The chain of sequences: counts of dinucleotides and of bases, one added to each.

    A sequence is taken as cut out of something longer, so it starts with any of its bases, not with
    those that happen to come first. Pairs with an N are left out.
    """
    pairs = np.uint8(N + 1) * codes[:, :-1] + codes[:, 1:]
    start = 1 + np.array([_count(codes, base) for base in range(4)])
    steps = 1 + np.array([[_count(pairs, (N + 1) * a + b) for b in range(4)] for a in range(4)])
    return DinucleotideChain(start / start.sum(), steps / steps.sum(axis=1, keepdims=True))


def _count(codes: Codes, code: int) -> int:
    # one code at a time: bincount would take eight times the memory of the codes
    return int(np.count_nonzero(codes == code))


def imputed(
    codes: Codes,
    replaced: Mask,
    chain: DinucleotideChain,
    generators: Iterable[np.random.Generator],
) -> Codes:
    """The sequences with their ``replaced`` positions drawn from ``chain``, given all others.

    Exact: from left to right each base is drawn given the one before it and the next one that is
    not replaced. N is a base that nobody observed: the chain runs through it, and it stays N. Each
    position has a number of its own from its sequence's generator, so the draws of a sequence
    depend on nothing else, and nested sets share their numbers where generators are made again.
    ``ValueError`` where the remaining bases cannot follow each other; with a fitted chain they
    always can.
    """
    numbers = np.array([generator.random(codes.shape[1]) for generator in generators])
    if len(numbers) != len(codes):
        raise ValueError(f"generators: expected one per sequence, {len(codes)}, got {len(numbers)}")
    numbers = numbers.reshape(codes.shape)
    given = (codes < N) & ~replaced
    ahead, distance = _next_given(codes, given)
    thresholds = _thresholds(chain, distance.max(initial=0))
    walked = _draw_along(codes, given, numbers, thresholds, ahead + (N + 1) * distance)
    return np.where((codes < N) & replaced, walked, codes)


def _next_given(codes: Codes, given: Mask) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """``(sequence, position)``: the next given base from there on, itself included, and how far it
    is; N and 0 where none is left."""
    length = codes.shape[1]
    positions = np.arange(length)
    places = np.where(given, positions, length)
    places = np.minimum.accumulate(places[:, ::-1], axis=1)[:, ::-1]
    there = places < length
    ahead = np.take_along_axis(codes, np.where(there, places, 0), axis=1)
    return np.where(there, ahead, N).astype(np.intp), np.where(there, places - positions, 0)


def _thresholds(chain: DinucleotideChain, furthest: int) -> NDArray[np.float64]:
    """``(distance, next given base, base before, base)``: cumulated probabilities of a base.

    That of x after a and before y is ``steps[a, x]`` times the probability to come from x to y in
    ``distance`` steps, over its sum. N as the next means that none is given, and as the one before
    that the sequence starts there. NaN where no path leads from a to y.
    """
    arriving = [np.eye(4)]
    for _ in range(furthest):
        arriving.append(chain.steps @ arriving[-1])
    to_given = np.concatenate([np.array(arriving), np.ones((furthest + 1, 4, 1))], axis=2)
    leaving = np.vstack([chain.steps, chain.start])
    cumulated = np.cumsum(leaving * to_given.transpose(0, 2, 1)[:, :, None], axis=3)
    whole = cumulated[..., -1:]
    undefined = np.full_like(cumulated, np.nan)
    thresholds: NDArray[np.float64] = np.divide(cumulated, whole, out=undefined, where=whole > 0)
    return thresholds


def _draw_along(
    codes: Codes,
    given: Mask,
    numbers: NDArray[np.float64],
    thresholds: NDArray[np.float64],
    bridges: NDArray[np.intp],
) -> Codes:
    """``(sequence, position)``: given bases, and draws by inverting the cumulated probabilities.

    All sequences draw together, position by position.
    """
    table = np.ascontiguousarray(thresholds.reshape(-1, 4))
    walked = np.empty(codes.shape[::-1], np.uint8)
    before = np.full(len(codes), N, np.intp)
    for position in range(codes.shape[1]):
        rows = table[bridges[:, position] * (N + 1) + before]
        drawn = (numbers[:, position, None] >= rows).sum(axis=1)
        before = np.where(given[:, position], codes[:, position], drawn)
        if np.isnan(rows[:, 0]).any():
            raise ValueError(f"the given bases around position {position} cannot follow each other")
        walked[position] = before
    return walked.T
