"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from xaibench.controls import RANDOM
from xaibench.results import Results

from . import figures
from .cautions import cautions
from .figures import Panel, styles
from .glossary import glossary
from .logos import WINDOW, logo_panels
from .paths import shareable, without_folders
from .printing import brief
from .scatter import cost_panels
from .sections import Section, plan_text, sections, title
from .selection import methods_of, models_of, operator_of, seeds_of
from .verdict import Name, verdicts

MOST = "most relevant first"
"""The order of deletion, as the curves of a run name it."""

APART = "With the least relevant first, signed and unsigned methods are not to be compared."

CURVES = 48
"""How many panels of curves a report draws before it leaves some out: each is about 60 kB."""

GAPS = (
    "Dot: the mean gap. Thin line: 95 % interval for retraining. Thick line: for these trained "
    "models. Right of the dashed line is better than random."
)
FRONT = (
    "Filled, and joined by the line: the methods on the front, which no other beats at their price."
)
TRAINING = Section(
    "training",
    "How the models were trained",
    "Thin lines are seeds, thick lines their mean. Grey and dashed: training sequences; dark: "
    "validation sequences.",
    (),
)
LOGOS = Section(
    "logos",
    "Examples, base by base",
    f"A letter is as high as its score, each row on its own scale; below the line is evidence "
    f"against the explained class. Shaded: the known motif. At most {WINDOW} positions are shown.",
    (),
)


@dataclass(frozen=True, slots=True)
class Figures:
    """Panels that belong together; ``methods`` are those the legend names.

    ``wide`` panels stand below each other; ``folded`` ones open on a click.
    """

    title: str
    panels: tuple[Panel, ...]
    methods: tuple[str, ...] = ()
    wide: bool = False
    folded: bool = False
    note: str = ""


def html(results: Results) -> dict[str, str]:
    """``report.html``: the run for a reader, figures, style and all in one file."""
    results = shareable(results)
    drawn = _figures(results)
    page = (
        _environment()
        .get_template("report.html.j2")
        .render(
            title=title(results),
            css=_style_sheet(),
            facts=_facts(results),
            verdicts=verdicts(results),
            cautions=cautions(results),
            sections=_with_figures(sections(results), drawn),
            figures=drawn,
            styles=styles(methods_of(results)),
            plan=plan_text(results),
            glossary=glossary(results),
        )
    )
    return {"report.html": page}


def _environment() -> Environment:
    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        loader=PackageLoader("xaibench.reports"),
        finalize=_finalize,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["brief"] = brief
    environment.tests["name"] = lambda part: isinstance(part, Name)
    return environment


def _style_sheet() -> Markup:
    return Markup(files("xaibench.reports").joinpath("static/report.css").read_text("utf-8"))


def _with_figures(found: list[Section], drawn: dict[str, list[Figures]]) -> list[Section]:
    """The sections, with those that only hold figures after the ones they belong to."""
    after = {"accuracy": TRAINING, "deletion": LOGOS}
    every = []
    for section in found:
        every.append(section)
        if section.slug in after and drawn[after[section.slug].slug]:
            every.append(after[section.slug])
    return every


def _finalize(value: Any) -> Any:
    """Whatever the template prints loses its absolute paths; what is already markup is ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return without_folders(value)
    return value


def _facts(results: Results) -> list[str]:
    """What was compared, for the line under the title."""
    explained = results.estimates[results.estimates["method"] != ""]
    used = explained["sequences"].max()
    counts = [
        (len(models_of(results)), "model"),
        (len(methods_of(results)), "method"),
        (len(seeds_of(results)), "seed"),
        (0 if math.isnan(used) else int(used), "explained sequence"),
    ]
    said = [f"{count:,} {word}{'' if count == 1 else 's'}" for count, word in counts]
    return [*said, str(results.environment.get("date", ""))]


def _figures(results: Results) -> dict[str, list[Figures]]:
    """The figures of each section, by its slug."""
    gaps = figures.gap_panels(results)
    return {
        "leaderboard": [Figures("", tuple(gaps), note=GAPS)] if gaps else [],
        "training": [
            Figures(name, tuple(panels))
            for name, panels in figures.training_panels(results).items()
        ],
        "deletion": _curves(results),
        "cost": [Figures("", tuple(drawn), note=FRONT)] if (drawn := cost_panels(results)) else [],
        "logos": [Figures(name, tuple(panels), wide=True) for name, panels in logo_panels(results)],
    }


def _curves(results: Results) -> list[Figures]:
    """Curves by order, operator and quantity; those of the leaderboard come first."""
    rows = results.curves
    own = rows[rows["method"] != RANDOM]
    keys = _drawn(results, own[["order", "operator", "quantity"]].drop_duplicates())
    first = operator_of(results)
    legend = tuple(method for method in methods_of(results) if method in set(own["method"]))
    found = []
    for order, operator, quantity in sorted(
        keys.itertuples(index=False, name=None), key=lambda key: (key[0] != MOST, key[1] != first)
    ):
        panels = figures.curve_panels(results, operator, quantity, order)
        words = f"{quantity}, operator {operator}, {order}".replace("_", " ")
        name = words[:1].upper() + words[1:]
        main = order == MOST and operator == first
        note = "" if order == MOST else APART
        drawn = Figures(name, tuple(panels), (*legend, RANDOM), folded=not main, note=note)
        found.append(drawn)
    return found


def _drawn(results: Results, keys: pd.DataFrame) -> pd.DataFrame:
    """Which curves are drawn: all, or where those are too many only the logit difference under
    operators that are not the leaderboard's."""
    if len(keys) * len(models_of(results)) <= CURVES:
        return keys
    main = keys["operator"] == operator_of(results)
    return keys[main | (keys["quantity"] == "logit_difference")]
