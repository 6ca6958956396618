"""The frozen values that flow through the harness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.shapes import Codes, Evidence, Labels, Mask, Scores

if TYPE_CHECKING:
    from torch import Tensor

N = 4
"""The code of an unknown base and of padding."""


NO_CLASS = -1
"""In ``Sequences.evidence``: no motif is at the position."""

UNLABELLED = ("unlabelled",)
"""The ``class_names`` of sequences without labels, and of those that were measured
(``Sequences.responses``); every label is 0 then."""


def evidence_type(class_names: Sequence[str]) -> np.dtype[np.signedinteger[Any]]:
    """The smallest signed type that holds every class and ``NO_CLASS``: int8 up to 128 classes."""
    smallest: np.dtype[np.signedinteger[Any]] = np.min_scalar_type(-max(len(class_names), 1))
    return smallest


@dataclass(frozen=True, slots=True)
class Intervals:
    """Where sequences are in a genome: 0-based, half-open.

    ``strands`` is 1, or -1 where the sequence is the reverse complement of the genome's letters.
    """

    chromosomes: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    strands: NDArray[np.int8]

    def __post_init__(self) -> None:
        for name in ("starts", "ends", "strands"):
            if len(getattr(self, name)) != len(self.chromosomes):
                raise ValueError(f"{name}: expected {len(self.chromosomes)}, one per chromosome")

    def __len__(self) -> int:
        return len(self.chromosomes)

    def take(self, rows: NDArray[np.intp]) -> Intervals:
        """The intervals at these rows, in their order."""
        chromosomes = tuple(self.chromosomes[row] for row in rows)
        return Intervals(chromosomes, self.starts[rows], self.ends[rows], self.strands[rows])


@dataclass(frozen=True, slots=True)
class Sequences:
    """DNA sequences, padded at the end to one length, labelled where there are classes.

    Fewer than two ``class_names`` are no classes: there is nothing to classify, and no accuracy.
    ``responses`` ``(sequence,)`` is the measured number of each sequence, where there is one.
    ``groups`` (chromosome, region) keep what belongs together on one side of a split.
    ``evidence`` ``(sequence, position)`` is the truth about motifs where it is known: the class
    that a motif at this position speaks for, ``NO_CLASS`` where none is.
    """

    codes: Codes
    labels: Labels
    names: tuple[str, ...]
    class_names: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    evidence: Evidence | None = None
    intervals: Intervals | None = None
    responses: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        if self.codes.ndim != 2 or self.codes.dtype != np.uint8:
            raise ValueError(f"codes: expected (sequence, position) uint8, got {self.codes.dtype}")
        for name in ("labels", "names", "groups", "evidence", "intervals", "responses"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.codes):
                raise ValueError(f"{name}: expected {len(self.codes)} rows, got {len(column)}")

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def has_classes(self) -> bool:
        """Whether there are two classes or more."""
        return len(self.class_names) > 1

    @property
    def valid(self) -> Mask:
        """``(sequence, position)``: True where the intact sequence has a known base."""
        return self.codes < N

    @property
    def inside_motif(self) -> Mask | None:
        """``(sequence, position)``: True where a motif speaks for the sequence's own class.

        A row without True has none. None where nothing is known of motifs.
        """
        return None if self.evidence is None else self.evidence == self.labels[:, None]

    def take(self, rows: NDArray[np.intp]) -> Sequences:
        """The sequences at these rows, in their order; their bases and evidence are views where the
        rows follow one another."""
        run = consecutive(rows)
        index = rows if run is None else run

        def rows_of(column: tuple[str, ...]) -> tuple[str, ...]:
            return tuple([column[row] for row in rows.tolist()]) if run is None else column[run]

        return Sequences(
            self.codes[index],
            self.labels[rows],
            rows_of(self.names),
            self.class_names,
            None if self.groups is None else rows_of(self.groups),
            None if self.evidence is None else self.evidence[index],
            None if self.intervals is None else self.intervals.take(rows),
            None if self.responses is None else self.responses[rows],
        )


def consecutive(rows: NDArray[np.intp]) -> slice | None:
    """The slice of the same rows, where each follows the one before it.

    >>> consecutive(np.array([2, 3, 4])), consecutive(np.array([2, 4]))
    (slice(2, 5, None), None)
    """
    if not len(rows) or rows[0] < 0 or (np.diff(rows) != 1).any():
        return None
    return slice(int(rows[0]), int(rows[-1]) + 1)


@dataclass(frozen=True, slots=True)
class CellCounts:
    """CellCounts, labelled where there are classes.

    ``counts`` ``(cell, gene)`` are not negative; ``genes`` their names, each once.
    """

    counts: NDArray[np.float32]
    genes: tuple[str, ...]
    labels: Labels
    names: tuple[str, ...]
    class_names: tuple[str, ...]

    def __post_init__(self) -> None:
        shape = (len(self.names), len(self.genes))
        if self.counts.shape != shape or len(self.labels) != len(self.names):
            raise ValueError(f"counts: expected {shape}, a label per cell, got {self.counts.shape}")

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def has_classes(self) -> bool:
        """Whether there are two classes or more."""
        return len(self.class_names) > 1

    @property
    def codes(self) -> NDArray[np.float32]:
        """What a model encodes, as it does the codes of ``Sequences``: the counts."""
        return self.counts

    @property
    def valid(self) -> Mask:
        """``(cell, gene)``: all genes are known of all cells."""
        return np.ones(self.counts.shape, np.bool_)

    def take(self, rows: NDArray[np.intp]) -> CellCounts:
        """The cells at these rows, in their order."""
        names = tuple([self.names[row] for row in rows.tolist()])
        return CellCounts(self.counts[rows], self.genes, self.labels[rows], names, self.class_names)


def evenly_spaced_rows(count: int, most: int) -> NDArray[np.intp]:
    """At most so many of ``count`` rows, evenly over all of them: classes often come in blocks.

    >>> evenly_spaced_rows(7, 3).tolist(), evenly_spaced_rows(2, 3).tolist()
    ([0, 3, 6], [0, 1])
    """
    return np.linspace(0, count - 1, min(most, count)).astype(np.intp)


@dataclass(frozen=True, slots=True)
class Splits:
    """A dataset: what models learn from and what they are tested on.

    ``train`` may hold no sequence, where the data are there to be explained alone. Where
    ``validation`` is None the harness cuts it from ``train``, by group where there are groups.
    ``note`` is one sentence for the report about where the data come from; ``facts`` is what else
    is known of them, by the words that the report prints beside it.
    """

    train: Sequences
    test: Sequences
    validation: Sequences | None = None
    note: str = ""
    facts: Mapping[str, str | int | float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for split in (self.test, self.validation):
            if split is not None and split.class_names != self.train.class_names:
                raise UsageError(
                    f"the splits disagree about the classes: {self.train.class_names} in train, "
                    f"{split.class_names} elsewhere"
                )

    @property
    def has_train(self) -> bool:
        """Whether there is a sequence to learn from."""
        return len(self.train) > 0

    @property
    def background(self) -> Sequences:
        """What base composition and Markov chains are estimated from: train, or test where there
        is no train."""
        return self.train if self.has_train else self.test


@dataclass(frozen=True, slots=True)
class TokenSites:
    """The sites of a model that reads tokens, for a batch of sequences.

    ``spans`` ``(N, S, 2)`` are the nucleotides of each site as ``start, end``, 0-based and
    half-open; ``start == end`` where a site stands for none (``[CLS]``, ``[SEP]``). ``valid``
    ``(N, S)`` is False at sites that only pad a sequence to the number of sites of the batch.
    """

    spans: NDArray[np.int64]
    valid: Mask

    def __post_init__(self) -> None:
        if self.spans.shape != (*self.valid.shape, 2):
            raise ValueError(
                f"spans: expected {(*self.valid.shape, 2)} to go with valid, got {self.spans.shape}"
            )
        if (self.spans[..., 0] > self.spans[..., 1]).any() or (self.spans < 0).any():
            raise ValueError("spans: expected 0 <= start <= end")

    @property
    def counts(self) -> NDArray[np.intp]:
        """``(N,)``: how many sites each sequence has."""
        counted: NDArray[np.intp] = self.valid.sum(axis=1)
        return counted


class Attribution(NamedTuple):
    """What a method may return instead of a bare tensor, when it knows more than scores.

    ``contributions`` ``(N, C, S)`` sum over C to the scores. ``hypothetical`` ``(N, C, S)`` is what
    each base would contribute if it stood there. ``completeness_error`` ``(N,)`` is the largest
    ``|sum of multipliers x (input - reference) - (f(input) - f(reference))|`` over references, and
    ``output_change`` ``(N,)`` the root mean square of ``f(input) - f(reference)`` over them.
    """

    contributions: Tensor
    hypothetical: Tensor | None = None
    completeness_error: Tensor | None = None
    output_change: Tensor | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """Sequences with the scores one method gave their positions for one target each.

    ``signed`` says whether negative scores mean evidence against the target. Scores of invalid
    positions are left as the method gave them; every metric looks at ``sequences.valid`` only.
    ``hypothetical`` ``(sequence, base, position)`` is there where weights were randomised and the
    method gives it.
    """

    sequences: Sequences
    scores: Scores
    targets: Labels
    signed: bool
    hypothetical: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        if self.scores.shape != self.sequences.codes.shape:
            raise ValueError(
                f"scores: expected {self.sequences.codes.shape}, got {self.scores.shape}"
            )

    def take(self, rows: NDArray[np.intp]) -> Explained:
        """The map of the sequences at these rows, in their order."""
        hypothetical = None if self.hypothetical is None else self.hypothetical[rows]
        return Explained(
            self.sequences.take(rows),
            self.scores[rows],
            self.targets[rows],
            self.signed,
            hypothetical,
        )


@dataclass(frozen=True, slots=True)
class Curves:
    """One quantity (probability, logit difference or accuracy) while positions are replaced.

    ``fractions`` ``(step,)`` from 0 (intact) to 1 (the donor). The curves are ``(step, sequence)``:
    positions replaced in falling order of score (MoRF), and in rising order (LeRF) where a metric
    asked for it.
    """

    fractions: NDArray[np.float64]
    most_relevant_first: NDArray[np.float64]
    least_relevant_first: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Substitutions:
    """What a model loses by every single substitution.

    ``drops`` ``(sequence, position, base)``: what is explained for the target (its logit minus the
    mean of the other logits) of the intact sequence minus that with this base at
    this position. 0 for the sequence's own base; NaN at positions that are not valid.
    """

    drops: NDArray[np.float64]

    def take(self, rows: NDArray[np.intp]) -> Substitutions:
        """The effects on the sequences at these rows, in their order."""
        return Substitutions(self.drops[rows])


@dataclass(frozen=True, slots=True)
class Subsets:
    """What a model loses when the bases of random sets of positions become other ones.

    ``replaced`` ``(edit, sequence, position)`` are the sets; ``fractions`` ``(edit,)`` is the share
    of the valid positions in each; ``drops`` ``(edit, sequence)`` as in ``Substitutions``.
    """

    fractions: NDArray[np.float64]
    replaced: NDArray[np.bool_]
    drops: NDArray[np.float64]

    def take(self, rows: NDArray[np.intp]) -> Subsets:
        """The effects on the sequences at these rows, in their order."""
        return Subsets(self.fractions, self.replaced[:, rows], self.drops[:, rows])


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over seeds and sequences with what is known of its uncertainty (95 %).

    ``low, high`` is the headline interval, for *retraining on other sequences*: it counts the
    variation of seeds and of sequences. ``sequences_low, sequences_high`` holds the trained models
    fixed. For a difference ``p`` and ``p_sequences`` test no difference, each by the statistic of
    its interval; ``p_seeds`` is t over seed means, for *retraining on exactly these sequences*.
    Undefined is NaN and ``reason`` says why. ``undefined`` counts the NaN among the values.
    """

    mean: float
    low: float
    high: float
    sequences_low: float
    sequences_high: float
    effect: float
    p: float
    p_sequences: float
    p_seeds: float
    sequences: int
    seeds: int
    undefined: int
    reason: str

    @classmethod
    def columns(cls) -> list[str]:
        return [field.name for field in fields(cls)]
