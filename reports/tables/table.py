"""The table of a report, whatever it is rendered to, and the one kind that most are: methods down,
measures across."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd

from ..format.numbers import (
    ABSENT,
    MARKS,
    apart_from,
    corrected_p,
    decimals_of,
    direction,
    mean_and_interval,
    probability,
    usual_counts,
    why,
)
from ..format.replicates import ReplicateTerms
from ..format.select import TableRow, rows_of
from .whisker import Scale, Whisker

CANNOT = "cannot discriminate here"
"""In the place of a rank by a metric that failed its self-test."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    ``value`` is what a page sorts by where that is not the text (NaN is last), ``interval`` is
    drawn beside the text, ``note`` says why a number is missing, ``remark`` is printed below the
    text. ``method`` is the method that the cell names, ``link`` where the text leads.
    """

    text: str
    value: float | None = None
    note: str = ""
    remark: str = ""
    method: str = ""
    interval: Whisker | None = None
    strong: bool = False
    link: str = ""

    @property
    def noted(self) -> bool:
        """Whether its note is printed below the table."""
        return bool(self.note) and (ABSENT in self.text or self.text == CANNOT)

    @property
    def key(self) -> str:
        """What a page sorts by; empty where the number is not known."""
        if self.value is None:
            return self.text
        return "" if math.isnan(self.value) else f"{self.value:.6g}"


EMPTY = Cell("", math.nan)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column of text (``prose``) or of numbers; ``descending`` where a first click
    sorts the largest number to the top. ``hint`` is shown on demand."""

    text: str
    hint: str = ""
    prose: bool = False
    descending: bool = False


def heads(*texts: str, prose: Collection[int] = (0,)) -> tuple[Head, ...]:
    """The heads of columns, those at the places of ``prose`` of text."""
    return tuple(Head(text, prose=place in prose) for place, text in enumerate(texts))


@dataclass(frozen=True, slots=True)
class Choice:
    """What a page offers to choose rows by, such as a model: the values of each row, and the one
    that is ``chosen`` when the page opens, all if empty."""

    name: str
    of_rows: tuple[tuple[str, ...], ...]
    chosen: str = ""

    @property
    def values(self) -> list[str]:
        return list(dict.fromkeys(value for values in self.of_rows for value in values))

    def numbers(self, row: int) -> str:
        """The places of the values of a row among all."""
        values = self.values
        return " ".join(str(values.index(value)) for value in self.of_rows[row])


@dataclass(frozen=True, slots=True)
class Filters:
    """What a page filters the rows of a table by: ``choices``, and where there is a ``label``,
    whether a row is ``ahead``, which is what it says."""

    choices: tuple[Choice, ...]
    ahead: tuple[bool, ...] = ()
    label: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its first column heads the rows.

    ``name`` is unique within a report. ``narrow`` columns break their cells into lines; ``folded``
    tables open on a click, where a click can be. Tables with ``filters`` are sorted and filtered in
    the page; ``gloss`` is read before them, ``note`` after.
    """

    caption: str
    heads: tuple[Head, ...]
    rows: tuple[tuple[Cell, ...], ...]
    name: str = ""
    narrow: bool = False
    folded: bool = False
    filters: Filters | None = None
    gloss: str = ""
    note: str = ""

    @property
    def header(self) -> tuple[str, ...]:
        return tuple(head.text for head in self.heads)

    @property
    def notes(self) -> dict[str, str]:
        """Why cells are empty: the reason and its letter, in order of appearance."""
        notes = dict.fromkeys(cell.note for row in self.rows for cell in row if cell.noted)
        return {note: _note_letter(place) for place, note in enumerate(notes)}

    @property
    def drawn(self) -> list[bool]:
        """For each column, whether intervals are drawn in it."""
        return [any(row[place].interval for row in self.rows) for place in range(len(self.heads))]

    def method_of_row(self, row: int) -> str:
        """The method that a row is about; empty where it is about none."""
        return next((cell.method for cell in self.rows[row] if cell.method), "")

    def without_empty_columns(self) -> Table:
        """The table of the columns that have a text or number in at least one row."""
        filled = [
            place
            for place in range(len(self.heads))
            if any(row[place].text not in ("", ABSENT) for row in self.rows)
        ]
        return replace(
            self,
            heads=tuple(self.heads[place] for place in filled),
            rows=tuple(tuple(row[place] for place in filled) for row in self.rows),
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """A column of a ``grid``: its head, one estimate per method, the differences that mark them.

    ``footer`` is the cell of a last row, such as the level of chance.
    """

    head: str
    estimates: pd.DataFrame
    marks: pd.DataFrame | None = None
    footer: str = ""


def grid(
    caption: str,
    measures: Sequence[Measure],
    names: Iterable[str],
    *,
    terms: ReplicateTerms,
    footer: str = "",
) -> Table | None:
    """Methods down, measures across; a mark says how each compares with its reference.

    A cell names its own numbers of sequences and replicates where they are not those of its column.
    None where no measure has a row of these ``names``.
    """
    named = list(dict.fromkeys(names))
    known = [own for measure in measures if len((own := _restricted(measure, named)).estimates)]
    if not known:
        return None
    filled = [_measure_cells(measure) for measure in known]
    body = [
        (Cell(name, method=name), *(cells.get(name, EMPTY) for cells in filled))
        for name in named
        if any(name in cells for cells in filled)
    ]
    body.append((Cell(terms.counts), *(Cell(usual_counts(measure.estimates)) for measure in known)))
    if any(measure.footer for measure in known):
        body.append((Cell(footer), *(Cell(measure.footer) for measure in known)))
    return Table(caption, heads("Method", *(measure.head for measure in known)), tuple(body))


def estimated(
    estimate: TableRow | None,
    decimals: int,
    *,
    usual: str | None = None,
    marked: TableRow | None = None,
    scale: Scale | None = None,
) -> Cell:
    """A mean with its interval (drawn where there is a ``scale``), its mark, and its counts
    where these are not the ``usual`` ones. Empty where there is no estimate."""
    if estimate is None:
        return EMPTY
    known = marked is not None and not math.isnan(estimate["mean"])
    mark = MARKS[direction(marked)] if known and marked is not None else ""
    own = "" if usual is None else apart_from(usual, estimate)
    text = mean_and_interval(estimate, decimals) + mark + own
    interval = scale.whisker(estimate) if scale else None
    return Cell(text, float(estimate["mean"]), note=why(estimate), interval=interval)


def p_cell(estimate: TableRow) -> Cell:
    """The corrected p value over replicates; with one, for these trained models."""
    p, _ = corrected_p(estimate)
    return Cell(probability(p), p, note=str(estimate["reason"]) if math.isnan(p) else "")


def by_method(estimates: pd.DataFrame) -> dict[str, TableRow]:
    """Method -> its row."""
    return {str(row["method"]): row for row in rows_of(estimates)}


def _restricted(measure: Measure, names: Sequence[str]) -> Measure:
    estimates = measure.estimates
    return replace(measure, estimates=estimates[estimates["method"].isin(names)])


def _measure_cells(measure: Measure) -> dict[str, Cell]:
    usual, decimals = usual_counts(measure.estimates), decimals_of(measure.estimates)
    marks = by_method(measure.marks) if measure.marks is not None else {}
    return {
        method: estimated(row, decimals, usual=usual, marked=marks.get(method))
        for method, row in by_method(measure.estimates).items()
    }


def _note_letter(place: int) -> str:
    """a, b ... z, aa, bb ..."""
    return chr(ord("a") + place % 26) * (place // 26 + 1)
