"""Which columns of a table say what, where none has the name that is looked for."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from .columns import unread_split
from .targets import DEFAULT_LABEL

if TYPE_CHECKING:
    import pandas as pd

_LETTERS = r"[ACGTUNRYSWKMBDHVacgtunryswkmbdhv]+"
_SHORTEST = 8
"""Letters of the shortest sequence of a column that is one of sequences; fewer may be codes."""

_ROWS = 1000
"""So many rows are looked at for what a column holds."""

_LABELS = ("class", "target", "labels", "category", "y")
"""What others call the column of the classes."""

_CHROMOSOMES = ("chromosome", "chrom", "chr", "contig", "seqname", "seqnames")

_LOOKED_FOR = {"split", "group", "region", "name", "id", "start", "end", "strand"}
"""Columns that are read as something else."""

_MOST_CLASSES = 20
"""Numbers of more different values are measured ones. Our choice."""


def column_roles(table: pd.DataFrame, *, known: frozenset[str]) -> dict[str, str]:
    """The options of the dataset ``file`` that name the columns of a table: sequence, label or
    response, split, group. Columns with a name that is looked for anyway are left out, and so are
    the options ``known``, which somebody gave."""
    roles = {
        "sequence": _only(_sequence_columns(table)) if "sequence" not in table else None,
        "split": unread_split(table) if "split" not in table else None,
        "group": None if {"group", "region"} & {*table} else _named(table, _CHROMOSOMES),
    }
    roles |= _target_roles(table, {each for each in roles.values() if each})
    return {option: name for option, name in roles.items() if name and option not in known}


def _target_roles(table: pd.DataFrame, others: set[str]) -> dict[str, str | None]:
    """The column of the classes, by its name or as the only one left with a few words; of measured
    numbers, ``response``."""
    name: str | None = DEFAULT_LABEL
    if DEFAULT_LABEL not in table:
        others = {*others, *_LOOKED_FOR, *_sequence_columns(table)}
        left = [each for each in map(str, table.columns) if each not in others]
        few = [each for each in left if 1 < table[each].nunique() <= _MOST_CLASSES]
        name = _named(table, _LABELS) or _only(few)
    if name is None:
        return {}
    if _holds_quantities(table[name]):
        return {"response": name}
    return {} if name == DEFAULT_LABEL else {"label": name}


def _holds_quantities(column: pd.Series[str]) -> bool:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    return bool(numbers.notna().all()) and column.nunique() > _MOST_CLASSES


def _sequence_columns(table: pd.DataFrame) -> list[str]:
    first = table.iloc[:_ROWS]
    return [
        name
        for name in map(str, table.columns)
        if all(re.fullmatch(_LETTERS, word) and len(word) >= _SHORTEST for word in first[name])
    ]


def _named(table: pd.DataFrame, names: tuple[str, ...]) -> str | None:
    """The first column with one of these names, in any case."""
    plain = {str(name).casefold(): str(name) for name in table}
    return next((plain[name] for name in names if name in plain), None)


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 else None
