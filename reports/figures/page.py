"""The figures of the page, in groups, by the section that they belong to."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..format.select import models_of, operator_of
from . import panels as figures
from .panels import Panel
from .scatter import cost_panels

MOST = "most relevant first"
"""The order of deletion, as the curves of a run name it."""

APART = "With the least relevant first, signed and unsigned methods are not to be compared."

CURVES = 48
"""How many panels of curves a report draws before it leaves some out: each is about 10 kB."""

GAPS = (
    "Dot: the mean gap. Thin line: 95 % interval for retraining. Thick line: for these trained "
    "models. Right of the dashed line is better than random."
)
FRONT = (
    "Filled, and joined by the line: the methods on the front, which no other beats at their price."
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Panels that belong together; ``folded`` ones open on a click."""

    title: str
    panels: tuple[Panel, ...]
    folded: bool = False
    note: str = ""


def drawn(results: Results) -> dict[str, list[Figures]]:
    """The figures of each section, by its slug."""
    gaps, costs = figures.gap_panels(results), cost_panels(results)
    return {
        "leaderboard": [Figures("The gaps, drawn", tuple(gaps), folded=True, note=GAPS)]
        if gaps
        else [],
        "training": [
            Figures(name, tuple(panels), folded=name != "Accuracy")
            for name, panels in figures.training_panels(results).items()
        ],
        "deletion": _curves(results),
        "cost": [Figures("", tuple(costs), note=FRONT)] if costs else [],
    }


def _curves(results: Results) -> list[Figures]:
    first = operator_of(results)
    found = []
    for order, operator, quantity in curves_drawn(results):
        panels = figures.curve_panels(results, operator, quantity, order)
        words = f"{quantity}, operator {operator}, {order}".replace("_", " ")
        name = words[:1].upper() + words[1:]
        main = operator == first and quantity == "logit_difference"
        note = "" if order == MOST else APART
        group = Figures(name, tuple(panels), folded=not main, note=note)
        found.append(group)
    return found


def curves_drawn(results: Results) -> list[tuple[str, str, str]]:
    """Order, operator and quantity of the curves; those of the leaderboard come first."""
    rows = results.curves
    own = rows[rows["method"] != RANDOM]
    keys = chosen(results, own[["order", "operator", "quantity"]].drop_duplicates())
    first = operator_of(results)
    return sorted(
        keys.itertuples(index=False, name=None),
        key=lambda key: (key[1] != first, key[2] != "logit_difference", key[0] != MOST),
    )


def chosen(results: Results, keys: pd.DataFrame) -> pd.DataFrame:
    """Which curves are drawn: all, or where those are too many only the logit difference under
    operators that are not the leaderboard's."""
    if len(keys) * len(models_of(results)) <= CURVES:
        return keys
    main = keys["operator"] == operator_of(results)
    return keys[main | (keys["quantity"] == "logit_difference")]
