"""Tables, FASTA and BED as text: one row a sequence or an interval, one column a word about it."""

import gzip
import warnings
import zlib
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import TextIO

import pandas as pd

from xaibench.errors import UsageError

_COMPRESSED = {".gz", ".bgz"}
"""bgzip writes gzip, in blocks."""

_FASTA = {".fa", ".fasta", ".fna", ".fas"}
_TABS = {".tsv", ".tab"}
_PARQUET = {".parquet", ".pq"}
_BED = {".bed", ".narrowpeak", ".broadpeak"}
SPLITS = ("train", "test", "validation")
"""Folders of FASTA files that say the split."""

_BED_COLUMNS = ("chrom", "start", "end", "name", "score", "strand")


def is_bed(path: Path) -> bool:
    """Whether the name says that the columns have no header."""
    return _kind(path) in _BED


def has_fasta(folder: Path) -> bool:
    """Whether there are FASTA files in it, or in folders for splits."""
    return any(True for _ in _fasta_files(folder))


def _fasta_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """FASTA files and the split that their folder names, "" for none; sorted."""
    inside = [(path.name, path) for path in folder.iterdir() if path.name in SPLITS]
    for split, place in sorted(inside) or [("", folder)]:
        for path in sorted(place.iterdir()):
            if _kind(path) in _FASTA:
                yield split, path


def _folder(folder: Path, sequence: str, label: str) -> pd.DataFrame:
    """The sequences of all FASTA files in a folder; the label is the name of the file."""
    tables = []
    for split, path in _fasta_files(folder):
        table = _read(path, lambda path=path: _fasta(path, sequence, label), "FASTA")  # type: ignore[misc]
        name = path.name.removesuffix(path.suffix) if path.suffix in _COMPRESSED else path.name
        words = {label: Path(name).stem, **({"split": split} if split else {})}
        prefix = f"{split}/{words[label]}/" if split else f"{words[label]}/"
        tables.append(table.assign(**words, name=prefix + table["name"]))
    if not tables:
        raise ValueError("a folder without FASTA files")
    return pd.concat(tables, ignore_index=True)


def read_sequences(path: Path, *, sequence: str, label: str) -> pd.DataFrame:
    """The rows of a table or, by its suffix, of a FASTA file, or of a folder of these.

    ``sequence`` names the column of a FASTA file's letters, ``label`` that of a lone word after
    the name. An absent field is empty.
    """
    wanted = "CSV, TSV, Parquet or FASTA"
    if path.is_dir():
        return _read(path, lambda: _folder(path, sequence, label), wanted)
    if _kind(path) in _FASTA:
        return _read(path, lambda: _fasta(path, sequence, label), wanted)
    return _read(path, lambda: _table(path), wanted)


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a CSV, TSV or Parquet file with a header; an absent field is empty."""
    return _read(path, lambda: _table(path), "CSV, TSV or Parquet")


def read_bed(path: Path) -> pd.DataFrame:
    """The rows of a BED file, under the names chrom, start, end, name, score, strand, 7, 8, ..."""
    return _read(path, lambda: _bed(path), "BED")


def _kind(path: Path) -> str:
    """The suffix, without that of compression.

    >>> _kind(Path("peaks.v2.BED.gz"))
    '.bed'
    """
    compressed = path.suffix.lower() in _COMPRESSED
    return (Path(path.stem) if compressed else path).suffix.lower()


def _read(path: Path, reader: Callable[[], pd.DataFrame], wanted: str) -> pd.DataFrame:
    try:
        table = reader()
    except (
        *(OSError, EOFError, zlib.error, ValueError, NotImplementedError),
        pd.errors.ParserWarning,
    ) as error:
        # pandas' own errors, pyarrow's and UnicodeDecodeError are among these
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"{path}: wanted a {wanted} file, got: {reason}") from error
    if table.empty:
        raise UsageError(f"{path}: wanted rows, got a file without rows")
    return table.fillna("")


def _table(path: Path) -> pd.DataFrame:
    if _kind(path) in _PARQUET:
        return _parquet(path)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header
        return pd.read_csv(
            path,
            sep="\t" if _kind(path) in _TABS else ",",
            dtype=str,
            index_col=False,
            keep_default_na=False,
            encoding="utf-8-sig",
            compression="gzip" if path.suffix.lower() in _COMPRESSED else None,
        )


def _parquet(path: Path) -> pd.DataFrame:
    """Numbers as text: 1.0 is "1", and what is not a number is absent.

    Columns of lists and records are left out: they are nobody's label.
    """
    import pyarrow as arrow
    from pyarrow import compute, parquet

    if path.suffix.lower() in _COMPRESSED:
        raise ValueError("Parquet inside gzip; it is compressed already, unpack it")
    with path.open("rb") as stream:
        table = parquet.ParquetFile(stream).read()
    if len(set(table.column_names)) < table.num_columns:
        raise ValueError("two columns of one name")
    texts = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        if arrow.types.is_nested(column.type):
            continue
        if arrow.types.is_floating(column.type):
            column = compute.if_else(compute.is_nan(column), None, column)
        texts[name] = column.cast(arrow.string()).to_pylist()
    return pd.DataFrame(texts, dtype=str)


def _opened(path: Path) -> TextIO:
    if path.suffix.lower() in _COMPRESSED:
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _fasta(path: Path, sequence: str, label: str) -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    letters: list[list[str]] = []
    with _opened(path) as text:
        for line in filter(None, map(str.strip, text)):
            if line.startswith(">"):
                rows.append(_header(line, label))
                letters.append([])
            elif rows:
                letters[-1].append(line)
            else:
                raise ValueError(f"a FASTA file that begins with {line[:20]!r}, not with '>'")
    table = pd.DataFrame(rows, dtype=str)
    table[sequence] = ["".join(lines) for lines in letters]
    return table


def _header(line: str, label: str) -> dict[str, str]:
    """``>NAME key=value ...`` or ``>NAME LABEL`` -> columns.

    >>> _header(">peak7 label=1 split=test", "label")
    {'name': 'peak7', 'label': '1', 'split': 'test'}
    >>> _header(">peak7 1", "label")
    {'name': 'peak7', 'label': '1'}
    """
    name, *words = line[1:].split() or [""]
    row = {"name": name}
    if len(words) == 1 and "=" not in words[0]:
        row[label] = words[0]
    return row | dict(word.split("=", 1) for word in words if "=" in word)


def _bed(path: Path) -> pd.DataFrame:
    with _opened(path) as text:
        rows = list(_bed_rows(text))
    widths = [width for width, _ in groupby(map(len, rows))]
    if len(widths) > 1:
        odd = next(row for row, fields in enumerate(rows) if len(fields) != widths[0])
        raise ValueError(f"{widths[0]} columns in row 0 and {widths[1]} in row {odd}")
    width = widths[0] if widths else 0
    if 0 < width < 3:
        raise ValueError(f"{width} column{'s' if width > 1 else ''}, not chrom, start and end")
    return pd.DataFrame(rows, columns=[*_BED_COLUMNS, *map(str, range(7, width + 1))][:width])


def _bed_rows(text: TextIO) -> Iterator[list[str]]:
    """Fields between tabs, or between spaces in a line without tabs; comments are no rows."""
    for line in text:
        stripped = line.rstrip("\r\n")
        first = stripped.split(maxsplit=1)[:1]
        if first and not stripped.startswith("#") and first[0] not in ("track", "browser"):
            yield stripped.split("\t") if "\t" in stripped else stripped.split()
