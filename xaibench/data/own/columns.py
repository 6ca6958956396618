"""What the columns of a person's table mean: classes, names, splits, places in a genome."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.shapes import Labels
from xaibench.values import Sequences, Splits

_CHROMOSOMES = ("chrom", "chromosome", "region")
_PLACE = r"^([^:\s]+):(\d+)-(\d+)(?:\(([-+.])\))?$"
_STRANDS = {"+": 1, "1": 1, ".": 1, "": 1, "-": -1, "-1": -1}
_SPLITS = {
    "train": "train",
    "test": "test",
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
_MISSING = {"NA", "N/A", "<NA>", "NaN", "nan", "NULL", "null", "None"}
"""How R, pandas, Python and databases write that there is no label."""


def require(table: pd.DataFrame, path: Path, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise UsageError(
            f"{path}: wanted the column{'s' if missing[1:] else ''} "
            f"{', '.join(map(repr, missing))}, got {', '.join(map(repr, table.columns))}"
        )


def require_filled(table: pd.DataFrame, path: Path, column: str) -> None:
    empty = np.flatnonzero(table[column] == "")
    if len(empty):
        raise UsageError(f"{path}: row {empty[0]}: column {column!r} is empty")


def classes(table: pd.DataFrame, path: Path, column: str) -> tuple[Labels, tuple[str, ...]]:
    """The labels and what they index: the sorted words of the column."""
    words = table[column].str.strip()
    require_filled(table.assign(**{column: words}), path, column)
    missing = np.flatnonzero(words.isin(_MISSING))
    if len(missing):
        row = missing[0]
        raise UsageError(
            f"{path}: row {row}: column {column!r}: wanted a label, got the missing value "
            f"{words.iloc[row]!r}; drop the row, or name the class otherwise"
        )
    class_names = sorted(set(words), key=_numbers_first)
    if len(class_names) < 2:
        raise UsageError(
            f"{path}: column {column!r}: wanted two classes or more, got {class_names[0]!r} only"
        )
    labels = words.map({name: index for index, name in enumerate(class_names)})
    return np.asarray(labels, np.int64), tuple(class_names)


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """Sorts -1 before 2 before 10, and numbers before words."""
    number = label.removeprefix("-").isdecimal()
    return (not number, int(label) if number else 0, label)


def require_distinct(table: pd.DataFrame, path: Path, column: str) -> None:
    """That the column tells the rows apart."""
    require_filled(table, path, column)
    again = np.flatnonzero(table[column].duplicated())
    if len(again):
        name = table[column].iloc[again[0]]
        first = np.flatnonzero(table[column] == name)[0]
        raise UsageError(
            f"{path}: column {column!r}: wanted names that differ, got {name!r} in row {first} "
            f"and in row {again[0]}; mend them, or choose another column by the option id"
        )


def whole_numbers(column: "pd.Series[str]", where: str) -> NDArray[np.int64]:
    """The numbers of a column; 7.0, as pandas writes where a field is absent, is 7."""
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    whole = np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)
    if not whole.all():
        row = int(np.argmin(whole))
        raise UsageError(f"{where}: wanted whole numbers, got {column.iloc[row]!r} in row {row}")
    return numbers.astype(np.int64)


def places(table: pd.DataFrame) -> pd.DataFrame | None:
    """The columns chromosome, start, end and strand (1, -1, NaN where it is another word).

    They come from ``parsed_region``, or else from the columns ``start``, ``end`` and ``chrom``,
    ``chromosome`` or ``region``; the strand from the column ``strand`` where there is one. None
    where the table has neither.
    """
    found = parsed_region(table)
    if found is None:
        chromosome = next((name for name in _CHROMOSOMES if name in table), None)
        if chromosome is None or not {"start", "end"} <= set(table):
            return None
        found = table[[chromosome, "start", "end"]].set_axis(["chromosome", "start", "end"], axis=1)
        found["strand"] = "+"
    strands = table["strand"] if "strand" in table else found["strand"]
    return found.assign(strand=strands.map(_STRANDS))


def parsed_region(table: pd.DataFrame) -> pd.DataFrame | None:
    """A column ``region`` of the form chr1:200-300, perhaps with (+) behind it, in its parts.

    None where there is no such column, or a row of another form.
    """
    if "region" not in table or ":" not in table["region"].iloc[0]:
        return None
    parts = table["region"].str.extract(_PLACE)
    parts = parts.set_axis(["chromosome", "start", "end", "strand"], axis=1)
    return None if parts["chromosome"].isna().any() else parts.fillna("+")


def split_by_column(sequences: Sequences, column: "pd.Series[str]", where: str) -> Splits:
    kinds = column.str.strip().str.lower().map(_SPLITS)
    unknown = np.flatnonzero(kinds.isna())
    if len(unknown):
        raise UsageError(
            f"{where}: wanted train, test or validation, got {column.iloc[unknown[0]]!r} "
            f"in row {unknown[0]}"
        )
    return split_by_kind(sequences, kinds.to_numpy(), where)


def split_by_kind(sequences: Sequences, kinds: NDArray[np.object_], where: str) -> Splits:
    """``kinds`` says train, test or validation of every sequence."""
    rows = {kind: np.flatnonzero(kinds == kind) for kind in ("train", "test", "validation")}
    for kind in ("train", "test"):
        if not len(rows[kind]):
            raise UsageError(f"{where}: wanted rows of train and of test, got no {kind} row")
    validation = sequences.take(rows["validation"]) if len(rows["validation"]) else None
    return Splits(sequences.take(rows["train"]), sequences.take(rows["test"]), validation)


def require_classes(splits: Splits, where: str) -> None:
    """That every class is in train and in test."""
    for name, split in (("train", splits.train), ("test", splits.test)):
        present = np.bincount(split.labels, minlength=len(split.class_names)) > 0
        if not present.all():
            absent = split.class_names[int(np.argmin(present))]
            raise UsageError(
                f"{where}: wanted every class in {name}, got no {name} row of {absent!r}"
            )
