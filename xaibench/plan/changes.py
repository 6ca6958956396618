"""``--set``: one value written over what a plan holds."""

from typing import Any

import yaml

from xaibench.errors import UsageError

from .bounds import LEVELS, check_text, check_values
from .sections import DEFAULTS, PLUGIN_SECTIONS, by_label, datasets_of
from .yaml_text import NamesAsText


def assigned(change: str) -> tuple[str, Any]:
    """The key and the YAML value of ``key=value``.

    >>> assigned("dataset.motifs={CTCF: 1}")
    ('dataset.motifs', {'CTCF': 1})
    """
    key, equals, value = change.partition("=")
    if not equals or not all(key.split(".")):
        raise UsageError(f"--set {change}: expected key=value")
    check_values(key, "--set")
    if key.count(".") >= LEVELS:
        raise UsageError(f"--set {change}: expected at most {LEVELS} keys with dots between")
    check_text(value, f"--set {key}")
    try:
        loaded = yaml.load(value, NamesAsText)  # a SafeLoader underneath
    except (yaml.YAMLError, ValueError, OverflowError):
        raise UsageError(f"--set {change}: the value is no YAML") from None
    check_values(loaded, key)
    return key, loaded


def assign(written: dict[str, Any], change: str) -> None:
    """Write ``key=value`` over what a plan says, dots between keys."""
    key, value = assigned(change)
    *outer, last = key.split(".")
    if key == "extends":
        raise UsageError(f"--set {change}: expected 'extends' in the plan itself")
    place = written
    for name in outer:
        inner = place.setdefault(name, {})
        if name in PLUGIN_SECTIONS:
            inner = place[name] = by_label(inner or DEFAULTS.get(name, {}), name)
        if name == "datasets" and inner:
            inner = place[name] = datasets_of(inner)
        if inner is None:
            inner = place[name] = {}
        if not isinstance(inner, dict):
            raise UsageError(f"--set {change}: {name!r} holds {inner!r}, no keys")
        place = inner
    place[last] = value
