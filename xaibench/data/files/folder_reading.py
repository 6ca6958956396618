"""Sequences and intervals of a file, or of all files of a folder with the split and the class that
their places say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaibench.errors import UsageError, shortened

from .columns import SPLIT_WORDS, canonical_number, require, require_filled
from .content import OtherFormat, beginning, reason, text_stream
from .folders import FilePart, Folder, folder_of, split_of, stem
from .reading import (
    BED_SUFFIXES,
    FASTA_SUFFIXES,
    READING_ERRORS,
    TABLE_SUFFIXES,
    holds_intervals,
    kind,
    read_intervals,
    read_sequence_file,
)

if TYPE_CHECKING:
    import pandas as pd

_INDEXES = {".fai", ".gzi", ".tbi", ".csi"}
"""Numbers in columns, as in BED."""

LEFT_OUT = "left out of the folder"
"""Of ``Splits.facts``: what is in a folder beside the files that were read."""


def read_sequences(path: Path, *, sequence: str, label: str) -> pd.DataFrame:
    """The rows of a table, of a FASTA file, or of a folder of these.

    ``sequence`` names the column of a FASTA file's letters, ``label`` that of a lone word after
    the name. An absent field is empty.
    """
    if not path.is_dir():
        return read_sequence_file(path, sequence=sequence, label=label)
    folder = sequence_folder(path)
    if not folder.parts:
        raise UsageError(f"{path}: expected FASTA files or tables, got a folder without any")
    _require_own_folder(path, folder)
    return _read_folder(folder.parts, sequence, label)


def read_bed_folder(folder: Path) -> pd.DataFrame:
    """The rows of all BED files of a folder, with columns split and label where places say them."""
    import pandas as pd

    parts = bed_folder(folder).parts
    if not parts:
        raise UsageError(f"{folder}: expected BED files, got a folder without any")
    tables = []
    for part in parts:
        columns = {"split": part.split, "label": part.class_name}
        given = {column: word for column, word in columns.items() if word}
        table = read_intervals(part.path)
        if part.split:
            _require_split(table, part)
        if part.class_name and "label" in table:
            raise UsageError(
                f"{part.path}: expected no column 'label', as its name is the class "
                f"{part.class_name!r}, got one; put all intervals into one file, or drop it"
            )
        tables.append(table.assign(**given))
    return pd.concat(tables, ignore_index=True).fillna("")


def sequence_folder(folder: Path) -> Folder:
    """Its FASTA files or, where there is none, its tables."""
    of_fasta = _dataset_folder(folder, _is_fasta)
    return of_fasta if of_fasta.parts else _dataset_folder(folder, _is_table)


def _is_table(path: Path) -> bool:
    """By its suffix; .txt may be anything, but where it is named for a split."""
    return kind(path) in TABLE_SUFFIXES or (kind(path) == ".txt" and bool(split_of(stem(path))))


def bed_folder(folder: Path) -> Folder:
    return _dataset_folder(
        folder, lambda path: kind(path) not in _INDEXES and holds_intervals(path)
    )


def _dataset_folder(folder: Path, reads: Callable[[Path], bool]) -> Folder:
    try:
        return folder_of(folder, reads)
    except (OSError, ValueError) as error:
        got = reason(folder, error)
        raise UsageError(f"{folder}: expected a folder that is a dataset, got {got}") from error


def _is_fasta(path: Path) -> bool:
    """By its suffix, whatever is in it then, or by what is in it."""
    if kind(path) in FASTA_SUFFIXES:
        return True
    try:
        with text_stream(path) as text:
            return beginning(text).startswith(">")
    except OtherFormat as error:
        if kind(path) in TABLE_SUFFIXES | BED_SUFFIXES:
            return False
        raise ValueError(f"{path.name!r}, which is {error}") from error
    except READING_ERRORS:
        return False


def _read_folder(parts: tuple[FilePart, ...], sequence: str, label: str) -> pd.DataFrame:
    """The rows of all files of a folder, with the split and the class that their places say."""
    import pandas as pd

    tables = []
    for part in parts:
        # a lone word of a header is no label where the place tells the class
        lone = "" if part.class_name else label
        table = read_sequence_file(part.path, sequence=sequence, label=lone)
        require(table, part.path, [sequence])
        require_filled(table, part.path, sequence)
        tables.append(table)
    labelled = any(label in table for table in tables)
    placed = [
        _with_place(table, part, label, labelled=labelled)
        for table, part in zip(tables, parts, strict=True)
    ]
    return pd.concat(placed, ignore_index=True).fillna("")


def _require_own_folder(path: Path, folder: Folder) -> None:
    """That a lone folder in it is not the dataset itself: its name would be the only class."""
    names = {part.class_name for part in folder.parts}
    tables = {part.split for part in folder.parts if not _is_fasta(part.path)}  # have a column
    own = folder.parts[0].path.parent
    if len(names) > 1 or names == {""} or tables - {""} or own == path:
        return
    name, others = folder.parts[0].class_name, shortened(", ".join(map(repr, folder.left_out)))
    if own.name == name:
        left_out = f"; left out is {others}" if others else ""
        raise UsageError(
            f"{path}: expected two classes or more, got {name!r} only{left_out}; give {own} where "
            "that is the dataset"
        )


def _with_place(table: pd.DataFrame, part: FilePart, label: str, *, labelled: bool) -> pd.DataFrame:
    """``labelled`` says whether any file of the folder has the column."""
    import pandas as pd

    names = table.get("name", table.get("id", pd.Series(map("row {}".format, range(len(table))))))
    columns: dict[str, Any] = {"name": part.where + "/" + names}
    if part.split:
        _require_split(table, part)
        columns["split"] = part.split
    if not part.class_name:
        if labelled:
            require(table, part.path, [label])
            require_filled(table, part.path, label)
    elif label not in table:
        columns[label] = part.class_name
    elif _is_fasta(part.path):
        columns[label] = part.class_name
        _require_class(table, part, label)
    elif not part.split:
        raise UsageError(
            f"{part.path}: expected files named train, test and perhaps validation, or without a "
            f"column {label!r}, the class being the name of the file"
        )
    return table.assign(**columns)


def _require_class(table: pd.DataFrame, part: FilePart, label: str) -> None:
    """That headers that name a class name that of the file or folder."""
    names = table[label].map(canonical_number)
    differs = (names != "") & (names != canonical_number(part.class_name))
    if differs.any():
        row = int(differs.argmax())
        raise UsageError(
            f"{part.path}: row {row}: expected the class {part.class_name!r}, as its place says, "
            f"got {label}={shortened(table[label].iloc[row])}; leave it out of the headers, or "
            "put all sequences into one file, whose headers name the classes"
        )


def _require_split(table: pd.DataFrame, part: FilePart) -> None:
    """That a column split, where there is one, says what the name of the file or folder does."""
    if "split" in table:
        differs = table["split"].str.lower().map(SPLIT_WORDS) != part.split
        if differs.any():
            row = int(differs.argmax())
            raise UsageError(
                f"{part.path}: row {row}: expected {part.split}, as its place says, got the split "
                f"{shortened(repr(table['split'].iloc[row]))}"
            )
