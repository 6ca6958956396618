"""The figures of a run, each one small panel: what is drawn, page layout out of their hands."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.paths import without_folders
from ..format.select import methods_of, operator_of, ranking
from ..tables.grid import CANNOT
from ..tables.selftest import tested
from .chart import Axis, Band, Entry, Line, Mark, Name, chart, limits_of
from .shapes import Drawing
from .shapes import short as shortened
from .style import GREY, INK, Style, styles
from .svg import svg

LONGEST = 24
"""Letters of a name in a figure; of a longer one the middle gives way."""

CONTROL = Style(GREY, "4 2")
DARK = Style(INK, "")


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawn figure; ``alt`` says in words what it shows."""

    title: str
    drawing: Drawing
    alt: str

    @property
    def svg(self) -> str:
        """The figure alone, with its own style sheet."""
        return svg(self.drawing, self.alt)

    @property
    def markup(self) -> Markup:
        """The figure inside a page that has the style sheet."""
        return Markup(svg(self.drawing, self.alt, alone=False))

    @property
    def address(self) -> Markup:
        """The figure as a ``data:`` address, safe in an attribute."""
        return Markup("data:image/svg+xml;base64," + b64encode(self.svg.encode()).decode())


def gap_panels(results: Results) -> list[Panel]:
    """For each model, every method's gap to random deletion with its interval, best on top."""
    rankings = {model: ranking(results, model) for model in _models(results.estimates)}
    known = {model: rows[rows["mean"].notna()] for model, rows in rankings.items()}
    ends = [
        rows[["mean", "low", "high", "sequences_low", "sequences_high"]] for rows in known.values()
    ]
    limits = limits_of(np.concatenate([[0.0], *(rows.to_numpy(float).ravel() for rows in ends)]))
    return [_gap_panel(results, model, rows, limits) for model, rows in known.items() if len(rows)]


def _gap_panel(
    results: Results, model: str, rows: pd.DataFrame, limits: tuple[float, float]
) -> Panel:
    style = styles(methods_of(results))
    height = np.array([-0.6, len(rows) - 0.4])
    entries: list[Entry] = [Line(np.zeros(2), height, CONTROL, 1.2)]
    for place, row in enumerate(rows.to_dict("records")):
        entries += _interval(row, place, style[row["method"]])
    y = Axis("", (len(rows) - 0.4, -0.6), words=tuple(short(name) for name in rows["method"]))
    drawing = chart(Axis("gap to random", limits), y, entries, height=62 + 20 * len(rows))
    said = ", ".join(f"{name} {mean:.2f}" for name, mean in _pairs(rows, "mean"))
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    title = f"{model}: {CANNOT}" if failed else model
    return Panel(title, drawing, f"Gap to random deletion on {model}: {said}")


def _interval(row: Mapping[Any, Any], place: int, style: Style) -> Iterator[Entry]:
    """Dot, thin line for retraining, thick line for these trained models."""
    at = np.array([place, place], float)
    for names, width, opacity in ((("low", "high"), 1.2, 1.0), (INNER, 5.0, 0.45)):
        ends = np.array([row[name] for name in names])
        if np.isfinite(ends).all():
            yield Line(ends, at, style, width, opacity, solid=True)
    yield Mark(row["mean"], place, style)


INNER = ("sequences_low", "sequences_high")


def curve_panels(results: Results, operator: str, quantity: str, order: str) -> list[Panel]:
    """For each model, the mean curve of every method and of random orders with its interval."""
    rows = results.curves
    rows = rows[(rows["operator"] == operator) & (rows["quantity"] == quantity)]
    # random orders have no direction, so they belong to both
    rows = rows[(rows["order"] == order) | (rows["method"] == RANDOM)]
    limits = limits_of(rows[["mean", "low", "high"]].to_numpy(float).ravel())
    style = styles(methods_of(results))
    return [
        _curve_panel(model, rows[rows["model"] == model], style, limits, (quantity, order))
        for model in _models(rows)
    ]


def _curve_panel(
    model: str,
    rows: pd.DataFrame,
    style: Mapping[str, Style],
    limits: tuple[float, float],
    named: tuple[str, str],
) -> Panel:
    quantity, order = (word.replace("_", " ") for word in named)
    found = {
        str(method): curve.drop_duplicates("fraction").sort_values("fraction")
        for method, curve in rows.groupby("method", sort=False)
    }
    drawn = [RANDOM, *(method for method in style if method != RANDOM)]
    curves = {
        method: _columns(found[method], "fraction", "mean", "low", "high")
        for method in drawn
        if method in found
    }
    drawing = curves_chart(
        curves, style, x=f"share replaced, {order}", y=Axis(quantity, limits), bands=True
    )
    names = ", ".join(method for method in style if method in curves)
    return Panel(model, drawing, f"{quantity} of {model}, {order}, for {names}")


Curve = Sequence[np.ndarray]
"""Fractions, mean, low and high, ``(step,)`` each."""


def curves_chart(
    curves: Mapping[str, Curve], style: Mapping[str, Style], *, x: str, y: Axis, bands: bool
) -> Drawing:
    """Curves over shares replaced, the random control a grey band; named from the highest down.

    ``bands`` are drawn for the methods too.
    """
    lines = {name: Line(at, mean, style[name]) for name, (at, mean, _, _) in curves.items()}
    shades = [
        Band(at, low, high, style[name], 0.22 if name == RANDOM else 0.08)
        for name, (at, _, low, high) in curves.items()
        if bands or name == RANDOM
    ]
    areas = {name: float(np.trapezoid(line.heights, line.at)) for name, line in lines.items()}
    falling = sorted(areas, key=lambda name: -areas[name])
    names = [Name(short(name), style[name]) for name in falling]
    return chart(Axis(x, (0.0, 1.0)), y, [*shades, *lines.values()], names)


HISTORY = (
    ("loss", {"train_loss": "training", "validation_loss": "validation"}),
    ("accuracy", {"train_accuracy": "training", "validation_accuracy": "validation"}),
    ("masked share", {"mask_ratio": "training"}),
)
"""What is drawn of a training: the axis, and the columns on it with what they were measured on."""


def training_panels(results: Results) -> dict[str, list[Panel]]:
    """For each quantity of the history, a panel a model: a thin line a seed, and their mean."""
    rows = results.training
    panels: dict[str, list[Panel]] = {}
    for axis, columns in HISTORY:
        here = {
            column: name
            for column, name in columns.items()
            if column in rows and rows[column].notna().any()
        }
        if not here or not rows[list(here)].fillna(0).to_numpy(float).any():
            continue
        y = Axis(axis, limits_of(rows[list(here)].to_numpy(float).ravel()))
        panels[axis.capitalize()] = [
            _training_panel(rows[rows["model"] == model], model, y, here) for model in _models(rows)
        ]
    return panels


def _training_panel(rows: pd.DataFrame, model: str, y: Axis, columns: Mapping[str, str]) -> Panel:
    entries: list[Entry] = []
    names = []
    for column, name in columns.items():
        style = CONTROL if name == "training" else DARK
        for _, seed in rows.groupby("seed"):
            at, heights = _columns(seed, "epoch", column)
            entries.append(Line(at, heights, style, 0.7, 0.35, solid=True))
        mean = rows.groupby("epoch")[column].mean()
        at, heights = mean.index.to_numpy(float), mean.to_numpy(float)
        entries.append(Line(at, heights, style, 1.8))
        names.append((-float(np.nanmean(heights)), Name(name, style)))
    epochs = rows["epoch"].to_numpy(float)
    ends = (float(epochs.min()), max(float(epochs.max()), float(epochs.min()) + 1))
    falling = [name for _, name in sorted(names, key=lambda pair: pair[0])]
    drawing = chart(Axis("epoch", ends, whole=True), y, entries, falling, height=220)
    said = " and ".join(column.replace("_", " ") for column in columns)
    return Panel(model, drawing, f"{said} of {model} by epoch, a thin line a seed")


def short(name: str, most: int = LONGEST) -> str:
    """A name that fits into a figure, and tells no folder."""
    return shortened(without_folders(name), most)


def _columns(rows: pd.DataFrame, *names: str) -> list[np.ndarray]:
    return [rows[name].to_numpy(float) for name in names]


def _pairs(rows: pd.DataFrame, column: str) -> Iterator[tuple[str, float]]:
    return zip(rows["method"], rows[column], strict=True)


def _models(rows: pd.DataFrame) -> list[str]:
    return [str(model) for model in rows["model"].unique()]
