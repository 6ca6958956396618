"""Scores along a genome, for browsers: bigWig and bedGraph.

A position has one value: sequences of the strand - are turned back, so that positions rise with the
genome's, and where sequences overlap it is the mean of their scores. Positions with an N have none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.storage.files import replacing, replacing_path
from xaibench.values import N

from .values import Blocks, Written, on_forward_strand, spans


class Stretch(NamedTuple):
    """Neighbouring positions of a chromosome, from ``start`` on; NaN where there is no value."""

    chromosome: str
    start: int
    values: NDArray[np.float32]

    @property
    def known(self) -> tuple[list[int], list[float]]:
        """The positions that have a value, and the values."""
        at = np.flatnonzero(np.isfinite(self.values))
        return (self.start + at).tolist(), self.values[at].tolist()


@dataclass(frozen=True, slots=True)
class PlacedScores:
    """Scores whose places are known, in a file: ``length`` of them per sequence, NaN at an N.

    ``places`` ``(sequence, 4)``: the chromosome's number, start, end and the row in the file, in
    the order of the genome. ``left_out`` counts the sequences without an interval.
    """

    file: IO[bytes]
    length: int
    chromosomes: tuple[str, ...]
    places: NDArray[np.int64]
    left_out: int

    @property
    def largest_ends(self) -> dict[str, int]:
        """By chromosome, where the last of its sequences ends."""
        chromosome, _, ends, _ = self.places.T
        return {
            name: int(ends[chromosome == number].max())
            for number, name in enumerate(self.chromosomes)
        }


def bigwig(
    blocks: Blocks, folder: Path, *, chromosome_sizes: Mapping[str, int] | None = None
) -> Written:
    """``scores.bw``: bigWig, which genome browsers draw, as letters too (dynseq). Needs pybigtools.

    A chromosome is as long as ``chromosome_sizes`` says, else as where its last sequence ends.
    """
    open_track = _pybigtools()
    path, counts = folder / "scores.bw", Counter[str]()
    failed: list[BaseException] = []

    def values(placed: PlacedScores) -> Iterator[tuple[str, int, int, float]]:
        # pybigtools prints what its iterator raises, and ends the file as if that were all
        try:
            yield from _positions(placed, counts)
        except BaseException as error:
            failed.append(error)

    with scores_by_place(blocks, folder, "bigwig") as placed, replacing_path(path) as making:
        sizes = _sizes(placed.largest_ends, chromosome_sizes)
        open_track(str(making), "w").write(sizes, values(placed))
        if failed:
            raise failed[0]
    return Written((path,), _notes(placed, counts))


def _positions(placed: PlacedScores, counts: Counter[str]) -> Iterator[tuple[str, int, int, float]]:
    """Chromosome, start, end and score of every position that has one, in order."""
    for stretch in mean_scores(placed, counts):
        for start, value in zip(*stretch.known, strict=True):
            yield stretch.chromosome, start, start + 1, value


def bedgraph(blocks: Blocks, folder: Path) -> Written:
    """``scores.bedgraph``: chromosome, start, end and score, a line per position, in order."""
    path, counts = folder / "scores.bedgraph", Counter[str]()
    with scores_by_place(blocks, folder, "bedgraph") as placed, replacing(path) as file:
        for stretch in mean_scores(placed, counts):
            lines = (
                f"{stretch.chromosome}\t{start}\t{start + 1}\t{value:.6g}\n"
                for start, value in zip(*stretch.known, strict=True)
            )
            file.write("".join(lines).encode())
    return Written((path,), _notes(placed, counts))


@contextmanager
def scores_by_place(blocks: Blocks, folder: Path, name: str) -> Iterator[PlacedScores]:
    """The scores of all sequences, from a file without a name in the folder: memory does not grow
    with them. UsageError where no sequence has an interval."""
    chromosomes: list[str] = []
    places: list[NDArray[np.int64]] = []
    count = length = 0
    with TemporaryFile(dir=folder) as file:
        for block in blocks:
            forward, rows = on_forward_strand(block), np.flatnonzero(spans(block))
            where, length = block.sequences.intervals, block.scores.shape[1]
            count += len(block)
            if where is None or not len(rows):
                continue
            known = np.where(forward.sequences.codes < N, forward.scores, np.float32(np.nan))
            file.write(np.ascontiguousarray(known[rows]).data)
            chromosomes += [where.chromosomes[row] for row in rows]
            places.append(np.stack([where.starts[rows], where.ends[rows]], axis=1))
        if not places:
            raise UsageError(
                f"the format {name} needs to know where sequences are in a genome, got sequences "
                "without intervals; give BED and --genome, or columns chrom, start and end"
            )
        yield _in_order(file, length, chromosomes, np.concatenate(places), count)


def _in_order(
    file: IO[bytes], length: int, names: list[str], ends: NDArray[np.int64], count: int
) -> PlacedScores:
    chromosomes, numbers = np.unique(np.array(names), return_inverse=True)
    places = np.column_stack([numbers, ends, np.arange(len(ends))]).astype(np.int64)
    order = np.lexsort((places[:, 2], places[:, 1], places[:, 0]))
    return PlacedScores(file, length, tuple(chromosomes.tolist()), places[order], count - len(ends))


def mean_scores(placed: PlacedScores, counts: Counter[str]) -> Iterator[Stretch]:
    """Mean scores in the order of the genome; ``counts`` the positions, and those that several
    sequences cover."""
    total, covering = np.zeros(0), np.zeros(0, np.int64)
    current, begin = -1, 0

    def finished(positions: int) -> Stretch:
        values = np.full(positions, np.nan, np.float32)
        known = covering[:positions] > 0
        values[known] = total[:positions][known] / covering[:positions][known]
        counts["positions"] += int(known.sum())
        counts["averaged"] += int((covering[:positions] > 1).sum())
        return Stretch(placed.chromosomes[current], begin, values)

    for chromosome, start, end, row in placed.places.tolist():
        # nothing that follows reaches before this start
        ready = len(total) if chromosome != current else min(start - begin, len(total))
        if ready:
            yield finished(ready)
            total, covering = total[ready:], covering[ready:]
        current, begin = chromosome, start
        grown = max(end - start - len(total), 0)
        total, covering = np.pad(total, (0, grown)), np.pad(covering, (0, grown))
        scores = _row(placed, row)[: end - start]
        known = np.isfinite(scores)
        total[: end - start][known] += scores[known]
        covering[: end - start] += known
    if len(total):
        yield finished(len(total))


def _row(placed: PlacedScores, row: int) -> NDArray[np.float32]:
    placed.file.seek(4 * placed.length * row)
    return np.frombuffer(placed.file.read(4 * placed.length), np.float32)


def _sizes(largest_ends: Mapping[str, int], known: Mapping[str, int] | None) -> dict[str, int]:
    """The length of each chromosome that has scores."""
    if known is None:
        return dict(largest_ends)
    for chromosome, end in largest_ends.items():
        if known.get(chromosome, 0) < end:
            size = f"{known[chromosome]:,}" if chromosome in known else "none"
            raise UsageError(
                f"chromosome sizes: expected {chromosome} of {end:,} bases or more, where a "
                f"sequence ends, got {size}; give the sizes of the genome the sequences are from"
            )
    return {chromosome: known[chromosome] for chromosome in largest_ends}


def _notes(placed: PlacedScores, counts: Counter[str]) -> tuple[str, ...]:
    notes = []
    if counts["averaged"]:
        notes.append(
            f"{counts['averaged']:,} of {counts['positions']:,} positions are covered by several "
            "sequences: the mean of their scores"
        )
    if placed.left_out:
        notes.append(f"{placed.left_out:,} sequences whose interval is not known are left out")
    return tuple(notes)


def _pybigtools() -> Callable[..., Any]:
    try:
        from pybigtools import open as open_track
    except ImportError:
        raise UsageError(
            "the format bigwig needs pybigtools: pip install 'xaibench[export]'; bedgraph does not"
        ) from None
    opened: Callable[..., Any] = open_track
    return opened
