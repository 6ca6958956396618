"""A person's own sequences: a table (CSV, TSV, Parquet) or FASTA, plain or compressed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from xaibench.data.codes import read_codes
from xaibench.data.splitting import all_test, cut
from xaibench.dna.encoding import ambiguities
from xaibench.errors import UsageError, shortened
from xaibench.plugins.harness_options import ClassName, Word
from xaibench.randomness import stream
from xaibench.values import Intervals, Sequences, Splits

from .columns import (
    parsed_region,
    places,
    region_facts,
    require,
    require_classes,
    require_distinct,
    require_filled,
    require_known,
    split_by_column,
    unread_split,
    with_plain_names,
)
from .folder_reading import LEFT_OUT, read_sequences, sequence_folder
from .packed_rows import PackedLetters
from .reading import read_table
from .sites import evidence, sites
from .targets import DEFAULT_LABEL, require_one_target, share_of_test, targets

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("name", "id")
_GROUPS = ("group", "region")
_SHORT = 10
"""Among sequences of so many bases or fewer NA may be one; else it stands for a missing one."""

Facts = dict[str, str | int | float]


class _Columns(NamedTuple):
    """Where a table says what; None where it does not."""

    sequence: str
    label: str | None
    response: str | None
    name: str | None
    split: str | None
    group: str | None


def file(
    *,
    data_seed: int,
    path: Path,
    sequence: Word = "sequence",
    label: Word | None = None,
    response: Word | None = None,
    split: Word | None = None,
    group: Word | None = None,
    id: Word | None = None,
    labels: Path | None = None,
    site_start: Word | None = None,
    site_end: Word | None = None,
    site_width: Annotated[int, Field(ge=1)] | None = None,
    site_class: ClassName | None = None,
    one_based: bool = False,
    test_fraction: Annotated[float, Field(gt=0, le=1)] | None = None,
) -> Splits:
    """Sequences of a CSV, TSV, Parquet or FASTA file; most options name its columns.

    ``path`` may be a folder of such files: of classes that have the names of the files, beside each
    other or in the folders train, test and perhaps validation (or val, valid, dev), or of splits,
    train.csv, test.csv and perhaps dev.csv. What else is there is left out and named.

    What a file is, its bytes say and not its suffix; all but Parquet may be compressed by gzip,
    bgzip, bzip2 or xz. A FASTA header gives
    the columns: ``>NAME label=1 split=test group=chr1``; a lone word after the name is the label.
    ``labels`` is a second table with the names of exactly these sequences, in any order; its
    columns replace those of the same name.

    ``label`` is the column of the classes, ``label`` where there is one. Without it, and with one
    class alone, there are sequences to explain and no classes. ``response`` is instead a column of
    numbers, measured for each sequence (regression): no classes either.

    ``split`` (the column of that name where there is one) holds train, test and perhaps validation
    (or dev), or test alone. Without it ``test_fraction`` of the rows are cut off for the test, by
    group where there are groups, else within each class: a fifth of them where there are classes,
    else all; with 1 nothing is there to train on. ``group`` is the column ``group`` or ``region``
    where there is one; where ``region`` reads chr1:200-300, the group is the chromosome, since
    regions that are all different group nothing. Classes are the sorted labels. ``id`` is the
    column ``name`` or ``id`` where there is one, and tells the rows apart; without it names are row
    numbers, from 0, the header not counted.

    Such a ``region``, or columns ``start``, ``end`` (0-based, half-open) and ``chrom``,
    ``chromosome`` or ``region``, give the sequences' intervals where most are as long as their
    sequence; the others overlap nothing and are counted. ``region`` is 0-based and half-open, as
    bedtools writes it; ``one_based`` reads it as samtools and browsers do, from 1 and with its
    end. ``strand`` is + where no column of that name says otherwise.

    ``site_start`` is the column with the start of a motif in its sequence, from 0; -1 or nothing
    where there is none. ``site_end`` (a column, exclusive) or ``site_width`` says where it ends,
    and ``site_class`` which class a motif speaks for.
    """
    stated = sites(site_start, site_end, site_width, site_class)
    require_one_target("file", label, response)
    given = _Columns(sequence, label, response, id, split, group)
    table, columns = _read_rows(path, labels, given, (site_start, site_end))
    sequences, facts = _all_sequences(table, path, columns, one_based=one_based)
    if stated:
        lengths = _letter_counts(table[sequence])
        known = evidence(table, path, stated, class_names=sequences.class_names, lengths=lengths)
        sequences = replace(sequences, evidence=known)
        facts["motif positions"] = stated.description
    if columns.split:
        where = f"{path}: column {columns.split!r}"
        splits, how = split_by_column(sequences, table[columns.split], where), "split by the file"
    else:
        splits, how = _cut_test(sequences, test_fraction, data_seed, by=columns.group)
        if unread := unread_split(table):
            facts[f"column {unread!r}"] = "holds splits and is not read (option split)"
    require_classes(splits, f"{labels or path}: column {columns.label!r}")
    if path.is_dir() and (left_out := sequence_folder(path).left_out):
        facts[LEFT_OUT] = shortened(", ".join(left_out))
    note = f"{len(sequences):,} sequences of {path.name}, {how}."
    return replace(splits, note=note, facts=facts)


def _cut_test(
    sequences: Sequences, test_fraction: float | None, data_seed: int, *, by: str | None
) -> tuple[Splits, str]:
    """The splits, and in words how they came about."""
    share = share_of_test(sequences, test_fraction)
    if share == 1:
        return all_test(sequences), "all to be explained"
    several = by and len({*(sequences.groups or ())}) > 1
    splits = Splits(*cut(sequences, share, stream(data_seed, "test")))
    return splits, f"test cut from it{f' by {by}' if several else ''}"


def letters_of_rows(
    path: Path, *, sequence: str = "sequence", label: str = DEFAULT_LABEL, id: str | None = None
) -> dict[str, str]:
    """The letters as they are written, by the names that ``file`` gives the sequences."""
    table = read_sequences(path, sequence=sequence, label=label)
    name = id if id in table else _first_column(table, _NAMES)
    names = table[name] if name else _numbered(len(table))
    return dict(zip(names, table[sequence], strict=True))


def _read_rows(
    path: Path, labels: Path | None, given: _Columns, sites: tuple[str | None, ...]
) -> tuple[pd.DataFrame, _Columns]:
    """All that the file, or the two, say of the sequences, and in which columns; those of
    ``sites`` have names of their own."""
    table = read_sequences(path, sequence=given.sequence, label=given.label or DEFAULT_LABEL)
    table, name = with_plain_names(table, path, keep=(*given, *sites)), given.name
    if labels is not None:
        table, name = _with_labels(table, path, labels, given)
    columns = given._replace(
        label=given.label or _default_label(table, path, given.response),
        name=name or _first_column(table, _NAMES),
        split=given.split or _first_column(table, ("split",)),
        group=given.group or _first_column(table, _GROUPS),
    )
    require(table, path, [column for column in columns if column is not None])
    region = parsed_region(table)
    if columns.group != "region" or region is None:
        return table, columns
    # a row of another form is a group of its own
    group_names = table["region"].where(table["region"] != "", _numbered(len(table)))
    chromosomes = region["chromosome"].where(region["chromosome"] != "", group_names)
    return table.assign(chromosome=chromosomes), columns._replace(group="chromosome")


def _default_label(table: pd.DataFrame, path: Path, response: str | None) -> str | None:
    """The column ``label`` where there is one; in another case it is a mistake."""
    alike = [name for name in table if str(name).casefold() == DEFAULT_LABEL]
    if response or not alike:
        return None
    require(table, path, [DEFAULT_LABEL])
    return DEFAULT_LABEL


def _first_column(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in table), None)


def _with_labels(
    table: pd.DataFrame, path: Path, labels: Path, columns: _Columns
) -> tuple[pd.DataFrame, str]:
    """The rows with what a second table says of their names, and the column of these names."""
    given = with_plain_names(read_table(labels), labels, keep=columns)
    if columns.name and columns.name not in table:
        require(given, labels, [columns.name])
    own = _name_column(table, path, columns.name)
    others = _name_column(given, labels, columns.name)
    label = columns.label or (None if columns.response else DEFAULT_LABEL)
    require(given, labels, [column for column in (label, columns.response) if column])
    # a mistake is a row of this file, so it is said here
    targets(given, labels, label=label, response=columns.response)
    unlabelled = table[own][~table[own].isin(given[others])]
    unknown = given[others][~given[others].isin(table[own])]
    if len(unlabelled) or len(unknown):
        raise UsageError(
            f"{labels}: expected the names of {path}, got {_count_and_first(unlabelled)} of them "
            f"missing and {_count_and_first(unknown)} that it does not have"
        )
    given = given.set_index(others).drop(columns=[own, columns.sequence], errors="ignore")
    return table.drop(columns=[*given], errors="ignore").join(given, on=own), own


def _name_column(table: pd.DataFrame, path: Path, name: str | None) -> str:
    """The column of this name where there is one, else ``name`` or ``id``: names that differ."""
    column = name if name in table else _first_column(table, _NAMES)
    if column is None:
        column = name or _NAMES[0]
        require(table, path, [column])
    require_distinct(table, path, column)
    return column


def _count_and_first(names: pd.Series[str]) -> str:
    """How many names, and the first of them."""
    return f"{len(names)} ({names.iloc[0]!r})" if len(names) else "none"


def _all_sequences(
    table: pd.DataFrame, path: Path, columns: _Columns, *, one_based: bool
) -> tuple[Sequences, Facts]:
    """All rows, in the order of the file, and what the report is to say of them."""
    require_filled(table, path, columns.sequence)
    if table[columns.sequence].str.len().median() > _SHORT:
        require_known(table, path, columns.sequence, "")
    known = targets(table, path, label=columns.label, response=columns.response)
    letters = PackedLetters(table[columns.sequence])
    codes = read_codes(letters, lambda row: f"{path}: row {row}")
    if columns.name:
        require_distinct(table, path, columns.name)
    if columns.group:
        require_known(table, path, columns.group, ", or name the group otherwise")
    counts = _letter_counts(table[columns.sequence])
    intervals, facts = _intervals_of_rows(table, counts, one_based=one_based)
    if count := ambiguities(letters):
        facts["letters of ambiguity read as N"] = count
    sequences = Sequences(
        codes,
        known.labels,
        tuple(table[columns.name].tolist() if columns.name else _numbered(len(table))),
        known.class_names,
        tuple(table[columns.group].tolist()) if columns.group else None,
        intervals=intervals,
        responses=known.responses,
    )
    return sequences, {**known.facts, **facts}


def _letter_counts(sequences: pd.Series[str]) -> NDArray[np.int64]:
    return np.fromiter(map(len, PackedLetters(sequences)), np.int64, len(sequences))


def _numbered(count: int) -> list[str]:
    """The names of rows that have none."""
    return [f"row {row}" for row in range(count)]


def _intervals_of_rows(
    table: pd.DataFrame, lengths: NDArray[np.int64], *, one_based: bool
) -> tuple[Intervals | None, Facts]:
    """Where the sequences stand, and what is to be said of it.

    A row without a place is on a contig of its own; None where most rows are such.
    """
    import pandas as pd

    place_table = places(table, one_based=one_based)
    if place_table is None:
        return None, {}
    starts, ends, strands = (
        pd.to_numeric(place_table[column], errors="coerce").to_numpy(np.float64)
        for column in ("start", "end", "strand")
    )
    known = (place_table["chromosome"] != "").to_numpy() & (starts >= 0) & np.isfinite(strands)
    fit = known & (ends - starts == lengths)
    facts: Facts = {**region_facts(table, one_based=one_based)}
    if not fit.all():
        row = int(np.argmin(fit))
        other = known & (ends - starts == lengths + (1 if one_based else -1))
        other_option = str(not one_based).lower()
        hint = (
            f"; with one_based: {other_option} {other.sum():,} are"
            if "regions" in facts and other.any()
            else ""
        )
        apart = "left out, " if (~fit).mean() > 0.5 else ""
        facts["intervals"] = (
            f"{apart}{np.sum(~fit):,} of {len(fit):,} are unknown or not as long as the sequence, "
            f"the first in row {row}{hint}"
        )
        if apart:
            return None, facts
    return Intervals(
        tuple(np.where(fit, place_table["chromosome"], _numbered(len(fit))).tolist()),
        np.where(fit, starts, 0).astype(np.int64),
        np.where(fit, ends, lengths).astype(np.int64),
        np.where(fit, strands, 1).astype(np.int8),
    ), facts
