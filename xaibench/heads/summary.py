"""One sentence per head, from its numbers alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

HEAD_COORDINATES = ("model", "state", "replicate", "layer", "head")
"""The columns of ``heads.csv`` that say which head a row is of, those that it has; layers and heads
are counted from 0."""

_NAMED = 3
"""Tracks that a sentence names, the strongest."""


def heads_of(associations: pd.DataFrame) -> Iterator[tuple[dict[str, Any], pd.DataFrame]]:
    """Each head, by its coordinates, and its rows, a track each."""
    keys = [name for name in HEAD_COORDINATES if name in associations]
    for key, rows in associations.groupby(keys, sort=False):
        yield dict(zip(keys, key, strict=True)), rows


def named_head(about: dict[str, Any]) -> str:
    """A head in words.

    >>> named_head({"model": "dnabert2", "replicate": "0", "layer": 3, "head": 11})
    'dnabert2, 0: layer 3, head 11'
    """
    *trained, layer, head = map(str, about.values())
    return f"{', '.join(trained)}: layer {layer}, head {head}"


def strongest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of a head's associated tracks, the strongest first."""
    return rows[rows["associated"]].sort_values("mean", key=abs, ascending=False)


def sentence(rows: pd.DataFrame) -> str:
    """Of the rows of one head. Tracks are named that are associated and no others."""
    associated = strongest(rows)
    if not len(associated):
        return f"goes with none of {len(rows)} tracks"
    parts = [
        ("attends to " if row["mean"] > 0 else "avoids ")
        + f"{row['track']} (rho {row['mean']:.2f} [{row['low']:.2f}, {row['high']:.2f}], "
        + f"q {max(row['q_shift'], row['q_exchange']):.1g})"
        for _, row in associated.head(_NAMED).iterrows()
    ]
    more = len(associated) - len(parts)
    return ", ".join(parts) + (f", and {more} more" if more else "")
