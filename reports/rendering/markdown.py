"""A document as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from ..content.document import Answer, Document, Listing, Name, Section, Verdict
from ..format.numbers import brief
from ..tables.table import Cell, Table

_SPECIAL = str.maketrans(
    {
        **{"<": "&lt;", ">": "&gt;", "&": "&amp;", "\n": " "},
        **{letter: f"\\{letter}" for letter in "\\|`*~$"},
    }
)
_EDGE = re.compile(r"(?<![\w\\])_|_(?!\w)|(?<=\])\(")
"""An underscore that could begin or end stress, and what could begin the address of a link."""


def markdown_of(document: Document) -> str:
    """The document; the tables of folded sections, and folded tables, open on a click."""
    return "\n\n".join(
        [
            f"# {plain(document.title)}",
            *(f"> **{plain(warning)}**" for warning in document.warnings),
            *map(_verdict_list, document.verdicts),
            *(f"> {plain(caution)}" for caution in document.cautions),
            *(_section_text(each) for each in document.sections if not each.figures_alone),
        ]
    )


def plain(text: str) -> str:
    """Text that Markdown shows as it is, in one line.

    >>> plain("a|b <c>")
    'a\\\\|b &lt;c&gt;'
    """
    return _EDGE.sub(lambda match: f"\\{match[0]}", text.translate(_SPECIAL))


def _verdict_list(verdict: Verdict) -> str:
    lines = [line for answer in verdict.answers for line in _answer_lines(answer)]
    return "\n".join([f"## {plain(verdict.title)}", "", *lines])


def _answer_lines(answer: Answer) -> Iterator[str]:
    """A list of the sentences, below the question where there is one."""
    if answer.question:
        yield f"- *{answer.question}*"
    indent = "  " if answer.question else ""
    for sentence in answer.sentences:
        yield f"{indent}- {''.join(map(_emphasised, sentence))}"
    if answer.command:
        yield f"{indent}- <code>{plain(answer.command)}</code>"


def _emphasised(part: str | Name) -> str:
    if isinstance(part, str):
        return plain(part)
    return f"**{plain(part.text)}**" if part.trusted else plain(part.text)


def _section_text(section: Section) -> str:
    """A heading, paragraphs, tables, terms and listings."""
    return "\n\n".join(
        [
            f"## {plain(section.title)}",
            *map(plain, section.paragraphs),
            *_pipe_tables(section),
            *_terms(section.terms),
            *map(_listing, section.listings),
        ]
    )


def _pipe_tables(section: Section) -> Iterator[str]:
    """Those that are open, and behind a click the others."""
    is_folded = [section.folded or table.folded for table in section.tables]
    pairs = list(zip(section.tables, is_folded, strict=True))
    yield from (_pipe_table(table) for table, folded in pairs if not folded)
    hidden = [_pipe_table(table) for table, folded in pairs if folded]
    if hidden:
        yield _details(f"{len(hidden)} table{'s' if len(hidden) > 1 else ''}", hidden)


def _terms(terms: Iterable[tuple[str, str]]) -> Iterator[str]:
    lines = [f"- **{plain(term)}**: {plain(meaning)}" for term, meaning in terms]
    if lines:
        yield _details("Every term and metric", ["\n".join(lines)])


def _listing(listing: Listing) -> str:
    code = "\n".join(f"    {line}" for line in listing.text.splitlines())
    if listing.folded:
        return _details(listing.title, [code])
    note = [plain(listing.note)] if listing.note else []
    return "\n\n".join([f"**{plain(listing.title)}**", *note, code])


def _details(summary: str, parts: Iterable[str]) -> str:
    """What opens on a click."""
    head = f"<details><summary>{plain(summary)}</summary>"
    return "\n\n".join([head, *parts, "</details>"])


def _pipe_table(table: Table) -> str:
    """A table with its caption above, its notes below."""
    rule = ["---" if head.prose else "---:" for head in table.heads]
    rows = [[_cell(cell, table.notes) for cell in row] for row in table.rows]
    notes = [f"<sup>{letter}</sup> {plain(brief(why))}  " for why, letter in table.notes.items()]
    return "\n".join(
        [
            f"**{plain(table.caption)}**",
            *(["", plain(table.gloss)] if table.gloss else []),
            "",
            *map(_line, (map(plain, table.header), rule, *rows)),
            *([""] if notes else []),
            *notes,
            *(["", plain(table.note)] if table.note else []),
        ]
    )


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _cell(cell: Cell, notes: Mapping[str, str]) -> str:
    text = plain(cell.text) + (f"<sup>{notes[cell.note]}</sup>" if cell.noted else "")
    return f"{text} ({plain(cell.remark)})" if cell.remark else text
