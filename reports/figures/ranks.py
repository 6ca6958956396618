"""The critical-difference diagram: mean ranks over sequences, groups without a difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.select import methods_of, models_of, operator_of
from .canvas import AIR, PANEL_WIDTH, canvas, draw_dot, draw_line, short, width_of, write
from .panel import Panel
from .style import GREY, INK, PLAIN, Style, styles

_ROW_HEIGHT = 17.0
"""Pixels from one name to the next."""

TICK = 18.0
"""Pixels from one rank with a number to the next, at least."""

STEP = 7.0
"""Pixels from one bar to the next."""


def rank_panels(results: Results) -> list[Panel]:
    """For each model, the methods on the axis of their mean ranks (Demsar 2006): a bar joins those
    whose ranks differ by less than the critical difference of Nemenyi."""
    rows = results.ranks
    rows = rows[(rows["metric"] == PRIMARY) & (rows["operator"] == operator_of(results))]
    rows = rows[rows["mean_rank"].notna()]
    looks = styles(methods_of(results))
    by_model = ((model, rows[rows["model"] == model]) for model in models_of(results))
    return [
        rank_panel(model, own.sort_values("mean_rank", kind="stable"), looks)
        for model, own in by_model
        if len(own) > 1 and own["critical_difference"].notna().any()
    ]


def groups(ranks: np.ndarray, difference: float) -> list[tuple[int, int]]:
    """The longest runs of rising ranks that span no more than the critical difference, as first
    and last place; those of a single method are left out.

    >>> groups(np.array([1.0, 1.5, 2.2, 4.0]), 1.0)
    [(0, 1), (1, 2)]
    """
    ends = np.searchsorted(ranks, ranks + difference, side="right") - 1
    groups: list[tuple[int, int]] = []
    for first, last in enumerate(ends.tolist()):
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups


def rank_panel(title: str, rows: pd.DataFrame, looks: Mapping[str, Style]) -> Panel:
    """The diagram of ``rows`` with method, mean_rank and critical_difference, best first; ``looks``
    are the styles of methods."""
    names = [short(str(method)) for method in rows["method"]]
    ranks = rows["mean_rank"].to_numpy(float)
    difference = float(rows["critical_difference"].max())
    own = [looks.get(str(method), PLAIN) for method in rows["method"]]
    ranks_text = ", ".join(f"{name} {rank:.2f}" for name, rank in zip(names, ranks, strict=True))
    alt = f"Mean ranks on {title}, critical difference {difference:.2f}: {ranks_text}"
    return Panel(title, title, _figure(names, ranks, difference, own), alt)


@dataclass(frozen=True, slots=True)
class _Diagram:
    """The axes, in pixels, of ranks from 1 to ``highest``; their line is ``line`` high, and names
    are beyond ``margin`` on either side."""

    axes: Axes
    width: float
    margin: float
    line: float
    highest: float

    def place(self, rank: float) -> float:
        """Where a rank is on the line."""
        return self.margin + (rank - 1) / (self.highest - 1) * (self.width - 2 * self.margin)

    def stroke(self, points: list[tuple[float, float]], style: Style, thick: float) -> None:
        x, y = np.array(points).T
        draw_line(self.axes, x, y, style, linewidth=thick, linestyle="-")


def _figure(names: list[str], ranks: np.ndarray, difference: float, looks: list[Style]) -> Figure:
    """Best rank on the left; names of the better half on the left, of the others on the right."""
    bars = groups(ranks, difference)
    above, below = 46.0, 14 + STEP * len(bars)
    height = above + below + _ROW_HEIGHT * ((len(names) + 1) // 2) + 8
    margin = max(map(width_of, names)) + width_of("  00.00") + 3 * AIR
    width = max(PANEL_WIDTH, 2 * margin + 200)
    with canvas(width, height) as figure:
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(0, height))
        highest = max(float(len(names)), 1 + difference)
        diagram = _Diagram(axes, width, margin, height - above, highest)
        _draw_scale(figure, diagram, len(names))
        _draw_difference(figure, diagram, difference, height - 14)
        for number, (first, last) in enumerate(bars):
            level = diagram.line - 8 - STEP * number
            left, right = diagram.place(ranks[first]) - 3, diagram.place(ranks[last]) + 3
            diagram.stroke([(left, level), (right, level)], Style(INK), 3.2)
        for place, (name, rank, look) in enumerate(zip(names, ranks, looks, strict=True)):
            better = place < (len(names) + 1) // 2
            row = place if better else len(names) - 1 - place
            down = diagram.line - below - _ROW_HEIGHT * (row + 0.5)
            edge = margin - AIR if better else width - margin + AIR
            at = diagram.place(rank)
            diagram.stroke([(at, diagram.line), (at, down), (edge, down)], look, 1.2)
            draw_dot(axes, at, diagram.line, look.colour)
            text = f"{name}  {rank:.2f}" if better else f"{rank:.2f}  {name}"
            out, side = (-AIR, "right") if better else (AIR, "left")
            write(figure, (edge + out / 2, down), text, ha=side)
    return figure


def _draw_scale(figure: Figure, diagram: _Diagram, methods: int) -> None:
    """The line of the ranks, and the numbers for which there is room."""
    place, line = diagram.place, diagram.line
    diagram.stroke([(place(1), line), (place(diagram.highest), line)], PLAIN, 1)
    every = math.ceil(TICK / (place(2) - place(1)))
    for rank in range(1, methods + 1, every):
        diagram.stroke([(place(rank), line), (place(rank), line + 4)], PLAIN, 1)
        write(figure, (place(rank), line + 12), str(rank), ha="center", color=GREY)


def _draw_difference(figure: Figure, diagram: _Diagram, difference: float, height: float) -> None:
    """The critical difference as a bar of its length."""
    end = diagram.place(1 + difference)
    diagram.stroke([(diagram.place(1), height), (end, height)], Style(INK), 2)
    write(figure, (end + AIR, height), f"critical difference {difference:.2f}")
