"""The example browser: one sequence under every method, letters, truth, prediction and curve.

Everything is written into the page; a script (``static/examples.js``) then shows one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from matplotlib.ticker import MaxNLocator

from xaibench.results.reading import Results

from ..figures.canvas import short
from ..figures.example_curves import curve_panel
from ..figures.logo import BASE, HIGH, Logo, heights_of, logo
from ..figures.style import Style, styles
from ..figures.window import drawn_window
from ..format.paths import without_folders
from ..format.select import has_classes, methods_of, models_of
from .templates import template

MOST_LETTERS = 40_000
"""How many letters a page draws before it leaves examples out: each takes about 50 bytes."""

FEWEST = 100
"""So many positions of a sequence are shown however many methods there are."""

DIGITS = 1000
"""A score is given in so many parts of the largest."""


@dataclass(frozen=True, slots=True)
class Map:
    """One method's scores of a sequence, drawn; ``score_parts`` are parts of the ``largest``."""

    method: str
    style: Style
    logo: Logo
    largest: str
    score_parts: str


@dataclass(frozen=True, slots=True)
class View:
    """A sequence as one model and its explanations see it."""

    model: str
    place: int
    predicted: str
    probability: str
    output: str
    right: bool | None
    curve: Markup | None
    operator: str
    maps: tuple[Map, ...]


@dataclass(frozen=True, slots=True)
class MotifSpan:
    """Where a known motif stands, in shares of what is shown, and its positions as text."""

    start: float
    end: float
    units: tuple[int, int]
    name: str
    positions: str


@dataclass(frozen=True, slots=True)
class Example:
    """A sequence to be looked at, its positions from ``start`` to ``end``."""

    name: str
    label: str
    chosen: str
    letters: str
    start: int
    length: int
    truth: tuple[MotifSpan, ...]
    ruler: tuple[tuple[float, str], ...]
    views: tuple[View, ...]
    classes: bool
    """Whether the label is a class, and no measured number."""

    @property
    def end(self) -> int:
        return self.start + len(self.letters)


def example_browser(results: Results) -> Markup:
    """The markup of the browser, without scripts; empty where a run has no examples."""
    shown = examples_shown(results)
    if not shown:
        return Markup("")
    left_out = len(results.examples) - len(shown)
    models = [without_folders(model) for model in models_of(results)]
    page = template("examples").render(
        examples=shown, models=models, left_out=left_out, base=BASE, high=HIGH, digits=DIGITS
    )
    return Markup(page)


def examples_shown(results: Results) -> list[Example]:
    """The examples that a page has room for, at least one where there are any with maps."""
    style = styles(methods_of(results))
    shown: list[Example] = []
    letters = 0
    for example in results.examples:
        rows = sum(len(by_method) for by_method in example["scores"].values())
        start, end = drawn_window(example, max(MOST_LETTERS // max(rows, 1), FEWEST))
        letters += rows * (end - start)
        if not rows or (shown and letters > MOST_LETTERS):
            continue
        shown.append(_example(results, example, style, (start, end)))
    return shown


def _example(
    results: Results, example: Mapping[str, Any], style: Mapping[str, Style], shown: tuple[int, int]
) -> Example:
    start, end = shown
    letters = example["letters"].upper()
    views = tuple(
        _view(example, model, place, style, shown)
        for place, model in enumerate(models_of(results))
        if example["scores"].get(model)
    )
    marked = [(at - start) / (end - start) for at in _round(start, end)]
    return Example(
        without_folders(str(example["name"])),
        str(example["label"]),
        str(example.get("chosen", "")),
        letters[start:end],
        start,
        len(letters),
        tuple(_truths(example, shown)),
        tuple(zip(marked, map(str, _round(start, end)), strict=True)),
        views,
        has_classes(results),
    )


def _round(start: int, end: int) -> list[int]:
    """The positions that the ruler names, ten apart or more."""
    places = MaxNLocator(12, steps=[1, 2, 5, 10], integer=True).tick_values(start, end - 1)
    step = max(int(places[1] - places[0]), 10)
    return list(range(-(-start // step) * step, end, step))


def _truths(example: Mapping[str, Any], shown: tuple[int, int]) -> list[MotifSpan]:
    """The known motifs in what is shown, with the class that each speaks for."""
    start, end = shown
    spoken = example.get("evidence") or [[*stretch, ""] for stretch in example["motif"]]
    truths = []
    for first, last, label in spoken:
        first, last = max(first, start), min(last, end)
        if first < last:
            speaks = f" for {label}" if label else ""
            positions = f"positions {first} to {last - 1}{speaks}"
            units = (BASE * (first - start), BASE * (last - first))
            within = ((first - start) / (end - start), (last - start) / (end - start))
            truths.append(MotifSpan(*within, units, f"known motif{speaks}", positions))
    return truths


def _view(
    example: Mapping[str, Any],
    model: str,
    place: int,
    style: Mapping[str, Style],
    shown: tuple[int, int],
) -> View:
    prediction = example["models"].get(model) or {}
    predicted, probability = prediction.get("predicted"), prediction.get("probability")
    curves = (example.get("curves") or {}).get(model) or {}
    by_method = example["scores"][model]
    known = [method for method in style if method in by_method]
    return View(
        without_folders(model),
        place,
        str(predicted or "not known"),
        "" if probability is None else f"{probability:.3f}",
        "" if prediction.get("output") is None else f"{prediction['output']:.4g}",
        None if predicted is None else predicted == example["label"],
        curve_panel(curves, model, style).markup if curves else None,
        str(curves.get("operator", "")),
        tuple(
            _map(example["letters"], method, by_method[method], style, shown) for method in known
        ),
    )


def _map(
    letters: str,
    method: str,
    scores: list[float],
    style: Mapping[str, Style],
    shown: tuple[int, int],
) -> Map:
    """A method's logo; its heights are shares of the largest score of what is shown."""
    start, end = shown
    own = np.asarray(scores, float)[start:end]
    part = letters[start:end].upper()
    heights = heights_of(part, own)
    drawn = np.abs(np.where(heights != 0, own, 0.0))
    largest = float(drawn.max(initial=0.0))
    parts = np.rint(heights * DIGITS).astype(int).tolist()
    scale = f"largest {largest:.3g}" if largest > 0 else "all scores are zero"
    return Map(short(method, 60), style[method], logo(part, heights), scale, _list(parts))


def _list(parts: list[int]) -> str:
    return " ".join(map(str, parts))
