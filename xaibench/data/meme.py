"""Motifs of a file in MEME format, every row of their matrices checked."""

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.files.content import reason, text_stream
from xaibench.data.files.reading import READING_ERRORS
from xaibench.errors import UsageError, shortened

Matrix = NDArray[np.float64]
"""``(column, base)``: probabilities, each column sums to 1."""

_ALPHABETS = ("ACGT", "ACGU")
_SUM_TOLERANCE = 0.01
"""So far from 1 the rounded probabilities of a row may sum to."""

_BEHIND = ("MOTIF", "URL", "letter-probability", "log-odds", "--", "**", "//")
"""How a line begins that is no row of a matrix."""

_OTHER_FORMATS = {
    r"\s*>": "matrices of JASPAR or HOMER; convert them (jaspar2meme)",
    r"\s*(AC|ID|VV|XX|NA)\s": "matrices of TRANSFAC; convert them (transfac2meme)",
    r"\s*<": "XML or HTML; expected the text format",
    r"\s*[ACGT]\s*[|\[]": "counts of JASPAR; convert them (jaspar2meme)",
}


class Motif(NamedTuple):
    """A motif with its JASPAR identifier and its matrix ``(column, base)``."""

    identifier: str
    name: str
    matrix: Matrix


class _Line(NamedTuple):
    number: int
    text: str


def read_motifs(path: Path) -> list[Motif]:
    """The motifs of a file in MEME format; a motif without a name has its identifier's.

    Raises ``UsageError`` with the line for a matrix that has not the rows its ``w=`` says, for a
    row that is not four finite probabilities that sum to 1, for a motif without a matrix, for an
    identifier that is there twice, and for an alphabet that is not A, C, G and T.
    """
    try:
        with text_stream(path) as text:
            lines = [_Line(number, line.strip()) for number, line in enumerate(text, 1)]
    except READING_ERRORS as error:
        got = reason(path, error)
        raise UsageError(f"{path}: expected motifs in MEME format, got: {got}") from error
    lines = [line for line in lines if line.text and line.text[0] != "#"]
    try:
        motifs = list(_parse_motifs(lines))
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from None
    if not motifs:
        raise UsageError(f"{path}: expected motifs in MEME format, got {_other_format(lines)}")
    return motifs


def _other_format(lines: list[_Line]) -> str:
    first = lines[0].text if lines else ""
    for form, name in _OTHER_FORMATS.items():
        if re.match(form, first):
            return name
    return "no line MOTIF with a letter-probability matrix"


def _parse_motifs(lines: list[_Line]) -> Iterator[Motif]:
    places = [row for row, line in enumerate(lines) if line.text.split()[0] == "MOTIF"]
    _require_head(lines[: places[0]] if places else [])
    first: dict[str, int] = {}
    for start, end in pairwise([*places, len(lines)]):
        fields = lines[start].text.split()[1:] or [f"line {lines[start].number}"]
        identifier = fields[0]
        number = first.setdefault(identifier, lines[start].number)
        if number != lines[start].number:
            raise ValueError(
                f"expected identifiers that differ, got {shortened(repr(identifier))} in line "
                f"{number} and in line {lines[start].number}"
            )
        matrix = _parse_matrix(lines[start + 1 : end], shortened(identifier))
        yield Motif(identifier, " ".join(fields[1:]) or identifier, matrix)


def _require_head(lines: list[_Line]) -> None:
    """That what is before the first motif has the alphabet ACGT, and no matrix without a name."""
    for line in lines:
        if line.text.startswith("letter-probability"):
            raise ValueError(
                f"line {line.number}: expected a line MOTIF before the matrix, got none"
            )
        letters = re.fullmatch(r"ALPHABET\s*=\s*(\S+)", line.text)
        if letters and letters[1] not in _ALPHABETS:
            raise ValueError(f"line {line.number}: expected the alphabet ACGT, got {letters[1]}")


def _parse_matrix(lines: list[_Line], motif: str) -> Matrix:
    """Of the lines behind MOTIF: rows of four probabilities, as many as the header says."""
    starts = [row for row, line in enumerate(lines) if line.text.startswith("letter-probability")]
    if not starts:
        raise ValueError(f"motif {motif}: expected a letter-probability matrix, got none")
    if starts[1:]:
        twice = " and ".join(f"in line {lines[row].number}" for row in starts[:2])
        raise ValueError(f"motif {motif}: expected one letter-probability matrix, got one {twice}")
    header = lines[starts[0]]
    behind = lines[starts[0] + 1 :]
    ends = [row for row, line in enumerate(behind) if line.text.startswith(_BEHIND)]
    rows = [_matrix_row(line, motif) for line in behind[: ends[0] if ends else None]]
    if not rows:
        raise ValueError(f"motif {motif}: expected rows behind line {header.number}, got none")
    for key, size, what in (("alength", 4, "columns"), ("w", len(rows), "rows")):
        stated = re.search(rf"\b{key}\s*=\s*(\S*)", header.text)
        if stated and stated[1] != str(size):
            raise ValueError(
                f"motif {motif}: expected {key}= {stated[1]} as line {header.number} says, got "
                f"{size} {what}"
            )
    matrix = np.array(rows, np.float64)
    matrix /= matrix.sum(axis=1, keepdims=True)
    return matrix


def _matrix_row(line: _Line, motif: str) -> list[float]:
    """Rounded probabilities that sum to 1."""
    try:
        row = [float(word) for word in line.text.split()]
    except ValueError:
        row = []
    in_range = all(0 <= probability <= 1 + _SUM_TOLERANCE for probability in row)  # NaN is not
    if len(row) != 4 or not in_range or abs(sum(row) - 1) > _SUM_TOLERANCE:
        raise ValueError(
            f"motif {motif}: expected rows of four probabilities A C G T that sum to 1, got "
            f"{shortened(line.text)!r} in line {line.number}"
        )
    return row
