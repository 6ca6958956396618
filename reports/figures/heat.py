"""Heat maps: normalised scores of methods by metric, and how alike the maps of two methods are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import seaborn
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import dendrogram, linkage
from scipy.spatial.distance import squareform

from xaibench.results.reading import Results

from ..format.names import metric_under_operator
from ..format.numbers import ABSENT, number
from ..format.select import methods_of, models_of, operator_of, ranking
from .canvas import (
    AIR,
    PANEL_WIDTH,
    Margins,
    Numbers,
    add_axes,
    canvas,
    draw_line,
    elided,
    pixels,
    short,
    width_of,
    write,
)
from .panel import Panel
from .style import COLOURS, GREY, INK, PLAIN, Style, styles

CELL, ROW = 36.0, 22.0
"""Pixels of a cell, across and down."""

SMALL = 9.5
"""The size of a number in a cell."""

KEY = 19.0
"""Pixels of a cell of the key."""

TREE = 70.0
"""Pixels of a dendrogram."""

SLOPE = 42.0
"""Degrees by which the names above the columns rise."""

BELOW, ABOVE = COLOURS[1], COLOURS[0]

STRONGEST = 0.6
"""How opaque the colour of 1 is: a number on it is still read, on white and on dark."""

DIVERGING = LinearSegmentedColormap.from_list(
    "diverging",
    [
        (0.0, (*to_rgb(BELOW), STRONGEST)),
        (0.5, (*to_rgb(BELOW), 0.0)),
        (0.5, (*to_rgb(ABOVE), 0.0)),
        (1.0, (*to_rgb(ABOVE), STRONGEST)),
    ],
)
"""-1 to 1: two hues of the palette, and 0 is clear, so that it is the colour of the page."""


def score_panels(results: Results) -> list[Panel]:
    """For each model, the normalised score of every method (across) by every metric (down)."""
    tables = {model: _scores(results, model) for model in models_of(results)}
    return [
        _score_panel(results, model, table)
        for model, table in tables.items()
        if table.notna().any(axis=None)
    ]


def _scores(results: Results, model: str) -> pd.DataFrame:
    """Metrics down, methods across, best first; under the leaderboard's operator where there are
    several."""
    rows = results.estimates
    rows = rows[(rows["question"] == "normalised") & (rows["model"] == model)]
    rows = rows[rows["operator"].isin(["", operator_of(results)]) & rows["mean"].notna()]
    table = rows.pivot_table(index="metric", columns="method", values="mean", sort=False)
    order = [str(method) for method in ranking(results, model)["method"]]
    order += [method for method in methods_of(results) if method not in order]
    return table.loc[:, [method for method in order if method in table]]


def _score_panel(results: Results, model: str, table: pd.DataFrame) -> Panel:
    rows = [elided(metric_under_operator(str(metric), ""), 34) for metric in table.index]
    figure, _ = _heat_map(table, rows, styles(methods_of(results)), ("0 random", "1 oracle"))
    means = table.mean().items()
    values_text = ", ".join(f"{short(str(method))} {mean:.2f}" for method, mean in means)
    what = f"Normalised scores of {table.shape[1]} methods by {len(table)} metrics on {model}"
    return Panel(model, model, figure, f"{what}: means {values_text}")


def agreement_panels(results: Results) -> list[Panel]:
    """For each model, the mean Spearman correlation of the maps of every two methods, those that
    agree side by side (average linkage of 1 minus the correlation)."""
    rows = results.agreement[results.agreement["measure"] == "spearman"]
    tables = {model: _agreement(rows[rows["model"] == model]) for model in models_of(results)}
    return [
        _agreement_panel(results, model, table) for model, table in tables.items() if len(table) > 1
    ]


def _agreement(rows: pd.DataFrame) -> pd.DataFrame:
    """Methods down and across: symmetric; on the diagonal, between the seeds of a method."""
    table = rows.pivot_table(index="method", columns="other", values="mean", sort=False)
    methods = list(dict.fromkeys([*table.index, *table.columns]))
    square = table.reindex(index=methods, columns=methods)
    return square.combine_first(square.T).loc[methods, methods]


def _agreement_panel(results: Results, model: str, table: pd.DataFrame) -> Panel:
    tree = clusters(table.to_numpy(float))
    methods = [table.index[place] for place in tree.order]
    table = table.loc[methods, methods]
    rows = [short(str(method)) for method in table.index]
    figure, axes = _heat_map(
        table, rows, styles(methods_of(results)), ("0 unrelated", "1 the same"), right=TREE
    )
    _draw_tree(figure, axes, tree)
    values = table.to_numpy(float)
    pairs = [(rows[i], rows[j], values[i, j]) for i in range(len(rows)) for j in range(i)]
    known = sorted((pair for pair in pairs if np.isfinite(pair[2])), key=lambda pair: -pair[2])
    values_text = ", ".join(f"{one} and {other} {value:.2f}" for one, other, value in known[:6])
    return Panel(model, model, figure, f"Agreement between methods on {model}: {values_text}")


@dataclass(frozen=True, slots=True)
class Tree:
    """A dendrogram: the leaves from the top down, and its joints, ``(joint, 4)``, the four corners
    of each: ``places`` in rows, the first leaf at 0.5, and ``distances``."""

    order: list[int]
    places: Numbers
    distances: Numbers


def clusters(agreement: Numbers) -> Tree:
    """Methods joined by average linkage of 1 minus their agreement; two whose agreement is not
    known are as far from each other as unrelated ones."""
    # the mean agreement of maps that are the same may round to above 1
    distance = np.maximum(1 - np.nan_to_num(agreement, nan=0.0), 0.0)
    np.fill_diagonal(distance, 0.0)
    joined = linkage(squareform(distance, checks=False), "average", optimal_ordering=True)
    tree: Any = dendrogram(joined, no_plot=True)
    # scipy draws a leaf every ten units, the first at 5
    return Tree(tree["leaves"], np.array(tree["icoord"]) / 10, np.array(tree["dcoord"]))


def _draw_tree(figure: Figure, axes: Axes, tree: Tree) -> None:
    """The dendrogram to the right of its rows."""
    box = axes.get_window_extent()
    longest = tree.distances.max() or 1.0
    for places, distances in zip(tree.places, tree.distances, strict=True):
        across = box.x1 + AIR + distances / longest * (TREE - 3 * AIR)
        down = box.y1 - places * ROW
        draw_line(axes, across, down, PLAIN, linewidth=1.0, transform=pixels(figure))


def _heat_map(
    table: pd.DataFrame,
    rows: Sequence[str],
    style: Mapping[str, Style],
    ends: tuple[str, str],
    *,
    right: float = 0.0,
) -> tuple[Figure, Axes]:
    """Cells with their numbers, ``rows`` named on the left and methods above; a key below, which
    says what 0 and 1 are."""
    columns = [short(str(method)) for method in table.columns]
    angle = np.radians(SLOPE)
    last = max(width_of(name) * np.cos(angle) - CELL * k for k, name in enumerate(columns[::-1]))
    left = max(map(width_of, rows)) + 2 * AIR
    across, down = CELL * len(columns), ROW * len(rows)
    above = max(map(width_of, columns)) * np.sin(angle) + 20
    beside = max(last - CELL / 2 + AIR, right, AIR)
    width, height = max(left + across + beside, PANEL_WIDTH), above + down + 34
    with canvas(width, height) as figure:
        axes = add_axes(figure, Margins(left, above, width - left - across, 34))
        draw_cells(axes, table)
        box = axes.get_window_extent()
        for k, name in enumerate(rows):
            write(figure, (left - AIR, box.y1 - ROW * (k + 0.5)), name, ha="right")
        rotation: dict[str, Any] = {"rotation": SLOPE, "rotation_mode": "anchor", "va": "baseline"}
        for k, (method, name) in enumerate(zip(table.columns, columns, strict=True)):
            middle = box.x0 + CELL * (k + 0.5)
            write(figure, (middle, box.y1 + 10), name, **rotation)
            bar = np.array([middle - CELL / 2 + 3, middle + CELL / 2 - 3])
            look = style.get(str(method), PLAIN)
            level = np.full(2, box.y1 + 4)
            draw_line(axes, bar, level, look, linewidth=2.2, transform=pixels(figure))
        _draw_key(figure, left, ends)
    return figure, axes


def draw_cells(axes: Axes, table: pd.DataFrame) -> None:
    """Numbers in [-1, 1] and their colours, a cell each."""
    values = table.to_numpy(float)
    texts = np.array([[number(value, 2) for value in row] for row in values])
    small = {"fontsize": SMALL, "color": INK}
    seaborn.heatmap(
        table.astype(float),
        vmin=-1,
        vmax=1,
        cmap=DIVERGING,
        annot=texts,
        fmt="",
        annot_kws=small,
        cbar=False,
        xticklabels=False,
        yticklabels=False,
        ax=axes,
    )
    axes.set(xlabel="", ylabel="")
    for row, column in np.argwhere(~np.isfinite(values)).tolist():
        place = (column + 0.5, row + 0.5)
        axes.text(*place, ABSENT, fontsize=SMALL, color=GREY, ha="center", va="center")


def _draw_key(figure: Figure, left: float, ends: tuple[str, str]) -> None:
    """Nine shades from -1 to 1, and what is at 0 and 1."""
    shades = np.linspace(-1, 1, 9)
    width, height = figure.bbox.width, figure.bbox.height
    right = width - left - KEY * len(shades)
    key = add_axes(figure, Margins(left, height - 25, right, 17))
    key.pcolormesh(shades[None, :], cmap=DIVERGING, vmin=-1, vmax=1)
    key.set_axis_off()
    for at, text in ((0.5, number(-1, 0)), (4.5, ends[0]), (8.5, ends[1])):
        write(figure, (left + KEY * at, 8), text, ha="center", fontsize=SMALL, color=GREY)
