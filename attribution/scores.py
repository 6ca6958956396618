"""Scores that were made elsewhere, as a method."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AfterValidator
from torch import Tensor

from xaibench.dna.encoding import lengths, reverse_complement
from xaibench.errors import NotApplicable
from xaibench.plugins.harness_options import ClassName
from xaibench.protocols import method
from xaibench.shapes import Codes, Labels, Scores
from xaibench.values import Intervals, N, Sequences

from .score_files import (
    Reading,
    ScoreLayout,
    ScoresError,
    ScoreTable,
    is_track,
    read_score_table,
    read_track,
)

Match = Literal["", "sequence", "interval", "order"]


def _four_bases(alphabet: str) -> str:
    if sorted(alphabet) != list("ACGT"):
        raise ValueError(f"expected the order of A, C, G and T, such as TGAC, got {alphabet!r}")
    return alphabet


Alphabet = Annotated[str, AfterValidator(_four_bases)]


PREDICTED, LABEL, ANY = "predicted", "label", "any"
_ANY_CLASS, _UNKNOWN = -1, -2


@method(fixed=True)
def scores(
    model: Any,
    inputs: Tensor,
    explained: Tensor,
    *,
    codes: Tensor,
    test_split: Sequences,
    path: Path | tuple[Path, ...],
    one_hot: Path | tuple[Path, ...] | None = None,
    array: str = "",
    match: Match = "",
    target: ClassName = "",
    signed: bool = True,
    layout: ScoreLayout = "",
    alphabet: Alphabet = "ACGT",
    bases: Literal["observed", "sum"] = "observed",
    fill: float | None = None,
) -> Tensor:
    """The scores in a file ``(N, L)``, found for each sequence by its letters or its interval.

    ``path`` is one file, or one per replicate of the model: ``.npz``, ``.npy``, ``.h5``,
    ``.parquet``, ``.bw``. ``array`` names its scores; ``one_hot`` is a file with the sequences that
    they are of, where ``path`` has none. ``match: order`` takes row i for sequence i of the test
    split; it is never guessed.

    Of arrays with four bases, in the order of ``alphabet`` on the axis that ``layout`` says, a
    score is the one at the sequence's own base (``bases: observed``), or the sum. ``fill`` is the
    score of positions that have none.

    ``target`` says which class the scores are of: a class, the one that the model ``predicted``,
    the ``label``, or ``any`` where they do not depend on it; files of ours say it themselves. With
    two classes ``signed`` scores of the other one are the negative.

    ScoresError where the file is not of these sequences; NotApplicable where it has no scores of
    the class that is explained, or the sequences are not those of the test split.
    """
    assert isinstance(path, Path)  # for the type checker: the harness chose one
    assert not isinstance(one_hot, tuple)
    reading = Reading(array, one_hot, layout, alphabet, bases)
    held = _held(path, _stamp(path, one_hot), reading, match, _ByIdentity(test_split))
    _require_sign(held.table, signed, path)
    batch = codes.cpu().numpy()
    rows = held.rows_of(batch, path)
    classes = explained.cpu().numpy()
    of_file = _Classes(held, test_split, target, path)
    picks, of = of_file.chosen(rows, classes, model, inputs)
    factors = _factors(of, classes, model, inputs, signed=signed, names=test_split.class_names)
    values = held.take(rows, picks, batch) * factors[:, None]
    return torch.from_numpy(_without_gaps(values, batch < N, fill, path))


# The rows of a file


@dataclass(frozen=True, slots=True)
class _ByIdentity:
    """A value that is the same only as itself, for a cache."""

    value: Sequences

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True, slots=True)
class _Held:
    """A file beside the test split.

    ``rows`` are, by sequence of the test split, the rows of the file that are of it; ``reverse``
    over how many positions they are in the other direction, 0 in the same. ``by_letters`` has the
    sequences of the test split by their codes.
    """

    table: ScoreTable
    rows: tuple[tuple[int, ...], ...]
    reverse: NDArray[np.int64]
    by_letters: dict[bytes, int]
    how: str

    def rows_of(self, codes: Codes, path: Path) -> NDArray[np.intp]:
        """Where sequences are in the test split, each with a row in the file."""
        at = [self.by_letters.get(each) for each in _letters(codes)]
        changed = at.count(None)
        if changed:
            raise NotApplicable(
                f"scores made elsewhere cannot follow changed sequences: {changed} of {len(codes)} "
                "are not in the test split"
            )
        known = np.array(at, np.intp)
        if not all(self.rows[row] for row in known):
            raise self._without_scores(known, path)
        return known

    def _without_scores(self, rows: NDArray[np.intp], path: Path) -> ScoresError:
        matched, lost = sum(map(bool, self.rows)), sum(not self.rows[row] for row in rows)
        width, length = _widths(self)
        bases = ", or the order of its bases by alphabet:" if self.how == "sequence" else ""
        lengths_differ = f" (of {width:,} positions, not {length:,})" if width != length else ""
        return ScoresError(
            f"{path.name}: by {self.how} it has scores of {matched:,} of the {len(self.rows):,} "
            f"sequences of the test split{lengths_differ}, and lacks {lost:,} of the {len(rows):,} "
            f"that are explained; write scores of the sequences of the plan's dataset{bases}"
        )

    def take(self, rows: NDArray[np.intp], picks: NDArray[np.intp], codes: Codes) -> Scores:
        """``(sequence, position)``: the scores of these rows of the file, NaN behind their end."""
        taken = np.full(codes.shape, np.nan, np.float32)
        width = min(self.table.scores.shape[1], codes.shape[1])
        taken[:, :width] = self.table.scores[picks, :width]
        for at, end in enumerate(self.reverse[rows]):
            taken[at, :end] = taken[at, :end][::-1]
        return taken


def _widths(held: _Held) -> tuple[int, int]:
    """The most positions of a sequence in the file, and in the test split."""
    own = held.table.codes
    in_file = held.table.scores.shape[1] if own is None else int(lengths(own).max(initial=0))
    return in_file, max((len(each) for each in held.by_letters), default=0)


def _stamp(*paths: Path | None) -> tuple[Any, ...]:
    """What changes with the content of files."""
    stats = [path.stat() for path in paths if path is not None]
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


@lru_cache(maxsize=4)
def _held(
    path: Path, stamp: tuple[Any, ...], reading: Reading, match: Match, test: _ByIdentity
) -> _Held:
    """Remembered: a run explains by batches, and reads a file once."""
    split = test.value
    by_letters: dict[bytes, int] = {}
    for row, letters in enumerate(_letters(split.codes)):
        by_letters.setdefault(letters, row)
    if is_track(path):
        table, rows, reverse = _along_genome(path, split)
        return _Held(table, rows, reverse, by_letters, "interval")
    table = read_score_table(path, reading, split.codes)
    how = match or _safe_match(table, reading, path)
    if how == "order":
        if table.codes is not None or table.intervals is not None:
            raise ScoresError(
                f"{path.name}: says which sequences it is of, and position alone is no match then; "
                "leave match: order out"
            )
        rows, reverse = tuple((row,) for row in range(len(split))), np.zeros(len(split), np.int64)
    elif how == "interval":
        rows, reverse = _by_interval(table, split, path)
    else:
        rows, reverse = _by_sequence(table, split, path)
    return _Held(table, rows, reverse, by_letters, how)


def _safe_match(table: ScoreTable, reading: Reading, path: Path) -> Match:
    """By sequence, or by interval; what is told by nothing but its position is never guessed."""
    if table.codes is not None:
        return "sequence"
    if table.intervals is not None:
        return "interval"
    beside = path.parent / "ohe.npz"
    hint = f" ({beside.name} is beside it)" if beside.exists() and reading.one_hot is None else ""
    raise ScoresError(
        f"{path.name}: does not say which sequences it is of; name a file of them by one_hot:"
        f"{hint}, or set match: order where row i is sequence i of the test split"
    )


def _letters(codes: Codes) -> Iterator[bytes]:
    """The codes of each sequence without the padding."""
    for row, end in zip(codes, lengths(codes), strict=True):
        yield row[:end].tobytes()


Rows = tuple[tuple[int, ...], ...]


def _by_sequence(table: ScoreTable, split: Sequences, path: Path) -> tuple[Rows, NDArray[np.int64]]:
    """By the letters; a sequence of the strand - also by those of the genome's own strand."""
    if table.codes is None:
        raise ScoresError(f"{path.name}: holds no sequences; name a file of them by one_hot:")
    rows_of: dict[bytes, list[int]] = {}
    for row, letters in enumerate(_letters(table.codes)):
        rows_of.setdefault(letters, []).append(row)
    rows = [tuple(rows_of.get(letters, ())) for letters in _letters(split.codes)]
    reverse = np.zeros(len(split), np.int64)
    if split.intervals is not None:
        others = list(_letters(reverse_complement(split.codes)))
        for at in np.flatnonzero(split.intervals.strands < 0):
            if not rows[at] and others[at] in rows_of:
                rows[at], reverse[at] = tuple(rows_of[others[at]]), len(others[at])
    return tuple(rows), reverse


def _by_interval(table: ScoreTable, split: Sequences, path: Path) -> tuple[Rows, NDArray[np.int64]]:
    if table.intervals is None:
        raise ScoresError(
            f"{path.name}: holds no intervals; give it columns chromosome, start and end"
        )
    own = _required_intervals(split, path)
    rows_of: dict[tuple[str, int, int], list[int]] = {}
    for row, place in enumerate(_places(table.intervals)):
        rows_of.setdefault(place, []).append(row)
    rows = tuple(tuple(rows_of.get(place, ())) for place in _places(own))
    strands = [table.intervals.strands[each[0]] if each else 0 for each in rows]
    return rows, np.where(np.array(strands) * own.strands < 0, own.ends - own.starts, 0)


def _places(intervals: Intervals) -> Iterator[tuple[str, int, int]]:
    yield from zip(
        intervals.chromosomes, intervals.starts.tolist(), intervals.ends.tolist(), strict=True
    )


def _required_intervals(split: Sequences, path: Path) -> Intervals:
    if split.intervals is None or not _placed(split).any():
        raise ScoresError(
            f"{path.name}: is matched by interval, and where the sequences are in a genome is not "
            "known; give the dataset as BED and a genome, or with columns chrom, start and end"
        )
    return split.intervals


def _placed(split: Sequences) -> NDArray[np.bool_]:
    """Whose interval is known, and as long as the sequence."""
    assert split.intervals is not None  # for the type checker
    where: Intervals = split.intervals
    named = np.array([not name.startswith("row ") for name in where.chromosomes], bool)
    spans: NDArray[np.int64] = where.ends - where.starts
    # an interval may end in N, which count as padding
    whole: NDArray[np.bool_] = (spans >= lengths(split.codes)) & (spans <= split.codes.shape[1])
    return named & whole


def _along_genome(path: Path, split: Sequences) -> tuple[ScoreTable, Rows, NDArray[np.int64]]:
    """The values of a track under each sequence, already in its direction."""
    where = _required_intervals(split, path)
    at = np.flatnonzero(_placed(split))
    table = ScoreTable(read_track(path, where, at, split.codes.shape[1]))
    covered: NDArray[np.intp] = np.isfinite(table.scores).sum(axis=1)
    rows = tuple((row,) if covered[row] else () for row in range(len(split)))
    return table, rows, np.zeros(len(split), np.int64)


# Which class the scores are of


@dataclass(frozen=True, slots=True)
class _Classes:
    """Of which class the rows of a file are: what the file says, or ``target`` in its place."""

    held: _Held
    split: Sequences
    target: str
    path: Path

    def chosen(
        self, rows: NDArray[np.intp], explained: Labels, model: Any, inputs: Tensor
    ) -> tuple[NDArray[np.intp], Labels]:
        """The row of the file for each sequence, and the class that it is of; of several rows that
        of the class that is ``explained``."""
        of_file = None if self.target else self._of_file()
        picks = np.array([self.held.rows[row][0] for row in rows], np.intp)
        if of_file is None:
            return picks, self._of_option(rows, model, inputs)
        for at, row in enumerate(rows):
            right = [each for each in self.held.rows[row] if of_file[each] == explained[at]]
            picks[at] = right[0] if right else picks[at]
        return picks, of_file[picks]

    def _of_file(self) -> Labels | None:
        names = self.held.table.targets
        if names is None:
            return None
        if len(set(names)) == 1 and not self.split.has_classes:
            return np.full(len(names), _ANY_CLASS)
        index = {name: number for number, name in enumerate(self.split.class_names)}
        unknown = sorted(set(names) - set(index))
        if unknown and len(self.split.class_names) > 1 and len(set(names)) > 1:
            raise ScoresError(
                f"{self.path.name}: has scores of the class {unknown[0]!r}, and the classes are "
                f"{', '.join(self.split.class_names)}; say which it is by target:"
            )
        return np.array([index.get(name, _UNKNOWN) for name in names], np.int64)

    def _of_option(self, rows: NDArray[np.intp], model: Any, inputs: Tensor) -> Labels:
        names = self.split.class_names
        if self.target == ANY or (not self.target and len(names) < 2):
            return np.full(len(rows), _ANY_CLASS)
        if self.target == LABEL:
            return self.split.labels[rows]
        if self.target == PREDICTED:
            with torch.no_grad():
                return model(inputs).argmax(1).cpu().numpy()  # type: ignore[no-any-return]
        if self.target in names:
            return np.full(len(rows), names.index(self.target))
        if not self.target:
            return np.full(len(rows), _UNKNOWN)
        raise ScoresError(
            f"{self.path.name}: expected target: {PREDICTED}, {LABEL}, {ANY} or one of the classes "
            f"{', '.join(names)}, got {self.target!r}"
        )


def _factors(
    of: Labels,
    explained: Labels,
    model: Any,
    inputs: Tensor,
    *,
    signed: bool,
    names: tuple[str, ...],
) -> NDArray[np.float32]:
    """1 where the scores are of the class that is explained, -1 where of the other one of two."""
    factors = np.ones(len(of), np.float32)
    other = (of != explained) & (of != _ANY_CLASS)
    if not other.any():
        return factors
    with torch.no_grad():
        outputs = model(inputs[:1]).shape[1]
    if outputs == 1:
        return factors
    if (of == _UNKNOWN).any():
        raise ScoresError(
            f"the file does not say which of the classes {', '.join(names)} its scores are of; say "
            f"it by target: a class, {PREDICTED}, {LABEL} or {ANY}"
        )
    if outputs > 2 or not signed:
        why = "scores without a sign" if outputs == 2 else f"{outputs} classes"
        raise NotApplicable(
            f"the scores of {int(other.sum())} of {len(of)} sequences are of another class than is "
            f"explained, and with {why} those of one do not say those of another; write scores of "
            "the class that the plan explains (its key target)"
        )
    factors[other] = -1
    return factors


# Values


def _require_sign(table: ScoreTable, signed: bool, path: Path) -> None:
    if table.signed is False and signed:
        raise ScoresError(f"{path.name}: says that its scores have no sign; set signed: false")


def _without_gaps(
    values: Scores, valid: NDArray[np.bool_], fill: float | None, path: Path
) -> Scores:
    """The scores, 0 where the sequence has no base."""
    gaps = valid & ~np.isfinite(values)
    if gaps.any() and fill is None:
        raise ScoresError(
            f"{path.name}: {int(gaps.sum()):,} scores of {int(gaps.any(axis=1).sum()):,} sequences "
            "are NaN, infinite or missing; write them, or say by fill: what they are, such as 0"
        )
    filled: Scores = np.where(gaps, np.float32(fill or 0), np.where(valid, values, np.float32(0)))
    return filled
