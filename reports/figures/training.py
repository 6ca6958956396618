"""How the models were trained, and pre-trained: what was measured by epoch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import seaborn
from matplotlib.figure import Figure

from xaibench.results.reading import Results

from .canvas import (
    PANEL_WIDTH,
    Axis,
    canvas,
    draw_line,
    draw_names,
    limits_of,
    plain_axes,
    room_for,
)
from .panel import Panel
from .style import GREY, INK, Style

HISTORY = (
    ("loss", {"train_loss": "training", "validation_loss": "validation"}),
    ("accuracy", {"train_accuracy": "training", "validation_accuracy": "validation"}),
    ("masked share", {"mask_ratio": "training"}),
)
"""What is drawn of a training: the axis, and the columns on it with what they were measured on."""

LOOK = {"training": Style(GREY, "4 2"), "validation": Style(INK)}

PRETRAINING = {
    "train_loss": ("training", LOOK["training"]),
    "held_out_loss": ("held out", LOOK["validation"]),
    "unigram_loss": ("frequencies alone", Style(GREY, "1 2")),
}


def pretraining_figure(history: pd.DataFrame) -> Figure:
    """The losses of a pre-training by epoch."""
    y = Axis("nats per masked token", limits_of(history[list(PRETRAINING)]))
    ends = (1.0, max(2.0, float(history["epoch"].max())))
    last = history[list(PRETRAINING)].iloc[-1].sort_values(ascending=False)
    names = {PRETRAINING[column][0]: PRETRAINING[column][1] for column in last.index}
    with canvas(PANEL_WIDTH, 210) as figure:
        axes = plain_axes(figure, Axis("epoch", ends, whole=True), y, right=room_for([*names]))
        for column, (_, style) in PRETRAINING.items():
            losses = history[column].to_numpy(float)
            draw_line(axes, history["epoch"].to_numpy(float), losses, style, linewidth=1.8)
        axes.set(xlabel="", ylabel="", xlim=ends, ylim=y.limits)
        draw_names(figure, axes, names)
    return figure


def training_panels(results: Results) -> dict[str, list[Panel]]:
    """For each quantity of the history, a panel per model."""
    rows = results.training
    panels: dict[str, list[Panel]] = {}
    for quantity, columns in HISTORY:
        known = {
            column: name
            for column, name in columns.items()
            if column in rows and rows[column].notna().any()
        }
        if not known or not rows[list(known)].fillna(0).to_numpy(float).any():
            continue
        y = Axis(quantity, limits_of(rows[list(known)]))
        panels[quantity.capitalize()] = [
            _panel(own, str(model), y, known) for model, own in rows.groupby("model", sort=False)
        ]
    return panels


def _panel(rows: pd.DataFrame, model: str, y: Axis, columns: Mapping[str, str]) -> Panel:
    epochs = rows["epoch"].to_numpy(float)
    ends = (float(epochs.min()), max(float(epochs.max()), float(epochs.min()) + 1))
    means = rows.groupby("epoch")[list(columns)].mean()
    falling = sorted(columns, key=lambda column: -float(np.nanmean(means[column])))
    names = [columns[column] for column in falling]
    with canvas(PANEL_WIDTH, 210) as figure:
        x = Axis("epoch", ends, whole=True)
        axes = plain_axes(figure, x, y, right=room_for(names))
        for column, name in columns.items():
            style = LOOK[name]
            seaborn.lineplot(
                rows,
                x="epoch",
                y=column,
                units="seed",
                estimator=None,
                **{"color": style.colour, "linewidth": 0.7, "alpha": 0.4, "clip_on": False},
                ax=axes,
                legend=False,
            )
            mean = means[column].to_numpy(float)
            draw_line(axes, means.index.to_numpy(float), mean, style, linewidth=1.8)
        axes.set(xlabel="", ylabel="", xlim=x.limits, ylim=y.limits)
        draw_names(figure, axes, {name: LOOK[name] for name in names})
    what = " and ".join(column.replace("_", " ") for column in columns).capitalize()
    return Panel(model, model, figure, f"{what} of {model} by epoch, a thin line per seed")
