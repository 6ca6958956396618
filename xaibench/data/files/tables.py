"""Tables as text: what a header divides, and Parquet."""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from xaibench.errors import shortened
from xaibench.storage.unpacking import require_unpacked

from .packed_rows import blocks_of_rows, packed_table

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as arrow

_SEPARATORS = "\t;,| "
"""The first of these that a header has divides its columns, but for ; and , of which the more
frequent does."""

_LOOKED_FOR = {
    *("sequence", "label", "split", "group", "region", "name", "id"),
    *("chrom", "chromosome", "start", "end", "strand"),
}

_COLUMNS = 10_000
"""A table of more columns has not one row per sequence."""

csv.field_size_limit(2**31 - 1)  # a sequence may be longer than 128 KiB


def read_delimited(text: TextIO) -> pd.DataFrame:
    """Rows of a table in text: the header shows the separator."""
    separator = _separator(text)
    reader = csv.reader(text, delimiter=separator, strict=True, skipinitialspace=separator == " ")
    filled = (row for row in reader if any(map(str.strip, row)))
    try:
        names = _column_names(next(filled, []))
        rows = (_padded_row(row, number, len(names)) for number, row in enumerate(filled))
        return packed_table(map(partial(_by_columns, names), blocks_of_rows(rows)), names)
    except csv.Error as error:
        raise ValueError(f"{error} (line {reader.line_num})") from error


def _by_columns(names: list[str], rows: list[list[str]]) -> dict[str, tuple[str, ...]]:
    return dict(zip(names, zip(*rows, strict=True), strict=True))


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
    require_few_columns(len(header))
    names = [name.strip() or f"column {number}" for number, name in enumerate(header)]
    _require_different_names(names)
    return names


def require_few_columns(columns: int) -> None:
    """ValueError for more than a table has that holds one row per sequence."""
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


def read_parquet(path: Path) -> pd.DataFrame:
    """Numbers as text: 1.0 is "1", and what is not a number is absent.

    Columns of lists and records are left out: they are nobody's label.
    """
    import pyarrow as arrow
    from pyarrow import compute

    table = _parquet_table(path)
    _require_different_names([name.strip() for name in table.column_names])
    texts: dict[str, arrow.ChunkedArray] = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if arrow.types.is_nested(column.type):
            continue
        if arrow.types.is_floating(column.type):
            column = compute.if_else(compute.is_nan(column), None, column)
        texts[name.strip()] = column.cast(arrow.large_string())
    rows: pd.DataFrame = arrow.table(texts).to_pandas()
    return rows


def _parquet_table(path: Path) -> arrow.Table:
    """Text as it is packed: every word once. ValueError where the file holds much more than its
    bytes, and where its words are so many that they would."""
    from pyarrow import parquet

    size = path.stat().st_size
    with path.open("rb") as stream:
        schema = parquet.ParquetFile(stream).schema_arrow
        require_few_columns(len(schema.names))
        texts = [field.name for field in schema if _is_text(field.type)]
        opened = parquet.ParquetFile(stream, read_dictionary=texts)
        groups = map(opened.metadata.row_group, range(opened.metadata.num_row_groups))
        rows = opened.metadata.num_rows
        require_unpacked(max(rows, sum(group.total_byte_size for group in groups)), size)
        table = opened.read()
    require_unpacked(sum(map(_letters, table.columns)), size)
    return table


def _is_text(kind: arrow.DataType) -> bool:
    import pyarrow as arrow

    return bool(arrow.types.is_string(kind) or arrow.types.is_large_string(kind))


def _letters(column: arrow.ChunkedArray) -> int:
    """Of a column whose words are there once, how many letters its rows have."""
    import pyarrow as arrow
    from pyarrow import compute

    if not arrow.types.is_dictionary(column.type):
        return 0
    lengths = (
        compute.take(compute.binary_length(part.dictionary), part.indices) for part in column.chunks
    )
    return sum(compute.sum(each).as_py() or 0 for each in lengths)
