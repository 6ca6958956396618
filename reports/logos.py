"""Sequence logos of the examples: a letter as high as its score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import logomaker
import numpy as np
import seaborn
from matplotlib.axes import Axes
from numpy.typing import NDArray

from xaibench.results import Results

from .figures import GREY, Panel, panel, sheet, short
from .selection import methods_of, models_of

LETTERS = {"A": "#009e73", "C": "#0072b2", "G": "#e69f00", "T": "#c0392b"}
WINDOW = 60
"""How many positions a logo shows: more would be too small to read."""

MOST = 24
"""How many logos a report draws: each takes about 0.05 s and 50 kB."""


def logo_panels(results: Results) -> list[tuple[str, list[Panel]]]:
    """For each drawn example its title and a figure a model, with a row a method."""
    return [(_title(example), _example(results, example)) for example in examples_shown(results)]


def examples_shown(results: Results) -> list[dict[str, Any]]:
    """The examples that get logos: at least one, and no more than ``MOST`` logos allow."""
    rows = len(models_of(results)) * len(methods_shown(results))
    return results.examples[: max(MOST // max(rows, 1), 1)]


def methods_shown(results: Results) -> list[str]:
    """The methods that get a logo: the first ones of the plan where all are too many."""
    most = max(MOST // max(len(models_of(results)), 1), 1)
    return methods_of(results)[:most]


def _title(example: dict[str, Any]) -> str:
    said = f"{example['name']}, class {example['label']}"
    return said if example["motif"] else f"{said} (no known motif)"


def _example(results: Results, example: dict[str, Any]) -> list[Panel]:
    start, end = window(example)
    panels = []
    for model in (model for model in models_of(results) if model in example["scores"]):
        scores = example["scores"][model]
        methods = [method for method in methods_shown(results) if method in scores]
        if methods:
            panels.append(_model_logos(example, model, methods, (start, end)))
    return panels


def window(example: dict[str, Any]) -> tuple[int, int]:
    """The positions shown, ``(start, end)``: around the first motif, else where most scores lie."""
    length = len(example["letters"])
    width = min(WINDOW, length)
    if example["motif"]:
        start, end = example["motif"][0]
        first = (start + end - width) // 2
    else:
        first = _richest(example, width)
    first = min(max(first, 0), length - width)
    return first, first + width


def _richest(example: dict[str, Any], width: int) -> int:
    """Where the window starts that holds most of the size of all scores, maps counting equally."""
    total = np.zeros(len(example["letters"]))
    for by_method in example["scores"].values():
        for scores in by_method.values():
            size = np.nan_to_num(np.abs(np.asarray(scores, dtype=float)))
            total += size / size.sum() if size.any() else 0
    held = np.convolve(total, np.ones(width), mode="valid")
    return int(held.argmax())


def _model_logos(
    example: dict[str, Any], model: str, methods: Sequence[str], shown: tuple[int, int]
) -> Panel:
    start, end = shown
    told = example["models"].get(model, {})
    with sheet(10.6, 0.45 + 0.72 * len(methods)) as figure:
        rows = figure.subplots(len(methods), 1, sharex=True, squeeze=False)[:, 0]
        for axes, method in zip(rows, methods, strict=True):
            for first, last in example["motif"]:
                axes.axvspan(first - 0.5, last - 0.5, color="#fff1b8", linewidth=0, zorder=-5)
            scores = np.asarray(example["scores"][model][method], dtype=float)
            _draw_logo(axes, example["letters"][start:end], scores[start:end], start)
            axes.set_title(short(method, 60), loc="left", fontsize=8, pad=2)
        rows[-1].set_xlabel("position (0-based)")
        title = f"{model}: predicts {told.get('predicted', '?')}"
        if "probability" in told:
            title += f" with probability {told['probability']:.2f}"
        names = ", ".join(methods)
        alt = f"Logos of {example['name']} at positions {start} to {end} on {model}: {names}"
        return panel(figure, title, alt)


def _draw_logo(axes: Axes, letters: str, scores: NDArray[np.float64], start: int) -> None:
    """Letters as high as their scores; each row has its own scale, the largest fills it."""
    known = np.array([letter in LETTERS for letter in letters.upper()]) & np.isfinite(scores)
    heights = np.where(known, scores, 0.0)
    largest = float(np.abs(heights).max())
    heights = heights / largest if largest > 0 else heights
    # logomaker.Logo would make four letters a position, three of them of no height
    for place in np.flatnonzero(heights):
        _draw_letter(axes, letters[place].upper(), start + int(place), float(heights[place]))
    if not largest > 0:
        middle = start + len(letters) / 2
        axes.text(middle, 0.5, "all scores are zero", ha="center", va="center", color=GREY)
    axes.axhline(0, color=GREY, linewidth=0.5)
    limits = (min(float(heights.min()), 0.0), max(float(heights.max()), 0.05) if largest else 1.0)
    axes.set(xlim=(start - 0.5, start + len(letters) - 0.5), ylim=limits, yticks=[])
    axes.tick_params(axis="x", length=0)
    seaborn.despine(ax=axes, left=True, bottom=True)


def _draw_letter(axes: Axes, letter: str, position: int, height: float) -> None:
    """Upright above the line, upside down below it."""
    logomaker.Glyph(
        position,
        letter,
        ax=axes,
        floor=min(height, 0.0),
        ceiling=max(height, 0.0),
        width=0.95,
        vpad=0.0,
        color=LETTERS[letter],
        flip=height < 0,
    )
