"""Maps of attention heads: how each goes with a track, layers down and heads across."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from .canvas import AIR, Margins, add_axes, canvas, elided, width_of, write
from .heat import CELL, ROW, draw_cells
from .panel import saved
from .style import INK

ABOVE, BELOW = 44.0, 26.0
"""Pixels of the title and the heads' numbers, and of the legend."""


def head_figures(associations: pd.DataFrame) -> dict[str, bytes]:
    """SVG, PDF and PNG of each track on each trained model, by the names of their files; the rows
    are those of ``heads.csv``."""
    files: dict[str, bytes] = {}
    trained = associations.groupby(["model", "state", "replicate", "track"], sort=False)
    for number, ((model, state, replicate, track), rows) in enumerate(trained, start=1):
        figure = head_map(rows, f"{track}: {model}, {state}, {replicate}")
        files |= {f"head_map_{number}.{kind}": each for kind, each in saved(figure).items()}
    return files


def head_map(rows: pd.DataFrame, title: str) -> Figure:
    """The mean correlation of every head with one track; framed where it is associated."""
    means, associated = (
        rows.pivot(index="layer", columns="head", values=name) for name in ("mean", "associated")
    )
    left = width_of("layer 00") + 2 * AIR
    across, down = CELL * means.shape[1], ROW * means.shape[0]
    legend = "mean rank correlation; framed: q < 0.05"
    width = max(left + across, left + width_of(legend), width_of(title)) + 2 * AIR
    with canvas(width, ABOVE + down + BELOW) as figure:
        axes = add_axes(figure, Margins(left, ABOVE, width - left - across, BELOW))
        draw_cells(axes, means)
        for row, column in np.argwhere(associated.to_numpy(bool)).tolist():
            axes.add_patch(Rectangle((column, row), 1, 1, fill=False, edgecolor=INK, linewidth=1.5))
        box = axes.get_window_extent()
        write(figure, (AIR, box.y1 + 26), elided(title, 60))
        write(figure, (left, 8), legend)
        for place, layer in enumerate(means.index):
            write(figure, (left - AIR, box.y1 - ROW * (place + 0.5)), f"layer {layer}", ha="right")
        for place, head in enumerate(means.columns):
            write(figure, (left + CELL * (place + 0.5), box.y1 + 8), str(head), ha="center")
    return figure
