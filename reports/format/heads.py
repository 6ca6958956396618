"""Which trained model a row about attention heads is of."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from xaibench.heads.summary import HEAD_COORDINATES

COORDINATES_OF_MODEL = tuple(name for name in HEAD_COORDINATES if name not in ("layer", "head"))


def by_trained(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each trained model, by model, state and replicate, and its rows."""
    return _apart(table, COORDINATES_OF_MODEL)


def by_trained_model(table: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """The same with all replicates of a model together."""
    return _apart(table, tuple(name for name in COORDINATES_OF_MODEL if name != "replicate"))


def _apart(table: pd.DataFrame, names: tuple[str, ...]) -> Iterator[tuple[str, pd.DataFrame]]:
    keys = [name for name in names if name in table]
    for key, rows in table.groupby(keys, sort=False):
        yield ", ".join(map(str, key)), rows
