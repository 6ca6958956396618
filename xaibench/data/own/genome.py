"""Sequences of a genome: labelled intervals (BED or a table), cut from a FASTA file."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field

from xaibench.data.own.columns import (
    classes,
    places,
    require,
    require_classes,
    split_by_column,
    split_by_kind,
    whole_numbers,
)
from xaibench.data.own.reading import is_bed, read_bed, read_table
from xaibench.data.packing import cache_folder, file_key, key_of, packed
from xaibench.data.splitting import cut
from xaibench.dna import ambiguities, to_codes
from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.shapes import Labels
from xaibench.values import Intervals, Sequences, Splits

if TYPE_CHECKING:
    from pyfaidx import Fasta

Word = Annotated[str, BeforeValidator(str)]
"""Of a column or a chromosome; the number 7 of a YAML file is the word "7"."""

_OTHER_STRAND = str.maketrans("ACGTUacgtu", "TGCAAtgcaa")
_STRETCH = 2**20
"""Letters read at once: the reader of bgzip copies what it has with every block it adds."""


class _Cutting(NamedTuple):
    """How the intervals are split."""

    split: str | None
    test: tuple[str, ...]
    validation: tuple[str, ...]
    test_fraction: float
    data_seed: int


def intervals(
    *,
    data_seed: int,
    path: Path,
    genome: Path,
    label: Word | None = None,
    split: Word | None = None,
    test_chromosomes: list[Word] | None = None,
    validation_chromosomes: list[Word] | None = None,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
    length: Annotated[int, Field(ge=1)] | None = None,
) -> Splits:
    """Intervals with labels, and the letters that a genome has there.

    ``path`` is a BED file (``.bed``, ``.narrowPeak``, ``.broadPeak``), whose columns are called
    chrom, start, end, name, score, strand, 7, 8, ..., or a table with a header (CSV, TSV, Parquet):
    ``start``, ``end`` and ``chrom``, ``chromosome`` or ``region``, or ``region`` alone
    (chr1:200-300), perhaps ``strand``. ``genome`` is FASTA, plain or compressed by bgzip; its index
    is made beside it, or in the cache where that folder cannot be written to. Text files may be
    compressed by gzip or bgzip.

    Intervals are 0-based and half-open; on the strand - the sequence is the reverse complement
    (. is +). With ``length`` each is cut or grown about its centre to so many bases. ``label`` is
    the column of the classes: the name in a BED file, else ``label``. Groups are the chromosomes.
    Names are the column ``name`` where it is not the label and tells the rows apart, else
    chr1:200-300(+).

    The test is ``test_chromosomes``, or what the column ``split`` says (the one of that name where
    there is one), else about ``test_fraction`` of the rows, by chromosome. The harness cuts the
    validation where neither ``split`` nor ``validation_chromosomes`` gives one. The sequences are
    packed into the cache (``packing``) and read again where one of the two files has changed.
    """
    test, validation = tuple(test_chromosomes or ()), tuple(validation_chromosomes or ())
    _require_one_split(split, test, validation)
    cutting = _Cutting(split, test, validation, test_fraction, data_seed)
    make = partial(_load, path, genome, label, length, cutting)
    # what is asked for is part of the name: another plan's is no older state of this one's
    asked = key_of(str(path.resolve()), str(genome.resolve()), repr((label, length, cutting)))
    return packed(f"{path.name}-{asked}", key_of(file_key(path), file_key(genome)), make)


def _require_one_split(
    split: str | None, test: tuple[str, ...], validation: tuple[str, ...]
) -> None:
    if split and (test or validation):
        raise UsageError(
            f"intervals: wanted either the column split or chromosomes, got {split!r} and "
            f"{', '.join(test + validation)}"
        )
    for chromosome in test:
        if chromosome in validation:
            raise UsageError(
                f"intervals: wanted a chromosome in one split, got {chromosome!r} in "
                "test_chromosomes and in validation_chromosomes"
            )


def _load(
    path: Path, genome: Path, label: str | None, length: int | None, cutting: _Cutting
) -> Splits:
    table = _table(path)
    label = label or ("name" if is_bed(path) else "label")
    if "split" in table and not (cutting.test or cutting.validation):
        cutting = cutting._replace(split=cutting.split or "split")
    require(table, path, [label, *filter(None, [cutting.split])])
    labels, class_names = _classes(table, path, label)
    where = _intervals(table, path, length)
    letters = _letters(where, path, genome, length)
    written = _written(where)
    codes = to_codes(letters, names=[f"{genome}: {name}" for name in written])
    named = "name" in table and label != "name" and table["name"].is_unique
    names = tuple(table["name"]) if named else _distinct(written)
    sequences = Sequences(codes, labels, names, class_names, where.chromosomes, None, where)
    splits, how = _split(sequences, table, path, cutting)
    require_classes(splits, f"{path}: column {label!r}")
    made = "" if length is None else f", each cut or grown to {length} nt"
    note = f"{len(where):,} intervals of {path.name} in {genome.name}{made}, {how}."
    count = ambiguities(letters)
    facts = {"letters of ambiguity read as N": count} if count else {}
    return Splits(splits.train, splits.test, splits.validation, note, facts)


def _classes(table: pd.DataFrame, path: Path, label: str) -> tuple[Labels, tuple[str, ...]]:
    """As ``classes``; the names of peaks, which a BED file may have there, are refused."""
    labels, class_names = classes(table, path, label)
    if len(class_names) == len(table):
        raise UsageError(
            f"{path}: column {label!r}: wanted classes, got another word in every row; "
            "give the column of the classes by the option label"
        )
    return labels, class_names


def _table(path: Path) -> pd.DataFrame:
    if is_bed(path):
        return read_bed(path)
    return read_table(path).rename(columns=lambda name: name.removeprefix("#"))


def _intervals(table: pd.DataFrame, path: Path, length: int | None) -> Intervals:
    """Of every row; with ``length``, about the same centre."""
    found = places(table)
    if found is None:
        raise UsageError(
            f"{path}: wanted the columns start, end and chrom, chromosome or region, "
            f"got {', '.join(map(repr, table.columns))}"
        )
    strands = found["strand"].to_numpy(np.float64)
    if np.isnan(strands).any():
        row = int(np.argmax(np.isnan(strands)))
        raise UsageError(
            f"{path}: column 'strand': wanted +, - or ., got {table['strand'].iloc[row]!r} "
            f"in row {row}"
        )
    starts = whole_numbers(found["start"], f"{path}: column 'start'")
    ends = whole_numbers(found["end"], f"{path}: column 'end'")
    turned = np.flatnonzero((starts < 0) | (starts >= ends))
    if len(turned):
        row = turned[0]
        raise UsageError(
            f"{path}: row {row}: wanted 0 <= start < end, got {starts[row]} and {ends[row]}"
        )
    if length is not None:
        starts = (starts + ends - length) // 2
        ends = starts + length
    return Intervals(tuple(found["chromosome"]), starts, ends, strands.astype(np.int8))


def letters(where: Intervals, genome: Path) -> list[str]:
    """Of every interval as the genome writes them, lower case for repeats perhaps."""
    return _letters(where, genome, genome, None)


def _letters(where: Intervals, path: Path, genome: Path, length: int | None) -> list[str]:
    """Of every interval, as it reads on its strand. A chromosome is read once."""
    letters = [""] * len(where)
    by_chromosome = pd.Series(where.chromosomes).groupby(list(where.chromosomes)).indices
    with _opened(genome) as fasta:
        sizes = {name: len(fasta[name]) for name in fasta.keys()}
        _require_inside(where, sizes, path, genome, length)
        for chromosome, rows in by_chromosome.items():
            whole = _chromosome(fasta, str(chromosome), genome)
            for row in rows:
                letters[row] = whole[where.starts[row] : where.ends[row]]
    for row in np.flatnonzero(where.strands < 0):
        letters[row] = letters[row][::-1].translate(_OTHER_STRAND)
    return letters


def _require_inside(
    where: Intervals, sizes: dict[str, int], path: Path, genome: Path, length: int | None
) -> None:
    """That every interval is in the genome, whose chromosomes have these ``sizes``."""
    size = pd.Series(where.chromosomes).map(sizes).to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(size) | (where.starts < 0) | (where.ends > size))
    if not len(wrong):
        return
    row = wrong[0]
    chromosome, start, end = where.chromosomes[row], where.starts[row], where.ends[row]
    if chromosome not in sizes:
        raise UsageError(
            f"{path}: row {row}: wanted a chromosome of {genome}, got {chromosome!r}; "
            f"{_instead(chromosome, sizes)}"
        )
    grown = "" if length is None else f", cut or grown to {length} nt about its centre"
    raise UsageError(
        f"{path}: row {row}: wanted an interval inside {chromosome} of {genome}, which has "
        f"{sizes[chromosome]:,} letters, got {start}-{end}{grown}"
    )


def _instead(chromosome: str, known: Iterable[str]) -> str:
    """What a chromosome may be called where this name is unknown."""
    names = list(known)
    for other in (f"chr{chromosome}", chromosome.removeprefix("chr")):
        if other in names:
            return f"there it is called {other!r}"
    more = ", ..." if names[5:] else ""
    return f"there are {', '.join(map(repr, names[:5]))}{more}"


def _written(where: Intervals) -> list[str]:
    """chr1:200-300(+)"""
    columns = (where.chromosomes, where.starts, where.ends, where.strands)
    return [
        f"{chromosome}:{start}-{end}({'+' if strand > 0 else '-'})"
        for chromosome, start, end, strand in zip(*columns, strict=True)
    ]


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The second of a name has #2 behind it: an interval may stand in a file twice."""
    column = pd.Series(names)
    earlier = column.groupby(column).cumcount()
    pairs = zip(names, earlier, strict=True)
    return tuple(f"{name}#{count + 1}" if count else name for name, count in pairs)


def _split(
    sequences: Sequences, table: pd.DataFrame, path: Path, cutting: _Cutting
) -> tuple[Splits, str]:
    """The splits, and in words how they came about."""
    if cutting.split:
        where = f"{path}: column {cutting.split!r}"
        return split_by_column(sequences, table[cutting.split], where), "split by the file"
    chromosomes = np.array(sequences.groups)
    for chromosome in cutting.test + cutting.validation:
        if chromosome not in chromosomes:
            raise UsageError(
                f"{path}: wanted a chromosome of its rows for test or validation, got "
                f"{chromosome!r}; {_instead(chromosome, dict.fromkeys(sequences.groups or ()))}"
            )
    validation = np.isin(chromosomes, cutting.validation)
    if cutting.test:
        test = np.isin(chromosomes, cutting.test)
        kinds = np.select([test, validation], ["test", "validation"], "train")
        return split_by_kind(sequences, kinds, str(path)), f"test on {', '.join(cutting.test)}"
    rest = sequences.take(np.flatnonzero(~validation))
    train, part = cut(rest, cutting.test_fraction, stream(cutting.data_seed, "test"))
    held = sequences.take(np.flatnonzero(validation)) if cutting.validation else None
    several = len(set(rest.groups or ())) > 1
    return Splits(train, part, held), f"test cut from it{' by chromosome' if several else ''}"


@contextmanager
def _opened(genome: Path) -> Iterator["Fasta"]:
    try:
        from pyfaidx import Fasta
    except ImportError:
        raise UsageError(
            "intervals: wanted pyfaidx to read a genome, it is not installed; "
            "pip install 'xaibench[genome]'"
        ) from None
    _require_plain_or_bgzip(genome)
    index = _index(genome)
    try:
        fasta = Fasta(genome, as_raw=True, indexname=index, gzi_indexname=index.with_suffix(".gzi"))
    except ImportError as error:  # bgzip is read by Biopython
        raise UsageError(f"{genome}: {error}; pip install 'xaibench[genome]'") from None
    except Exception as error:  # whatever pyfaidx says of a malformed file
        reason = " ".join(str(error).split())
        raise UsageError(f"{genome}: wanted a genome in FASTA, got: {reason}") from error
    with fasta:
        yield fasta


def _require_plain_or_bgzip(genome: Path) -> None:
    try:
        with genome.open("rb") as stream:
            head = stream.read(16)
    except OSError as error:
        raise UsageError(f"{genome}: wanted a genome in FASTA, got: {error.strerror}") from error
    # bgzip writes a gzip field of its own, BC, at the first place for one
    if head[:2] == b"\x1f\x8b" and head[12:14] != b"BC":
        raise UsageError(
            f"{genome}: wanted FASTA, plain or compressed by bgzip, got gzip, in which no position "
            f"can be found; gunzip {genome.name}, and perhaps bgzip it"
        )


def _index(genome: Path) -> Path:
    """Beside the genome, where samtools has it too, or in the cache where that cannot be."""
    beside = [Path(f"{genome}{suffix}") for suffix in (".fai", ".gzi")]
    needed = beside if genome.suffix.lower() in (".gz", ".bgz") else beside[:1]
    changed = genome.stat().st_mtime_ns
    current = all(index.exists() and index.stat().st_mtime_ns >= changed for index in needed)
    linked = any(index.is_symlink() for index in needed)  # what it leads to is not ours to write
    if current or (os.access(genome.parent, os.W_OK) and not linked):
        return beside[0]
    folder = cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{genome.name}-{key_of(file_key(genome))}.fai"


def _chromosome(fasta: "Fasta", name: str, genome: Path) -> str:
    """All its letters, in the case they have."""
    record = fasta[name]
    size = len(record)
    starts = range(0, size, _STRETCH)
    whole = "".join(record[start : min(start + _STRETCH, size)] for start in starts)
    if len(whole) != size:
        raise UsageError(
            f"{genome}: wanted the {size:,} letters of {name} that its index tells of, got "
            f"{len(whole):,}; delete {fasta.faidx.indexname}"
        )
    return whole
