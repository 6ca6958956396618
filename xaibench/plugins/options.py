"""A plug-in's signature is the schema of its options."""

import inspect
import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache, reduce
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, Literal, Self, get_args, get_type_hints

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PydanticUserError,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic_core import PydanticSerializationError

from xaibench.errors import UsageError
from xaibench.protocols import (
    MethodFacts,
    MetricFacts,
    MetricKind,
    OfChange,
    OfCurves,
    OfEffects,
    metric_facts,
)

from .registry import Plugin, nearest

POSITIONAL = {"attribution": 3, "operators": 2, "reports": 1, "training": 2}
"""How many parameters of a plug-in come first and are no options; a metric's facts tell its own."""

SUPPLIED = {
    "datasets": {"data_seed"},
    "models": {"classes", "length", "shortest"},
    "training": {"seed", "progress", "checkpoint"},
    "operators": {"composition"},
    "attribution": {"codes", "valid", "references", "generators", "rules"},
}
"""Parameters that are no options of a plan: the harness fills them in where a signature asks for
them, but for ``rules``, which a plug-in hands to a method that it calls."""


def _word(value: object) -> str:
    if not isinstance(value, str | int | float):
        raise ValueError(f"wanted a name, got {json.dumps(value)}; a name may stand in quotes")
    return str(value)


Word = Annotated[str, BeforeValidator(_word)]
"""Of a column or a chromosome; the number 7 of a YAML file is the word "7"."""

ClassName = Word
"""The name of a class."""


class Truth(BaseModel):
    """Where the motifs of a dataset stand, of every dataset that does not say so itself.

    ``motifs`` are scanned for: a JASPAR name or identifier and the class that it speaks for, below
    ``p_value``, from ``release`` or from the MEME file ``matrices``. ``sites`` is a BED instead,
    whose fourth column, or ``speaks_for``, names the class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    motifs: dict[str, ClassName] = {}
    p_value: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    release: str | None = None
    matrices: Path | None = None
    sites: Path | None = None
    speaks_for: ClassName | None = None

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if bool(self.motifs) == bool(self.sites):
            raise ValueError("wanted either motifs or sites")
        of_the_other = ("speaks_for",) if self.motifs else ("p_value", "release", "matrices")
        for name in of_the_other:
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} says nothing of {'motifs' if self.motifs else 'sites'}")
        return self


Schema = type[BaseModel]
Fields = dict[str, tuple[Any, Any]]


def resolve(plugin: Plugin, options: Mapping[str, Any], *, where: str) -> dict[str, Any]:
    """The options of a plug-in with its defaults filled in, as plain JSON values.

    Raises UsageError naming ``where`` and the option, also where a default is no plain value or
    is not of the type that stands beside it, and where an option is called as one of the harness.
    """
    own, ours = _own(plugin), _of_harness(plugin)
    _require_different(plugin, own, ours)
    schema = _schema(plugin, {**ours, **own})
    checked = validate(schema, dict(options), where=where)
    plain = {name: _plain(checked, name, where) for name in schema.model_fields}
    validate(schema, plain, where=where)
    return plain


def _require_different(plugin: Plugin, own: Fields, ours: Fields) -> None:
    """What a plan writes under one name cannot be meant for both."""
    shared = [name for name in own if name in ours]
    if shared:
        raise UsageError(
            f"{plugin.name}: its option {shared[0]!r} has the name of one of the harness'; "
            "wanted another name"
        )


def _plain(checked: BaseModel, name: str, where: str) -> Any:
    try:
        return checked.model_dump(mode="json", include={name})[name]
    except PydanticSerializationError:
        raise UsageError(
            f"{where}.{name}: wanted a value that YAML can hold, got {getattr(checked, name)!r}"
        ) from None


def typed(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that the signature has, in the types that it names."""
    return dict(_typed(plugin, json.dumps(options, sort_keys=True, default=str)))


@lru_cache(maxsize=1024)
def _typed(plugin: Plugin, written: str) -> dict[str, Any]:
    """Remembered: a run asks thousands of times, and making a schema takes a millisecond."""
    own = _own(plugin)
    given = {name: value for name, value in json.loads(written).items() if name in own}
    checked = validate(_schema(plugin, own), given, where=plugin.name)
    return {name: getattr(checked, name) for name in own}


def takes(call: Callable[..., Any]) -> list[str]:
    """The names of all parameters of a function, or of a class when it is made."""
    return list(inspect.signature(call).parameters)


def supplied(call: Callable[..., Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Of the values that the harness can supply, those the function asks for."""
    names = takes(call)
    return {name: value for name, value in values.items() if name in names}


def of_harness(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that the harness itself understands, in their types."""
    fields = _of_harness(plugin)
    given = {name: value for name, value in options.items() if name in fields}
    checked = validate(_schema(plugin, fields), given, where=plugin.name)
    return {name: getattr(checked, name) for name in fields}


LIMITS = {
    "attribution": ("sequences",),
    "models": ("sequences", "seeds"),
    "operators": ("sequences",),
}
"""The options of the harness that say how much is looked at, not what anything is."""


def identity(plugin: Plugin, options: Mapping[str, Any]) -> dict[str, Any]:
    """The resolved options that make a difference to what the plug-in does."""
    limits = LIMITS.get(plugin.kind, ())
    return {name: value for name, value in options.items() if name not in limits}


def with_paths(
    plugin: Plugin, options: Mapping[str, Any], change: Callable[[str], Any]
) -> dict[str, Any]:
    """The options with every path that is given changed."""
    changed = dict(options)
    for name, (hint, _) in _own(plugin).items():
        if _is_path(hint) and isinstance(options.get(name), str):
            changed[name] = str(change(options[name]))
    truth = changed.get("truth")
    if plugin.kind == "datasets" and isinstance(truth, Mapping):
        given = {
            name: truth[name] for name in ("matrices", "sites") if isinstance(truth.get(name), str)
        }
        changed["truth"] = {**truth, **{name: str(change(path)) for name, path in given.items()}}
    return changed


def validate(schema: Schema, given: Any, *, where: str) -> BaseModel:
    """The first mistake of a mapping, in one line: the key, what was wanted, what came.

    The words yes, no, on and off are read where a truth value is wanted, 1e-3 and 1_000 where a
    number is.
    """
    try:
        return schema.model_validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        if (replaced := _as_wanted(given, error)) is not None:
            return validate(schema, replaced, where=where)
        raise UsageError(_mistake(error, schema, where)) from None


_TRUTH_WORDS = {"yes": True, "on": True, "no": False, "off": False}


_NUMBER = re.compile(r"(?a)(?=.*[_eE])[-+]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][-+]?\d+)?")
"""What YAML 1.2 and 1.1 read as numbers and the loader leaves as names: 1e-3, 1_000."""


def _as_wanted(given: Any, error: ValidationError) -> Any:
    """A copy with truth values and numbers for words that are such, where one was wanted; None
    without any."""
    replaced, count = json.loads(json.dumps(given, default=str)), 0
    for each in error.errors():
        *outer, last = each["loc"] or ("",)
        place = reduce(_inner, outer, replaced)
        value = _inner(place, last)
        if isinstance(value, str) and (wanted := _read_as(each["type"], value)) is not None:
            place[last] = wanted
            count += 1
    return replaced if count else None


def _read_as(wanted: str, word: str) -> bool | float | int | None:
    """The truth value or number that a word is; None where it is none. 1e3 is whole."""
    if wanted == "bool_type":
        return _TRUTH_WORDS.get(word.lower())
    if wanted not in ("float_type", "int_type") or not _NUMBER.fullmatch(word):
        return None
    number = float(word)
    if not math.isfinite(number):
        return None
    if wanted == "int_type":
        return int(number) if number == int(number) else None
    return number


def _inner(place: Any, key: int | str) -> Any:
    """What stands there; None where nothing does, as at the name of a type in a union."""
    try:
        return place[key]
    except (KeyError, IndexError, TypeError):
        return None


def _mistake(error: ValidationError, schema: Schema, where: str) -> str:
    errors = error.errors()
    unknown = (each for each in errors if each["type"] == "extra_forbidden")
    first = next(unknown, errors[0])  # a mistyped key explains the one that is missing
    key = ".".join([part for part in [where, *map(str, first["loc"])] if part])
    if first["type"] == "extra_forbidden":
        *outer, name = map(str, first["loc"])
        known = [*_inside(schema, outer).model_fields]
        place = ".".join(filter(None, [where, *outer])) or "plan"
        return f"{place}: unknown key {name!r}; {nearest(name, known)}"
    message = first["msg"].removeprefix("Value error, ")
    if first["type"] in {"missing", "value_error"}:
        return f"{key}: {message[0].lower()}{message[1:]}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def _inside(schema: Schema, path: list[str]) -> Schema:
    """The schema of the mapping at ``path`` within one of ``schema``."""
    for name in path:
        field = schema.model_fields.get(name)
        hint = None if field is None else field.annotation
        schemas = [each for each in (hint, *get_args(hint)) if isinstance(each, type(BaseModel))]
        schema = schemas[0] if schemas else schema
    return schema


def _schema(plugin: Plugin, fields: Fields) -> Schema:
    config = ConfigDict(extra="forbid", strict=True, arbitrary_types_allowed=True)
    annotated: dict[str, Any] = dict(fields)
    try:
        return create_model(plugin.name, __config__=config, **annotated)
    except (PydanticUserError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"{plugin.name}: its options cannot be checked: {reason}") from None


def fits(plugin: Plugin) -> bool:
    """Whether nothing speaks against this kind: a class is a model, facts belong to methods or
    to metrics, and every kind is called with so many positional arguments."""
    call = plugin.call
    facts = getattr(call, "facts", None)
    if inspect.isclass(call) and plugin.kind != "models":
        return False
    if isinstance(facts, MethodFacts | MetricFacts):
        return plugin.kind == ("metrics" if isinstance(facts, MetricFacts) else "attribution")
    by_name = SUPPLIED[plugin.kind] if plugin.kind in {"datasets", "models"} else set()
    positional = [
        parameter
        for parameter in inspect.signature(call).parameters.values()
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
        and parameter.name not in by_name
    ]
    required = sum(parameter.default is parameter.empty for parameter in positional)
    return required <= _first(plugin) <= len(positional)


def _first(plugin: Plugin) -> int:
    """How many parameters come first and are no options."""
    if plugin.kind == "metrics":
        return metric_facts(plugin.call).kind.arguments
    return POSITIONAL.get(plugin.kind, 0)


def _own(plugin: Plugin) -> Fields:
    """The options that stand in the signature, with their types and defaults."""
    parameters = list(inspect.signature(plugin.call).parameters.values())[_first(plugin) :]
    _require_keywords(plugin, parameters)
    return {
        parameter.name: (
            _hint(plugin, parameter),
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
                f"{plugin.name}: wanted {parameter.name!r} after a * in its signature, "
                "where the harness fills it in, got it as a positional parameter"
            )


def _of_harness(plugin: Plugin) -> Fields:
    """The options that the harness itself understands, of every dataset, method and metric."""
    if plugin.kind == "attribution":
        return {"strands": (Literal["forward", "both"], "forward"), "sequences": _FEWER}
    if plugin.kind == "operators":
        return {"sequences": _FEWER}
    if plugin.kind == "models":
        return {"sequences": (Annotated[int, Field(ge=0)] | None, None), "seeds": _FEWER}
    if plugin.kind == "datasets":
        return {
            "deduplicated": (bool, False),
            "truth": (Truth | None, None),
            "fallback": (dict[str, Any] | None, None),
        }
    if plugin.kind != "metrics":
        return {}
    return {"sequences": _FEWER, **_of_kind(metric_facts(plugin.call).kind)}


def _of_kind(kind: MetricKind) -> Fields:
    """How the harness makes what a metric of this kind looks at."""
    if isinstance(kind, OfChange):
        return _OF_CHANGE.get(kind.change, {})
    if isinstance(kind, OfEffects):
        return _OF_EFFECTS.get(kind.effects, {})
    return _OF_CURVES.get(kind.curve, {}) if isinstance(kind, OfCurves) else {}


_COUNT = Annotated[int, Field(ge=1)]
_DRAWS = Annotated[int, Field(ge=1, le=10_000)]
_FEWER = (_COUNT | None, None)
"""At most so many; None is all that the plan has."""

_OF_CHANGE: dict[str, Fields] = {
    "substitutions": {"draws": (_DRAWS, 5)},
    "hamming_ball": {"draws": (_DRAWS, 5), "radius": (_COUNT, 3)},
    "shift": {"draws": (_DRAWS, 2), "offset": (_COUNT, 10)},
    "cascading": {"draws": (_DRAWS, 3)},
    "independent": {"draws": (_DRAWS, 3)},
}
"""How often and how far the harness changes what a metric looks at."""

_SHARE = Annotated[float, Field(gt=0, lt=1)]

_OF_EFFECTS: dict[str, Fields] = {
    "subsets": {
        "draws": (_DRAWS, 20),
        "fractions": (tuple[_SHARE, ...], (0.05, 0.1, 0.2, 0.3, 0.5)),
    },
}
"""How many random sets of which size are replaced."""

_OF_CURVES: dict[str, Fields] = {"retrained": {"train": (_COUNT | None, None)}}
"""On how many sequences models are trained again."""


def _hint(plugin: Plugin, parameter: inspect.Parameter) -> Any:
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


def _is_path(hint: Any) -> bool:
    return hint is Path or Path in getattr(hint, "__args__", ())
