"""Rows of text packed as they are read: a letter takes a byte, a field no Python object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, TypeVar, overload

if TYPE_CHECKING:
    import pandas as pd

_ROWS = 4096
"""So many rows are Python objects at a time."""

_Row = TypeVar("_Row")


def blocks_of_rows(rows: Iterable[_Row]) -> Iterator[list[_Row]]:
    """The rows in their order, some at a time."""
    left = iter(rows)
    return iter(lambda: list(islice(left, _ROWS)), [])


def packed_table(
    blocks: Iterable[Mapping[str, Sequence[str]]], columns: Sequence[str] = ()
) -> pd.DataFrame:
    """One table of the rows of all blocks, each a mapping of columns to fields.

    ``columns`` come first, and are there without rows too; others in the order in which blocks
    bring them. A field of a column that its block lacks is empty.

    >>> packed_table([{"name": ["a"]}, {"name": ["b"], "label": ["1"]}]).to_numpy().tolist()
    [['a', ''], ['b', '1']]
    """
    import pyarrow as arrow

    def packed(fields: Sequence[str]) -> arrow.Array:
        return arrow.array(fields, arrow.large_string())

    counts: list[int] = []
    parts: dict[str, list[arrow.Array]] = {name: [] for name in columns}
    for block in blocks:
        count = len(next(iter(block.values())))
        for name in block:
            if name not in parts:
                parts[name] = [packed([""] * earlier) for earlier in counts]
        for name, column in parts.items():
            column.append(packed(block.get(name) or [""] * count))
        counts.append(count)
    arrays = [arrow.chunked_array(column, arrow.large_string()) for column in parts.values()]
    table: pd.DataFrame = arrow.table(arrays, names=[*parts]).to_pandas()
    return table


class PackedLetters(Sequence[str]):
    """The letters of each sequence, of a column of a table: strings of some rows at a time."""

    def __init__(self, column: pd.Series[str]) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    @overload
    def __getitem__(self, rows: int) -> str: ...
    @overload
    def __getitem__(self, rows: slice) -> list[str]: ...
    def __getitem__(self, rows: int | slice) -> str | list[str]:
        """One sequence, or a list of some."""
        if isinstance(rows, slice):
            return self._column.iloc[rows].tolist()
        return str(self._column.iloc[rows])

    def __iter__(self) -> Iterator[str]:
        for start in range(0, len(self), _ROWS):
            yield from self[start : start + _ROWS]
