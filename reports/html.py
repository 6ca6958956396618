"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

import math
import shlex
from typing import Any

from markupsafe import Markup

from xaibench.results.reading import Results

from .content.cautions import cautions, unfinished
from .content.glossary import glossary
from .content.sections import Section, plan_text, sections, title
from .content.verdict import verdicts
from .figures.page import Figures, drawn
from .figures.style import styles
from .format.paths import shareable, without_folders
from .format.select import methods_of, models_of, seeds_of
from .tables.pairs import pairs
from .tables.standings import standings
from .web.assets import assets
from .web.contents import contents
from .web.templates import template

TRAINING = Section(
    "training",
    "How the models were trained",
    "Thin lines are seeds, thick lines their mean. Grey and dashed: training sequences; dark: "
    "validation sequences.",
    (),
)
EXAMPLES = Section(
    "examples",
    "Examples, base by base",
    "A few of the explained sequences under every method, under the first seed. Which they are is "
    "a rule, named with each, and no choice of the best looking.",
    (),
)
READING = Section("reading", "How to read this", "", ())


def html(results: Results) -> dict[str, str]:
    """``report.html``: the run for a reader, figures, style and all in one file."""
    # what draws imports matplotlib, which takes a second
    from .web.examples import example_browser

    results = shareable(results)
    figures, browser = drawn(results), example_browser(results)
    shown = _with_figures(sections(results), figures, browser)
    page = template("report", _finalize).render(
        title=title(results),
        assets=assets(),
        facts=_facts(results),
        verdicts=verdicts(results),
        cautions=cautions(results),
        unfinished=unfinished(results),
        boards={"leaderboard": standings(results), "between": pairs(results)},
        sections=shown,
        contents=contents([*shown, READING]),
        figures=figures,
        browser=browser,
        styles=styles(methods_of(results)),
        again=_again(results),
        plan=plan_text(results),
        glossary=glossary(results),
    )
    return {"report.html": page}


def _with_figures(
    found: list[Section], figures: dict[str, list[Figures]], browser: Markup
) -> list[Section]:
    """The sections, with those that only hold figures: training after the models, examples before
    what failed and the words at the end."""
    slugs = [section.slug for section in found]
    every = list(found)
    if browser:
        last = min(slugs.index(slug) for slug in ("unmeasured", "methods", "run") if slug in slugs)
        every.insert(last, EXAMPLES)
    if figures["training"]:
        every.insert(slugs.index("accuracy") + 1 if "accuracy" in slugs else 0, TRAINING)
    return every


def _finalize(value: Any) -> Any:
    """Whatever the template prints loses its absolute paths; what is already markup is ours."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return without_folders(value)
    return value


def _again(results: Results) -> str:
    """The command that runs the plan again, with the plug-ins that came from elsewhere."""
    plugins = results.environment.get("plugins") or ()
    words = ("xaibench run plan.yaml -o again", *(f"--plugin {shlex.quote(w)}" for w in plugins))
    return " ".join(words)


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
