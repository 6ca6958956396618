"""Where motifs are in real sequences: by scanning for them, or from a list of sites."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.consensus import Consensus, is_consensus, matching_windows
from xaibench.data.files.columns import class_index, whole_numbers
from xaibench.data.files.reading import read_bed
from xaibench.data.meme import Motif
from xaibench.data.motifs import UnknownMotif, find_motif
from xaibench.dna.encoding import lengths
from xaibench.errors import UsageError, shortened
from xaibench.shapes import Codes, Evidence
from xaibench.values import NO_CLASS, Intervals, N, Sequences, Splits, evidence_type

if TYPE_CHECKING:
    import pandas as pd

_BASES_PER_BLOCK = 2**22
"""So many bases are scanned at a time, at some 50 bytes each."""

_CHROMOSOME_STRIDE = 2**40
"""Longer than any chromosome: position + number of the chromosome x this is unique in a genome."""


def scanned(
    splits: Splits,
    motifs: Mapping[str, str],
    *,
    p_value: float = 1e-4,
    release: str | None = None,
    path: Path | None = None,
) -> Splits:
    """The splits with ``evidence``: hits of ``motifs`` on either strand, as FIMO finds them (Grant
    et al. 2011), by memelite.

    ``motifs`` are names or JASPAR identifiers, looked up by ``find_motif`` in ``release`` or
    ``path``, or strings of five letters or more (IUPAC codes allowed), which are searched for as
    they stand; and the class that each speaks for. A hit of a matrix is a window whose log-odds
    score against uniform bases has a p-value below ``p_value`` (for one window, not corrected for
    their number) and that holds no N. Where hits for different classes overlap, the smaller p-value
    takes the position, and of equal ones the motif named first.

    Raises ``UsageError`` where the splits know their motifs already, for a class that is none, for
    a motif that cannot reach the p-value, and where memelite is missing.
    """
    _require_no_truth(splits)
    if not motifs:
        raise UsageError("truth: motifs: expected a motif and the class it speaks for, got none")
    classes = [_class(word, splits, f"truth: {name}") for name, word in motifs.items()]
    searched = [_searched(name, release, path) for name in motifs]
    for motif in searched:
        if isinstance(motif, Motif):
            _require_reach(motif, p_value)
    facts = {"motif positions": _description(searched, list(motifs.values()), p_value)}
    scan = _Scan(searched, classes, p_value)
    dtype = evidence_type(splits.train.class_names)
    evidence = {
        name: _evidence_of_motifs(split.codes, scan, dtype)
        for name, split in _splits_by_name(splits)
    }
    return _with_evidence(splits, evidence, facts)


class _Scan(NamedTuple):
    """What is searched for, the class that each speaks for, and the p-value of matrices."""

    motifs: list[Motif | Consensus]
    classes: list[int]
    p_value: float


def _searched(name: str, release: str | None, path: Path | None) -> Motif | Consensus:
    """A matrix by its name, or the string itself; a name of the file or release that is stated goes
    first, for releases up to JASPAR2020 have names such as CACGTG."""
    if not is_consensus(name):
        return find_motif(name, release=release, path=path)
    if release is None and path is None:
        return Consensus(name)
    try:
        return find_motif(name, release=release, path=path)
    except UnknownMotif:
        return Consensus(name)


def _require_no_truth(splits: Splits) -> None:
    if splits.train.evidence is not None or splits.test.evidence is not None:
        raise UsageError(
            "truth: expected a dataset that does not know where its motifs stand, got one that "
            "does; leave truth out"
        )


def _class(word: str, splits: Splits, where: str) -> int:
    names = splits.train.class_names
    index = class_index(word, names)
    if index is None:
        known = shortened(" or ".join(map(repr, names)))
        raise UsageError(f"{where}: expected a class, {known}, got {shortened(repr(word))}")
    return index


def _require_reach(motif: Motif, p_value: float) -> None:
    best = 4.0 ** -len(motif.matrix)
    if best >= p_value:
        raise UsageError(
            f"truth: p_value: expected more than {best:.2g}, which the best match of {motif.name} "
            f"({len(motif.matrix)} columns) has, got {p_value:g}"
        )


def _scanner() -> Callable[..., Any]:
    try:
        from memelite import fimo
    except ImportError:
        raise UsageError(
            "truth: motifs are scanned for by memelite, which is not installed; "
            "pip install 'xaibench[motifs]'"
        ) from None
    scanner: Callable[..., Any] = fimo
    return scanner


def _description(motifs: list[Motif | Consensus], speaks_for: list[str], p_value: float) -> str:
    named = [
        f"{_motif_text(motif)} for {word!r}" for motif, word in zip(motifs, speaks_for, strict=True)
    ]
    threshold = f" at p < {np.format_float_scientific(p_value, trim='-', exp_digits=1)}"
    of_matrices = any(isinstance(motif, Motif) for motif in motifs)
    return f"hits of {' and '.join(named)}{threshold if of_matrices else ''}, either strand"


def _motif_text(motif: Motif | Consensus) -> str:
    if isinstance(motif, Consensus):
        return f"{motif.letters} (exact)"
    return f"{motif.name} ({motif.identifier})"


def _with_evidence(
    splits: Splits, evidence: Mapping[str, Evidence], facts: Mapping[str, str | int]
) -> Splits:
    """Every split with its evidence, and how many sequences have a motif."""
    known = {
        name: replace(split, evidence=evidence[name]) for name, split in _splits_by_name(splits)
    }
    total = sum(map(len, known.values()))
    own, other = 0, 0
    for name, split in known.items():
        of_own = evidence[name] == split.labels[:, None]
        own += int(of_own.any(axis=1).sum())
        other += int(((evidence[name] != NO_CLASS) & ~of_own).any(axis=1).sum())
    counted = {
        "sequences with a motif of their own class": _percent_of(own, total),
        "sequences with a motif of another class": _percent_of(other, total),
    }
    return Splits(
        known["train"],
        known["test"],
        known.get("validation"),
        splits.note,
        {**splits.facts, **facts, **counted},
    )


def _splits_by_name(splits: Splits) -> Iterator[tuple[str, Sequences]]:
    for name in ("train", "validation", "test"):
        split: Sequences | None = getattr(splits, name)
        if split is not None:
            yield name, split


def _percent_of(count: int, total: int) -> str:
    return f"{100 * count / total:.0f} % ({count:,} of {total:,})"


def _evidence_of_motifs(codes: Codes, scan: _Scan, dtype: np.dtype[Any]) -> Evidence:
    evidence: Evidence = np.full(codes.shape, NO_CLASS, dtype)
    together = max(1, _BASES_PER_BLOCK // max(1, codes.shape[1]))
    for first in range(0, len(codes), together):
        part = slice(first, first + together)
        best = np.full(codes[part].shape, np.inf)
        for windows, speaks_for in zip(_hits(codes[part], scan), scan.classes, strict=True):
            p_values = _of_positions(windows, codes.shape[1])
            evidence[part][p_values < best] = speaks_for
            np.minimum(best, p_values, out=best)
    return evidence


def _hits(codes: Codes, scan: _Scan) -> Iterator[NDArray[np.float64]]:
    """For each motif ``(sequence, window)``: the p-value of a hit, inf where there is none."""
    matrices = {
        str(number): motif.matrix.T
        for number, motif in enumerate(scan.motifs)
        if isinstance(motif, Motif)
    }
    tables: Iterator[pd.DataFrame] = iter(())
    if matrices:
        # memelite reads a column of zeros as N
        one_hot = (codes[:, None] == np.arange(4)[:, None]).view(np.int8)
        tables = iter(_scanner()(matrices, one_hot, threshold=scan.p_value))
    for motif in scan.motifs:
        if isinstance(motif, Motif):
            yield _window_p_values(next(tables), codes, len(motif.matrix))
        else:
            yield np.where(matching_windows(codes, motif), motif.p_value, np.inf)


def _window_p_values(hits: pd.DataFrame, codes: Codes, width: int) -> NDArray[np.float64]:
    """``(sequence, window)``: the smaller p-value of both strands, inf where there is no hit."""
    count = max(codes.shape[1] - width + 1, 0)
    windows = np.full((len(codes), count), np.inf)
    if not count:
        return windows
    where = (hits["sequence_name"].to_numpy(np.intp), hits["start"].to_numpy(np.intp))
    np.minimum.at(windows, where, hits["p-value"].to_numpy(np.float64))
    # memelite scores N as an average base, and padding with it
    unknown = np.pad((codes == N).cumsum(axis=1), ((0, 0), (1, 0)))
    windows[unknown[:, width:] > unknown[:, :count]] = np.inf
    return windows


def _of_positions(windows: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """``(sequence, position)``: the smallest of the windows that it is in, inf where none is."""
    smallest = np.full((len(windows), length), np.inf)
    count = windows.shape[1]
    for column in range(length - count + 1 if count else 0):
        inside = smallest[:, column : column + count]
        np.minimum(inside, windows, out=inside)
    return smallest


class _Sites(NamedTuple):
    """Rows of a BED file: 0-based, half-open; ``classes`` ``(site,)`` they speak for."""

    path: Path
    places: tuple[str, ...]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    classes: NDArray[np.intp]


class _Touch(NamedTuple):
    """A site in a sequence: positions of the sequence as it reads."""

    site: int
    row: int
    start: int
    end: int


def annotated(splits: Splits, path: Path, *, speaks_for: str | None = None) -> Splits:
    """The splits with ``evidence``: the sites of a BED file (plain, gzip or bgzip).

    Its first column is the name of a sequence, and then start and end are positions in it, or a
    chromosome, where the sequences have intervals: the site is cut to each of them, and
    reverse-complemented where that is on the strand -. The fourth column is the class that a site
    speaks for, or ``speaks_for`` is that of all; where there are no classes neither is needed.
    Where sites for different classes overlap, the earlier row holds.

    Raises ``UsageError`` where the splits know their motifs already, for a class that is none, for
    a site that is no interval or not inside the sequence it names, and where no site touches any.
    """
    _require_no_truth(splits)
    sites = _read_sites(path, splits, speaks_for)
    _require_unambiguous_names(sites, splits)
    touches = {name: list(_touches(sites, split)) for name, split in _splits_by_name(splits)}
    touched = {touch.site for of_split in touches.values() for touch in of_split}
    if not touched:
        raise UsageError(
            f"{path}: expected a site in a sequence, got none among {len(sites.places):,}; the "
            f"first column names a sequence ({splits.background.names[0]!r}) or, where the dataset "
            f"has intervals, a chromosome, got {sites.places[0]!r}"
        )
    classes = f", for {speaks_for!r}" if speaks_for else ", for the classes in its fourth column"
    if not speaks_for and not splits.test.has_classes:
        classes = ""
    facts: dict[str, str | int] = {
        "motif positions": f"{len(touched):,} sites of {path.name}{classes}",
        "sites outside every sequence": len(sites.places) - len(touched),
    }
    evidence = {
        name: _evidence_of_sites(split, sites, touches[name])
        for name, split in _splits_by_name(splits)
    }
    return _with_evidence(splits, evidence, facts)


def _read_sites(path: Path, splits: Splits, speaks_for: str | None) -> _Sites:
    table = read_bed(path)
    starts, ends = (
        whole_numbers(table[column], f"{path}: column {column!r}") for column in ("start", "end")
    )
    invalid = np.flatnonzero((starts < 0) | (starts >= ends))
    if len(invalid):
        row = invalid[0]
        raise UsageError(
            f"{path}: row {row}: expected 0 <= start < end, got {starts[row]} and {ends[row]}"
        )
    classes = _site_classes(table, path, splits, speaks_for)
    return _Sites(path, tuple(table["chrom"]), starts, ends, classes)


def _site_classes(
    table: pd.DataFrame, path: Path, splits: Splits, speaks_for: str | None
) -> NDArray[np.intp]:
    """``(site,)``"""
    if speaks_for is None and not splits.test.has_classes:
        return np.zeros(len(table), np.intp)
    if speaks_for is not None:
        return np.full(len(table), _class(speaks_for, splits, "truth: speaks_for"))
    if "name" not in table:
        raise UsageError(
            f"{path}: expected a fourth column, the class that a site speaks for, "
            f"got {table.shape[1]} columns; name the class of all with speaks_for"
        )
    names = enumerate(table["name"])
    return np.array([_class(word, splits, f"{path}: row {row}") for row, word in names])


def _require_unambiguous_names(sites: _Sites, splits: Splits) -> None:
    """That a site that names a sequence names one."""
    names = {name: set(split.names) for name, split in _splits_by_name(splits)}
    for place in dict.fromkeys(sites.places):
        holders = [name for name, of_split in names.items() if place in of_split]
        if holders[1:]:
            raise UsageError(
                f"{sites.path}: expected names that tell sequences apart, "
                f"got {place!r}, which is in {' and in '.join(holders)}"
            )


def _touches(sites: _Sites, sequences: Sequences) -> Iterator[_Touch]:
    """Every pair of a site and a sequence that share a position."""
    rows = {name: row for row, name in enumerate(sequences.names)}
    ends = lengths(sequences.codes)
    for site, place in enumerate(sites.places):
        if place not in rows:
            continue
        row, start, end = rows[place], int(sites.starts[site]), int(sites.ends[site])
        if end > ends[row]:
            raise UsageError(
                f"{sites.path}: row {site}: expected a site inside the {ends[row]} letters of "
                f"{place!r}, got {start}-{end}"
            )
        yield _Touch(site, row, start, end)
    if sequences.intervals is not None:
        cut = _cut(sites, sequences.intervals)
        yield from (touch for touch in cut if sites.places[touch.site] not in rows)


def _cut(sites: _Sites, where: Intervals) -> Iterator[_Touch]:
    """Sites of chromosomes, cut to the intervals that they reach into."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(where.chromosomes))}
    of_rows = np.array([numbers[name] for name in where.chromosomes], np.int64) * _CHROMOSOME_STRIDE
    order = np.argsort(of_rows + where.starts, kind="stable")
    starts = (of_rows + where.starts)[order]
    longest = int((where.ends - where.starts).max(initial=0))
    of_sites = (
        np.array([numbers.get(name, -1) for name in sites.places], np.int64) * _CHROMOSOME_STRIDE
    )
    firsts = np.searchsorted(starts, of_sites + sites.starts - longest)
    stops = np.searchsorted(starts, of_sites + sites.ends)
    for site in np.flatnonzero(of_sites >= 0).tolist():
        for row in order[firsts[site] : stops[site]].tolist():
            touch = _overlap(site, int(sites.starts[site]), int(sites.ends[site]), where, row)
            if touch.start < touch.end:
                yield touch


def _overlap(site: int, start: int, end: int, where: Intervals, row: int) -> _Touch:
    """Positions of the sequence as it reads on its strand; empty where they do not meet."""
    first, last = int(where.starts[row]), int(where.ends[row])
    start, end = max(start, first), min(end, last)
    if where.strands[row] < 0:
        return _Touch(site, row, last - end, last - start)
    return _Touch(site, row, start - first, end - first)


def _evidence_of_sites(sequences: Sequences, sites: _Sites, touches: list[_Touch]) -> Evidence:
    dtype = evidence_type(sequences.class_names)
    evidence: Evidence = np.full(sequences.codes.shape, NO_CLASS, dtype)
    for touch in sorted(touches, reverse=True):  # the earlier row holds
        evidence[touch.row, touch.start : touch.end] = sites.classes[touch.site]
    return evidence
