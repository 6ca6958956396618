"""Checks what a user wrote against a schema: the first mistake, in one line."""

import json
import math
import re
from functools import reduce
from typing import Any, get_args

from pydantic import (
    BaseModel,
    ValidationError,
)

from xaibench.errors import UsageError

from .registry import nearest

Schema = type[BaseModel]


def validate(schema: Schema, given: Any, *, where: str) -> BaseModel:
    """The first mistake of a mapping, in one line: the key, what was expected, what came.

    The words yes, no, on and off are read where a truth value is expected, 1e-3 and 1_000 where a
    number is.
    """
    try:
        return schema.model_validate_json(json.dumps(given, default=str))
    except ValidationError as error:
        if (replaced := _converted(given, error)) is not None:
            return validate(schema, replaced, where=where)
        raise UsageError(_first_mistake(error, schema, where)) from None


_TRUTH_VALUES = {"yes": True, "on": True, "no": False, "off": False}

_YAML_NUMBER = re.compile(r"(?a)(?=.*[_eE])[-+]?(\d+(_\d+)*\.?\d*|\.\d+)([eE][-+]?\d+)?")
"""What YAML 1.2 and 1.1 read as numbers and the loader leaves as names: 1e-3, 1_000."""


def _converted(given: Any, error: ValidationError) -> Any:
    """A copy with truth values and numbers for words that are such, where one was expected; None
    without any."""
    replaced, count = json.loads(json.dumps(given, default=str)), 0
    for each in error.errors():
        *outer, last = each["loc"] or ("",)
        place = reduce(_value_at, outer, replaced)
        value = _value_at(place, last)
        if (
            isinstance(value, str)
            and (converted := _value_of_text(each["type"], value)) is not None
        ):
            place[last] = converted
            count += 1
    return replaced if count else None


def _value_of_text(mistake: str, word: str) -> bool | float | int | None:
    """The truth value or number that a word is; None where it is none. 1e3 is whole."""
    if mistake == "bool_type":
        return _TRUTH_VALUES.get(word.lower())
    if mistake not in ("float_type", "int_type") or not _YAML_NUMBER.fullmatch(word):
        return None
    number = float(word)
    if not math.isfinite(number):
        return None
    if mistake == "int_type":
        return int(number) if number == int(number) else None
    return number


def _value_at(place: Any, key: int | str) -> Any:
    """What is there; None where nothing is, as at the name of a type in a union."""
    try:
        return place[key]
    except (KeyError, IndexError, TypeError):
        return None


def _first_mistake(error: ValidationError, schema: Schema, where: str) -> str:
    """One line: the key, what is wrong, and the value where it says more than the message."""
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
    if first["type"] == "missing":
        return f"{key}: field required{_described(schema, [*map(str, first['loc'])])}"
    if first["type"] == "value_error":
        return f"{key}: {message[0].lower()}{message[1:]}"
    return f"{key}: {message[0].lower()}{message[1:]}, got {first['input']!r}"


def _described(schema: Schema, path: list[str]) -> str:
    """What the field at ``path`` is, where it has a description."""
    field = _inside(schema, path[:-1]).model_fields.get(path[-1])
    return f": {field.description}" if field is not None and field.description else ""


def _inside(schema: Schema, path: list[str]) -> Schema:
    """The schema of the mapping at ``path`` within one of ``schema``."""
    for name in path:
        field = schema.model_fields.get(name)
        hint = None if field is None else field.annotation
        schemas = [each for each in (hint, *get_args(hint)) if isinstance(each, type(BaseModel))]
        schema = schemas[0] if schemas else schema
    return schema
