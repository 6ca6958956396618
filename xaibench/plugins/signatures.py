"""A plug-in's signature is the schema of its options."""

import inspect
import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, get_type_hints

from pydantic import (
    ConfigDict,
    PydanticUserError,
    create_model,
)

from xaibench.errors import UsageError
from xaibench.protocols import (
    MethodFacts,
    MetricFacts,
    OperatorFacts,
    metric_facts,
)

from .registry import Plugin
from .validation import Schema, validate

Fields = dict[str, tuple[Any, Any]]

POSITIONAL = {"attribution": 3, "operators": 2, "reports": 1, "training": 2, "pretraining": 2}
"""How many parameters of a plug-in come first and are no options; a metric's facts tell its own."""

SUPPLIED = {
    "datasets": {"data_seed"},
    "models": {"classes", "length", "shortest", "program", "genes"},
    "training": {"seed", "progress", "checkpoint"},
    "operators": {"composition"},
    "attribution": {"codes", "valid", "references", "generators", "rules", "test_split"},
}
"""Parameters that are no options of a plan: the harness fills them in where a signature asks for
them, but for ``rules``, which a plug-in hands to a method that it calls."""


def typed(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that the signature has, in the types that it names."""
    return dict(_typed(plugin, json.dumps(options, sort_keys=True, default=str)))


@lru_cache(maxsize=1024)
def _typed(plugin: Plugin, written: str) -> dict[str, Any]:
    """Remembered: a run asks thousands of times, and making a schema takes a millisecond."""
    own = own_fields(plugin)
    given = {name: value for name, value in json.loads(written).items() if name in own}
    checked = validate(schema_of(plugin, own), given, where=plugin.name)
    return {name: getattr(checked, name) for name in own}


def takes(call: Callable[..., Any]) -> list[str]:
    """The names of all parameters of a function, or of a class when it is made."""
    return list(inspect.signature(call).parameters)


def supplied(call: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values that the harness can supply, those the function asks for."""
    names = takes(call)
    return {name: value for name, value in values.items() if name in names}


def fits(plugin: Plugin) -> bool:
    """Whether nothing speaks against this kind: a class is a model, facts belong to methods, to
    metrics or to operators, and every kind is called with so many positional arguments."""
    call = plugin.call
    facts = getattr(call, "facts", None)
    if inspect.isclass(call) and plugin.kind != "models":
        return False
    of_kind = {MethodFacts: "attribution", MetricFacts: "metrics", OperatorFacts: "operators"}
    if type(facts) in of_kind:
        return plugin.kind == of_kind[type(facts)]
    by_name = SUPPLIED[plugin.kind] if plugin.kind in {"datasets", "models"} else set()
    positional = [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.name not in by_name
    ]
    required = sum(parameter.default is parameter.empty for parameter in positional)
    return required <= _positional_of(plugin) <= len(positional)


def _positional_of(plugin: Plugin) -> int:
    """How many parameters come first and are no options."""
    if plugin.kind == "metrics":
        return metric_facts(plugin.call).kind.arguments
    return POSITIONAL.get(plugin.kind, 0)


def own_fields(plugin: Plugin) -> Fields:
    """The options in the signature, with their types and defaults."""
    parameters = list(inspect.signature(plugin.call).parameters.values())[_positional_of(plugin) :]
    _require_keywords(plugin, parameters)
    return {
        parameter.name: (
            _type_of(plugin, parameter),
            ... if parameter.default is parameter.empty else parameter.default,
        )
        for parameter in parameters
        if parameter.name not in SUPPLIED.get(plugin.kind, ())
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def _require_keywords(plugin: Plugin, parameters: list[inspect.Parameter]) -> None:
    """What is supplied to a method is supplied by keyword, so that it is no option by mistake."""
    for parameter in parameters:
        supplied = plugin.kind == "attribution" and parameter.name in SUPPLIED["attribution"]
        if supplied and parameter.kind is not parameter.KEYWORD_ONLY:
            raise UsageError(
                f"{plugin.name}: expected {parameter.name!r} after a * in its signature, "
                "where the harness fills it in, got it as a positional parameter"
            )


def _type_of(plugin: Plugin, parameter: inspect.Parameter) -> Any:
    """The type of one option. Only options are looked at: other annotations may name what is
    imported for type checkers alone."""
    if parameter.annotation is parameter.empty:
        # a word such as "no" must not pass for true
        return bool if isinstance(parameter.default, bool) else Any
    made = plugin.call.__init__ if inspect.isclass(plugin.call) else plugin.call
    known = getattr(inspect.unwrap(made), "__globals__", {})
    one = SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
    try:
        return get_type_hints(one, known, include_extras=True)[parameter.name]
    except Exception as error:
        raise UsageError(
            f"{plugin.name}: the type of its option {parameter.name!r} cannot be read: {error}"
        ) from None


def schema_of(plugin: Plugin, fields: Fields) -> Schema:
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
    annotated: dict[str, Any] = dict(fields)
    try:
        return create_model(plugin.name, __config__=config, **annotated)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{plugin.name}: its options cannot be checked: {reason}") from None
