"""BED: intervals as rows of fields without a header."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .content import beginning, text_stream
from .tables import require_few_columns

if TYPE_CHECKING:
    import pandas as pd

_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")


def bed_table(path: Path) -> pd.DataFrame:
    """A row per interval, all of as many columns; ValueError where they differ."""
    import pandas as pd

    with text_stream(path) as text:
        beginning(text)
        rows = list(bed_rows(text))
    widths = [width for width, _ in groupby(map(len, rows))]
    if len(widths) > 1:
        odd = next(row for row, fields in enumerate(rows) if len(fields) != widths[0])
        raise ValueError(f"{widths[0]} columns in row 0 and {widths[1]} in row {odd}")
    width = widths[0] if widths else 0
    require_few_columns(width)
    if 0 < width < 3:
        raise ValueError(f"{width} column{'s' if width > 1 else ''}, not chrom, start and end")
    return pd.DataFrame(rows, columns=[*_BED_COLUMNS, *map(str, range(7, width + 1))][:width])


def bed_rows(text: TextIO) -> Iterator[list[str]]:
    """Fields between tabs, or between spaces in a line without tabs; comments are no rows."""
    for line in text:
        stripped = line.rstrip("\r\n")
        first = stripped.split(maxsplit=1)[:1]
        if first and not stripped.startswith("#") and first[0] not in ("track", "browser"):
            yield stripped.split("\t") if "\t" in stripped else stripped.split()
