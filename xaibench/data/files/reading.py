"""Tables, FASTA and BED as text: one row per sequence or interval."""

from __future__ import annotations

import csv
import lzma
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from xaibench.errors import UsageError, shortened

from .columns import SPLIT_WORDS, canonical_number, require, require_filled
from .content import OtherFormat, beginning, is_parquet, reason, text_stream
from .folders import FilePart, Folder, folder_of, split_of, stem

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = {".gz", ".bgz", ".bz2", ".xz"}
_FASTA = {".fa", ".fasta", ".fna", ".ffn", ".fas"}
_TABLES = {".csv", ".tsv", ".tab", ".parquet", ".pq"}
_BED = {".bed", ".narrowpeak", ".broadpeak"}
_INDEXES = {".fai", ".gzi", ".tbi", ".csi"}
"""Numbers in columns, as in BED."""

_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")
_SEPARATORS = "\t;,| "
"""The first of these that a header has divides its columns, but for ; and , of which the more
frequent does."""

_LOOKED_FOR = {
    *("sequence", "label", "split", "group", "region", "name", "id"),
    *("chrom", "chromosome", "start", "end", "strand"),
}

_COLUMNS = 10_000
"""A table of more columns has not one row per sequence."""

LEFT_OUT = "left out of the folder"
"""Of ``Splits.facts``: what is in a folder beside the files that were read."""

READING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What reading a file may raise."""

_BLOCK = 2**22
"""Letters of a FASTA file that are read at once."""

csv.field_size_limit(2**31 - 1)  # a sequence may be longer than 128 KiB


def is_bed(path: Path) -> bool:
    """Whether it holds intervals without a header: by its first row, else by its suffix."""
    try:
        with text_stream(path) as text:
            first = next(_bed_rows(text), [])
    except READING_ERRORS:
        first = []
    numbers = len(first) > 2 and all(re.fullmatch(r"-?\d+", field) for field in first[1:3])
    if numbers and not first[0].startswith(">"):
        return True
    return kind(path) in _BED and "start" not in map(str.lower, first)


def holds_intervals(path: Path) -> bool:
    """Whether it is BED, or a table with a header that is called so."""
    return kind(path) in _BED or is_bed(path)


def sequence_folder(folder: Path) -> Folder:
    """Its FASTA files or, where there is none, its tables."""
    of_fasta = _dataset_folder(folder, _is_fasta)
    return of_fasta if of_fasta.parts else _dataset_folder(folder, _is_table)


def _is_table(path: Path) -> bool:
    """By its suffix; .txt may be anything, but where it is named for a split."""
    return kind(path) in _TABLES or (kind(path) == ".txt" and bool(split_of(stem(path))))


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
    if kind(path) in _FASTA:
        return True
    try:
        with text_stream(path) as text:
            return beginning(text).startswith(">")
    except OtherFormat as error:
        if kind(path) in _TABLES | _BED:
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
        table = read_sequences(part.path, sequence=sequence, label=lone)
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


def read_sequences(path: Path, *, sequence: str, label: str) -> pd.DataFrame:
    """The rows of a table, of a FASTA file, or of a folder of these.

    ``sequence`` names the column of a FASTA file's letters, ``label`` that of a lone word after
    the name. An absent field is empty.
    """
    expected = "CSV, TSV, Parquet or FASTA"
    if path.is_dir():
        folder = sequence_folder(path)
        parts = folder.parts
        if not parts:
            raise UsageError(f"{path}: expected FASTA files or tables, got a folder without any")
        _require_own_folder(path, folder)
        return _read_folder(parts, sequence, label)
    return _read_checked(path, lambda: _fasta_or_table(path, sequence, label), expected)


def _fasta_or_table(path: Path, sequence: str, label: str) -> pd.DataFrame:
    if is_parquet(path):
        return _read_parquet(path)
    with text_stream(path) as text:
        first = beginning(text)
        if first.startswith((">", ";")) or (kind(path) in _FASTA and sequence not in first):
            return _fasta(text, sequence, label)
        return _delimited(text)


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a CSV, TSV or Parquet file with a header; an absent field is empty."""
    return _read_checked(path, lambda: _read_table(path), "CSV, TSV or Parquet")


def read_bed(path: Path) -> pd.DataFrame:
    """The rows of a BED file, under the names chrom, start, end, name, score, strand, 7, 8, ..."""
    return _read_checked(path, lambda: _bed(path), "BED")


def read_intervals(path: Path) -> pd.DataFrame:
    """The rows of BED, or of a table with a header, whose first name may begin with a #."""
    if is_bed(path):
        return read_bed(path)
    return read_table(path).rename(columns=lambda name: name.removeprefix("#"))


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


def kind(path: Path) -> str:
    """The suffix, without that of compression.

    >>> kind(Path("peaks.v2.BED.gz"))
    '.bed'
    """
    compressed = path.suffix.lower() in _COMPRESSED
    return (Path(path.stem) if compressed else path).suffix.lower()


def _read_checked(path: Path, reader: Callable[[], pd.DataFrame], expected: str) -> pd.DataFrame:
    try:
        table = reader()
    except (*READING_ERRORS, NotImplementedError) as error:
        # pyarrow's own errors are among these
        raise UsageError(
            f"{path}: expected a {expected} file, got: {reason(path, error)}"
        ) from error
    if table.empty:
        raise UsageError(f"{path}: expected rows, got a file without rows")
    return table.fillna("")


def _read_table(path: Path) -> pd.DataFrame:
    if is_parquet(path):
        return _read_parquet(path)
    with text_stream(path) as text:
        if beginning(text).startswith(">"):
            raise ValueError("FASTA, not a table")
        return _delimited(text)


def _delimited(text: TextIO) -> pd.DataFrame:
    """Rows of a table in text: the header shows the separator."""
    import pandas as pd

    separator = _separator(text)
    reader = csv.reader(text, delimiter=separator, strict=True, skipinitialspace=separator == " ")
    filled = (row for row in reader if any(map(str.strip, row)))
    try:
        names = _column_names(next(filled, []))
        rows = [_padded_row(row, number, len(names)) for number, row in enumerate(filled)]
    except csv.Error as error:
        raise ValueError(f"{error} (line {reader.line_num})") from error
    return pd.DataFrame(rows, columns=names, dtype=str)


def _separator(text: TextIO) -> str:
    """Leaves the text at its header; comments before it are passed over, and a line sep=; of Excel.

    A comment has a blank or another # behind its #: a header may begin with one.
    """
    start, line = 0, "\n"
    while line and (not line.strip() or re.match(r"#(\s|#)", line)):
        start, line = text.tell(), text.readline()
    if given := re.fullmatch(r"(?i)sep=(.)\s*", line):
        return given[1]
    text.seek(start)
    unquoted = re.sub(r'"[^"]*"', "", line.strip())
    candidates = [separator for separator in _SEPARATORS if separator in unquoted]
    if candidates[:2] == [";", ","] and unquoted.count(",") > unquoted.count(";"):
        return ","
    return candidates[0] if candidates else ","


def _column_names(header: list[str]) -> list[str]:
    """Without blanks about them; a column without a name has its number."""
    _require_few(len(header))
    names = [name.strip() or f"column {number}" for number, name in enumerate(header)]
    _require_different_names(names)
    return names


def _require_few(columns: int) -> None:
    if columns > _COLUMNS:
        raise ValueError(f"{columns:,} columns; expected one row per sequence, a few columns")


def _require_different_names(names: list[str]) -> None:
    """Columns that are looked for by name may not differ in case alone either."""
    folded = [name.casefold() if name.casefold() in _LOOKED_FOR else name for name in names]
    twice = [name for name, count in Counter(folded).items() if count > 1]
    if twice:
        raise ValueError(f"two columns of one name, {shortened(repr(twice[0]))}")


def _padded_row(row: list[str], number: int, width: int) -> list[str]:
    """With as many fields as the header has; empty ones behind these are no fields."""
    if any(map(str.strip, row[width:])):
        names = "; R writes names of rows so, unless row.names = FALSE"
        hint = names if not number and len(row) == width + 1 else ""
        raise ValueError(f"{len(row)} fields in row {number}, {width} in the header{hint}")
    return [*map(str.strip, row[:width])] + [""] * (width - len(row))


def _read_parquet(path: Path) -> pd.DataFrame:
    """Numbers as text: 1.0 is "1", and what is not a number is absent.

    Columns of lists and records are left out: they are nobody's label.
    """
    import pandas as pd
    import pyarrow as arrow
    from pyarrow import compute, parquet

    with path.open("rb") as stream:
        opened = parquet.ParquetFile(stream)
        _require_few(len(opened.schema_arrow.names))
        table = opened.read()
    _require_different_names([name.strip() for name in table.column_names])
    texts = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if arrow.types.is_nested(column.type):
            continue
        if arrow.types.is_floating(column.type):
            column = compute.if_else(compute.is_nan(column), None, column)
        texts[name.strip()] = column.cast(arrow.string()).to_pylist()
    return pd.DataFrame(texts, dtype=str)


def _fasta(text: TextIO, sequence: str, label: str) -> pd.DataFrame:
    import pandas as pd

    rows: list[dict[str, str]] = []
    for header, letters in _records(text):
        fields = _header(header, label, len(rows))
        if sequence in fields:
            raise ValueError(f"{shortened(repr(sequence))} in the header of row {len(rows)}")
        rows.append(fields | {sequence: letters})
    return pd.DataFrame(rows, dtype=str)


def fasta_records(text: TextIO) -> Iterator[tuple[str, str]]:
    """The name and the letters of each record of a FASTA file."""
    for header, letters in _records(text):
        yield (header[1:].split() or [""])[0], letters


def _records(text: TextIO) -> Iterator[tuple[str, str]]:
    """Headers and letters."""
    header = ""
    letters: list[str] = []
    for piece in _pieces(text):
        if piece.startswith(">"):
            if header:
                yield header, _without_blanks(letters)
            header, letters = piece, []
        elif header:
            letters.append(piece)
        else:
            line = piece.split("\n", 1)[0]
            raise ValueError(f"a FASTA file that begins with {line[:20]!r}, not with '>'")
    if header:
        yield header, _without_blanks(letters)


def _pieces(text: TextIO) -> Iterator[str]:
    """Headers, and letters of a line or, inside of a chromosome, where no line needs to be parsed,
    of many; lines that begin with ; are comments."""
    for block in iter(lambda: text.read(_BLOCK) + text.readline(), ""):
        if ">" in block or ";" in block:
            lines = filter(None, map(str.strip, block.split("\n")))
            yield from (line for line in lines if not line.startswith(";"))
        elif letters := block.strip():
            yield letters


def _without_blanks(letters: list[str]) -> str:
    joined = "".join(letters).replace("\n", "")
    return "".join(joined.split()) if " " in joined or "\t" in joined else joined


def _header(line: str, label: str, number: int = 0) -> dict[str, str]:
    """``>NAME key=value ...`` or ``>NAME LABEL`` -> columns.

    >>> _header(">peak7 label=1 split=test", "label")
    {'name': 'peak7', 'label': '1', 'split': 'test'}
    >>> _header(">peak7 1 split=test", "label")
    {'name': 'peak7', 'label': '1', 'split': 'test'}
    """
    name, lone, keyed = _header_words(line)
    columns = ["name", *(key.casefold() for key, _ in keyed)]
    if keyed:
        _require_different_keys(columns, number)
    row = {"name": name}
    if label and len(lone) == 1 and label.casefold() not in columns:
        row[label] = lone[0]
    return row | dict(keyed)


def _header_words(line: str) -> tuple[str, list[str], list[list[str]]]:
    """The name, the words without and those with a =, as key and value."""
    if "=" not in line:  # of most files, and of ten thousands of lines
        name, *lone = line[1:].split() or [""]
        return name, lone, []
    name, *fields = re.sub(r";(?=\w+=)", " ", line[1:]).split() or [""]
    keyed = [word.split("=", 1) for word in fields if "=" in word]
    return name, [word for word in fields if "=" not in word], keyed


def _require_different_keys(columns: list[str], number: int) -> None:
    _require_few(len(columns))
    twice = [key for key, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"{shortened(repr(twice[0]))} twice in the header of row {number}")


def _bed(path: Path) -> pd.DataFrame:
    import pandas as pd

    with text_stream(path) as text:
        beginning(text)
        rows = list(_bed_rows(text))
    widths = [width for width, _ in groupby(map(len, rows))]
    if len(widths) > 1:
        odd = next(row for row, fields in enumerate(rows) if len(fields) != widths[0])
        raise ValueError(f"{widths[0]} columns in row 0 and {widths[1]} in row {odd}")
    width = widths[0] if widths else 0
    _require_few(width)
    if 0 < width < 3:
        raise ValueError(f"{width} column{'s' if width > 1 else ''}, not chrom, start and end")
    return pd.DataFrame(rows, columns=[*_BED_COLUMNS, *map(str, range(7, width + 1))][:width])


def _bed_rows(text: TextIO) -> Iterator[list[str]]:
    """Fields between tabs, or between spaces in a line without tabs; comments are no rows."""
    for line in text:
        stripped = line.rstrip("\r\n")
        first = stripped.split(maxsplit=1)[:1]
        if first and not stripped.startswith("#") and first[0] not in ("track", "browser"):
            yield stripped.split("\t") if "\t" in stripped else stripped.split()
