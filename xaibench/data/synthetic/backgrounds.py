"""The bases between motifs: Markov chains, and shuffles of given sequences."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xaibench.data.files.columns import classes, require, require_filled
from xaibench.data.files.folder_reading import read_sequences
from xaibench.data.files.packed_rows import PackedLetters
from xaibench.dna.encoding import to_codes
from xaibench.dna.shuffling import shuffles
from xaibench.errors import UsageError
from xaibench.shapes import Codes, Labels, Mask
from xaibench.values import N

if TYPE_CHECKING:
    from pandas import DataFrame

TransitionTable = NDArray[np.float64]
"""``(context, base)``: the probability of a base after the bases before it, read as a number to
base 4. Each row sums to 1."""

HIGHEST_ORDER = 5
"""The highest order of a chain: 1,024 contexts."""

_MOST_LETTERS = 10**10
"""Of all sequences of a dataset, a byte each."""

_PSEUDOCOUNT = 1
"""Added to the count of each base in each context when a chain is fitted."""


def require_possible(sequences: int, length: int) -> None:
    """UsageError for more letters than a machine holds."""
    if sequences * length > _MOST_LETTERS:
        raise UsageError(
            f"train, test, length: expected at most {_MOST_LETTERS:,} letters in all, got "
            f"{sequences * length:,}"
        )


@dataclass(frozen=True, slots=True)
class MarkovChain:
    """A stationary Markov chain of an order k over A C G T.

    ``tables[j]``, for j in 0..k, is what the base after the first j bases of a stretch follows; the
    last one is the chain's own, the others follow from its equilibrium.
    """

    tables: tuple[TransitionTable, ...]

    def __post_init__(self) -> None:
        for order, table in enumerate(self.tables):
            if table.shape != (4**order, 4):
                raise ValueError(f"tables[{order}]: expected {(4**order, 4)}, got {table.shape}")

    @property
    def order(self) -> int:
        return len(self.tables) - 1


def stationary_chain(table: TransitionTable) -> MarkovChain:
    """The stationary chain with these probabilities, of which none is 0; ``(4**k, 4)``."""
    contexts = np.arange(len(table))
    order = (len(table) - 1).bit_length() // 2
    # from a context to the next one: its first base is dropped, the base that follows is added
    following = (4 * contexts[:, None] + np.arange(4)) % len(table)
    steps = np.zeros((len(table), len(table)))
    np.add.at(steps, (contexts[:, None], following), table)
    equations = steps.T - np.eye(len(table))
    equations[-1] = 1
    equilibrium = np.linalg.solve(equations, contexts == contexts[-1])
    kmer_probabilities = (equilibrium[:, None] * table).reshape((4,) * (order + 1))
    tables = []
    for length in range(order + 1):
        shorter = kmer_probabilities.sum(axis=tuple(range(length + 1, order + 1))).reshape(-1, 4)
        tables.append(shorter / shorter.sum(axis=1, keepdims=True))
    return MarkovChain(tuple(tables))


UNIFORM = stationary_chain(np.full((1, 4), 0.25))
"""Every base equally likely, whatever precedes it."""

VERTEBRATE = stationary_chain(
    np.array(
        [
            [0.32, 0.18, 0.24, 0.26],
            [0.34, 0.26, 0.06, 0.34],
            [0.28, 0.21, 0.26, 0.25],
            [0.22, 0.20, 0.26, 0.32],
        ]
    )
)
"""A first-order chain with 42 % GC in which CG is rare, as in vertebrates. Round figures of our own
choice."""


def fit_markov_chain(codes: Codes, order: int) -> MarkovChain:
    """The chain of that order after ``(sequence, position)``, one added to each count.

    k-mers with an unknown base do not count. Its equilibrium, from which stretches begin, is the
    chain's own, not the composition of the sequences.
    """
    width = codes.shape[1] - order
    kmers = np.zeros((len(codes), max(width, 0)), np.intp)
    known = np.ones(kmers.shape, bool)
    for offset in range(order + 1 if width > 0 else 0):
        bases = codes[:, offset : offset + width]
        kmers = 4 * kmers + bases
        known &= bases < N
    if not known.any():
        raise UsageError(
            f"sequences: expected stretches of {order + 1} known bases or more for a chain of "
            f"order {order}, got none"
        )
    counts = np.bincount(kmers[known], minlength=4 ** (order + 1)).reshape(-1, 4) + _PSEUDOCOUNT
    return stationary_chain(counts / counts.sum(axis=1, keepdims=True))


def walks(background: MarkovChain, inside: Mask, generator: np.random.Generator) -> Codes:
    """``(sequence, position)``: each stretch where ``inside`` is False is a walk by itself.

    It begins at the chain's equilibrium, so that what precedes it has no influence. Positions
    inside hold anything.
    """
    count, length = inside.shape
    uniform = generator.random((length, count))
    # the tables one below the other; before each, its row for no context at all
    thresholds = np.concatenate(background.tables).cumsum(axis=1)[:, :3].T.copy()
    firsts = np.cumsum([0, *(len(table) for table in background.tables)])[:-1]
    goes_on = np.ascontiguousarray(~inside.T)
    codes = np.zeros((length, count), np.uint8)
    context = np.zeros(count, np.intp)
    walked = np.zeros(count, np.intp)
    # in place, row by row: every run draws its data anew, and this is most of that
    for base, drawn, continued in zip(codes, uniform, goes_on, strict=True):
        row = firsts.take(walked) + context
        for threshold in thresholds:
            base += drawn >= threshold.take(row)
        context *= 4
        context += base
        context &= 4**background.order - 1
        walked += walked < background.order
        context *= continued
        walked *= continued
    return np.ascontiguousarray(codes.T)


def sampled_bases(probabilities: NDArray[np.float64], uniform: NDArray[np.float64]) -> Codes:
    """The base that a number in [0, 1) falls on; ``probabilities`` ``(..., base)``."""
    thresholds = probabilities.cumsum(axis=-1)[..., :3]
    bases: Codes = (uniform[..., None] >= thresholds).sum(axis=-1).astype(np.uint8)
    return bases


def log_probabilities(background: MarkovChain, codes: Codes) -> list[NDArray[np.float64]]:
    """For each order j up to the chain's, ``(sequence, position)``: the log-probability of a base
    that is the (j+1)-th of its stretch, or later where j is the chain's order.

    The first positions of a sequence take what precedes them. All bases are known.
    """
    context = np.zeros(codes.shape, np.intp)
    logs: list[NDArray[np.float64]] = []
    for order, table in enumerate(background.tables):
        if order:
            context[:, order:] = 4 * context[:, order - 1 : -1] + codes[:, order - 1 : -1]
        of_order = np.log(table)[context, codes]
        of_order[:, :order] = logs[-1][:, :order] if order else 0
        logs.append(of_order)
    return logs


def windows(codes: Codes, count: int, length: int, generator: np.random.Generator) -> Codes:
    """``(count, length)``: uniform among all windows of known bases of ``(sequence, position)``."""
    unknown = np.pad((codes == N).cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
    if codes.shape[1] < length or not (whole := unknown[:, length:] == unknown[:, :-length]).any():
        raise UsageError(
            f"sequences: expected stretches of {length} known bases or more to shuffle, got none"
        )
    starts = np.flatnonzero(whole)[generator.integers(whole.sum(), size=count)]
    rows, firsts = np.divmod(starts, whole.shape[1])
    return codes[rows[:, None], firsts[:, None] + np.arange(length)]


def shuffled(codes: Codes, count: int, length: int, generator: np.random.Generator) -> Codes:
    """``(count, length)``: dinucleotide shuffles of random ``windows`` of given sequences."""
    chosen = windows(codes, count, length, generator)
    return shuffles(chosen, 1, repeat(generator))[:, 0]


def unlabelled_sequences(path: Path) -> Codes:
    """The sequences of a FASTA file, or of a table with a column ``sequence``."""
    return _codes(_sequence_table(path, "label"), path)


def labelled_sequences(path: Path, label: str) -> tuple[Codes, Labels, tuple[str, ...]]:
    """The sequences of such a file with the classes in a column, and the names of these."""
    table = _sequence_table(path, label)
    require(table, path, [label])
    labels, names = classes(table, path, label)
    if len(names) < 2:
        raise UsageError(
            f"{path}: column {label!r}: expected two classes or more, got {names[0]!r} only"
        )
    return _codes(table, path), labels, names


def _sequence_table(path: Path, label: str) -> DataFrame:
    table = read_sequences(path, sequence="sequence", label=label)
    require(table, path, ["sequence"])
    require_filled(table, path, "sequence")
    return table


def _codes(table: DataFrame, path: Path) -> Codes:
    return to_codes(PackedLetters(table["sequence"]), name=lambda row: f"{path}: row {row}")
