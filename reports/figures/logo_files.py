"""Logos of the examples as figures for a paper: a sheet per model, a row per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from xaibench.results.reading import Results

from ..format.select import methods_of, models_of
from .canvas import Margins, add_axes, canvas, short, write
from .logo import BASE, WIDE, Heights, glyph, heights_of
from .panel import Panel
from .style import GREY, LETTER_COLOURS, TRUTH
from .window import drawn_window

POSITIONS_PER_SHEET = 100
"""How many positions a sheet shows: more would be too small to read in print."""

ROW, HEAD, FOOT = 62.0, 26.0, 34.0
"""Pixels of a logo with its name, and of what is above and below them all."""

EDGE = 16.0
POSITION = 9.6


def logo_panels(results: Results) -> dict[tuple[int, int], Panel]:
    """For each example and model, by their numbers, a sheet of logos."""
    panels = {}
    for number, example in enumerate(results.examples, start=1):
        for place, model in enumerate(models_of(results), start=1):
            by_method = example["scores"].get(model) or {}
            methods = [method for method in methods_of(results) if method in by_method]
            if methods:
                title = _title(example, model)
                alt = f"Logos of {title}: {', '.join(methods)}; shaded: the known motif"
                figure = _sheet(example, model, methods, title)
                panels[number, place] = Panel(model, title, figure, alt)
    return panels


def _sheet(example: Mapping[str, Any], model: str, methods: Sequence[str], title: str) -> Figure:
    start, end = drawn_window(example, POSITIONS_PER_SHEET)
    width = 2 * EDGE + POSITION * (end - start)
    height = HEAD + ROW * len(methods) + FOOT
    with canvas(width, height) as figure:
        write(figure, (EDGE, height - 14), title, fontweight="bold")
        for row, method in enumerate(methods):
            top = HEAD + ROW * row
            write(figure, (EDGE, height - top - 8), short(method, 60))
            axes = add_axes(figure, Margins(EDGE, top + ROW - 44, EDGE, height - top - ROW))
            for first, last in example["motif"]:
                axes.axvspan(first - 0.5, last - 0.5, color=TRUTH, linewidth=0, zorder=-5)
            letters = example["letters"][start:end].upper()
            scores = np.asarray(example["scores"][model][method], float)[start:end]
            draw_logo(axes, letters, heights_of(letters, scores), start)
            axes.tick_params(axis="x", length=0, labelbottom=row == len(methods) - 1)
        axis_label = "position, counted from 0"
        write(figure, (width / 2, 8), axis_label, ha="center", color=GREY)
    return figure


def _title(example: Mapping[str, Any], model: str) -> str:
    prediction = example["models"].get(model) or {}
    name = short(str(example["name"]), 60)
    if prediction.get("output") is not None:
        known = f", measured {short(str(example['label']), 30)}" if example["label"] else ""
        return f"{name}{known}; {short(model, 40)} gives {prediction['output']:.4g}"
    title = f"{name}, class {short(str(example['label']), 30)}; "
    predicted = str(prediction.get("predicted", "nothing known"))
    title += f"{short(model, 40)} predicts {short(predicted, 30)}"
    if prediction.get("probability") is not None:
        title += f" with probability {prediction['probability']:.2f}"
    return title


def draw_logo(axes: Axes, letters: str, heights: Heights, start: int = 0) -> None:
    """A logo on axes of matplotlib, its first position at ``start``."""
    letter_at = np.array(list(letters))
    for letter, colour in LETTER_COLOURS.items():
        where = np.flatnonzero((letter_at == letter) & (heights != 0))
        if len(where):
            shape = _compound(letter, start + where, heights[where])
            axes.add_artist(PathPatch(shape, facecolor=colour, linewidth=0))
    if not heights.any():
        middle = start + (len(letters) - 1) / 2
        axes.text(middle, 0.5, "all scores are zero", ha="center", va="center", color=GREY)
    low, high = min(float(heights.min(initial=0.0)), 0.0), float(heights.max(initial=0.0))
    axes.axhline(0, color=GREY, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set(
        xlim=(start - 0.5, start + len(letters) - 0.5),
        ylim=(low, max(high, 0.05) if heights.any() else 1.0),
        yticks=[],
    )


def _compound(letter: str, positions: NDArray[np.intp], heights: Heights) -> Path:
    """All instances of a letter as one path."""
    outline = glyph(letter)
    points = np.asarray(outline.vertices)
    x = positions[:, None] + (points[:, 0] - 0.5) * (WIDE / BASE)
    y = heights[:, None] * points[:, 1]
    codes = np.tile(np.asarray(outline.codes), len(positions))
    return Path(np.stack([x, y], axis=-1).reshape(-1, 2), codes)
