"""Figures as SVG for the page: small, with colours that follow the reader's light or dark."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import pairwise

from markupsafe import escape

from ..format.paths import without_folders
from .shapes import SIZE, Area, Dot, Drawing, Point, Shape, Stroke, Words


def svg(drawing: Drawing, alt: str, *, alone: bool = True) -> str:
    """The figure; ``alone`` with the style sheet that a page would have for it."""
    body = "".join(_shape(shape) for shape in drawing.shapes)
    style = f"<style>{style_sheet()}</style>" if alone else ""
    size = f'viewBox="0 0 {_number(drawing.width)} {_number(drawing.height)}"'
    width = f' width="{_number(drawing.width)}" height="{_number(drawing.height)}"' if alone else ""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="chart" role="img" '
        f'aria-label="{escape(without_folders(alt))}" {size}{width}>{style}{body}</svg>'
    )


@cache
def style_sheet() -> str:
    """The palette and the shapes' styles, as the page has them."""
    text = files("xaibench.reports").joinpath("static/figures.css").read_text("utf-8")
    return " ".join(text.partition("/* page */")[0].split())


def _shape(shape: Shape) -> str:
    if isinstance(shape, Words):
        return _words(shape)
    if isinstance(shape, Dot):
        x, y = map(_number, shape.centre)
        kind = "dot" if shape.filled else "ring"
        radius = _number(shape.radius)
        return f'<circle class="{kind} {shape.colour}" cx="{x}" cy="{y}" r="{radius}"/>'
    opacity = f' opacity="{_number(shape.opacity)}"' if shape.opacity < 1 else ""
    if isinstance(shape, Area):
        return f'<path class="area {shape.colour}" d="{path(shape.points)}z"{opacity}/>'
    return _stroke(shape, opacity)


def _stroke(shape: Stroke, opacity: str) -> str:
    dashes = f' stroke-dasharray="{shape.dashes}"' if shape.dashes else ""
    width = f' stroke-width="{_number(shape.width)}"' if shape.width != 1 else ""
    named = f'class="line {shape.colour}"'
    return f'<path {named} d="{path(shape.points)}"{width}{dashes}{opacity}/>'


def _words(shape: Words) -> str:
    x, y = map(_number, shape.at)
    # a third of an em puts the middle of small letters at the height wanted, in every font
    down = _number(0.34 * shape.size)
    turned = f' transform="rotate(-90 {x} {y})"' if shape.turned else ""
    anchor = f' text-anchor="{shape.anchor}"' if shape.anchor != "start" else ""
    size = f' font-size="{_number(shape.size)}"' if shape.size != SIZE else ""
    bold = ' font-weight="600"' if shape.bold else ""
    named = f'class="words {shape.colour}" x="{x}" y="{y}" dy="{down}"'
    return f"<text {named}{anchor}{size}{bold}{turned}>{escape(shape.text)}</text>"


def path(points: tuple[Point, ...]) -> str:
    """Points as SVG commands, to a tenth of a pixel.

    >>> path(((1.0, 2.0), (3.05, 1.5), (3.0, 1.0)))
    'M1 2l2-.5 0-.5'
    """
    tenths = [(round(10 * x), round(10 * y)) for x, y in points]
    moves = [(b[0] - a[0], b[1] - a[1]) for a, b in pairwise(tenths)]
    text = ""
    for across, down in moves:
        x, y = _tenths(across), _tenths(down)
        text += ("" if not text or x[0] == "-" else " ") + x + ("" if y[0] == "-" else " ") + y
    start = f"M{_tenths(tenths[0][0])} {_tenths(tenths[0][1])}"
    return f"{start}l{text}" if text else start


def _tenths(count: int) -> str:
    """A number of tenths, as short as it can be told: -0.5 is -.5."""
    whole, rest = divmod(abs(count), 10)
    sign = "-" if count < 0 else ""
    if not rest:
        return f"{sign}{whole}"
    return f"{sign}{whole or ''}.{rest}"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
