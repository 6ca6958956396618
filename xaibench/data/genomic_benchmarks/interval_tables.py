"""The interval tables of genomic-benchmarks: where in a genome the sequences of a set stand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from xaibench.data.files.columns import require, require_distinct, require_filled, starts_and_ends
from xaibench.data.files.reading import read_table
from xaibench.errors import UsageError
from xaibench.values import Intervals

if TYPE_CHECKING:
    import pandas as pd

_TABLE_SPLITS = ("train", "test")
_SUFFIXES = (".csv.gz", ".csv")
_STRAND_SIGNS = {"+": 1, "-": -1, ".": 1, "": 1}

Located = tuple[tuple[str, ...], Intervals]
"""The ids of sequences and, in their order, where these stand."""


def interval_tables(folder: Path) -> dict[tuple[str, str], Located]:
    """``(split, class)`` -> ids and intervals of each table in a folder, sorted by split and class.

    The tables are ``{train,test}/CLASS.csv.gz``, as the package keeps them, or
    ``{train,test}_CLASS.csv.gz``, with the columns id, region (a chromosome, or a transcript),
    start, end (0-based, half-open) and perhaps strand (+ where a field is empty). Raises
    ``UsageError`` where a split has no table, and for a table that says none of this.
    """
    return {key: _located(path) for key, path in table_paths(folder).items()}


def table_paths(folder: Path) -> dict[tuple[str, str], Path]:
    """``(split, class)`` -> its table, sorted."""
    paths: dict[tuple[str, str], Path] = {}
    for split in _TABLE_SPLITS:
        for suffix in _SUFFIXES:
            flat = {
                path.name[len(split) + 1 : -len(suffix)]: path
                for path in folder.glob(f"{split}_*{suffix}")
            }
            nested = {
                path.name[: -len(suffix)]: path for path in (folder / split).glob(f"*{suffix}")
            }
            for label, path in (flat | nested).items():
                paths.setdefault((split, label), path)
        if not any(key[0] == split for key in paths):
            raise UsageError(
                f"{folder}: expected interval tables, {split}/CLASS.csv.gz or "
                f"{split}_CLASS.csv.gz, got none"
            )
    return dict(sorted(paths.items()))


def _located(path: Path) -> Located:
    table = read_table(path)
    require(table, path, ["id", "region", "start", "end"])
    require_distinct(table, path, "id")
    require_filled(table, path, "region")
    starts, ends = starts_and_ends(table, path)
    return tuple(table["id"]), Intervals(
        tuple(table["region"]), starts, ends, _strands(table, path)
    )


def _strands(table: pd.DataFrame, path: Path) -> NDArray[np.int8]:
    if "strand" not in table:
        return np.ones(len(table), np.int8)
    strands = table["strand"].map(_STRAND_SIGNS)
    unknown = np.flatnonzero(strands.isna())
    if len(unknown):
        word = table["strand"].iloc[unknown[0]]
        raise UsageError(
            f"{path}: column 'strand': expected +, - or nothing, got {word!r} in row {unknown[0]}"
        )
    return strands.to_numpy(np.float64).astype(np.int8)
