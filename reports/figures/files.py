"""The figures of a run as files, for a paper: SVG, PDF and PNG, with a list of what they show."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from xaibench.errors import UsageError
from xaibench.plugins.registry import nearest
from xaibench.results.reading import Results

from ..format.paths import shareable, without_folders
from ..format.select import operators_of
from ..rendering.markdown import plain
from .page import curves_drawn

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .panel import Panel

FOLDER = "figures"

ORDERS = {"most relevant first": "deletion", "least relevant first": "insertion"}
"""The order of a curve -> the area that is measured of it."""


def figures(results: Results) -> dict[str, str | bytes]:
    """Every figure of the run under ``figures/``, each as SVG, PDF and PNG, and ``captions.md``."""
    results = shareable(results)
    files: dict[str, str | bytes] = {}
    captions = []
    for name, panel in named_panels(results):
        files |= {f"{FOLDER}/{name}.{kind}": file for kind, file in panel.files.items()}
        captions.append((name, panel.alt))
    lines = [f"- `{name}`: {plain(without_folders(alt))}" for name, alt in captions]
    return {**files, f"{FOLDER}/captions.md": "\n".join(["# Figures", "", *lines, ""])}


def named_panels(results: Results) -> Iterator[tuple[str, Panel]]:
    """Each panel with the name of its file: what it shows, and the number and name of its model."""
    from .example_curves import curve_panels_of_examples
    from .forest import gap_panels
    from .heat import agreement_panels, score_panels
    from .logo_files import logo_panels
    from .operators import operator_panels
    from .pareto import cost_panels
    from .ranks import rank_panels
    from .strips import strip_panels
    from .training import training_panels

    groups = {
        "gaps": gap_panels(results),
        "sequences": strip_panels(results),
        "scores": score_panels(results),
        **_curves(results),
        "ranks": rank_panels(results),
        **{f"training_{_file_name(axis)}": own for axis, own in training_panels(results).items()},
        "operators": operator_panels(results),
        "agreement": agreement_panels(results),
        "cost": cost_panels(results),
    }
    for group, panels in groups.items():
        for number, panel in enumerate(panels, start=1):
            yield f"{group}_{number}_{_file_name(panel.model or panel.title)}", panel
    for (number, place), panel in curve_panels_of_examples(results).items():
        yield f"example_{number}_{place}_{_file_name(panel.model)}", panel
    for (number, place), panel in logo_panels(results).items():
        yield f"logos_{number}_{place}", panel


def figure_of(results: Results, name: str = "", model: str = "") -> Figure:
    """One figure of a run: ``gaps``, the leaderboard, ``scores``, ``agreement``, ``ranks`` or
    ``cost``, by default the first of these that there is; of ``model``, or of the first. UsageError
    where there is none."""
    from .forest import gap_panels
    from .heat import agreement_panels, score_panels
    from .pareto import cost_panels
    from .ranks import rank_panels

    groups = {
        "gaps": gap_panels,
        "scores": score_panels,
        "agreement": agreement_panels,
        "ranks": rank_panels,
        "cost": cost_panels,
    }
    if name and name not in groups:
        raise UsageError(f"no figure {name!r}; {nearest(name, list(groups))}")
    for group in [name] if name else groups:
        for panel in groups[group](results):
            if not model or panel.model == model:
                return panel.figure
    raise UsageError(f"no figure {name or 'at all'} of {model or 'this run'}: nothing to draw")


def _curves(results: Results) -> dict[str, list[Panel]]:
    """The curves that the page draws."""
    from .curves import curve_panels

    operators = operators_of(results)
    panels = {}
    for order, operator, quantity in curves_drawn(results):
        number = operators.index(operator) + 1 if operator in operators else 0
        area = ORDERS.get(order, _file_name(order))
        name = f"{area}_{quantity}_{number}_{_file_name(operator)}"
        panels[name] = curve_panels(results, operator, quantity, order)
    return panels


def _file_name(name: str) -> str:
    """A name of a file that every system takes.

    >>> _file_name("a/b <c>")
    'a-b-c'
    """
    return re.sub(r"[^A-Za-z0-9.]+", "-", name).strip("-.")[:40].lower() or "x"
