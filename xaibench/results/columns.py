"""What a column and a table of a run folder are, and whether a table that was read is as described.

>>> import pandas as pd
>>> column = Column("p", ColumnKind.NUMBER, "(0, 1]", "two-sided p")
>>> wrong_type(column, pd.Series(["low"]))
"a number in the column p, got 'low'"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


Row = dict[str, Any]
"""A row that is to be written: column -> value."""


class ColumnKind(StrEnum):
    """The type of a column. Empty text means "none"; an empty number is NaN."""

    TEXT = "text"
    NUMBER = "number"
    INTEGER = "integer"


@dataclass(frozen=True, slots=True)
class Column:
    """``unit`` is its unit or range, ``empty`` when it holds nothing.

    ``allowed`` are the values that it may have, where these are a closed list.
    """

    name: str
    kind: ColumnKind
    unit: str
    meaning: str
    empty: str = "never"
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TableSchema:
    """A table of a run folder.

    ``name`` is that of its attribute in ``Results``; ``holds`` and ``row`` say what is in it and
    what a row is. ``made_by`` is the function that makes it, ``module:function``: its parameters
    are the names of other tables or of what ``runs.tables.Ingredients`` has. ``more`` is a regular
    expression for the names of further columns that it may have. Runs of version 0.1 lack a
    ``later`` one.
    """

    name: str
    file: str
    holds: str
    row: str
    made_by: str
    columns: tuple[Column, ...]
    more: str = ""
    later: bool = False

    @property
    def names(self) -> list[str]:
        """The names of its columns, in their order."""
        return [column.name for column in self.columns]

    @property
    def texts(self) -> frozenset[str]:
        """The columns that hold text."""
        return frozenset(column.name for column in self.columns if column.kind == ColumnKind.TEXT)


def problem(table: TableSchema, frame: pd.DataFrame) -> str:
    """What was expected of the table and what came, of the first thing that is wrong; else empty.

    A missing column, one that is not known, one of another type.
    """
    types = (wrong_type(column, frame[column.name]) for column in table.columns)
    return other_columns(table, frame) or next(filter(None, types), "")


def other_columns(table: TableSchema, frame: pd.DataFrame) -> str:
    """The same of the names of the columns alone."""
    missing = [name for name in table.names if name not in frame]
    if missing:
        return f"the column {missing[0]}, got {list(frame)}"
    unknown = [name for name in map(str, frame) if not _is_known(table, name)]
    if unknown:
        return f"no column but {', '.join(table.names)}, got {unknown[0]}"
    return ""


def _is_known(table: TableSchema, name: str) -> bool:
    return name in table.names or bool(table.more and re.fullmatch(table.more, name))


def wrong_type(column: Column, values: pd.Series[Any]) -> str:
    """The same of the values of one column; a table without rows has no types."""
    import pandas as pd

    if not len(values):
        return ""
    if column.kind == ColumnKind.TEXT:
        labels = values.cat.categories if values.dtype == "category" else values
        return "" if pd.api.types.is_string_dtype(labels) else _got(column, "text", values)
    if not pd.api.types.is_numeric_dtype(values):
        return _got(column, "a number", values)
    if column.kind == ColumnKind.INTEGER and not pd.api.types.is_integer_dtype(values):
        known = values.to_numpy(np.float64, na_value=np.nan)
        whole = np.isfinite(known) & (np.trunc(known) == known)
        other = known[~np.isnan(known) & ~whole]
        return _got(column, "an integer", pd.Series(other)) if other.size else ""
    return ""


def _got(column: Column, expected: str, values: pd.Series[Any]) -> str:
    import pandas as pd

    try:
        numbers = pd.to_numeric(values.astype("object"), errors="coerce")
    except OverflowError:
        return f"{expected} in the column {column.name}, got one that is beyond all bounds"
    odd = values[numbers.isna()] if expected == "a number" and numbers.isna().any() else values
    return f"{expected} in the column {column.name}, got {odd.tolist()[0]!r}"
