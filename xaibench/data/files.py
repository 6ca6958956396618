"""A person's own sequences: a table (CSV, TSV) or FASTA, plain or gzipped."""

import gzip
import zlib
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
from pydantic import Field

from xaibench.data.splitting import cut
from xaibench.dna import to_codes
from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.values import Sequences, Splits

_FASTA = {".fa", ".fasta", ".fna", ".fas"}
_TABS = {".tsv", ".tab"}
_GROUPS = ("group", "region")
_NAMES = ("name", "id")
_SPLITS = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}


def file(
    *,
    data_seed: int,
    path: Path,
    sequence: str = "sequence",
    label: str = "label",
    split: str | None = None,
    group: str | None = None,
    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.2,
) -> Splits:
    """Labelled sequences of a CSV, TSV or FASTA file; the other options name its columns.

    A FASTA header gives the columns: ``>NAME label=1 split=test group=chr1``; a lone word after the
    name is the label. ``split`` (the column of that name where there is one) holds train, test and
    perhaps validation (or dev); without it ``test_fraction`` of the rows are cut off for the test,
    by group where there are groups, else within each class. ``group`` is the column ``group`` or
    ``region`` where there is one. Classes are the sorted labels. Names come from the column
    ``name`` or ``id`` where it is there and tells the rows apart; otherwise they are row numbers,
    from 0, the header not counted.
    """
    table = _read(path, sequence, label)
    group = group or next((name for name in _GROUPS if name in table), None)
    split = split or ("split" if "split" in table else None)
    _require(table, path, [sequence, label, *filter(None, (group, split))])
    sequences = _sequences(table, path, sequence, label, group)
    if split:
        splits = _split_by_column(sequences, table[split], f"{path}: column {split!r}")
        how = "split by the file"
    else:
        splits = Splits(*cut(sequences, test_fraction, stream(data_seed, "test")))
        how = f"test cut from it{f' by {group}' if group else ''}"
    _require_classes(splits.train, f"{path}: column {label!r}")
    note = f"{len(sequences):,} sequences of {path.name}, {how}."
    return Splits(splits.train, splits.test, splits.validation, note)


def _read(path: Path, sequence: str, label: str) -> pd.DataFrame:
    """The rows as text, an absent field being empty."""
    plain = Path(path.stem) if path.suffix == ".gz" else path
    try:
        if plain.suffix in _FASTA:
            table = _read_fasta(path, sequence, label)
        else:
            tab = "\t" if plain.suffix in _TABS else ","
            table = pd.read_csv(
                path,
                sep=tab,
                dtype=str,
                keep_default_na=False,
                encoding="utf-8-sig",
                compression="gzip" if path.suffix == ".gz" else None,
            )
    except (OSError, EOFError, zlib.error, ValueError) as error:
        # pandas' own errors and UnicodeDecodeError are ValueErrors
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise UsageError(f"{path}: wanted a CSV, TSV or FASTA file, got: {reason}") from error
    if table.empty:
        raise UsageError(f"{path}: wanted sequences, got a file without rows")
    return table.fillna("")


def _read_fasta(path: Path, sequence: str, label: str) -> pd.DataFrame:
    rows: list[dict[str, str]] = []
    letters: list[list[str]] = []
    opened = gzip.open if path.suffix == ".gz" else open
    with opened(path, "rt", encoding="utf-8") as text:
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


def _require(table: pd.DataFrame, path: Path, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise UsageError(
            f"{path}: wanted the column{'s' if missing[1:] else ''} "
            f"{', '.join(map(repr, missing))}, got {', '.join(map(repr, table.columns))}"
        )


def _sequences(
    table: pd.DataFrame, path: Path, sequence: str, label: str, group: str | None
) -> Sequences:
    """All rows, in the order of the file."""
    for column in (sequence, label):
        empty = np.flatnonzero(table[column] == "")
        if len(empty):
            raise UsageError(f"{path}: row {empty[0]}: column {column!r} is empty")
    rows = [f"row {row}" for row in range(len(table))]
    codes = to_codes(table[sequence].tolist(), names=[f"{path}: {row}" for row in rows])
    class_names = sorted(set(table[label]), key=_numbers_first)
    if len(class_names) < 2:
        raise UsageError(
            f"{path}: column {label!r}: wanted two classes or more, got {class_names[0]!r} only"
        )
    labels = table[label].map({name: index for index, name in enumerate(class_names)})
    named = (column for column in _NAMES if column in table and table[column].is_unique)
    name = next(named, None)
    return Sequences(
        codes,
        labels.to_numpy(np.int64),
        tuple(table[name] if name else rows),
        tuple(class_names),
        tuple(table[group]) if group else None,
    )


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """Sorts 2 before 10, and numbers before words."""
    number = label.isdecimal()
    return (not number, int(label) if number else 0, label)


def _split_by_column(sequences: Sequences, column: "pd.Series[str]", where: str) -> Splits:
    kinds = column.str.strip().str.lower().map(_SPLITS)
    unknown = np.flatnonzero(kinds.isna())
    if len(unknown):
        raise UsageError(
            f"{where}: wanted train, test or validation, got {column.iloc[unknown[0]]!r} "
            f"in row {unknown[0]}"
        )
    rows = {kind: np.flatnonzero(kinds == kind) for kind in ("train", "test", "validation")}
    for kind in ("train", "test"):
        if not len(rows[kind]):
            raise UsageError(f"{where}: wanted rows of train and of test, got no {kind} row")
    validation = sequences.take(rows["validation"]) if len(rows["validation"]) else None
    return Splits(sequences.take(rows["train"]), sequences.take(rows["test"]), validation)


def _require_classes(train: Sequences, where: str) -> None:
    present = np.bincount(train.labels, minlength=len(train.class_names)) > 0
    if not present.all():
        absent = train.class_names[int(np.argmin(present))]
        raise UsageError(f"{where}: wanted every class in train, got no train row of {absent!r}")
