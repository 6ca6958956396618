"""The leaderboard as a forest plot: every method's gap to random deletion with its interval."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.numbers import decimals_of, mean_and_interval
from ..format.select import explained_unit, methods_of, models_of, operator_of, ranking, rows_of
from ..tables.selftest import tested
from ..tables.table import CANNOT
from .canvas import (
    AIR,
    PANEL_WIDTH,
    Axis,
    Margins,
    add_axes,
    canvas,
    draw_dot,
    draw_line,
    limits_of,
    short,
    width_of,
    write,
)
from .panel import Panel
from .style import GREY, PLAIN, Style, styles

_ROW_HEIGHT = 20.0

OUTER, INNER = ("low", "high"), ("sequences_low", "sequences_high")
"""The interval for retraining, drawn thin, and that for these trained models, drawn thick."""

ENDS = ["mean", *OUTER, *INNER]


def gap_panels(results: Results) -> list[Panel]:
    """A forest plot per model, best method on top; all models share the axis."""
    rankings = {model: ranking(results, model) for model in models_of(results)}
    known = {model: rows[rows["mean"].notna()] for model, rows in rankings.items()}
    every = [rows[ENDS].to_numpy(float).ravel() for rows in known.values()]
    x = Axis(
        f"gap to random ({explained_unit(results)})", limits_of(np.concatenate([[0.0], *every]))
    )
    return [_panel(results, model, rows, x) for model, rows in known.items() if len(rows)]


def _panel(results: Results, model: str, rows: pd.DataFrame, x: Axis) -> Panel:
    figure_of = styles(methods_of(results))
    names = [short(str(name)) for name in rows["method"]]
    decimals = decimals_of(rows)
    numbers = [mean_and_interval(row, decimals) for row in rows_of(rows)]
    left, right = (max(map(width_of, texts)) for texts in (names, numbers))
    height = 50 + _ROW_HEIGHT * len(rows)
    with canvas(max(PANEL_WIDTH, left + right + 220), height) as figure:
        axes = add_axes(figure, Margins(left + 2 * AIR, 8.0, right + 2 * AIR))
        axes.set(xlim=x.limits, ylim=(len(rows) - 0.4, -0.6), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.set_xticks(*x.ticks)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 2)), clip_on=False)
        box = axes.get_window_extent()
        for place, (name, row) in enumerate(zip(names, rows.to_dict("records"), strict=True)):
            _draw_gap(axes, place, row, figure_of.get(str(row["method"]), PLAIN).colour)
            down = float(axes.transData.transform((0.0, place))[1])
            write(figure, (AIR, down), name)
            write(figure, (box.x1 + AIR, down), numbers[place], color=GREY)
        write(figure, (box.x0 + box.width / 2, 11), x.label, ha="center")
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    gaps = ", ".join(f"{name} {mean:.2f}" for name, mean in zip(names, rows["mean"], strict=True))
    title = f"{model}: {CANNOT}" if failed else model
    return Panel(model, title, figure, f"Gap to random deletion on {model}: {gaps}")


def _draw_gap(axes: Axes, place: int, row: Mapping[Hashable, Any], colour: str) -> None:
    """The mean as a dot, and those of its intervals that are known as lines."""
    for ends, look in ((OUTER, THIN), (INNER, THICK)):
        values = np.array([row[end] for end in ends])
        if np.isfinite(values).all():
            draw_line(axes, values, np.full(2, float(place)), Style(colour), **look)
    draw_dot(axes, row["mean"], place, colour)


THIN = {"linewidth": 1.2}
THICK = {"linewidth": 5.0, "alpha": 0.45}
