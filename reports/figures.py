"""The figures of a report, each one small panel: SVG in, page layout out of their hands."""

from __future__ import annotations

import io
import math
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import matplotlib
import numpy as np
import pandas as pd
import seaborn
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xaibench.controls import RANDOM
from xaibench.results import Results

from .grid import CANNOT
from .paths import without_folders
from .selection import PRIMARY, methods_of, operator_of, ranking
from .selftest import tested

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#5b3a8c", "#e69f00")
"""After Okabe and Ito (2008), told apart with every common colour vision."""

DASHES = ("", "5 2", "1.5 1.5")
"""What tells the second and third eight methods from the first, as SVG writes it."""

Layout = Literal["constrained"] | None
MARGINS = {"left": 0.18, "right": 0.97, "bottom": 0.19, "top": 0.96}
"""Of a panel with one axis: room for five digits and a word beside it."""

GREY = "#6b6b6b"
INK = "#222222"


@dataclass(frozen=True, slots=True)
class Style:
    """How a method is drawn, everywhere."""

    colour: str
    dashes: str

    @property
    def line(self) -> tuple[float, tuple[float, ...] | None]:
        """The dashes as matplotlib wants them."""
        lengths = tuple(float(length) for length in self.dashes.split())
        return (0.0, lengths or None)


@dataclass(frozen=True, slots=True)
class Panel:
    """One drawn figure; ``alt`` says in words what it shows."""

    title: str
    svg: str
    alt: str

    @property
    def address(self) -> Markup:
        """The figure as a ``data:`` address, safe in an attribute."""
        return Markup("data:image/svg+xml;base64," + b64encode(self.svg.encode()).decode())


def styles(methods: Sequence[str]) -> dict[str, Style]:
    """A style for each method by its place in the plan, and grey dashes for the control."""
    chosen = {
        method: Style(COLOURS[place % 8], DASHES[place // 8 % 3])
        for place, method in enumerate(methods)
    }
    return chosen | {RANDOM: Style(GREY, "4 2")}


@contextmanager
def sheet(width: float, height: float, *, layout: Layout = "constrained") -> Iterator[Figure]:
    """An empty figure (inches) in the report's style; matplotlib's own settings come back.

    The constrained layout measures every label, which doubles the time of a small figure.
    """
    settings = {
        **seaborn.axes_style("ticks"),
        "font.family": "DejaVu Sans",
        "font.size": 8.5,
        "axes.labelsize": 8.5,
        "axes.linewidth": 0.7,
        "axes.edgecolor": GREY,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "svg.hashsalt": "xaibench",
        "svg.fonttype": "path",
        "text.parse_math": False,
    }
    with matplotlib.rc_context(settings):
        yield Figure(figsize=(width, height), layout=layout)


def panel(figure: Figure, title: str, alt: str) -> Panel:
    """The figure as SVG, the same bytes each time."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None}, facecolor="white")
    return Panel(title, text.getvalue(), alt)


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
    with sheet(3.5, 0.62 + 0.24 * len(rows)) as figure:
        axes = figure.add_subplot()
        for place, (_, row) in enumerate(rows.iterrows()):
            colour = style[row["method"]].colour
            inner = (row["sequences_low"], row["sequences_high"])
            axes.plot((row["low"], row["high"]), (place, place), color=colour, linewidth=1.2)
            axes.plot(inner, (place, place), color=colour, linewidth=4, alpha=0.45)
            axes.plot(row["mean"], place, "o", color=colour, markersize=5)
        axes.axvline(0, color=GREY, linewidth=1, linestyle=(0, (4, 2)))
        names = [short(method, 22) for method in rows["method"]]
        axes.set_yticks(range(len(rows)), names)
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlim(*limits)
        axes.set_xlabel("gap to random")
        seaborn.despine(ax=axes, left=True)
        axes.tick_params(axis="y", length=0)
        said = ", ".join(f"{row['method']} {row['mean']:.2f}" for _, row in rows.iterrows())
        failed = tested(results, model, PRIMARY, operator_of(results)).failed
        title = f"{model}: {CANNOT}" if failed else model
        return panel(figure, title, f"Gap to random deletion on {model}: {said}")


def curve_panels(results: Results, operator: str, quantity: str, order: str) -> list[Panel]:
    """For each model, the mean curve of every method and of random orders with its interval."""
    rows = results.curves
    rows = rows[(rows["operator"] == operator) & (rows["quantity"] == quantity)]
    # random orders have no direction, so they belong to both
    rows = rows[(rows["order"] == order) | (rows["method"] == RANDOM)]
    drawn = rows[["mean"]].to_numpy(float).ravel()
    limits = limits_of(drawn)
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
    with sheet(3.5, 2.5, layout=None) as figure:
        figure.subplots_adjust(**MARGINS)
        axes = figure.add_subplot()
        present = set(rows["method"])
        for method in [RANDOM, *(name for name in style if name in present - {RANDOM})]:
            curve = rows[rows["method"] == method]
            curve = curve.drop_duplicates("fraction").sort_values("fraction")
            _draw_curve(axes, curve, style[method], shade=0.2 if method == RANDOM else 0.08)
        axes.set(xlim=(0, 1), ylim=limits, xlabel=f"share replaced, {order}", ylabel=quantity)
        seaborn.despine(ax=axes)
        names = ", ".join(name for name in style if name in present)
        return panel(figure, model, f"{quantity} of {model}, {order}, for {names}")


def _draw_curve(axes: Axes, curve: pd.DataFrame, style: Style, *, shade: float) -> None:
    at = curve["fraction"].to_numpy(float)
    low, high = curve["low"].to_numpy(float), curve["high"].to_numpy(float)
    axes.fill_between(at, low, high, color=style.colour, alpha=shade, linewidth=0)
    mean = curve["mean"].to_numpy(float)
    axes.plot(at, mean, color=style.colour, linestyle=style.line, linewidth=1.4)


HISTORY = (
    ("loss", {"train_loss": "train", "validation_loss": "validation"}),
    ("accuracy", {"train_accuracy": "train", "validation_accuracy": "validation"}),
    ("masked share", {"mask_ratio": "train"}),
)
"""What is drawn of a training: the axis, and the columns on it with what they were measured on."""


def training_panels(results: Results) -> dict[str, list[Panel]]:
    """For each quantity of the history, a panel a model: a thin line a seed, and their mean."""
    rows = results.training
    panels: dict[str, list[Panel]] = {}
    for axis, columns in HISTORY:
        here = [column for column in columns if column in rows and rows[column].notna().any()]
        if not here or not rows[here].fillna(0).to_numpy(float).any():
            continue
        limits = limits_of(rows[here].to_numpy(float).ravel())
        panels[axis.capitalize()] = [
            _training_panel(rows[rows["model"] == model], model, axis, here, limits)
            for model in _models(rows)
        ]
    return panels


def _training_panel(
    rows: pd.DataFrame, model: str, axis: str, columns: Sequence[str], limits: tuple[float, float]
) -> Panel:
    with sheet(3.5, 2.2, layout=None) as figure:
        figure.subplots_adjust(**MARGINS)
        axes = figure.add_subplot()
        for column in columns:
            colour = GREY if column.startswith("train") else INK
            line = (0.0, (3.0, 1.5)) if column.startswith("train") else (0.0, None)
            for _, seed in rows.groupby("seed"):
                axes.plot(seed["epoch"], seed[column], color=colour, alpha=0.3, linewidth=0.7)
            mean = rows.groupby("epoch")[column].mean()
            axes.plot(mean.index, mean, color=colour, linestyle=line, linewidth=1.6)
        axes.set(xlabel="epoch", ylabel=axis, ylim=limits)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        seaborn.despine(ax=axes)
        names = " and ".join(column.replace("_", " ") for column in columns)
        return panel(figure, model, f"{names} of {model} by epoch, a thin line a seed")


def short(name: str, most: int) -> str:
    """A name that fits: its middle gives way.

    >>> short("integrated_gradients_of_everything", 15)
    'integra…rything'
    """
    name = without_folders(name)
    half = (most - 1) // 2
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"


def _models(rows: pd.DataFrame) -> list[str]:
    return [str(model) for model in rows["model"].unique()]


def limits_of(values: np.ndarray) -> tuple[float, float]:
    """The ends of an axis that shows these values with a little air."""
    known = values[np.isfinite(values)]
    if not len(known):
        return (0.0, 1.0)
    low, high = float(known.min()), float(known.max())
    air = 0.05 * (high - low) or 0.05 * max(math.fabs(high), 1.0)
    return (low - air, high + air)
