"""A table to be rendered, and the one kind that most are: rows of methods, columns of measures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from ..format.numbers import (
    ABSENT,
    MARKS,
    TIMES,
    apart_from,
    decimals_of,
    direction,
    mean_and_interval,
    usual_counts,
    why,
)

CANNOT = "cannot discriminate here"
"""Stands in the place of a rank by a metric that failed its self-test."""

COUNTS = f"sequences\N{NO-BREAK SPACE}{TIMES}\N{NO-BREAK SPACE}seeds"
"""Heads the row that says what the numbers above are made of."""

COUNTED = f"Sequences {TIMES} seeds"
"""Heads a column that says what the numbers beside it are made of."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one place of a table says; ``note`` tells why it says nothing."""

    text: str
    note: str = ""
    method: str = ""

    @property
    def noted(self) -> bool:
        """Whether its note stands below the table."""
        return bool(self.note) and (ABSENT in self.text or self.text == CANNOT)


@dataclass(frozen=True, slots=True)
class Table:
    """A table to be rendered: its first column heads the rows, ``words`` are columns of words.

    ``narrow`` breaks its places into lines; ``folded`` opens on a click, where a click can be.
    """

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    words: frozenset[int] = frozenset({0})
    narrow: bool = False
    folded: bool = False

    @property
    def notes(self) -> dict[str, str]:
        """Why some of its places are empty: the reason and its letter, in order of appearance."""
        notes = dict.fromkeys(cell.note for row in self.rows for cell in row if cell.noted)
        return {note: _letter(place) for place, note in enumerate(notes)}


@dataclass(frozen=True, slots=True)
class Column:
    """One measure: its head, its estimates (one a method), and the differences that mark them.

    ``footer`` stands in a last row of its own, such as the level of chance.
    """

    head: str
    estimates: pd.DataFrame
    marks: pd.DataFrame | None = None
    footer: str = ""


def grid(
    caption: str, columns: Sequence[Column], names: Iterable[str], *, footer: str = ""
) -> Table | None:
    """Methods down, measures across; a mark says how each stands to what it is compared with.

    A place names its own numbers of sequences and seeds where they are not those of its column.
    None where no column has a row of these ``names``.
    """
    named = list(dict.fromkeys(names))
    wanted = [own for column in columns if len((own := _only(column, named)).estimates)]
    if not wanted:
        return None
    filled = [_cells(column) for column in wanted]
    body = [
        (Cell(name, method=name), *(cells.get(name, Cell("")) for cells in filled))
        for name in named
        if any(name in cells for cells in filled)
    ]
    body.append((Cell(COUNTS), *(Cell(usual_counts(column.estimates)) for column in wanted)))
    if any(column.footer for column in wanted):
        body.append((Cell(footer), *(Cell(column.footer) for column in wanted)))
    return Table(caption, ("Method", *(column.head for column in wanted)), tuple(body))


def estimated(
    estimate: pd.Series[Any], decimals: int, *, usual: str, marked: pd.Series[Any] | None = None
) -> Cell:
    """A mean with its interval, its mark, and its counts where they are not the usual ones."""
    known = marked is not None and not math.isnan(estimate["mean"])
    mark = MARKS[direction(marked)] if known and marked is not None else ""
    text = mean_and_interval(estimate, decimals) + mark + apart_from(usual, estimate)
    return Cell(text, note=why(estimate))


def _only(column: Column, names: Sequence[str]) -> Column:
    return replace(column, estimates=column.estimates[column.estimates["method"].isin(names)])


def _cells(column: Column) -> dict[str, Cell]:
    usual, decimals = usual_counts(column.estimates), decimals_of(column.estimates)
    marks = _by_method(column.marks) if column.marks is not None else {}
    return {
        method: estimated(row, decimals, usual=usual, marked=marks.get(method))
        for method, row in _by_method(column.estimates).items()
    }


def _by_method(estimates: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    return {str(row["method"]): row for _, row in estimates.iterrows()}


def _letter(place: int) -> str:
    """a, b ... z, aa, bb ..."""
    return chr(ord("a") + place % 26) * (place // 26 + 1)
