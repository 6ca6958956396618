"""Attention heads in tables: which follow what, and what a model loses without them."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..format.heads import by_trained, by_trained_model
from ..format.numbers import (
    ABSENT,
    LEVEL,
    interval_text,
    mean_and_interval,
    number,
    probability,
)
from ..format.select import rows_of
from .table import Cell, Table, heads

MOST_ROWS = 1000
"""Of a table on the page; the files have all."""


def followed_tracks(associations: pd.DataFrame) -> Table:
    """Trained models and tracks down: how many heads follow it, and the strongest."""
    body: list[tuple[Cell, ...]] = []
    for name, own in by_trained(associations):
        for track, rows in own.groupby("track", sort=False):
            count = f"{int(rows['associated'].sum())} of {len(rows)}"
            body.append((Cell(name), Cell(str(track)), Cell(count), *_strongest(rows)))
    header = ("Model", "Track", "Heads that follow it", "Strongest", f"rho {LEVEL}", "q")
    return _cut("Which tracks have heads", header, body, prose=(0, 1, 3))


def every_head(associations: pd.DataFrame) -> Table:
    """All heads, with the track that each goes with most."""
    body: list[tuple[Cell, ...]] = []
    for name, own in by_trained(associations):
        for (layer, head), rows in own.groupby(["layer", "head"], sort=False):
            count = str(int(rows["associated"].sum()))
            place, rho, q = _strongest(rows)
            track = Cell(_track_of(rows)) if rho.text != ABSENT else place
            body.append((Cell(name), Cell(str(layer)), Cell(str(head)), Cell(count), track, rho, q))
    header = ("Model", "Layer", "Head", "Tracks it follows", "Strongest", f"rho {LEVEL}", "q")
    return _cut("All heads", header, body, prose=(0, 4), folded=True)


def changed_heads(changes: pd.DataFrame) -> Table | None:
    """What changed from one state, or context, to another; None where none was compared."""
    if not len(changes):
        return None
    body: list[tuple[Cell, ...]] = []
    keys = ["model", "replicate", "before", "after", "track"]
    for (model, replicate, before, after, track), rows in changes.groupby(keys, sort=False):
        mean_sizes = [float(rows[name].abs().mean()) for name in ("mean_before", "mean_after")]
        body.append(
            (
                Cell(f"{model}, {replicate}"),
                Cell(f"{before} to {after}"),
                Cell(str(track)),
                Cell(f"{int(rows['changed'].sum())} of {len(rows)}"),
                *(Cell(number(size, 3)) for size in mean_sizes),
                Cell(number(float(rows["change"].abs().max()), 3)),
            )
        )
    header = (
        *("Model", "Change", "Track", "Heads that changed"),
        *("Mean |rho| before", "Mean |rho| after", "Largest change"),
    )
    return _cut("Heads that changed (q < 0.05)", header, body, prose=(0, 1, 2))


def ablated_heads(tests: pd.DataFrame) -> Table | None:
    """What a model reaches without chosen heads, beside random ones; None where none was asked."""
    if not len(tests):
        return None
    body: list[tuple[Cell, ...]] = []
    for name, own in by_trained_model(tests):
        for row in rows_of(own):
            measure = str(row["measure"]).replace("_", " ")
            difference = number(row["difference"], 3)
            interval = interval_text(row["low"], row["high"], 3)
            body.append(
                (
                    Cell(f"{name}: {row['track']}"),
                    Cell(f"{100 * row['share']:.3g} % ({row['heads']})"),
                    Cell(str(row["by"])),
                    Cell(measure),
                    *(Cell(number(row[n], 3)) for n in ("chosen", "least_associated", "random")),
                    Cell(f"{difference} {interval}".strip()),
                    Cell(probability(row["p"]), note="one replicate"),
                    Cell(probability(row["p_random"])),
                )
            )
    header = (
        *("Model and track", "Heads", "By", "Measure", "Without them", "Without the least"),
        *("Without random ones", f"Difference to random {LEVEL}", "p", "p among random sets"),
    )
    return _cut("Without the heads that follow a track", header, body, prose=(0, 2, 3), folded=True)


def relevant_heads(tests: pd.DataFrame) -> Table | None:
    """Heads chosen by relevance against heads that follow a track; None where none were."""
    if not len(tests):
        return None
    body: list[tuple[Cell, ...]] = []
    for name, own in by_trained_model(tests):
        for row in rows_of(own):
            difference = number(row["difference"], 3)
            interval = interval_text(row["low"], row["high"], 3)
            body.append(
                (
                    Cell(f"{name}: {row['track']}"),
                    Cell(f"{100 * row['share']:.3g} %"),
                    Cell(str(row["by"])),
                    Cell(str(row["measure"]).replace("_", " ")),
                    Cell("yes" if row["minus"] == "random" else "no"),
                    Cell(f"{difference} {interval}".strip()),
                    Cell(probability(row["q"]), note="one replicate"),
                )
            )
    header = (
        *("Model and track", "Heads", "By", "Measure", "Less random sets"),
        *(f"Difference {LEVEL}", "q"),
    )
    caption = "Without the heads of most relevance (AttnLRP), minus without those that follow it"
    return _cut(caption, header, body, prose=(0, 2, 3, 4), folded=True)


def _strongest(rows: pd.DataFrame) -> tuple[Cell, Cell, Cell]:
    """Place, correlation and q of the row with the largest correlation."""
    known = rows[rows["mean"].notna()].sort_values("mean", key=abs, ascending=False)
    if not len(known):
        return Cell(ABSENT, note=str(rows["reason"].iloc[0])), Cell(ABSENT), Cell(ABSENT)
    row = known.iloc[0]
    q = float(np.fmax(row["q_shift"], row["q_exchange"]))
    place = f"layer {row['layer']}, head {row['head']}"
    return Cell(place), Cell(mean_and_interval(row, 2)), Cell(probability(q))


def _track_of(rows: pd.DataFrame) -> str:
    known = rows[rows["mean"].notna()].sort_values("mean", key=abs, ascending=False)
    return str(known["track"].iloc[0])


def _cut(
    caption: str,
    header: tuple[str, ...],
    body: list[tuple[Cell, ...]],
    *,
    prose: tuple[int, ...],
    folded: bool = False,
) -> Table:
    left = len(body) - MOST_ROWS
    note = f"{left:,} more rows are in the files beside this page." if left > 0 else ""
    many = folded or len(body) > 30
    return Table(
        caption, heads(*header, prose=prose), tuple(body[:MOST_ROWS]), "", False, many, note=note
    )
