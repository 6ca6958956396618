"""Logos of the examples as figures for a paper: a sheet for each model, a row a method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from xaibench.results.reading import Results

from ..format.select import methods_of, models_of
from ..web.examples import window
from .glyphs import outline
from .letters import BASE, WIDE, Heights, heights_of
from .mpl import saved, sheet
from .panels import short
from .style import GREY, LETTERS, TRUTH

MOST = 100
"""How many positions a sheet shows: more would be too small to read in print."""

ROW, HEAD, FOOT = 62.0, 26.0, 34.0
"""Pixels of a logo with its name, and of what stands above and below them all."""

EDGE = 16.0
POSITION = 9.6

_COMMANDS = {
    "M": [Path.MOVETO],
    "L": [Path.LINETO],
    "C": [Path.CURVE4] * 3,
    "Z": [Path.CLOSEPOLY],
}


def logo_files(results: Results) -> dict[str, tuple[str, dict[str, bytes]]]:
    """For each example and model a sheet of logos: its name -> what it shows, and the file of
    each kind."""
    found = {}
    for number, example in enumerate(results.examples, start=1):
        for place, model in enumerate(models_of(results), start=1):
            by_method = example["scores"].get(model) or {}
            methods = [method for method in methods_of(results) if method in by_method]
            if methods:
                files = _sheet(example, model, methods)
                caption = f"Logos of {_title(example, model)}: {', '.join(methods)}"
                found[f"logos_{number}_{place}"] = (f"{caption}; shaded: the known motif", files)
    return found


def _sheet(example: Mapping[str, Any], model: str, methods: Sequence[str]) -> dict[str, bytes]:
    start, end = window(example, MOST)
    width = 2 * EDGE + POSITION * (end - start)
    height = HEAD + ROW * len(methods) + FOOT
    with sheet(width, height) as (figure, page):
        page.text(EDGE, 14, _title(example, model), fontsize=9, va="center", fontweight="bold")
        for row, method in enumerate(methods):
            top = HEAD + ROW * row
            page.text(EDGE, top + 8, short(method, 60), fontsize=7.5, va="center")
            box = (EDGE / width, 1 - (top + ROW) / height, 1 - 2 * EDGE / width, 44 / height)
            axes = figure.add_axes(box, frameon=False)
            for first, last in example["motif"]:
                axes.axvspan(first - 0.5, last - 0.5, color=TRUTH, linewidth=0, zorder=-5)
            letters = example["letters"][start:end].upper()
            scores = np.asarray(example["scores"][model][method], float)[start:end]
            draw_logo(axes, letters, heights_of(letters, scores), start)
            axes.tick_params(axis="x", length=0, labelsize=7, labelcolor=GREY)
            axes.tick_params(axis="x", labelbottom=row == len(methods) - 1)
        words = "position, counted from 0"
        page.text(width / 2, height - 8, words, fontsize=7.5, ha="center", va="center", color=GREY)
        return saved(figure)


def _title(example: Mapping[str, Any], model: str) -> str:
    told = example["models"].get(model) or {}
    said = f"{short(str(example['name']), 60)}, class {short(str(example['label']), 30)}; "
    said += f"{short(model, 40)} predicts {short(str(told.get('predicted', 'nothing known')), 30)}"
    if told.get("probability") is not None:
        said += f" with probability {told['probability']:.2f}"
    return said


def draw_logo(axes: Axes, letters: str, heights: Heights, start: int = 0) -> None:
    """The same logo on axes of matplotlib, its first position at ``start``."""
    letter_at = np.array(list(letters))
    for letter, colour in LETTERS.items():
        where = np.flatnonzero((letter_at == letter) & (heights != 0))
        if len(where):
            shape = _compound(letter, start + where, heights[where])
            axes.add_artist(PathPatch(shape, facecolor=colour, linewidth=0))
    if not heights.any():
        middle = start + (len(letters) - 1) / 2
        axes.text(middle, 0.5, "all scores are zero", ha="center", va="center", color=GREY)
    low, high = min(float(heights.min(initial=0.0)), 0.0), float(heights.max(initial=0.0))
    axes.axhline(0, color=GREY, linewidth=0.5)
    axes.set(
        xlim=(start - 0.5, start + len(letters) - 0.5),
        ylim=(low, max(high, 0.05) if heights.any() else 1.0),
        yticks=[],
    )


def _compound(letter: str, positions: NDArray[np.intp], heights: Heights) -> Path:
    """All instances of a letter as one path."""
    points, commands = outline(letter)
    codes = np.array([code for command in commands for code in _COMMANDS[command]], np.uint8)
    places = np.zeros((len(codes), 2))  # a command that closes has a point that nobody looks at
    places[codes != Path.CLOSEPOLY] = points
    x = positions[:, None] + (places[:, 0] - 0.5) * (WIDE / BASE)
    y = heights[:, None] * places[:, 1]
    return Path(np.stack([x, y], axis=-1).reshape(-1, 2), np.tile(codes, len(positions)))
