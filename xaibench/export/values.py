"""What is exported: the scores of some sequences, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Labels, Logits, Scores
from xaibench.values import N, Sequences

OneHot = NDArray[np.int8]
"""``(sequence, base, position)``; the column of an N or of padding is 0."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where explanations come from.

    ``explained`` says in words what output the scores are of; ``target_names`` are the outputs
    that can be explained, the classes or the name of the only one.
    """

    model: str
    method: str
    signed: bool
    target_names: tuple[str, ...]
    explained: str = ""


@dataclass(frozen=True, slots=True)
class Explanations:
    """The scores that a method gives the positions of some sequences, for one target each.

    ``targets`` ``(sequence,)`` index ``origin.target_names``. ``outputs`` ``(sequence, class)`` are
    the model's. ``hypothetical`` ``(sequence, base, position)`` is what each base, A C G T, would
    contribute if it stood there; None where the method does not say.
    """

    sequences: Sequences
    scores: Scores
    targets: Labels
    origin: Origin
    outputs: Logits | None = None
    hypothetical: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        count, length = self.sequences.codes.shape
        shapes = {
            "scores": (count, length),
            "targets": (count,),
            "hypothetical": (count, 4, length),
        }
        for name, shape in shapes.items():
            array = getattr(self, name)
            if array is not None and array.shape != shape:
                raise ValueError(f"{name}: expected {shape}, got {array.shape}")
        if self.outputs is not None and len(self.outputs) != count:
            raise ValueError(f"outputs: expected {count} rows, got {len(self.outputs)}")

    def __len__(self) -> int:
        return len(self.sequences)

    @property
    def one_hot(self) -> OneHot:
        """``(sequence, base, position)``: 1 at the base of the sequence."""
        bases = np.arange(4, dtype=np.uint8)[:, None]
        hot: OneHot = (self.sequences.codes[:, None] == bases).view(np.int8)
        return hot

    @property
    def projected(self) -> NDArray[np.float32]:
        """``(sequence, base, position)``: the score at the sequence's own base, 0 at the others."""
        return self.scores[:, None] * self.one_hot

    @property
    def of_bases(self) -> NDArray[np.float32]:
        """``(sequence, base, position)``: the hypothetical contributions, 0 in the columns of N;
        the projected scores where there are none."""
        if self.hypothetical is None:
            return self.projected
        return self.hypothetical * (self.sequences.codes < N)[:, None]

    def take(self, rows: NDArray[np.intp]) -> Self:
        """The explanations of the sequences at these rows, in their order."""
        return replace(
            self,
            sequences=self.sequences.take(rows),
            scores=self.scores[rows],
            targets=self.targets[rows],
            outputs=None if self.outputs is None else self.outputs[rows],
            hypothetical=None if self.hypothetical is None else self.hypothetical[rows],
        )


Blocks = Iterable[Explanations]
"""Explanations of one origin, a block at a time, of sequences of one length. It can be iterated
over more than once: a list, or what reads blocks from a disk."""


class Written(NamedTuple):
    """The files that were written, and what a reader of them must know."""

    files: tuple[Path, ...]
    notes: tuple[str, ...] = ()


class Writer(Protocol):
    """``(blocks, folder, *, options) -> Written``: explanations as files, in a folder that is
    there."""

    def __call__(self, blocks: Blocks, folder: Path, /) -> Written: ...


def spans(explanations: Explanations) -> NDArray[np.bool_]:
    """``(sequence,)``: True where an interval is known, no longer than the padded sequence.

    All False without intervals. Data whose place is unknown stand on contigs called ``row 7``.
    """
    where = explanations.sequences.intervals
    if where is None:
        return np.zeros(len(explanations), bool)
    lengths = where.ends - where.starts
    named = np.array([not name.startswith("row ") for name in where.chromosomes], bool)
    fits = (lengths > 0) & (lengths <= explanations.scores.shape[1])
    known: NDArray[np.bool_] = named & fits
    return known


def on_forward_strand(explanations: Explanations) -> Explanations:
    """Sequences of the strand - reverse-complemented, and their scores with them, so that positions
    rise as the genome's do; padding stays at the end."""
    where = explanations.sequences.intervals
    if where is None:
        return explanations
    reverse = np.flatnonzero(spans(explanations) & (where.strands < 0))
    if not len(reverse):
        return explanations
    lengths = (where.ends - where.starts)[reverse, None]
    positions = np.arange(explanations.scores.shape[1])
    mirror = np.where(positions < lengths, lengths - 1 - positions, positions)
    codes, scores = explanations.sequences.codes.copy(), explanations.scores.copy()
    # complemented where it stands, then read backwards within the interval
    complement = np.array([3, 2, 1, 0, N], np.uint8)
    codes[reverse] = np.take_along_axis(complement[codes[reverse]], mirror, axis=1)
    scores[reverse] = np.take_along_axis(scores[reverse], mirror, axis=1)
    hypothetical = explanations.hypothetical
    if hypothetical is not None:
        hypothetical = hypothetical.copy()
        other = hypothetical[reverse][:, ::-1]  # A C G T backwards are their complements
        hypothetical[reverse] = np.take_along_axis(other, mirror[:, None], axis=2)
    strands = where.strands.copy()
    strands[reverse] = 1
    sequences = replace(
        explanations.sequences,
        codes=codes,
        evidence=None,
        intervals=replace(where, strands=strands),
    )
    return replace(explanations, sequences=sequences, scores=scores, hypothetical=hypothetical)
