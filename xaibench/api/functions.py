"""Methods, metrics and operators by name, or as the functions themselves."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from xaibench.errors import UsageError
from xaibench.plugins.registry import Plugin, load


def plugin_of(kind: str, given: Any, plugins: tuple[str, ...] = ()) -> Plugin:
    """A plug-in by its name, or of a function; UsageError where it is neither."""
    if isinstance(given, str):
        return load(kind, given, plugins)
    if not callable(given):
        raise UsageError(f"{kind}: expected a name or a function, got {given!r}")
    return Plugin(kind, _name_of(given), given, f"{_name_of(given)} {_digest_of(given)}")


def section_of(kind: str, given: Any, functions: list[Plugin]) -> dict[str, Any]:
    """A section of a plan, by label, of names and functions; ``functions`` gets those without a
    name that a plan could hold.

    >>> section_of("metrics", ["auprc", {"use": "deletion"}], [])
    {'auprc': {'use': 'auprc'}, 'deletion': {'use': 'deletion'}}
    """
    if isinstance(given, str) or callable(given):
        given = [given]
    if not isinstance(given, Mapping):
        given = {_label_of(kind, each): each for each in given}
    return {str(label): _use_of(kind, each, functions) for label, each in given.items()}


def _label_of(kind: str, given: Any) -> str:
    if isinstance(given, Mapping):
        given = given.get("use")
    return given if isinstance(given, str) else plugin_of(kind, given).name


def _use_of(kind: str, given: Any, functions: list[Plugin]) -> dict[str, Any]:
    options = dict(given) if isinstance(given, Mapping) else {"use": given}
    use = options.get("use", "")
    if given is None:
        return {}
    if not isinstance(use, str):
        plugin = plugin_of(kind, use)
        if plugin not in functions:
            functions.append(plugin)
        return {**options, "use": plugin.name}
    return options


def _name_of(function: Callable[..., Any]) -> str:
    name = str(getattr(function, "__name__", type(function).__name__))
    return name if name.isidentifier() else "function"


def _digest_of(function: Callable[..., Any]) -> str:
    """Names what a function does by its source, as far as that is known; what it closes over or
    calls is not noticed."""
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        text = repr(function) if code is None else f"{code.co_code!r} {code.co_consts!r}"
    return blake2b(text.encode(), digest_size=8).hexdigest()
