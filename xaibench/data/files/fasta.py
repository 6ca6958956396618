"""FASTA: the records of a file, and rows made of their headers and letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, TextIO

from xaibench.errors import shortened

from .packed_rows import blocks_of_rows, packed_table
from .tables import require_few_columns

if TYPE_CHECKING:
    import pandas as pd

_BLOCK = 2**22
"""Letters of a FASTA file that are read at once."""


def fasta_rows(text: TextIO, sequence: str, label: str) -> pd.DataFrame:
    """A row per record: what its header says, and its letters in the column ``sequence``."""
    return packed_table(map(_by_columns, blocks_of_rows(_rows(text, sequence, label))))


def _rows(text: TextIO, sequence: str, label: str) -> Iterator[dict[str, str]]:
    for number, (header, letters) in enumerate(_records(text)):
        fields = _header(header, label, number)
        if sequence in fields:
            raise ValueError(f"{shortened(repr(sequence))} in the header of row {number}")
        fields[sequence] = letters
        yield fields


def _by_columns(rows: list[dict[str, str]]) -> dict[str, list[str]]:
    """An absent field is empty."""
    columns = dict.fromkeys(chain.from_iterable(rows))
    return {name: [row.get(name, "") for row in rows] for name in columns}


def fasta_records(text: TextIO) -> Iterator[tuple[str, str]]:
    """The name and the letters of each record of a FASTA file."""
    for header, letters in _records(text):
        yield (header[1:].split() or [""])[0], letters


def _records(text: TextIO) -> Iterator[tuple[str, str]]:
    """Headers and letters."""
    header = ""
    letters: list[str] = []
    for piece in _pieces(text):
        if piece.startswith(">"):
            if header:
                yield header, _without_blanks(letters)
            header, letters = piece, []
        elif header:
            letters.append(piece)
        else:
            line = piece.split("\n", 1)[0]
            raise ValueError(f"a FASTA file that begins with {line[:20]!r}, not with '>'")
    if header:
        yield header, _without_blanks(letters)


def _pieces(text: TextIO) -> Iterator[str]:
    """Headers, and letters of a line or, inside of a chromosome, where no line needs to be parsed,
    of many; lines that begin with ; are comments."""
    for block in iter(lambda: text.read(_BLOCK) + text.readline(), ""):
        if ">" in block or ";" in block:
            lines = filter(None, map(str.strip, block.split("\n")))
            commented = ";" in block
            yield from (line for line in lines if line[0] != ";") if commented else lines
        elif letters := block.strip():
            yield letters


def _without_blanks(letters: list[str]) -> str:
    joined = "".join(letters).replace("\n", "")
    return "".join(joined.split()) if " " in joined or "\t" in joined else joined


def _header(line: str, label: str, number: int = 0) -> dict[str, str]:
    """``>NAME key=value ...`` or ``>NAME LABEL`` -> columns.

    >>> _header(">peak7 label=1 split=test", "label")
    {'name': 'peak7', 'label': '1', 'split': 'test'}
    >>> _header(">peak7 1 split=test", "label")
    {'name': 'peak7', 'label': '1', 'split': 'test'}
    """
    name, lone, keyed = _header_words(line)
    columns = ["name", *(key.casefold() for key, _ in keyed)]
    if keyed:
        _require_different_keys(columns, number)
    row = {"name": name}
    if label and len(lone) == 1 and label.casefold() not in columns:
        row[label] = lone[0]
    return row | dict(keyed) if keyed else row


def _header_words(line: str) -> tuple[str, list[str], list[list[str]]]:
    """The name, the words without and those with a =, as key and value."""
    if "=" not in line:  # of most files, and of ten thousands of lines
        name, *lone = line[1:].split() or [""]
        return name, lone, []
    name, *fields = re.sub(r";(?=\w+=)", " ", line[1:]).split() or [""]
    keyed = [word.split("=", 1) for word in fields if "=" in word]
    return name, [word for word in fields if "=" not in word], keyed


def _require_different_keys(columns: list[str], number: int) -> None:
    require_few_columns(len(columns))
    twice = [key for key, count in Counter(columns).items() if count > 1]
    if twice:
        raise ValueError(f"{shortened(repr(twice[0]))} twice in the header of row {number}")
