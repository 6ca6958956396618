"""The example browser: one sequence under every method, letters, truth, prediction and curve.

Everything is written into the page; a script (``static/examples.js``) then shows one at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..figures.chart import Axis, limits_of, ticks
from ..figures.letters import BASE, HIGH, Logo, heights_of, logo
from ..figures.panels import Panel, curves_chart, short
from ..figures.style import Style, styles
from ..format.paths import without_folders
from ..format.select import methods_of, models_of
from .templates import template

LETTERS = 40_000
"""How many letters a page draws before it leaves examples out: each takes about 50 bytes."""

FEWEST = 100
"""So many positions of a sequence are shown however many methods there are."""

DIGITS = 1000
"""A score is told to the reader in so many parts of the largest."""


@dataclass(frozen=True, slots=True)
class Map:
    """One method's scores of a sequence, drawn; ``told`` are their parts of the ``largest``."""

    method: str
    style: Style
    logo: Logo
    largest: str
    told: str


@dataclass(frozen=True, slots=True)
class View:
    """A sequence as one model and its explanations see it."""

    model: str
    place: int
    predicted: str
    probability: str
    right: bool | None
    curve: Markup | None
    operator: str
    maps: tuple[Map, ...]


@dataclass(frozen=True, slots=True)
class Truth:
    """Where a known motif stands, in shares of what is shown, and what is said of it."""

    start: float
    end: float
    units: tuple[int, int]
    name: str
    told: str


@dataclass(frozen=True, slots=True)
class Example:
    """A sequence to be looked at, its positions from ``start`` to ``end``."""

    name: str
    label: str
    chosen: str
    letters: str
    start: int
    length: int
    truth: tuple[Truth, ...]
    ruler: tuple[tuple[float, str], ...]
    views: tuple[View, ...]

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
        start, end = window(example, max(LETTERS // max(rows, 1), FEWEST))
        letters += rows * (end - start)
        if not rows or (shown and letters > LETTERS):
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
    )


def _round(start: int, end: int) -> list[int]:
    """The positions that the ruler names."""
    return [int(at) for at in ticks(start, end - 1, least=10, most=12)]


def _truths(example: Mapping[str, Any], shown: tuple[int, int]) -> list[Truth]:
    """The known motifs in what is shown, with the class that each speaks for."""
    start, end = shown
    spoken = example.get("evidence") or [[*stretch, ""] for stretch in example["motif"]]
    found = []
    for first, last, label in spoken:
        first, last = max(first, start), min(last, end)
        if first < last:
            speaks = f" for {label}" if label else ""
            told = f"positions {first} to {last - 1}{speaks}"
            units = (BASE * (first - start), BASE * (last - first))
            within = ((first - start) / (end - start), (last - start) / (end - start))
            found.append(Truth(*within, units, f"known motif{speaks}", told))
    return found


def _view(
    example: Mapping[str, Any],
    model: str,
    place: int,
    style: Mapping[str, Style],
    shown: tuple[int, int],
) -> View:
    told = example["models"].get(model) or {}
    predicted, probability = told.get("predicted"), told.get("probability")
    curves = (example.get("curves") or {}).get(model) or {}
    by_method = example["scores"][model]
    known = [method for method in style if method in by_method]
    return View(
        without_folders(model),
        place,
        str(predicted or "not known"),
        "" if probability is None else f"{probability:.3f}",
        None if predicted is None else predicted == example["label"],
        _curve(curves, model, style).markup if curves else None,
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
    said = f"largest {largest:.3g}" if largest > 0 else "all scores are zero"
    return Map(short(method, 60), style[method], logo(part, heights), said, _list(parts))


def _list(parts: list[int]) -> str:
    return " ".join(map(str, parts))


def curve_panels_of_examples(results: Results) -> dict[tuple[int, int], Panel]:
    """The curves of every example, by its number and that of the model."""
    style, models = styles(methods_of(results)), models_of(results)
    return {
        (number, place): _curve(example["curves"][model], model, style)
        for number, example in enumerate(results.examples, start=1)
        for place, model in enumerate(models, start=1)
        if (example.get("curves") or {}).get(model)
    }


def _curve(curves: Mapping[str, Any], model: str, style: Mapping[str, Style]) -> Panel:
    """The deletion curve of this very sequence under each method, random orders as a band."""
    at = np.asarray(curves["fractions"], float)
    random = {name: np.asarray(values, float) for name, values in curves["random"].items()}
    lines = {
        method: np.asarray(curves["methods"][method], float)
        for method in style
        if method in curves["methods"]
    }
    every = {method: (at, line, line, line) for method, line in lines.items()}
    if random:
        every = {RANDOM: (at, random["mean"], random["low"], random["high"]), **every}
    values = np.concatenate([each[part] for each in every.values() for part in (2, 3)])
    y = Axis(str(curves.get("quantity", "logit difference")).replace("_", " "), limits_of(values))
    drawing = curves_chart(every, style, x="share replaced, most relevant first", y=y, bands=False)
    alt = f"{y.label} of this sequence on {model} while its most relevant positions are replaced"
    return Panel(model, drawing, alt)


def window(example: Mapping[str, Any], width: int) -> tuple[int, int]:
    """The positions shown, ``(start, end)``: around the first motif, else where most scores lie."""
    length = len(example["letters"])
    width = min(width, length)
    if example["motif"]:
        start, end = example["motif"][0]
        first = (start + end - width) // 2
    else:
        first = _richest(example, width)
    first = min(max(first, 0), length - width)
    return first, first + width


def _richest(example: Mapping[str, Any], width: int) -> int:
    """Where the window starts that holds most of the size of all scores, maps counting equally."""
    total = np.zeros(len(example["letters"]))
    for by_method in example["scores"].values():
        for scores in by_method.values():
            size = np.nan_to_num(np.abs(np.asarray(scores, dtype=float)))
            total[: len(size)] += size / size.sum() if size.any() else 0
    held = np.convolve(total, np.ones(width), mode="valid")
    return int(held.argmax())
