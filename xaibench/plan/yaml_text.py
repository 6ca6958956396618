"""YAML in which names stay names."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

from xaibench.errors import UsageError, message_of
from xaibench.storage.files import read_file

from .bounds import check_text, check_values

_TEXT = "tag:yaml.org,2002:str"

_UNAMBIGUOUS = {
    "tag:yaml.org,2002:bool": re.compile("(?i:true|false)"),
    "tag:yaml.org,2002:int": re.compile("[-+]?(0|[1-9][0-9]*)"),
    "tag:yaml.org,2002:float": re.compile("[^:_]+"),
    "tag:yaml.org,2002:timestamp": re.compile("(?!)"),
    "tag:yaml.org,2002:value": re.compile("(?!)"),
}
"""By tag, what is no name: yes, off, 0x10, 010, 1_000, 1:30 and 2026-01-31 are classes as well."""


class NamesAsText(yaml.SafeLoader):
    """YAML in which names stay names, and a key that is there twice is a mistake.

    Keys are text. So are the words yes, no, on and off, dates, and numbers in another base than
    ten, with _ inside or as 1e-3; ``validation.validate`` reads the words where a truth value is
    expected, and the numbers where one is.
    """

    def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
        tag = super().resolve(kind, value, implicit)  # type: ignore[no-untyped-call]
        plain = kind is yaml.ScalarNode and implicit[0]
        if plain and tag in _UNAMBIGUOUS and not _UNAMBIGUOUS[tag].fullmatch(value):
            return _TEXT
        return tag

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Before anything is merged: what ``<<`` brings may be written over."""
        node = super().compose_mapping_node(anchor)
        scalars = [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in scalars:
            key.tag = key.tag if key.tag == "tag:yaml.org,2002:merge" else _TEXT
        twice = {key for key, count in Counter(key.value for key in scalars).items() if count > 1}
        if twice:
            raise yaml.composer.ComposerError(None, None, f"{twice} twice", node.start_mark)
        return node


def parsed_text(text: str, source: str) -> dict[str, Any]:
    check_text(text, source)
    try:
        mapping = yaml.load(text, NamesAsText)  # a SafeLoader underneath
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter of numbers
        raise UsageError(f"{source}: is no YAML: {message_of(error)}") from None
    if not isinstance(mapping, dict):
        raise UsageError(f"{source}: expected a mapping of keys, got {type(mapping).__name__}")
    check_values(mapping, "")
    return mapping


def parsed_file(path: Path) -> dict[str, Any]:
    """The mapping in the plan of a run folder, as it is; a link is not followed."""
    try:
        return parsed_text(read_file(path).decode(), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or message_of(error)
        raise UsageError(
            f"{path}: cannot be read: {reason}; run the command of the run again"
        ) from None
