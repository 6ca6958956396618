"""Score against cost, drawn: a point a method, its name beside the figure."""

from __future__ import annotations

import numpy as np
import seaborn
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from xaibench.results import Results

from .figures import GREY, Panel, limits_of, panel, sheet, short, styles
from .grid import CANNOT
from .selection import methods_of, models_of
from .worth import Worth, front, worth

LABEL = 0.165
"""Inches between the names of two methods beside a figure."""


def cost_panels(results: Results) -> list[Panel]:
    """For each model, every method's score against its forwards, the front joined by a line."""
    found = {model: worth(results, model) for model in models_of(results)}
    return [_cost_panel(results, model, one) for model, one in found.items() if one]


def _cost_panel(results: Results, model: str, found: Worth) -> Panel:
    style = styles(methods_of(results))
    methods = found.rows["method"]
    score, forwards = (found.rows[name].to_numpy(np.float64) for name in ("mean", "forwards"))
    limits = limits_of(score)
    with sheet(3.5, max(2.5, 0.7 + LABEL * len(methods)), layout=None) as figure:
        figure.subplots_adjust(left=0.16, right=0.54, top=0.97, bottom=0.5 / figure.get_figheight())
        axes = figure.add_subplot()
        # a method may need no forward at all, which a plain logarithm cannot show
        axes.set_xscale("symlog", linthresh=1, linscale=0.4)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda forwards, _: f"{forwards:g}"))
        axes.set(ylim=limits, xlim=(-0.3, 3 * max(forwards.max(), 1)))
        axes.set(xlabel="forwards a sequence", ylabel=found.score)
        on = front(score, forwards) if found.discriminates else np.zeros(len(score), bool)
        _draw_front(axes, forwards[on], score[on])
        heights = _spread(score, limits)
        for method, x, y, height, best in zip(methods, forwards, score, heights, on, strict=True):
            colour = style[method].colour
            axes.plot(
                x, y, "o", markersize=5, color=colour, markerfacecolor=colour if best else "white"
            )
            _name_beside(axes, short(method, 22), (x, y), height)
        seaborn.despine(ax=axes)
        said = ", ".join(
            f"{method} {y:.2f} at {x:.0f}"
            for method, x, y in zip(methods, forwards, score, strict=True)
        )
        title = model if found.discriminates else f"{model}: {CANNOT}"
        return panel(figure, title, f"{found.score} against forwards on {model}: {said}")


def _draw_front(axes: Axes, forwards: NDArray[np.float64], score: NDArray[np.float64]) -> None:
    order = np.argsort(forwards, kind="stable")
    axes.step(forwards[order], score[order], where="post", color=GREY, linewidth=1, zorder=1)


def _name_beside(axes: Axes, name: str, at: tuple[float, float], height: float) -> None:
    """A name right of the axes, joined to its point; ``height`` in shares of the axes."""
    axes.annotate(
        name,
        at,
        xytext=(1.05, height),
        textcoords="axes fraction",
        va="center",
        fontsize=7.5,
        annotation_clip=False,
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.4, "alpha": 0.6},
    )


def _spread(values: NDArray[np.float64], limits: tuple[float, float]) -> NDArray[np.float64]:
    """Heights (shares of the axis) for the names of falling ``values``, none upon another."""
    apart = 1 / max(len(values), 12)
    heights = (values - limits[0]) / (limits[1] - limits[0])
    for place in range(1, len(heights)):
        heights[place] = min(heights[place], heights[place - 1] - apart)
    heights[-1] = max(heights[-1], 0)
    for place in range(len(heights) - 2, -1, -1):
        heights[place] = max(heights[place], heights[place + 1] + apart)
    return heights
