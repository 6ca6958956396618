"""The gap to random of every sequence, as strips: whether a mean is that of most sequences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.select import (
    explained_unit,
    matching,
    methods_of,
    models_of,
    operator_of,
    ranking,
)
from .canvas import (
    AIR,
    PANEL_WIDTH,
    Axis,
    Margins,
    add_axes,
    canvas,
    draw_line,
    limits_of,
    short,
    width_of,
    write,
)
from .panel import Panel
from .style import GREY, INK, PLAIN, Style, styles

_ROW_HEIGHT = 26.0

MOST_SEQUENCES = 150
"""So many sequences are drawn, in the order of the run: more would be a stain, and heavy."""

GOLDEN = 0.6180339887498949


def strip_panels(results: Results) -> list[Panel]:
    """For each model, a strip per method, best on top: a dot per sequence, its mean over seeds."""
    gaps = {model: _gaps(results, model) for model in models_of(results)}
    every = [table.to_numpy(float).ravel() for table in gaps.values()]
    title = f"gap to random of one sequence ({explained_unit(results)})"
    x = Axis(title, limits_of(np.concatenate([[0.0], *every])))
    return [_panel(results, model, table, x) for model, table in gaps.items() if len(table)]


def _gaps(results: Results, model: str) -> pd.DataFrame:
    """Methods down, best first, sequences across: random minus method, each the mean over seeds and
    repeats; empty where the run has no random control."""
    which = {"model": model, "metric": PRIMARY, "operator": operator_of(results)}
    rows = matching(results.records, control="", status="ok", **which)
    keys = ["method", "sequence"]
    means = rows.groupby(keys, observed=True, sort=False)["value"].mean().unstack("sequence")
    means.index = means.index.astype(str)
    if RANDOM not in means.index:
        return pd.DataFrame()
    order = [str(method) for method in ranking(results, model)["method"]]
    gaps = means.loc[RANDOM] - means.loc[[method for method in order if method in means.index]]
    return gaps[gaps.notna().any(axis=1)].iloc[:, :MOST_SEQUENCES]


def _panel(results: Results, model: str, gaps: pd.DataFrame, x: Axis) -> Panel:
    style = styles(methods_of(results))
    names = [short(str(method)) for method in gaps.index]
    values = gaps.to_numpy(float)
    # spread over the strip by a sequence without repeats, the same each time
    spread = (np.arange(values.shape[1]) * GOLDEN % 1 - 0.5) * 0.62
    left = max(map(width_of, names)) + 2 * AIR
    height = 50 + _ROW_HEIGHT * len(names)
    with canvas(max(PANEL_WIDTH, left + 260), height) as figure:
        axes = add_axes(figure, Margins(left, 8.0, 2 * AIR))
        axes.set(xlim=x.limits, ylim=(len(names) - 0.4, -0.6), yticks=[])
        axes.spines["left"].set_visible(False)
        axes.set_xticks(*x.ticks)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 2)), clip_on=False)
        for place, (method, row) in enumerate(zip(gaps.index, values, strict=True)):
            colour = style.get(str(method), PLAIN).colour
            look: dict[str, Any] = {
                "markerfacecolor": colour,
                "markeredgewidth": 0,
                "markersize": 3.4,
            }
            dots = Line2D(row, place + spread, marker="o", linestyle="", alpha=0.55, **look)
            axes.add_artist(dots).set_clip_on(False)
            middle = np.full(2, float(np.nanmedian(row)))
            draw_line(axes, middle, place + np.array([-0.38, 0.38]), Style(INK), linewidth=2.0)
            down = float(axes.transData.transform((0.0, place))[1])
            write(figure, (AIR, down), names[place])
        box = axes.get_window_extent()
        write(figure, (box.x0 + box.width / 2, 11), x.label, ha="center")
    above = np.nanmean(np.where(np.isfinite(values), values > 0, np.nan), axis=1)
    shares_text = ", ".join(f"{name} {share:.0%}" for name, share in zip(names, above, strict=True))
    what = f"Gap to random of {values.shape[1]} sequences on {model}, shares above 0"
    return Panel(model, model, figure, f"{what}: {shares_text}")
