"""Score against cost: a point per method, the Pareto front joined by a line."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.results.reading import Results

from ..format.select import methods_of, models_of
from ..tables.pareto import Worth, pareto_front, worth
from ..tables.table import CANNOT
from .canvas import (
    AIR,
    LINE,
    PANEL_WIDTH,
    Axis,
    Numbers,
    canvas,
    draw_dot,
    draw_line,
    height_for,
    limits_of,
    pixels,
    plain_axes,
    room_for,
    short,
    spaced,
    write,
)
from .panel import Panel
from .style import GREY, PLAIN, Style, styles


def cost_panels(results: Results) -> list[Panel]:
    """For each model, every method's score against its forward passes."""
    worths = {model: worth(results, model) for model in models_of(results)}
    return [_panel(results, model, own) for model, own in worths.items() if own]


def _panel(results: Results, model: str, own_worth: Worth) -> Panel:
    style = styles(methods_of(results))
    methods = [str(method) for method in own_worth.rows["method"]]
    score, forwards = (own_worth.rows[name].to_numpy(np.float64) for name in ("mean", "forwards"))
    on_front = (
        pareto_front(score, forwards) if own_worth.discriminates else np.zeros(len(score), bool)
    )
    y = Axis(own_worth.score, limits_of(score))
    with canvas(PANEL_WIDTH, height_for(methods, 250)) as figure:
        x = Axis("forward passes per sequence", (-0.3, 2 * max(forwards.max(), 1)), counts=True)
        axes = plain_axes(figure, x, y, right=room_for(methods))
        _draw_front(axes, forwards[on_front], score[on_front])
        for method, across, up, best in zip(methods, forwards, score, on_front, strict=True):
            draw_dot(axes, across, up, style.get(method, PLAIN).colour, hollow=not best)
        _name_dots(figure, axes, methods, np.column_stack([forwards, score]))
    listed = zip(methods, forwards, score, strict=True)
    points_text = ", ".join(f"{method} {up:.2f} at {across:.0f}" for method, across, up in listed)
    title = model if own_worth.discriminates else f"{model}: {CANNOT}"
    alt = f"{own_worth.score.capitalize()} against forward passes on {model}: {points_text}"
    return Panel(model, title, figure, alt)


def _draw_front(axes: Axes, forwards: Numbers, score: Numbers) -> None:
    """The stairs that join the methods of the front."""
    order = np.argsort(forwards, kind="stable")
    across, up = np.repeat(forwards[order], 2)[1:], np.repeat(score[order], 2)[:-1]
    draw_line(axes, across, up, Style(GREY), linewidth=1.0)


def _name_dots(figure: Figure, axes: Axes, methods: list[str], at: Numbers) -> None:
    """The names of the dots on the right, joined to them; none upon another."""
    box = axes.get_window_extent()
    dots = axes.transData.transform(at)
    order = np.argsort(-dots[:, 1], kind="stable")
    downs = spaced([-float(dots[k, 1]) for k in order], (-box.y1 + 4, -box.y0), LINE)
    start = box.x1 + AIR
    for k, down in zip(order.tolist(), downs, strict=True):
        x, y = dots[k]
        across, down_to = np.array([x + 5, box.x1, start + 2]), np.array([y, -down, -down])
        look: dict[str, Any] = {"linewidth": 0.6, "alpha": 0.6, "transform": pixels(figure)}
        draw_line(axes, across, down_to, Style(GREY), **look)
        write(figure, (start + 6, -down), short(methods[k]))
