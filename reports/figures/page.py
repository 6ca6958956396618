"""The figures of the page, in groups, by the section that they belong to.

matplotlib and seaborn take a second to import: what draws is imported where a page is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pandas as pd

from xaibench.explanation.controls import RANDOM
from xaibench.results.reading import Results

from ..format.numbers import listed
from ..format.replicates import replicate_terms
from ..format.select import models_of, operator_of

if TYPE_CHECKING:
    from .panel import Panel

MOST_RELEVANT_FIRST = "most relevant first"
"""The order of deletion, as the curves of a run name it."""

APART = "With the least relevant first, signed and unsigned methods are not to be compared."

CURVES = 36
"""How many panels of curves a report draws before it leaves some out: each is about 7 kB, and takes
a twentieth of a second."""

GAPS = (
    "Dot: the mean gap. Thin line: 95 % interval {over}. Thick line: for these trained "
    "models. Right of the dashed line is better than random."
)
SCORES = (
    "Normalised scores: every score as a share of the way from random (0) to the oracle (1), "
    "methods in the order of the leaderboard. A dash: not measured, or the oracle does not differ "
    "from random."
)
STRIPS = (
    "A dot per sequence, its mean over {nouns}, and the median as a line. Right of the dashed line "
    "is better than random."
)
AGREEMENT = (
    "Mean Spearman correlation of two methods' maps; on the diagonal, of one method under two "
    "{nouns}. Methods that agree are side by side, joined by average linkage of 1 minus the "
    "correlation."
)
NO_SCORES = "the scale from random to an order that knows the answer needs controls"
NO_STRIPS = "the records hold no values of the random control"
NO_RANKS = "ranks need two methods and two sequences, and a metric that passed its self-test"
FRONT = "Filled, and joined by the line: the methods on the Pareto front, which no other dominates."
RANKS = (
    "Mean ranks over {blocks}, 1 is best. A bar joins methods whose ranks differ by less than the "
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
    from .heat import agreement_panels, score_panels
    from .operators import operator_panels
    from .pareto import cost_panels
    from .ranks import rank_panels
    from .strips import strip_panels
    from .training import training_panels

    gaps, strips, ranks, scores, operators, agreement, costs = (
        tuple(panels(results))
        for panels in (
            *(gap_panels, strip_panels, rank_panels, score_panels),
            *(operator_panels, agreement_panels, cost_panels),
        )
    )
    terms = replicate_terms(results)
    return {
        "verdict": _group("", gaps, note=GAPS.format(over=terms.over)),
        "leaderboard": [
            _noted(results, "Every metric on one scale", scores, SCORES, NO_SCORES),
            _folded(
                _noted(
                    results,
                    "Sequence by sequence",
                    strips,
                    STRIPS.format(nouns=terms.nouns),
                    NO_STRIPS,
                )
            ),
            _folded(
                _noted(
                    results,
                    "Critical-difference diagram",
                    ranks,
                    RANKS.format(blocks="sequences"),
                    NO_RANKS,
                )
            ),
        ],
        "training": [
            Figures(name, tuple(panels), folded=name != "Accuracy")
            for name, panels in training_panels(results).items()
        ],
        "deletion": _curves(results),
        "operators": _group("", operators),
        "agreement": _group("", agreement, note=AGREEMENT.format(nouns=terms.nouns)),
        "cost": _group("", costs, note=FRONT),
    }


def _group(
    title: str, panels: tuple[Panel, ...], *, folded: bool = False, note: str = ""
) -> list[Figures]:
    return [Figures(title, panels, folded, note)] if panels else []


def _folded(figures: Figures) -> Figures:
    return replace(figures, folded=True)


def _noted(results: Results, title: str, panels: tuple[Panel, ...], note: str, why: str) -> Figures:
    """Panels with how to read them; for which models there is none, and why."""
    drawn_of = {panel.model for panel in panels}
    lacking = [model for model in models_of(results) if model not in drawn_of]
    not_drawn = f"Not drawn for {listed(lacking)}: {why}." if lacking else ""
    return Figures(title, panels, note=" ".join(filter(None, [note if panels else "", not_drawn])))


def _curves(results: Results) -> list[Figures]:
    from .curves import curve_panels

    first = operator_of(results)
    groups = []
    for order, operator, quantity in curves_drawn(results):
        panels = curve_panels(results, operator, quantity, order)
        label = f"{quantity}, operator {operator}, {order}".replace("_", " ")
        name = label[:1].upper() + label[1:]
        main = operator == first and quantity == "logit_difference"
        note = "" if order == MOST_RELEVANT_FIRST else APART
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
        key=lambda key: (
            key[1] != first,
            key[2] != "logit_difference",
            key[0] != MOST_RELEVANT_FIRST,
        ),
    )


def chosen(results: Results, keys: pd.DataFrame) -> pd.DataFrame:
    """Which curves are drawn: all, or where those are too many only the logit difference under
    operators that are not the leaderboard's."""
    if len(keys) * len(models_of(results)) <= CURVES:
        return keys
    main = keys["operator"] == operator_of(results)
    return keys[main | (keys["quantity"] == "logit_difference")]
