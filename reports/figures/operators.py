"""What every operator changes as more positions are replaced."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xaibench.results.reading import Results

from ..format.select import operators_of
from .canvas import (
    PANEL_WIDTH,
    Axis,
    canvas,
    draw_band,
    draw_line,
    draw_names,
    height_for,
    limits_of,
    plain_axes,
    room_for,
)
from .panel import Panel
from .style import PLAIN, Style, styles

AXIS_LABELS = {
    "log_likelihood": "change of log-likelihood (nats per base)",
    "confidence": "change of confidence",
}
"""What an operator changes -> what its axis says."""


def operator_panels(results: Results) -> list[Panel]:
    """For the data and for each model, what every operator changes as more is replaced."""
    rows = results.operators
    # operators are not methods, and take the colours anew
    style = styles(operators_of(results))
    return [
        _panel(str(model), str(quantity), own, style)
        for (quantity, model), own in rows.groupby(["quantity", "model"], sort=False)
    ]


def _panel(model: str, quantity: str, rows: pd.DataFrame, style: dict[str, Style]) -> Panel:
    curves = {
        str(operator): np.vstack(
            # nothing replaced changes nothing
            [
                np.zeros(4),
                own.sort_values("fraction")[["fraction", "mean", "low", "high"]].to_numpy(float),
            ]
        ).T
        for operator, own in rows.groupby("operator", sort=False)
    }
    falling = sorted(curves, key=lambda operator: -float(np.mean(curves[operator][1])))
    names = {operator: style.get(operator, PLAIN) for operator in falling}
    label = AXIS_LABELS.get(quantity, quantity.replace("_", " "))
    y = Axis(label, limits_of([0.0, *rows[["low", "high"]].to_numpy(float).ravel()]))
    with canvas(PANEL_WIDTH, height_for(falling, 250)) as figure:
        x = Axis("share of positions replaced at random", (0.0, 1.0))
        axes = plain_axes(figure, x, y, right=room_for(falling))
        for operator, (at, mean, low, high) in curves.items():
            draw_band(axes, at, low, high, names[operator].colour, 0.1)
            draw_line(axes, at, mean, names[operator])
        draw_names(figure, axes, names)
    of = f" of {model}" if model else ""
    alt = f"{label.capitalize()}{of} as positions are replaced at random: {', '.join(curves)}"
    return Panel(model, model or "the data", figure, alt)
