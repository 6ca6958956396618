"""The figures of the page, in groups, by the section that they belong to.

matplotlib and seaborn take a second to import: what draws is imported where a page is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..format.select import models_of, operator_of

if TYPE_CHECKING:
    from .panel import Panel

MOST = "most relevant first"
"""The order of deletion, as the curves of a run name it."""

APART = "With the least relevant first, signed and unsigned methods are not to be compared."

CURVES = 48
"""How many panels of curves a report draws before it leaves some out: each is about 10 kB."""

GAPS = (
    "Dot: the mean gap. Thin line: 95 % interval for retraining. Thick line: for these trained "
    "models. Right of the dashed line is better than random."
)
FRONT = "Filled, and joined by the line: the methods on the Pareto front, which no other dominates."
RANKS = (
    "Mean ranks over sequences, 1 is best. A bar joins methods whose ranks differ by less than the "
    "critical difference of the Nemenyi test (Demsar 2006): they are not distinguishable by it."
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
    from .forest import gap_panels
    from .operators import operator_panels
    from .pareto import cost_panels
    from .ranks import rank_panels
    from .training import training_panels

    gaps, ranks, operators, costs = (
        tuple(panels(results)) for panels in (gap_panels, rank_panels, operator_panels, cost_panels)
    )
    return {
        "verdict": _group("", gaps, note=GAPS),
        "leaderboard": _group("Critical-difference diagram", ranks, folded=True, note=RANKS),
        "training": [
            Figures(name, tuple(panels), folded=name != "Accuracy")
            for name, panels in training_panels(results).items()
        ],
        "deletion": _curves(results),
        "operators": _group("", operators),
        "cost": _group("", costs, note=FRONT),
    }


def _group(
    title: str, panels: tuple[Panel, ...], *, folded: bool = False, note: str = ""
) -> list[Figures]:
    return [Figures(title, panels, folded, note)] if panels else []


def _curves(results: Results) -> list[Figures]:
    from .curves import curve_panels

    first = operator_of(results)
    groups = []
    for order, operator, quantity in curves_drawn(results):
        panels = curve_panels(results, operator, quantity, order)
        words = f"{quantity}, operator {operator}, {order}".replace("_", " ")
        name = words[:1].upper() + words[1:]
        main = operator == first and quantity == "logit_difference"
        note = "" if order == MOST else APART
        groups.append(Figures(name, tuple(panels), folded=not main, note=note))
    return groups


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
