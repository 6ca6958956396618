"""What the columns of a user's table mean: classes, names, splits, places in a genome."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xaibench.data.codes import sequences_at
from xaibench.errors import UsageError, shortened
from xaibench.shapes import Labels
from xaibench.values import Sequences, Splits

if TYPE_CHECKING:
    import pandas as pd

_CHROMOSOMES = ("chrom", "chromosome", "region")
_PLACES = (*_CHROMOSOMES, "start", "end", "strand")
_PLACE = r"^(?:\S*::)?(\S+):([\d,]+)(?:-|\u2013|\.\.)([\d,]+)(?:\(([-+.])\)|:([-+.]))?$"
"""chr1:200-300 as bedtools, samtools, browsers and R write it; of several colons the last divides
the name of a contig, as HLA-A*01:01, from its positions. Before :: stands a name of bedtools."""
_STRANDS = {"+": 1, "1": 1, ".": 1, "": 1, "-": -1, "-1": -1}
SPLIT_WORDS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("test", "testing"), "test"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
}
"""What a column, a file or a folder calls the splits, in lower case."""

_PLACED = 0.1
"""Where a smaller share of a column region has the form of a place, its words are groups alone."""

_NUMBER_PATTERN = r"(?a)[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,3})?"
_DIGITS = 25
"""Decimal compares numbers of no more characters exactly."""

_LONGEST_NAME = 200
"""Letters of the name of a class, which is in every table of a report."""

_MISSING = {
    *("NA", "N/A", "n/a", "#N/A", "#NA", "<NA>", "NaN", "nan", "NAN", "-nan", "NaT"),
    *("NULL", "null", "None"),
}
"""How R, pandas, Python, Excel and databases write that there is no value."""


def with_plain_names(
    table: pd.DataFrame, path: Path, *, keep: Iterable[str | None]
) -> pd.DataFrame:
    """Columns that are looked for by name, in lower case; those of ``keep`` as they are."""
    looked_for = {*_PLACES, "split", "group", "name", "id"} - {*keep}
    others = [name for name in map(str, table.columns) if name not in {*keep}]
    plain = {name: name.casefold() for name in others if name.casefold() in looked_for}
    twice = [lower for lower, count in Counter(plain.values()).items() if count > 1]
    if twice:
        same = [repr(name) for name, lower in plain.items() if lower == twice[0]]
        raise UsageError(f"{path}: expected one column {twice[0]!r}, got {' and '.join(same)}")
    return table.rename(columns=plain)


def unread_split(table: pd.DataFrame) -> str | None:
    """The column that holds train and test, of a table whose splits are read from none."""
    for name in map(str, table.columns):
        if _split_named(table[name].iloc[0]) is None:  # sequences, say, of which there may be many
            continue
        kinds = table[name].map(_split_named)
        if not kinds.isna().any() and {"train", "test"} <= {*kinds}:
            return name
    return None


def _split_named(word: str) -> str | None:
    return SPLIT_WORDS.get(word.strip().lower())


def require(table: pd.DataFrame, path: Path, columns: list[str]) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        there = [str(name) for name in table.columns]
        hint = ""
        if any(re.fullmatch(r"(?i)[ACGTUN]{10,}", name) for name in there):
            hint = "; the first row is no header"
        elif {name.casefold() for name in missing} & {name.casefold() for name in there}:
            hint = "; upper and lower case differ, name the column by an option"
        raise UsageError(
            f"{path}: expected the column{'s' if missing[1:] else ''} "
            f"{', '.join(map(repr, missing))}, got {shortened(', '.join(map(repr, there)))}{hint}"
        )


def require_filled(table: pd.DataFrame, path: Path, column: str) -> None:
    empty = np.flatnonzero(table[column] == "")
    if len(empty):
        raise UsageError(f"{path}: row {empty[0]}: column {column!r} is empty; drop the row")


def require_known(table: pd.DataFrame, path: Path, column: str, hint: str) -> None:
    """UsageError where a row has no entry there, or one that means a missing value."""
    require_filled(table, path, column)
    missing = np.flatnonzero(table[column].isin(_MISSING))
    if len(missing):
        row = missing[0]
        raise UsageError(
            f"{path}: row {row}: column {column!r}: expected a {column}, got the missing value "
            f"{table[column].iloc[row]!r}; drop the row{hint}"
        )


def classes(table: pd.DataFrame, path: Path, column: str) -> tuple[Labels, tuple[str, ...]]:
    """The labels and what they index: the sorted words of the column."""
    names = table[column].str.strip()
    require_known(table.assign(**{column: names}), path, column, ", or name the class otherwise")
    long = np.flatnonzero(names.str.len() > _LONGEST_NAME)
    if len(long):
        raise UsageError(
            f"{path}: row {long[0]}: column {column!r}: expected the name of a class, got "
            f"{shortened(repr(names.iloc[long[0]]))}; name another column by the option label"
        )
    names = names.map(_spellings(names.unique()))
    class_names = sorted(set(names), key=_numbers_first)
    labels = names.map({name: index for index, name in enumerate(class_names)})
    return np.asarray(labels, np.int64), tuple(class_names)


def _spellings(spellings: Iterable[str]) -> dict[str, str]:
    """The name of the class for each word: numbers that are equal are one class, as in Parquet.

    01 and 1E5 alone are codes, as of wells, and stay; beside 1 and 100000 they are these.

    >>> _spellings(["1", "1.0", "0.50", "007", "1E5", "b"])
    {'1': '1', '1.0': '1', '0.50': '0.5', '007': '007', '1E5': '1E5', 'b': 'b'}
    """
    canonical = {word: canonical_number(word) for word in spellings}
    counts = Counter(canonical.values())
    return {
        word: word if counts[number] == 1 and re.match(r"[-+]?0\d|.*[eE]", word) else number
        for word, number in canonical.items()
    }


def canonical_number(word: str) -> str:
    """A number without needless zeros and signs; any other word as it is."""
    if len(word) > _DIGITS or not re.fullmatch(_NUMBER_PATTERN, word):
        return word
    number = Decimal(word).normalize()
    if not number:
        return "0"
    plain = -7 <= number.adjusted() <= 15
    return format(number, "f") if plain else str(number).lower()


def class_index(word: str, class_names: Sequence[str]) -> int | None:
    """The class that an option names: the word itself, an equal number, or, of the truth values
    that YAML knows, another case; None where there is none.

    >>> class_index("1.0", ["0", "1"]), class_index("True", ["false", "true"])
    (1, 1)
    >>> class_index("b", ["a"]) is None
    True
    """
    if word in class_names:
        return class_names.index(word)
    fold = str.casefold if word in ("True", "False") else canonical_number
    same = [index for index, name in enumerate(class_names) if fold(name) == fold(word)]
    return same[0] if len(same) == 1 else None


def _numbers_first(label: str) -> tuple[bool, Decimal, str]:
    """Sorts -1 before 2 before 10, and numbers before words."""
    number = len(label) <= _DIGITS and re.fullmatch(_NUMBER_PATTERN, label)
    return (not number, Decimal(label) if number else Decimal(0), label)


def require_distinct(table: pd.DataFrame, path: Path, column: str) -> None:
    """That the column tells the rows apart."""
    require_filled(table, path, column)
    again = np.flatnonzero(table[column].duplicated())
    if len(again):
        name = table[column].iloc[again[0]]
        first = np.flatnonzero(table[column] == name)[0]
        raise UsageError(
            f"{path}: column {column!r}: expected names that differ, got {shortened(repr(name))} "
            f"in row {first} and in row {again[0]}; fix them, or choose another column by the "
            "option id"
        )


def whole_numbers(column: pd.Series[str], where: str) -> NDArray[np.int64]:
    """The numbers of a column; 7.0, as pandas writes where a field is absent, is 7."""
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(np.float64)
    whole = np.isfinite(numbers) & (numbers == np.round(numbers)) & (np.abs(numbers) < 2**53)
    if not whole.all():
        row = int(np.argmin(whole))
        raise UsageError(
            f"{where}: expected whole numbers, got {shortened(repr(column.iloc[row]))} in row {row}"
        )
    return numbers.astype(np.int64)


def starts_and_ends(table: pd.DataFrame, path: Path) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The columns start and end of intervals, 0-based and half-open; UsageError where one is
    empty."""
    starts = whole_numbers(table["start"], f"{path}: column 'start'")
    ends = whole_numbers(table["end"], f"{path}: column 'end'")
    invalid = np.flatnonzero((starts < 0) | (starts >= ends))
    if len(invalid):
        row = invalid[0]
        raise UsageError(
            f"{path}: row {row}: expected 0 <= start < end, got {starts[row]} and {ends[row]}"
        )
    return starts, ends


def places(table: pd.DataFrame, *, one_based: bool = False) -> pd.DataFrame | None:
    """The columns chromosome, start, end and strand (1, -1, NaN where it is another word).

    They come from ``parsed_region``, or else from the columns ``start``, ``end`` and ``chrom``,
    ``chromosome`` or ``region``; the strand from the column ``strand`` where there is one. None
    where the table has neither. ``one_based`` reads ``region`` from 1 and with its end.
    """
    place_table = parsed_region(table)
    if place_table is not None and one_based:
        place_table["start"] = _digits(place_table["start"]).map(_before)
    if place_table is None:
        chromosome = next((name for name in _CHROMOSOMES if name in table), None)
        if chromosome is None or not {"start", "end"} <= set(table):
            return None
        place_table = table[[chromosome, "start", "end"]].set_axis(
            ["chromosome", "start", "end"], axis=1
        )
        place_table["strand"] = "+"
    strands = table["strand"] if "strand" in table else place_table["strand"]
    positions = {name: _digits(place_table[name]) for name in ("start", "end")}
    return place_table.assign(**positions, strand=strands.map(_STRANDS))


def region_facts(table: pd.DataFrame, *, one_based: bool) -> dict[str, str]:
    """How a column ``region`` is read, and which rows of it cannot be."""
    place_table = parsed_region(table)
    if place_table is None:
        return {}
    counted = "1-based, with their ends" if one_based else "0-based, half-open"
    facts = {"regions": f"{counted} (option one_based: {str(one_based).lower()})"}
    odd = np.flatnonzero(place_table["chromosome"] == "")
    if len(odd):
        word = shortened(repr(table["region"].iloc[odd[0]]))
        count = f"{len(odd):,} of {len(table):,}"
        facts["regions that cannot be read"] = f"{count}, the first {word} in row {odd[0]}"
    return facts


def _digits(positions: pd.Series[str]) -> pd.Series[str]:
    """1,000 is 1000."""
    return positions.str.replace(r"(?<=\d),(?=\d{3}\b)", "", regex=True)


def _before(position: str) -> str:
    """Of a position counted from 1, that counted from 0."""
    return str(int(position) - 1) if position.isdecimal() else position


def parsed_region(table: pd.DataFrame) -> pd.DataFrame | None:
    """A column ``region`` of the form chr1:200-300, perhaps with (+) or :+ behind it, in its parts.

    None where there is no such column, or where nearly all rows are of another form; of the others
    the chromosome is empty.
    """
    if "region" not in table:
        return None
    parts = table["region"].str.replace(r"\s", "", regex=True).str.extract(_PLACE)
    parts = parts.set_axis(["chromosome", "start", "end", "strand", "of R"], axis=1)
    if parts["chromosome"].notna().mean() < _PLACED:
        return None
    parts["strand"] = parts["strand"].fillna(parts.pop("of R")).fillna("+")
    return parts.fillna("")


def split_by_column(sequences: Sequences, column: pd.Series[str], where: str) -> Splits:
    kinds = column.str.strip().str.lower().map(SPLIT_WORDS)
    unknown = np.flatnonzero(kinds.isna())
    if len(unknown):
        word = shortened(repr(column.iloc[unknown[0]]))
        raise UsageError(
            f"{where}: expected train, test or validation, got {word} in row {unknown[0]}"
        )
    return split_by_kind(sequences, kinds.to_numpy(), where)


def split_by_kind(sequences: Sequences, kinds: NDArray[np.object_], where: str) -> Splits:
    """``kinds`` says train, test or validation of every sequence; there may be no train."""
    rows = {kind: np.flatnonzero(kinds == kind) for kind in ("train", "test", "validation")}
    if not len(rows["test"]):
        raise UsageError(f"{where}: expected rows of test, got none among {len(kinds):,} rows")
    validation = sequences_at(sequences, rows["validation"]) if len(rows["validation"]) else None
    return Splits(
        sequences_at(sequences, rows["train"]), sequences_at(sequences, rows["test"]), validation
    )


def require_classes(splits: Splits, where: str) -> None:
    """That every class is in test, and in train where there is one."""
    for name, split in (("train", splits.train), ("test", splits.test)):
        if not len(split):
            continue
        present = np.bincount(split.labels, minlength=len(split.class_names)) > 0
        if not present.all():
            absent = split.class_names[int(np.argmin(present))]
            others = int((~present).sum()) - 1
            more = (
                f" and of {others:,} other classes; is the label a quantity (option response)?"
                if others > 9
                else ""
            )
            raise UsageError(
                f"{where}: expected every class in {name}, got no {name} row of {absent!r}{more}"
            )
