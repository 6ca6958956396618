"""BED: intervals as rows of fields without a header."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .content import beginning, text_stream
from .packed_rows import blocks_of_rows, packed_table
from .tables import require_few_columns

if TYPE_CHECKING:
    import pandas as pd

_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")


def bed_table(path: Path) -> pd.DataFrame:
    """A row per interval, all of as many columns; ValueError where they differ."""
    with text_stream(path) as text:
        beginning(text)
        return packed_table(map(_by_columns, blocks_of_rows(_like_rows(text))))


def _like_rows(text: TextIO) -> Iterator[list[str]]:
    """``bed_rows``, all of as many fields."""
    width = 0
    for number, fields in enumerate(bed_rows(text)):
        width = width or len(fields)
        if len(fields) != width:
            raise ValueError(f"{width} columns in row 0 and {len(fields)} in row {number}")
        yield fields


def _by_columns(rows: list[list[str]]) -> dict[str, tuple[str, ...]]:
    width = len(rows[0])
    require_few_columns(width)
    if width < 3:
        raise ValueError(f"{width} column{'s' if width > 1 else ''}, not chrom, start and end")
    names = [*_BED_COLUMNS, *map(str, range(7, width + 1))][:width]
    return dict(zip(names, zip(*rows, strict=True), strict=True))


def bed_rows(text: TextIO) -> Iterator[list[str]]:
    """Fields between tabs, or between spaces in a line without tabs; comments are no rows."""
    for line in text:
        stripped = line.rstrip("\r\n")
        first = stripped.split(maxsplit=1)[:1]
        if first and not stripped.startswith("#") and first[0] not in ("track", "browser"):
            yield stripped.split("\t") if "\t" in stripped else stripped.split()
