"""How much a plan may hold, checked before anything is made of it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml

from xaibench.errors import UsageError, shortened

if TYPE_CHECKING:
    from .schema import Plan

CHARACTERS, VALUES, LEVELS, PLANS = 10_000_000, 100_000, 50, 100
"""Of a plan in YAML: its text; its values with what aliases repeat; mappings and lists within each
other; plans that it extends."""

TASKS, CURVES = 100_000, 1_000_000
"""Of a run: its trainings and what is computed of them; the tasks times the operators."""

INTEGER = 2**63
"""Tables hold integers below it, and from its negative on."""

LABEL = 100
"""Characters of a label, which is shown in tables, in figures and in the names of files."""

PARSERS: tuple[Any, ...] = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)
"""Safe ones; the one in C takes seconds for a million events, and gives up where they are deep."""


def check_text(text: str, where: str) -> None:
    """Reject YAML that is large, deep, or becomes so where its aliases are followed; what is no
    YAML is left to its reader."""
    if len(text) > CHARACTERS:
        raise UsageError(
            f"{where}: expected a plan of at most {CHARACTERS:,} characters, got {len(text):,}"
        )
    if not _is_utf8(text):
        raise UsageError(f"{where}: expected text in UTF-8, got {shortened(ascii(text))}")
    values = 0
    for parser in PARSERS:
        with suppress(yaml.YAMLError):
            values = _count_values(yaml.parse(text, Loader=parser), where)
            break
    if values > VALUES:
        raise UsageError(f"{where}: expected at most {VALUES:,} values, got {values:,}")


def _count_values(events: Iterator[Any], where: str) -> int:
    """How many values a text has where each alias counts as all that it repeats."""
    counts, open_anchors, by_anchor = [0], list[Any](), dict[Any, int]()

    def alias(event: Any) -> None:
        if event.anchor in open_anchors:
            raise UsageError(f"{where}: expected an end, got *{event.anchor} within itself")
        counts[-1] += by_anchor.get(event.anchor, 0)

    def scalar(event: Any) -> None:
        counts[-1] += 1
        by_anchor[event.anchor] = 1

    def begin(event: Any) -> None:
        counts.append(1)
        open_anchors.append(event.anchor)
        if len(open_anchors) > LEVELS:
            raise UsageError(f"{where}: expected at most {LEVELS} levels, got more")

    def end(event: Any) -> None:
        by_anchor[open_anchors.pop()] = size = counts.pop()
        counts[-1] += size

    count_of = {
        yaml.AliasEvent: alias,
        yaml.ScalarEvent: scalar,
        yaml.SequenceStartEvent: begin,
        yaml.MappingStartEvent: begin,
        yaml.SequenceEndEvent: end,
        yaml.MappingEndEvent: end,
    }
    for event in events:
        if count := count_of.get(type(event)):
            count(event)
    return counts[0]


def check_values(value: Any, where: str) -> None:
    """Reject text that no file holds (null characters, halves of pairs), integers that no table
    holds, and what is no number."""
    if isinstance(value, dict):
        for name, inner in value.items():
            check_values(name, where)
            check_values(inner, f"{where}.{name}" if where else str(name))
    elif isinstance(value, list | tuple | set):
        for inner in value:
            check_values(inner, where)
    elif isinstance(value, str) and ("\0" in value or not _is_utf8(value)):
        raise UsageError(f"{where}: expected text, got {shortened(ascii(value))}")
    elif isinstance(value, int) and not -INTEGER <= value < INTEGER:
        digits = len(str(value).lstrip("-")) if abs(value) < 10**4000 else "over 4,000"
        raise UsageError(f"{where}: expected an integer below 2^63, got one of {digits} digits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UsageError(f"{where}: expected a finite number, got {value}")


def _is_utf8(value: str) -> bool:
    try:
        return bool(value.encode()) or not value
    except UnicodeEncodeError:
        return False


def check_labels(labels: Any, where: str) -> None:
    """Reject labels that are cut, hidden or computed where they are shown."""
    for label in labels:
        if fault := _label_fault(label):
            raise UsageError(f"{where}: expected a label {fault}, got {shortened(ascii(label))}")


_PATH = re.compile(r"(?:^|[^\w<./\\-])(?:~[\w.-]*/|/|[A-Za-z]:[/\\])\w|\\\\\w")


def _label_fault(label: str) -> str:
    """What a label must be that it is not; empty where it is fine."""
    if not 0 < len(label) <= LABEL:
        return f"of 1 to {LABEL} characters"
    if _PATH.search(label):
        return "without an absolute path, whose folders no report shows"
    return fault_of_name(label)


def fault_of_name(name: str) -> str:
    """What a name must be so that it does nothing where it is shown; empty where it is that."""
    if not name.isprintable() or name != name.strip():
        return "without line ends, control characters and blanks around it"
    if len(name) > 1 and name[0] in "=+-@":  # alone they are text
        return "that begins with no = + - @, which spreadsheets compute"
    return ""


def check_tasks(plan: Plan) -> None:
    """Reject a plan of more tasks than can be gone through, with their number."""
    check_counts(
        [use.options.get("seeds") for use in plan.models.values()],
        seeds=len(plan.seeds),
        methods=len(plan.attribution),
        operators=len(plan.operators),
    )


def check_counts(
    seeds_of_models: Sequence[Any], *, seeds: int, methods: int, operators: int
) -> None:
    """Reject so many tasks as cannot be gone through; of each model, how many of the seeds it has
    (all where that is no number)."""
    each = (min(most, seeds) if isinstance(most, int) else seeds for most in seeds_of_models)
    tasks = sum(each) * (3 + methods)
    if tasks > TASKS:
        raise UsageError(
            f"expected at most {TASKS:,} tasks, got {tasks:,} ({len(seeds_of_models):,} models, "
            f"{seeds:,} seeds, {methods:,} methods)"
        )
    if tasks * operators > CURVES:
        raise UsageError(
            f"expected at most {CURVES:,} tasks x operators, got {tasks * operators:,} "
            f"({tasks:,} tasks, {operators:,} operators)"
        )
