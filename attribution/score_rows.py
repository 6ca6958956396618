"""Which rows of a file of scores are of which sequences of the test split: by letters, by interval,
along a genome, or in order where that is said."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from xaibench.data.files.bigwig import is_bigwig
from xaibench.dna.encoding import lengths, reverse_complement
from xaibench.errors import NotApplicable
from xaibench.shapes import Codes, Scores
from xaibench.values import Intervals, Sequences

from .score_files import Reading, ScoresError, ScoreTable, read_score_table, read_track

Match = Literal["", "sequence", "interval", "order"]

Rows = tuple[tuple[int, ...], ...]


@dataclass(frozen=True, slots=True)
class ByIdentity:
    """A value that is the same only as itself, for a cache."""

    value: Sequences

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@dataclass(frozen=True, slots=True)
class MatchedFile:
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


def _widths(matched: MatchedFile) -> tuple[int, int]:
    """The most positions of a sequence in the file, and in the test split."""
    own = matched.table.codes
    in_file = matched.table.scores.shape[1] if own is None else int(lengths(own).max(initial=0))
    return in_file, max((len(each) for each in matched.by_letters), default=0)


def stamp_of(*paths: Path | None) -> tuple[Any, ...]:
    """What changes with the content of files."""
    stats = [path.stat() for path in paths if path is not None]
    return tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)


@lru_cache(maxsize=4)
def matched_file(
    path: Path, stamp: tuple[Any, ...], reading: Reading, match: Match, test: ByIdentity
) -> MatchedFile:
    """Remembered: a run explains by batches, and reads a file once."""
    split = test.value
    by_letters: dict[bytes, int] = {}
    for row, letters in enumerate(_letters(split.codes)):
        by_letters.setdefault(letters, row)
    if is_bigwig(path):
        table, rows, reverse = _along_genome(path, split)
        return MatchedFile(table, rows, reverse, by_letters, "interval")
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
    return MatchedFile(table, rows, reverse, by_letters, how)


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
