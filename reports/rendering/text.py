"""A document as plain text, for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from io import StringIO
from textwrap import fill

from rich import box, table
from rich.console import Console
from rich.text import Text

from ..content.document import Document, Name, Section, Verdict
from ..format.numbers import brief
from ..tables.table import Cell, Table

SENTENCE_WIDTH = 100
"""Of sentences; tables are as wide as their columns."""

UNLIMITED = 10_000


def text_of(document: Document, *, last: str = "") -> str:
    """The document without its folded tables; the tables of the section ``last`` come last."""
    sections = [section for section in document.sections if section.anchor != last]
    final = [section for section in document.sections if section.anchor == last]
    lines = [
        document.title,
        *document.facts,
        *map(_wrapped, (*document.warnings, *document.cautions)),
        *(line for verdict in document.verdicts for line in _verdict_lines(verdict)),
        *(line for section in sections for line in _section_lines(section)),
        *_folded_count(sections),
        *(line for section in final for table in section.tables for line in _table_lines(table)),
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _verdict_lines(verdict: Verdict) -> Iterator[str]:
    yield from _heading_lines(verdict.title)
    for answer in verdict.answers:
        if answer.question:
            yield answer.question
        for sentence in answer.sentences:
            parts = (part.text if isinstance(part, Name) else part for part in sentence)
            yield _wrapped("".join(parts))
        if answer.command:
            yield f"  {answer.command}"
    for caution in verdict.cautions:
        yield _wrapped(f"! {caution}", "  ")


def _section_lines(section: Section) -> Iterator[str]:
    yield from _heading_lines(section.title)
    yield from map(_wrapped, section.paragraphs)
    for each in section.tables:
        if not each.folded:
            yield from _table_lines(each)


def _folded_count(sections: list[Section]) -> Iterator[str]:
    folded = sum(table.folded for section in sections for table in section.tables)
    if folded:
        yield from ("", f"{folded} longer tables are left out: -o FOLDER writes them all.")


def _heading_lines(title: str) -> Iterator[str]:
    yield from ("", title, "-" * len(title))


def _table_lines(content: Table) -> Iterator[str]:
    """A caption, the table, and the reasons of empty cells."""
    notes = content.notes
    grid = table.Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for head in content.heads:
        # names and numbers are no markup, and are never cut
        grid.add_column(Text(head.text), justify="left" if head.prose else "right", no_wrap=True)
    for row in content.rows:
        grid.add_row(*(Text(_with_letter(cell, notes)) for cell in row))
    console = Console(file=StringIO(), width=UNLIMITED, color_system=None, legacy_windows=False)
    with console.capture() as printed:
        console.print(grid)
    yield from ("", content.caption, *printed.get().splitlines())
    yield from (_wrapped(f"({letter}) {brief(why)}", "    ") for why, letter in notes.items())


def _with_letter(cell: Cell, notes: dict[str, str]) -> str:
    return f"{cell.text} ({notes[cell.note]})" if cell.noted else cell.text


def _wrapped(sentence: str, indent: str = "") -> str:
    return fill(sentence, SENTENCE_WIDTH, subsequent_indent=indent, break_on_hyphens=False)
