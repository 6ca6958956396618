"""Score against cost, drawn: a point a method, its name beside the figure."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xaibench.results.reading import Results

from ..format.select import methods_of, models_of
from ..tables.grid import CANNOT
from ..tables.pareto import Worth, front, worth
from .chart import Axis, Entry, Line, Mark, chart, limits_of
from .panels import Panel, short
from .style import GREY, Style, styles


def cost_panels(results: Results) -> list[Panel]:
    """For each model, every method's score against its forwards, the front joined by a line."""
    found = {model: worth(results, model) for model in models_of(results)}
    return [_cost_panel(results, model, one) for model, one in found.items() if one]


def _cost_panel(results: Results, model: str, found: Worth) -> Panel:
    style = styles(methods_of(results))
    methods = [str(method) for method in found.rows["method"]]
    score, forwards = (found.rows[name].to_numpy(np.float64) for name in ("mean", "forwards"))
    on = front(score, forwards) if found.discriminates else np.zeros(len(score), bool)
    points = zip(methods, forwards, score, on, strict=True)
    marks: list[Entry] = [
        Mark(x, y, style[method], filled=bool(best), name=short(method))
        for method, x, y, best in points
    ]
    # a method may need no forward at all, which a plain logarithm cannot show
    x = Axis("forwards a sequence", (-0.3, 2 * max(forwards.max(), 1)), logarithmic=True)
    y = Axis(found.score, limits_of(score))
    drawing = chart(x, y, [*_front(forwards[on], score[on]), *marks])
    said = ", ".join(
        f"{method} {y:.2f} at {x:.0f}"
        for method, x, y in zip(methods, forwards, score, strict=True)
    )
    title = model if found.discriminates else f"{model}: {CANNOT}"
    return Panel(title, drawing, f"{found.score} against forwards on {model}: {said}")


def _front(forwards: NDArray[np.float64], score: NDArray[np.float64]) -> list[Entry]:
    """The stairs that join the methods of the front."""
    if len(forwards) < 2:
        return []
    order = np.argsort(forwards, kind="stable")
    across = np.repeat(forwards[order], 2)[1:]
    up = np.repeat(score[order], 2)[:-1]
    return [Line(across, up, Style(GREY, ""), 1.0)]
