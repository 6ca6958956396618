"""A file of sequences or intervals as text, whatever its format: one row per item."""

from __future__ import annotations

import lzma
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from xaibench.errors import UsageError

from .bed import bed_rows, bed_table
from .content import beginning, is_parquet, reason, text_stream
from .fasta import fasta_rows
from .tables import read_delimited, read_parquet

if TYPE_CHECKING:
    import pandas as pd

_COMPRESSED = {".gz", ".bgz", ".bz2", ".xz"}
FASTA_SUFFIXES = {".fa", ".fasta", ".fna", ".ffn", ".fas"}
TABLE_SUFFIXES = {".csv", ".tsv", ".tab", ".parquet", ".pq"}
BED_SUFFIXES = {".bed", ".narrowpeak", ".broadpeak"}

READING_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError, ValueError)
"""What reading a file may raise."""


def is_bed(path: Path) -> bool:
    """Whether it holds intervals without a header: by its first row, else by its suffix."""
    try:
        with text_stream(path) as text:
            first = next(bed_rows(text), [])
    except READING_ERRORS:
        first = []
    numbers = len(first) > 2 and all(re.fullmatch(r"-?\d+", field) for field in first[1:3])
    if numbers and not first[0].startswith(">"):
        return True
    return kind(path) in BED_SUFFIXES and "start" not in map(str.lower, first)


def holds_intervals(path: Path) -> bool:
    """Whether it is BED, or a table with a header that is called so."""
    return kind(path) in BED_SUFFIXES or is_bed(path)


def read_sequence_file(path: Path, *, sequence: str, label: str) -> pd.DataFrame:
    """The rows of a table or of a FASTA file, as ``folder_reading.read_sequences`` has them."""
    expected = "CSV, TSV, Parquet or FASTA"
    return _read_checked(path, lambda: _fasta_or_table(path, sequence, label), expected)


def _fasta_or_table(path: Path, sequence: str, label: str) -> pd.DataFrame:
    if is_parquet(path):
        return read_parquet(path)
    with text_stream(path) as text:
        first = beginning(text)
        if first.startswith((">", ";")) or (kind(path) in FASTA_SUFFIXES and sequence not in first):
            return fasta_rows(text, sequence, label)
        return read_delimited(text)


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a CSV, TSV or Parquet file with a header; an absent field is empty."""
    return _read_checked(path, lambda: _table(path), "CSV, TSV or Parquet")


def read_bed(path: Path) -> pd.DataFrame:
    """The rows of a BED file, under the names chrom, start, end, name, score, strand, 7, 8, ..."""
    return _read_checked(path, lambda: bed_table(path), "BED")


def read_intervals(path: Path) -> pd.DataFrame:
    """The rows of BED, or of a table with a header, whose first name may begin with a #."""
    if is_bed(path):
        return read_bed(path)
    return read_table(path).rename(columns=lambda name: name.removeprefix("#"))


def kind(path: Path) -> str:
    """The suffix, without that of compression.

    >>> kind(Path("peaks.v2.BED.gz"))
    '.bed'
    """
    compressed = path.suffix.lower() in _COMPRESSED
    return (Path(path.stem) if compressed else path).suffix.lower()


def _read_checked(path: Path, reader: Callable[[], pd.DataFrame], expected: str) -> pd.DataFrame:
    try:
        table = reader()
    except (*READING_ERRORS, NotImplementedError) as error:
        # pyarrow's own errors are among these
        raise UsageError(
            f"{path}: expected a {expected} file, got: {reason(path, error)}"
        ) from error
    if table.empty:
        raise UsageError(f"{path}: expected rows, got a file without rows")
    return table.fillna("")


def _table(path: Path) -> pd.DataFrame:
    if is_parquet(path):
        return read_parquet(path)
    with text_stream(path) as text:
        if beginning(text).startswith(">"):
            raise ValueError("FASTA, not a table")
        return read_delimited(text)
