"""Sequences of a genome: labelled intervals (BED or a table), cut from a FASTA file."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from pydantic import Field

from xaibench.data.codes import sequences_at
from xaibench.data.packing import cached_splits, file_key, key_of
from xaibench.data.splitting import all_test, cut
from xaibench.dna.encoding import (
    ambiguities,
    codes_of_letters,
    first_unreadable,
    require_like_lengths,
    require_readable,
)
from xaibench.errors import UsageError, shortened
from xaibench.plugins.harness_options import Word
from xaibench.randomness import stream
from xaibench.shapes import Codes
from xaibench.storage import arrays
from xaibench.values import Intervals, Sequences, Splits

from .columns import (
    places,
    region_facts,
    require,
    require_classes,
    split_by_column,
    split_by_kind,
    starts_and_ends,
    with_plain_names,
)
from .content import beginning, letters_at_most, reason, text_stream
from .fasta import fasta_records
from .folder_reading import LEFT_OUT, bed_folder, read_bed_folder
from .packed_rows import blocks_of_rows
from .reading import READING_ERRORS, is_bed, read_intervals
from .targets import (
    DEFAULT_LABEL,
    Targets,
    as_unlabelled,
    require_one_target,
    share_of_test,
    targets,
)

if TYPE_CHECKING:
    import pandas as pd

_OTHER_STRAND = str.maketrans("ACGTUacgtu", "TGCAAtgcaa")


class _Cutting(NamedTuple):
    """How the intervals are split."""

    split: str | None
    test: tuple[str, ...]
    validation: tuple[str, ...]
    test_fraction: float | None
    data_seed: int


class _KnownBy(NamedTuple):
    """The columns of the classes and of measured numbers, as the options name them."""

    label: str | None
    response: str | None


def intervals(
    *,
    data_seed: int,
    path: Path,
    genome: Path,
    label: Word | None = None,
    response: Word | None = None,
    split: Word | None = None,
    test_chromosomes: list[Word] | None = None,
    validation_chromosomes: list[Word] | None = None,
    test_fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
    one_based: bool = False,
    length: Annotated[int, Field(ge=1)] | None = None,
) -> Splits:
    """Intervals, perhaps with labels, and the letters that a genome has there.

    ``path`` is a BED file (``.bed``, ``.narrowPeak``, ``.broadPeak``), whose columns are called
    chrom, start, end, name, score, strand, 7, 8, ..., or a table with a header (CSV, TSV, Parquet):
    ``start``, ``end`` and ``chrom``, ``chromosome`` or ``region``, or ``region`` alone
    (chr1:200-300), perhaps ``strand``; or a folder of BED files: of classes that have the names of
    the files, in folders for splits or not, or of splits, train.bed and test.bed. ``genome`` is
    FASTA. Text files may be compressed by gzip, bgzip, bzip2 or xz.

    Intervals are 0-based and half-open; on the strand - the sequence is the reverse complement (.
    is +). ``one_based`` reads ``region`` from 1 and with its end, as samtools writes it. With
    ``length`` each is cut or grown about its centre to so many bases. ``label`` is the column of
    the classes: the name in a BED file, else ``label``. Without it, with one class alone, and where
    the names of a BED file all differ, as those of peaks do, there are sequences to explain and no
    classes; ``response`` is a column of measured numbers instead. Groups are the chromosomes. Names
    are the column ``name`` where it holds no classes and tells the rows apart, else
    chr1:200-300(+).

    The test is ``test_chromosomes``, or what the column ``split`` says (the one of that name where
    there is one), else about ``test_fraction`` of the rows, by chromosome: a fifth of them where
    there are classes, else all. The harness cuts the
    validation where neither ``split`` nor ``validation_chromosomes`` gives one. The sequences are
    packed into the cache (``packing``) and read again where one of the two files has changed.
    """
    test, validation = tuple(test_chromosomes or ()), tuple(validation_chromosomes or ())
    _require_one_split(split, test, validation)
    require_one_target("intervals", label, response)
    cutting = _Cutting(split, test, validation, test_fraction, data_seed)
    known_by = _KnownBy(label, response)
    make = partial(_load, path, genome, known_by, length, one_based, cutting)
    # what is asked for is part of the name: another plan's is no older state of this one's
    options_key = key_of(
        str(path.resolve()), str(genome.resolve()), repr((known_by, length, one_based, cutting))
    )
    files = [part.path for part in bed_folder(path).parts] if path.is_dir() else [path]
    keys = [*map(file_key, files), file_key(genome)]
    return cached_splits(f"{path.name}-{options_key}", key_of(*keys), make)


def _require_one_split(
    split: str | None, test: tuple[str, ...], validation: tuple[str, ...]
) -> None:
    if split and (test or validation):
        raise UsageError(
            f"intervals: expected either the column split or chromosomes, got {split!r} and "
            f"{', '.join(test + validation)}"
        )
    for chromosome in test:
        if chromosome in validation:
            raise UsageError(
                f"intervals: expected a chromosome in one split, got {chromosome!r} in "
                "test_chromosomes and in validation_chromosomes"
            )


def _load(
    path: Path,
    genome: Path,
    known_by: _KnownBy,
    length: int | None,
    one_based: bool,
    cutting: _Cutting,
) -> Splits:
    table = with_plain_names(_read_intervals(path), path, keep=(*known_by, cutting.split))
    label = known_by.label or _default_label(table, path, known_by.response)
    if "split" in table and not (cutting.test or cutting.validation):
        cutting = cutting._replace(split=cutting.split or "split")
    require(table, path, [*filter(None, [label, known_by.response, cutting.split])])
    known = _interval_targets(table, path, known_by._replace(label=label), stated=known_by.label)
    where = _intervals_of_table(table, path, length, one_based=one_based)
    codes, ambiguous = _codes(where, path, genome, length)
    of_class = label == "name" and known.class_names[1:]
    names = _own_names(table) if not of_class else None
    names = names or _unique_names(_interval_names(where))
    sequences = Sequences(
        *(codes, known.labels, names, known.class_names, where.chromosomes, None, where),
        responses=known.responses,
    )
    splits, how = _split_sequences(sequences, table, path, cutting)
    require_classes(splits, f"{path}: column {label!r}")
    made = "" if length is None else f", each cut or grown to {length} nt"
    note = f"{len(where):,} intervals of {path.name} in {genome.name}{made}, {how}."
    facts: dict[str, str | int | float] = {
        **known.facts,
        **region_facts(table, one_based=one_based),
    }
    if ambiguous:
        facts["letters of ambiguity read as N"] = ambiguous
    if path.is_dir() and (left_out := bed_folder(path).left_out):
        facts[LEFT_OUT] = shortened(", ".join(left_out))
    return Splits(splits.train, splits.test, splits.validation, note, facts)


def _interval_targets(
    table: pd.DataFrame, path: Path, known_by: _KnownBy, *, stated: str | None
) -> Targets:
    """As ``targets``; the names of peaks, which a BED file may have in its fourth column, are no
    classes, and rejected where they were ``stated`` to be."""
    known = targets(table, path, label=known_by.label, response=known_by.response)
    if len(known.class_names) < max(2, len(table)):
        return known
    if stated is None:
        return as_unlabelled(known, f"another word in every row of column {known_by.label!r}")
    raise UsageError(
        f"{path}: column {stated!r}: expected classes, got another word in every row; "
        "give the column of the classes by the option label, or of a number by response"
    )


def _default_label(table: pd.DataFrame, path: Path, response: str | None) -> str | None:
    """The name in BED files, but for a folder of them with one file per class; else ``label``.
    None where there is no such column, or where a number is known instead."""
    in_bed = path.is_dir() or is_bed(path)
    label = "name" if in_bed and DEFAULT_LABEL not in table else DEFAULT_LABEL
    return label if label in table and response is None else None


def _read_intervals(path: Path) -> pd.DataFrame:
    if path.is_dir():
        return read_bed_folder(path)
    return read_intervals(path)


def _intervals_of_table(
    table: pd.DataFrame, path: Path, length: int | None, *, one_based: bool
) -> Intervals:
    """Of every row; with ``length``, about the same centre."""
    place_table = places(table, one_based=one_based)
    if place_table is None:
        raise UsageError(
            f"{path}: expected the columns start, end and chrom, chromosome or region, "
            f"got {', '.join(map(repr, table.columns))}"
        )
    odd = np.flatnonzero(place_table["chromosome"] == "")
    if len(odd):
        word = shortened(repr(table["region"].iloc[odd[0]] if "region" in table else ""))
        raise UsageError(f"{path}: row {odd[0]}: expected a place, as chr1:200-300, got {word}")
    strands = place_table["strand"].to_numpy(np.float64)
    if np.isnan(strands).any():
        row = int(np.argmax(np.isnan(strands)))
        raise UsageError(
            f"{path}: column 'strand': expected +, - or ., got {table['strand'].iloc[row]!r} "
            f"in row {row}"
        )
    starts, ends = starts_and_ends(place_table, path)
    if length is not None:
        starts = (starts + ends - length) // 2
        ends = starts + length
    chromosomes = tuple(map(sys.intern, place_table["chromosome"].tolist()))
    return Intervals(chromosomes, starts, ends, strands.astype(np.int8))


def letters_of_intervals(where: Intervals, genome: Path) -> list[str]:
    """Of every interval as the genome writes them, lower case for repeats perhaps."""
    letters = [""] * len(where)
    for rows, block in _letters(where, genome, genome, None):
        for row, each in zip(rows, block, strict=True):
            letters[row] = each
    return letters


def _codes(where: Intervals, path: Path, genome: Path, length: int | None) -> tuple[Codes, int]:
    """Of every interval, ``(sequence, position)``, and how many letters of ambiguity there are."""

    def name(row: int) -> str:
        return f"{genome}: {_interval_names(where.take(np.array([row])))[0]}"

    lengths = where.ends - where.starts
    require_like_lengths(lengths, name)
    # one that is longer than the genome is refused at its end
    longest = min(int(lengths.max()), letters_at_most(genome))
    codes: Codes = arrays.scratch((len(where), longest), np.uint8)
    ambiguous, unreadable = 0, dict[int, str]()
    for rows, letters in _letters(where, path, genome, length):
        codes[rows] = block = codes_of_letters(letters, codes.shape[1])
        ambiguous += ambiguities(letters)
        if (first := first_unreadable(block)) is not None:
            unreadable[rows[first]] = letters[first]
    if unreadable:
        row = min(unreadable)
        require_readable(unreadable[row], name(row))
    return codes, ambiguous


def _letters(
    where: Intervals, path: Path, genome: Path, length: int | None
) -> Iterator[tuple[list[int], list[str]]]:
    """Of every interval, as it reads on its strand: rows in the order of the genome, some at a
    time, and their letters. UsageError at the end where an interval is not in the genome."""
    import pandas as pd

    groups = pd.Series(where.chromosomes).groupby(list(where.chromosomes)).indices
    by_chromosome = {str(name): np.asarray(rows).tolist() for name, rows in groups.items()}
    sizes: dict[str, int] = {}
    try:
        for chromosome, whole in _chromosomes(genome):
            sizes[chromosome] = len(whole)
            for rows in blocks_of_rows(by_chromosome.get(chromosome, [])):
                yield rows, [_letters_of_row(whole, where, row) for row in rows]
    except READING_ERRORS as error:
        raise UsageError(
            f"{genome}: expected a genome in FASTA, got: {reason(genome, error)}"
        ) from error
    _require_inside_genome(where, sizes, path, genome, length)


def _letters_of_row(chromosome: str, where: Intervals, row: int) -> str:
    letters = chromosome[max(where.starts[row], 0) : where.ends[row]]
    return letters if where.strands[row] > 0 else letters[::-1].translate(_OTHER_STRAND)


def _require_inside_genome(
    where: Intervals, sizes: dict[str, int], path: Path, genome: Path, length: int | None
) -> None:
    """That every interval is in the genome, whose chromosomes have these ``sizes``."""
    import pandas as pd

    size = pd.Series(where.chromosomes).map(sizes).to_numpy(np.float64)
    wrong = np.flatnonzero(np.isnan(size) | (where.starts < 0) | (where.ends > size))
    if not len(wrong):
        return
    row = wrong[0]
    chromosome, start, end = where.chromosomes[row], where.starts[row], where.ends[row]
    if chromosome not in sizes:
        raise UsageError(
            f"{path}: row {row}: expected a chromosome of {genome}, got {chromosome!r}; "
            f"{_chromosome_hint(chromosome, sizes)}"
        )
    grown = "" if length is None else f", cut or grown to {length} nt about its centre"
    raise UsageError(
        f"{path}: row {row}: expected an interval inside {chromosome} of {genome}, which has "
        f"{sizes[chromosome]:,} letters, got {start}-{end}{grown}"
    )


def _chromosome_hint(chromosome: str, known: Iterable[str]) -> str:
    """What a chromosome may be called where this name is unknown."""
    names = list(known)
    for other in (f"chr{chromosome}", chromosome.removeprefix("chr")):
        if other in names:
            return f"there it is called {other!r}"
    more = ", ..." if names[5:] else ""
    return f"there are {', '.join(map(repr, names[:5]))}{more}"


def _own_names(table: pd.DataFrame) -> tuple[str, ...] | None:
    """The column ``name`` where there is one that tells all rows apart; BED has . for no name."""
    if "name" not in table or not table["name"].is_unique or table["name"].isin(["", "."]).any():
        return None
    return tuple(table["name"].tolist())


def _interval_names(where: Intervals) -> list[str]:
    """chr1:200-300(+)"""
    columns = (where.chromosomes, where.starts, where.ends, where.strands)
    return [
        f"{chromosome}:{start}-{end}({'+' if strand > 0 else '-'})"
        for chromosome, start, end, strand in zip(*columns, strict=True)
    ]


def _unique_names(names: list[str]) -> tuple[str, ...]:
    """The second of a name has #2 behind it: an interval may stand in a file twice."""
    import pandas as pd

    column = pd.Series(names)
    earlier = column.groupby(column).cumcount()
    pairs = zip(names, earlier, strict=True)
    return tuple(f"{name}#{count + 1}" if count else name for name, count in pairs)


def _split_sequences(
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
                f"{path}: expected a chromosome of its rows for test or validation, got "
                f"{chromosome!r}; "
                f"{_chromosome_hint(chromosome, dict.fromkeys(sequences.groups or ()))}"
            )
    validation = np.isin(chromosomes, cutting.validation)
    if cutting.test:
        test = np.isin(chromosomes, cutting.test)
        kinds = np.select([test, validation], ["test", "validation"], "train")
        return split_by_kind(sequences, kinds, str(path)), f"test on {', '.join(cutting.test)}"
    rest = sequences_at(sequences, np.flatnonzero(~validation))
    held = sequences_at(sequences, np.flatnonzero(validation)) if cutting.validation else None
    share = share_of_test(sequences, cutting.test_fraction)
    if share == 1:
        return replace(all_test(rest), validation=held), "all to be explained"
    train, part = cut(rest, share, stream(cutting.data_seed, "test"))
    several = len(set(rest.groups or ())) > 1
    return Splits(train, part, held), f"test cut from it{' by chromosome' if several else ''}"


def _chromosomes(genome: Path) -> Iterator[tuple[str, str]]:
    """Name and letters of each record of a genome.

    A record is held at a time. Read from end to end: any compression and line length will do, and
    no index can be of an older state.
    """
    names: set[str] = set()
    with text_stream(genome) as text:
        if not beginning(text).startswith((">", ";")):
            raise ValueError("no record that begins with '>'")
        for name, letters in fasta_records(text):
            if name in names:
                raise ValueError(f"two records of one name, {name!r}")
            names.add(name)
            yield name, letters
