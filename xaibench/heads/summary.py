"""One sentence per head, from its numbers alone."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

_NAMED = 3
"""Tracks that a sentence names, the strongest."""


def sentences(associations: pd.DataFrame) -> Iterator[tuple[str, str, int, int, str]]:
    """Model, replicate, layer, head, and what the head goes with, of the rows of
    ``HeadTables.associations``. Tracks are named that are associated and no others."""
    keys = ["model", "replicate", "layer", "head"]
    for key, rows in associations.groupby(keys, sort=False):
        model, replicate, layer, head = map(str, key)
        yield model, replicate, int(layer), int(head), sentence(rows)


def sentence(rows: pd.DataFrame) -> str:
    """Of the rows of one head, a track each."""
    associated = rows[rows["associated"]].sort_values("mean", key=abs, ascending=False)
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
