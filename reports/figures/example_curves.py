"""What replacing the positions of one example does to the model, under every method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..format.select import methods_of, models_of
from .canvas import Axis, limits_of
from .curves import curves_figure
from .panel import Panel
from .style import Style, styles


def curve_panels_of_examples(results: Results) -> dict[tuple[int, int], Panel]:
    """The curves of every example, by its number and that of the model."""
    style, models = styles(methods_of(results)), models_of(results)
    return {
        (number, place): curve_panel(example["curves"][model], model, style)
        for number, example in enumerate(results.examples, start=1)
        for place, model in enumerate(models, start=1)
        if (example.get("curves") or {}).get(model)
    }


def curve_panel(curves: Mapping[str, Any], model: str, style: Mapping[str, Style]) -> Panel:
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
    x = "share of positions replaced, most relevant first"
    figure = curves_figure(every, style, x=x, y=y, bands=False)
    what = f"{y.label} of this sequence on {model} while its most relevant positions are replaced"
    return Panel(model, model, figure, f"{what}: {', '.join(every)}".capitalize())
