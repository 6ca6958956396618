"""Sequences whose right answer is known: a motif planted in a random background."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.dna import reverse_complement
from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.shapes import Codes
from xaibench.values import NO_CLASS, Sequences, Splits

Matrix = NDArray[np.float64]
"""``(column, base)``: probabilities, each column sums to 1."""

BACKGROUND: Matrix = np.array(
    [
        [0.32, 0.18, 0.24, 0.26],
        [0.34, 0.26, 0.06, 0.34],
        [0.28, 0.21, 0.26, 0.25],
        [0.22, 0.20, 0.26, 0.32],
    ]
)
"""``(base, next base)``: a first-order Markov chain with 42 % GC in which CG is rare, as in
vertebrates. Round figures of our own choice."""

_RESEMBLANCE = 0.3
"""A decoy may have this share of the motif's own score at most, at any offset on either strand."""

_DECOYS = 256
"""So many orders of the columns are tried; the least resembling dinucleotides decide."""


def planted(
    *,
    data_seed: int,
    train: Annotated[int, Field(ge=10)] = 8000,
    test: Annotated[int, Field(ge=10)] = 2000,
    length: Annotated[int, Field(ge=1)] = 200,
    motif: str = "CTCF",
    strands: Literal["forward", "both"] = "forward",
) -> Splits:
    """Half the sequences carry one instance of a motif, half one of its decoy.

    The decoy is the motif with its columns in another order, the same for the whole dataset, so
    that composition does not tell the classes apart. Both are sampled from their matrix, at a
    uniform position in a background drawn from ``BACKGROUND``. ``inside_motif`` is True on the
    motif only. ``motif`` is a name or a JASPAR identifier in ``motifs.meme``; with ``strands``
    "both", half the instances (and decoys) stand on the other strand.
    """
    matrices = read_motifs(Path(__file__).with_name("motifs.meme"))
    name, matrix = _find(motif, matrices)
    if length < len(matrix):
        raise UsageError(
            f"planted: length: wanted at least the {len(matrix)} positions of {name}, got {length}"
        )
    pair = (decoy(matrix, stream(data_seed, "decoy", name)), matrix)
    note = (
        f"Sequences of {length} nt from a first-order Markov chain, half with one instance of the "
        f"JASPAR motif {name}, half with one of its columns in another order."
    )

    def split(which: str, count: int) -> Sequences:
        generator = stream(data_seed, "planted", which)
        labels = generator.permutation(np.arange(count) % 2)
        instances = _instances(pair, labels, generator)
        if strands == "both":
            turned = generator.random(count) < 0.5
            instances[turned] = reverse_complement(instances[turned])
        codes, places = _plant(background(count, length, generator), instances, generator)
        names = tuple(f"{which} {row}" for row in range(count))
        evidence = np.where(places & (labels == 1)[:, None], 1, NO_CLASS).astype(np.int8)
        return Sequences(codes, labels, names, ("decoy", name), evidence=evidence)

    return Splits(split("train", train), split("test", test), note=note)


def _plant(
    codes: Codes, instances: Codes, generator: np.random.Generator
) -> tuple[Codes, NDArray[np.bool_]]:
    """The codes with an instance each at a uniform position, and True where it is."""
    width = instances.shape[1]
    starts = generator.integers(codes.shape[1] - width + 1, size=len(codes))
    offsets = np.arange(codes.shape[1]) - starts[:, None]
    places = (offsets >= 0) & (offsets < width)
    planted_codes = codes.copy()
    planted_codes[places] = instances.ravel()
    return planted_codes, places


def background(count: int, length: int, generator: np.random.Generator) -> Codes:
    """``(sequence, position)``: walks of the chain ``BACKGROUND``, begun at its equilibrium."""
    uniform = generator.random((length, count))
    codes = np.empty((length, count), np.uint8)
    before = np.linalg.matrix_power(BACKGROUND, 64)[0]
    for position in range(length):
        codes[position] = _drawn(before, uniform[position])
        before = BACKGROUND[codes[position]]
    return np.ascontiguousarray(codes.T)


def _instances(
    pair: tuple[Matrix, Matrix], labels: NDArray[np.int64], generator: np.random.Generator
) -> Codes:
    """``(sequence, column)``: sampled from the decoy for label 0, from the motif for label 1."""
    decoy_matrix, motif = pair
    uniform = generator.random((len(labels), len(motif)))
    return np.where(labels[:, None] == 1, _drawn(motif, uniform), _drawn(decoy_matrix, uniform))


def _drawn(probabilities: Matrix, uniform: NDArray[np.float64]) -> Codes:
    """The base that a number in [0, 1) falls on; ``probabilities`` ``(..., base)``."""
    thresholds = probabilities.cumsum(axis=-1)[..., :3]
    bases: Codes = (uniform[..., None] >= thresholds).sum(axis=-1).astype(np.uint8)
    return bases


def decoy(motif: Matrix, generator: np.random.Generator) -> Matrix:
    """The columns in another order that does not resemble the motif but keeps its dinucleotides.

    Of the random orders with a resemblance of 0.3 at most, the one whose expected dinucleotides
    are closest to the motif's: otherwise counting CC and GG solves half the task.
    """
    orders = [motif[generator.permutation(len(motif))] for _ in range(_DECOYS)]
    unlike = [order for order in orders if resemblance(order, motif) <= _RESEMBLANCE]
    if not unlike:
        raise UsageError(
            f"planted: motif: wanted one whose columns can be put in an order unlike it, got "
            f"{len(motif)} columns of which {_DECOYS} orders all resemble it"
        )
    wanted = _dinucleotides(motif)
    return min(unlike, key=lambda order: float(np.abs(_dinucleotides(order) - wanted).sum()))


def _dinucleotides(matrix: Matrix) -> Matrix:
    """``(base, next base)``: expected counts in an instance."""
    counts: Matrix = matrix[:-1].T @ matrix[1:]
    return counts


def resemblance(matrix: Matrix, motif: Matrix) -> float:
    """The expected score that ``matrix`` gets from the motif, as a share of the motif's own.

    The best over all offsets and both strands; the score of a column is its expected log-odds
    against uniform bases. 1 for the motif itself, about 0 or below for what is unlike it.
    """
    log_odds = np.log2(4 * (motif + 0.001) / 1.004)
    own = float((motif * log_odds).sum())
    width = len(motif)
    scores = [
        float(np.trace(strand @ log_odds.T, offset=offset))
        for strand in (matrix, matrix[::-1, ::-1])
        for offset in range(1 - width, width)
    ]
    return max(scores) / own


def _find(motif: str, matrices: dict[str, tuple[str, Matrix]]) -> tuple[str, Matrix]:
    """The name and matrix for a name or an identifier."""
    by_name = {name: (name, matrix) for name, matrix in matrices.values()}
    known = matrices | by_name
    if motif not in known:
        nearest = get_close_matches(motif, known, n=1, cutoff=0)
        raise UsageError(
            f"planted: motif: wanted one of {', '.join(by_name)}, got {motif!r}; "
            f"the nearest is {nearest[0]!r}"
        )
    return known[motif]


def read_motifs(path: Path) -> dict[str, tuple[str, Matrix]]:
    """``{identifier: (name, matrix)}`` of a file in minimal MEME format."""
    motifs: dict[str, tuple[str, Matrix]] = {}
    lines = iter(path.read_text().splitlines())
    for line in lines:
        if line.startswith("MOTIF"):
            identifier, name = line.split()[1:3]
        elif line.startswith("letter-probability matrix"):
            width = int(line.split("w=")[1].split()[0])
            rows = np.array([next(lines).split() for _ in range(width)], np.float64)
            motifs[identifier] = (name, rows / rows.sum(axis=1, keepdims=True))
    return motifs
