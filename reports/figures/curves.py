"""Curves while positions are replaced, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..format.select import methods_of
from .canvas import (
    PANEL_WIDTH,
    Axis,
    Numbers,
    canvas,
    draw_band,
    draw_line,
    draw_names,
    height_for,
    limits_of,
    plain_axes,
    room_for,
)
from .panel import Panel
from .style import Style, styles

Curve = Sequence[Numbers]
"""Fractions, mean, low and high, ``(step,)`` each."""

CURVE_COLUMNS = ("fraction", "mean", "low", "high")


def curve_panels(results: Results, operator: str, quantity: str, order: str) -> list[Panel]:
    """For each model, the mean curve of every method and of random orders with its interval."""
    rows = results.curves
    rows = rows[(rows["operator"] == operator) & (rows["quantity"] == quantity)]
    # random orders have no direction, so they belong to both
    rows = rows[(rows["order"] == order) | (rows["method"] == RANDOM)]
    label = quantity.replace("_", " ")
    y = Axis(label, limits_of(rows[["mean", "low", "high"]]))
    style = styles(methods_of(results))
    panels = []
    for model, own in rows.groupby("model", sort=False):
        curves = _by_method(own, style)
        x = f"share of positions replaced, {order}"
        figure = curves_figure(curves, style, x=x, y=y, bands=True)
        names = ", ".join(method for method in style if method in curves)
        alt = f"{label.capitalize()} of {model}, {order}, operator {operator}: {names}"
        panels.append(Panel(str(model), str(model), figure, alt))
    return panels


def _by_method(rows: pd.DataFrame, style: Mapping[str, Style]) -> dict[str, Curve]:
    """Method -> its curve; the random control, which is drawn first, at the front."""
    rows = rows.sort_values("fraction", kind="stable")
    every, methods = rows[[*CURVE_COLUMNS]].to_numpy(float), rows["method"].to_numpy()
    curves_of_methods: dict[str, Curve] = {}
    for method in set(methods):
        own = every[methods == method]
        first = np.concatenate([[True], np.diff(own[:, 0]) > 0])
        curves_of_methods[str(method)] = tuple(own[first].T)
    order = [RANDOM, *(method for method in style if method != RANDOM)]
    return {method: curves_of_methods[method] for method in order if method in curves_of_methods}


def curves_figure(
    curves: Mapping[str, Curve],
    style: Mapping[str, Style],
    *,
    x: str,
    y: Axis,
    bands: bool,
    end: float = 1.0,
) -> Figure:
    """Curves over shares up to ``end``, the random control a grey band; named from the highest
    down.

    ``bands`` are drawn for the methods too.
    """
    areas = {name: float(np.trapezoid(mean, at)) for name, (at, mean, _, _) in curves.items()}
    falling = sorted(areas, key=lambda name: -areas[name])
    with canvas(PANEL_WIDTH, height_for(falling, 250)) as figure:
        axes = plain_axes(figure, Axis(x, (0.0, end)), y, right=room_for(falling))
        for name, (at, _, low, high) in curves.items():
            if bands or name == RANDOM:
                shade = 0.22 if name == RANDOM else 0.08
                draw_band(axes, at, low, high, style[name].colour, shade)
        for name, (at, mean, _, _) in curves.items():
            draw_line(axes, at, mean, style[name])
        draw_names(figure, axes, {name: style[name] for name in falling})
    return figure
