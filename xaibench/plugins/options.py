"""The options of a plug-in in a plan, its own and the harness's: checked, filled in, located."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import (
    BaseModel,
)
from pydantic_core import PydanticSerializationError

from xaibench.errors import UsageError

from .harness_options import UNWRITTEN, harness_fields
from .registry import Plugin
from .signatures import Fields, own_fields, schema_of
from .validation import validate


def resolve(plugin: Plugin, options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The options of a plug-in with its defaults filled in, as plain JSON values.

    Raises UsageError naming ``where`` and the option, also where a default is no plain value or
    is not of its annotated type, and where an option has the name of one of the harness.
    """
    own, ours = own_fields(plugin), harness_fields(plugin)
    _require_names_apart(plugin, own, ours)
    schema = schema_of(plugin, {**ours, **own})
    checked = validate(schema, dict(options), where=where)
    plain = {name: _plain_value(checked, name, where) for name in schema.model_fields}
    validate(schema, plain, where=where)
    unwritten = UNWRITTEN.get(plugin.kind, {})
    return {
        name: value
        for name, value in plain.items()
        if name not in unwritten or value != unwritten[name]
    }


def _require_names_apart(plugin: Plugin, own: Fields, ours: Fields) -> None:
    """What a plan writes under one name cannot be meant for both."""
    shared = [name for name in own if name in ours]
    if shared:
        raise UsageError(
            f"{plugin.name}: its option {shared[0]!r} has the name of one of the harness'; "
            "expected another name"
        )


def _plain_value(checked: BaseModel, name: str, where: str) -> Any:
    try:
        return checked.model_dump(mode="json", include={name})[name]
    except PydanticSerializationError:
        raise UsageError(
            f"{where}.{name}: expected a value that YAML can hold, got {getattr(checked, name)!r}"
        ) from None


def with_paths(
    plugin: Plugin, options: Mapping[str, Any], change: Callable[[str], Any]
) -> dict[str, Any]:
    """The options with every path that is given changed.

    A plug-in may have an attribute ``fetched``, by option a function that brings here what a name
    stands for that is no path, and gives its folder; None where the name is none of its own.
    """
    fetched = getattr(plugin.call, "fetched", {})
    changed = dict(options)
    for name, (hint, _) in {**harness_fields(plugin), **own_fields(plugin)}.items():
        given = options.get(name)
        if is_path(hint) and isinstance(given, str):
            folder = fetched[name](given) if name in fetched else None
            changed[name] = str(change(given if folder is None else str(folder)))
        elif is_path(hint) and isinstance(given, Sequence):
            changed[name] = [str(change(each)) for each in given]
    truth = changed.get("truth")
    if plugin.kind == "datasets" and isinstance(truth, Mapping):
        given = {
            name: truth[name] for name in ("matrices", "sites") if isinstance(truth.get(name), str)
        }
        changed["truth"] = {**truth, **{name: str(change(path)) for name, path in given.items()}}
    return changed


def is_path(hint: Any) -> bool:
    """Whether an option is a path, or may be one or several."""
    return hint is Path or any(map(is_path, get_args(hint)))
