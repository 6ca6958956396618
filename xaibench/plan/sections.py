"""The sections of a plan, in every form in which they can be written."""

import re
from collections.abc import Mapping
from typing import Any

from xaibench.errors import UsageError

from .bounds import check_labels

PLUGIN_SECTIONS = ("models", "attribution", "metrics", "operators", "reports")
"""The keys that hold several plug-ins by label."""

OF_A_SERIES = ("series.json", "index.html", "overview.csv")
"""What is in the folder of several datasets beside the folders of their runs."""

DEFAULTS: dict[str, Any] = {
    "training": {"use": "supervised"},
    "attribution": [
        *("attention", "integrated_gradients", "deeplift", "saliency", "input_x_gradient"),
        "random",
    ],
    "metrics": {
        "deletion": {},
        "insertion": {},
        "flip_rate": {},
        "substitution_agreement": {"sequences": 50},
        "auprc": {},
        "relevance_mass": {},
        "pointing_game": {},
        "seed_agreement": {},
        "substitution_sensitivity": {},
        "reverse_complement_consistency": {},
        "effective_positions": {},
    },
    "operators": ["n", "uniform"],
    "reports": ["html", "markdown"],
}


def by_label(section: Any, where: str) -> dict[str, Any]:
    """A section given as a list of names is a mapping without options."""
    if isinstance(section, list) and all(isinstance(name, str) for name in section):
        check_labels(section, where)
        return {name: {} for name in section}
    if isinstance(section, dict) and all(isinstance(name, str) for name in section):
        check_labels(section, where)
        return {name: {} if options is None else options for name, options in section.items()}
    raise UsageError(f"{where}: expected a list of names or a mapping, got {section!r}")


def use_of(
    given: Any, where: str, *, key: str = "use", default: str | None = None
) -> dict[str, Any]:
    """``{use: name, option: value}`` or a bare name, as the fields of ``Use``."""
    if isinstance(given, str):
        given = {key: given}
    if not isinstance(given, Mapping):
        raise UsageError(f"{where}: expected options, got {given!r}")
    options = {name: value for name, value in given.items() if name != key}
    name = given.get(key, default)
    if not isinstance(name, str):
        raise UsageError(f"{where}: expected {key}: NAME, got {given!r}")
    return {"use": name, "options": options}


def datasets_of(given: Any) -> dict[str, Any]:
    """Datasets by label, each a folder of its run; a list of names labels them by these."""
    if isinstance(given, list) and all(isinstance(name, str) for name in given):
        if len({*given}) < len(given):
            raise UsageError(f"datasets: expected different names, got {given}")
        given = {name: name for name in given} or given
    if not isinstance(given, Mapping) or not given:
        raise UsageError(f"datasets: expected labels and their datasets, or names, got {given!r}")
    for label in given:
        if not isinstance(label, str) or not re.fullmatch(r"(?!\.)[^/\\\0]+", label):
            raise UsageError(f"datasets: expected labels that can name folders, got {label!r}")
        if label.casefold() in OF_A_SERIES:
            raise UsageError(
                f"datasets: expected another label than {label!r}, a file of the series"
            )
    check_labels(given, "datasets")
    return {label: {"name": one} if isinstance(one, str) else one for label, one in given.items()}
