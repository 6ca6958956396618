"""Figures as files, by matplotlib: SVG with letters as outlines, and PNG."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Polygon
from matplotlib.text import Text

from .shapes import Area, Dot, Drawing, Stroke, Words
from .style import PAINT, dashed

PIXELS = 96
"""To the inch, as style sheets count."""

PNG_PIXELS = 2 * PIXELS

SETTINGS: Any = {
    "font.family": "DejaVu Sans",
    "svg.hashsalt": "xaibench",
    "svg.fonttype": "path",
    "text.parse_math": False,
}
"""DejaVu Sans comes with matplotlib, so that a figure is the same on every machine."""


@contextmanager
def sheet(width: float, height: float) -> Iterator[tuple[Figure, Axes]]:
    """An empty figure of so many pixels and axes that count them from the top left.

    The settings of matplotlib come back afterwards.
    """
    with matplotlib.rc_context(SETTINGS):
        figure = Figure(figsize=(width / PIXELS, height / PIXELS))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_axis_off()
        axes.set(xlim=(0, width), ylim=(height, 0))
        yield figure, axes


def printed(drawing: Drawing) -> dict[str, bytes]:
    """Kind of file -> the figure, the same bytes each time."""
    with sheet(drawing.width, drawing.height) as (figure, axes):
        for shape in drawing.shapes:
            # all at one level, so that the order of the shapes says what covers what
            axes.add_artist(_MADE[type(shape)](shape)).set_zorder(2)
        return saved(figure)


def saved(figure: Figure) -> dict[str, bytes]:
    """A figure as ``svg`` and ``png``, on white."""
    files = {}
    for kind, facts in (("svg", {"Date": None, "Creator": None}), ("png", {"Software": None})):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=kind, metadata=facts, facecolor="white", dpi=PNG_PIXELS)
        files[kind] = buffer.getvalue()
    return files


def _points(pixels: float) -> float:
    return pixels * 72 / PIXELS


def _stroke(shape: Stroke) -> Artist:
    x, y = zip(*shape.points, strict=True)
    line = Line2D(
        x,
        y,
        color=PAINT[shape.colour],
        linewidth=_points(shape.width),
        alpha=shape.opacity,
        solid_capstyle="butt",
    )
    lengths = tuple(length / shape.width for length in dashed(shape.dashes))
    line.set_linestyle((0.0, lengths) if lengths else "-")
    return line


def _area(shape: Area) -> Artist:
    colour = PAINT[shape.colour]
    return Polygon(shape.points, closed=True, facecolor=colour, alpha=shape.opacity, linewidth=0)


def _dot(shape: Dot) -> Artist:
    colour = PAINT[shape.colour]
    face = colour if shape.filled else "white"
    circle = Circle(shape.centre, shape.radius, facecolor=face, edgecolor=colour)
    circle.set_linewidth(_points(1.2))
    return circle


def _words(shape: Words) -> Artist:
    return Text(
        *shape.at,
        shape.text,
        color=PAINT[shape.colour],
        fontsize=_points(shape.size) * NARROWER,
        fontweight="bold" if shape.bold else "normal",
        horizontalalignment=_SIDES[shape.anchor],
        verticalalignment="center" if shape.turned else "center_baseline",
        rotation=90 if shape.turned else 0,
    )


_SIDES: dict[str, Literal["left", "center", "right"]] = {
    "start": "left",
    "middle": "center",
    "end": "right",
}

NARROWER = 0.92
"""DejaVu Sans is wider than the fonts of pages; so much smaller it takes as much room."""

_MADE: dict[type, Callable[[Any], Artist]] = {
    Stroke: _stroke,
    Area: _area,
    Dot: _dot,
    Words: _words,
}
