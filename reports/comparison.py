"""The forms of a comparison of runs: a page, a text for the terminal, a table of every figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from textwrap import fill

import pandas as pd

from xaibench.comparison.comparison import Comparison

from .content.comparison import Said, gates, parts, title, verdicts
from .format.numbers import brief
from .format.paths import without_folders
from .tables.grid import Cell, Table
from .web.assets import unscripted
from .web.templates import template

_WIDTH = 100


def html(comparison: Comparison) -> dict[str, str]:
    """``comparison.html``: runs side by side for a reader, in one file without a script."""
    page = template("comparison").render(
        title=title(comparison),
        assets=unscripted(),
        styles={},
        runs=comparison.runs,
        gates=gates(comparison),
        verdicts=verdicts(comparison),
        parts=parts(comparison),
    )
    return {"comparison.html": page}


def text(comparison: Comparison) -> dict[str, str]:
    """``comparison.txt``: what the command line prints; the gates stand last."""
    board = gates(comparison)
    lines = [
        title(comparison),
        *(f"{run.letter}: {run.name}" for run in comparison.runs),
        *(line for said in verdicts(comparison) for line in _verdict(said)),
        *_tables(comparison),
        *(_table(board) if board else ()),
    ]
    return {"comparison.txt": "\n".join(line.rstrip() for line in lines) + "\n"}


def csv(comparison: Comparison) -> dict[str, str]:
    """``comparison.csv``: every figure that two runs share, all digits."""
    names = {run.letter: run.name for run in comparison.runs}
    rows = pd.concat([pair.rows for pair in comparison.pairs], ignore_index=True)
    for place, side in enumerate(("first", "second")):
        rows.insert(2 * place, f"{side}_run", rows[side].map(names))
    rows["reason"] = rows["reason"].map(without_folders)
    return {"comparison.csv": rows.to_csv(index=False, lineterminator="\n")}


def _verdict(said: Said) -> Iterator[str]:
    yield from ("", said.title, "-" * len(said.title))
    for sentence in said.sentences:
        yield _wrapped(sentence)
    for caution in said.cautions:
        yield _wrapped(f"! {caution}", "  ")


def _tables(comparison: Comparison) -> Iterator[str]:
    """The tables that stand open; of the others, that there are such."""
    folded = 0
    for part in parts(comparison):
        shown = [table for table in part.tables if not table.folded]
        folded += len(part.tables) - len(shown)
        yield from ("", part.title, "-" * len(part.title))
        if part.lead:
            yield _wrapped(part.lead)
        for table in shown:
            yield from _table(table)
    if folded:
        yield from ("", f"{folded} longer tables are left out here: -o FOLDER writes them all.")


def _table(table: Table) -> Iterator[str]:
    notes = table.notes
    body = [[_place(cell, notes) for cell in row] for row in table.rows]
    widths = [max(map(len, column)) for column in zip(table.header, *body, strict=True)]
    yield from ("", table.caption, _line(table.header, widths, table))
    yield from (_line(row, widths, table) for row in body)
    yield from (_wrapped(f"({letter}) {brief(why)}", "    ") for why, letter in notes.items())


def _place(cell: Cell, notes: dict[str, str]) -> str:
    return f"{cell.text} ({notes[cell.note]})" if cell.noted else cell.text


def _line(places: Iterable[str], widths: list[int], table: Table) -> str:
    return "  ".join(
        place.ljust(width) if column in table.words else place.rjust(width)
        for column, (place, width) in enumerate(zip(places, widths, strict=True))
    )


def _wrapped(words: str, indent: str = "") -> str:
    return fill(words, _WIDTH, subsequent_indent=indent, break_on_hyphens=False)
