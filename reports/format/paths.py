"""A report shows nobody's folders: absolute paths are cut down to their last part."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import pandas as pd

from xaibench.results.reading import Results
from xaibench.terminal import visible

_START = r"(?:(?<![\w./:<\\-])|(?<=\s-[a-z])|(?<=:)(?!//))"
_ROOT = r"(?:file:[/\\]{1,4}|(?:~[\w.-]*|[A-Za-z]:)?[/\\]{1,2})"
_FOLDER = r"[^\s/\\'\"<>]+[/\\]"
# a user's name may hold a blank; elsewhere in running text a blank ends a path
_OWN = r"(?:home|Users)[/\\][^/\\'\"<>:,;\n]+[/\\]"
_NEXT = r"(?=[^\s/\\'\"<>])"
_CUTS = (
    (re.compile(rf"(?<=(['\"])){_ROOT}(?:[^'\"<>/\\\n]+[/\\])+(?=[^'\"<>\n]+\1)"), ""),
    (re.compile(rf"{_START}{_ROOT}{_OWN}(?:{_FOLDER})*{_NEXT}"), ""),
    (re.compile(rf"{_START}{_ROOT}(?:home|Users)[/\\][\w.-]+[/\\]?(?![\w./\\-])"), "~"),
    (re.compile(rf"{_START}{_ROOT}(?:{_FOLDER})+{_NEXT}"), ""),
)
"""In turn: paths in quotes, paths below a user's folder, that folder itself, all others."""

_WHOLE = re.compile(r"(?:file:[/\\]|~[\w.-]*[/\\]|[A-Za-z]:[/\\]|/|\\\\)[^\n]+")


def without_folders(text: str) -> str:
    """The text with every absolute path cut down to its last part, and nothing in it hidden.

    >>> without_folders("xaibench run '/home/ada/my plan.yaml' -o runs/demo")
    "xaibench run 'my plan.yaml' -o runs/demo"
    """
    text = visible(text)
    for pattern, instead in _CUTS:
        text = pattern.sub(instead, text)
    return text


def cell(text: str) -> str:
    """The text ``without_folders``, as a cell that no spreadsheet computes.

    >>> cell("=1+1"), cell("-"), cell("saliency")
    ("'=1+1", '-', 'saliency')
    """
    text = without_folders(text)
    return f"'{text}" if len(text) > 1 and text[0] in "=+-@" else text


def as_cells(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The table with the text of these columns as ``cell``; what is no text stays."""
    texts = {
        name: table[name].map(lambda value: cell(value) if isinstance(value, str) else value)
        for name in names
    }
    return table.assign(**texts)


def last_part(option: str) -> str:
    """An option that is an absolute path as its last part; any other as running text.

    >>> last_part("/home/ada lovelace/my data.csv"), last_part("data/x.csv")
    ('my data.csv', 'data/x.csv')
    """
    if not _WHOLE.fullmatch(option):
        return without_folders(option)
    own = without_folders(option)
    return own if own == "~" else re.split(r"[/\\]", option.rstrip("/\\"))[-1]


@lru_cache(maxsize=1)  # the reports of one rendering share it, and what is cached of it
def shareable(results: Results) -> Results:
    """The results as a report may show them: no absolute path in an option, a fact or a reason.

    Labels stay as they are, for they join the tables.
    """
    folders = sorted({*_folders(results.plan)}, key=len, reverse=True)

    def scrubbed(text: str) -> str:
        for folder in folders:
            text = text.replace(folder, "")
        return without_folders(text)

    own = replace(
        results,
        plan=_mapped(results.plan, last_part),
        environment=_mapped(results.environment, scrubbed),
        examples=_mapped(results.examples, scrubbed),
    )
    return own.with_tables(
        records=_with_reasons(results.records, scrubbed),
        estimates=_with_reasons(results.estimates, scrubbed),
        selftest=_with_reasons(results.selftest, scrubbed),
    )


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The value with each of its strings changed, however deep; keys stay."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(inner, change) for key, inner in value.items()}
    return [_mapped(inner, change) for inner in value] if isinstance(value, list) else value


def _folders(value: Any) -> Iterator[str]:
    """The folders with a blank among the options, which no pattern finds in running text."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _folders(inner)
    elif isinstance(value, str) and _WHOLE.fullmatch(value):
        folder = value[: max(value.rfind("/"), value.rfind("\\")) + 1]
        if " " in folder:
            yield folder


def _with_reasons(table: pd.DataFrame, change: Callable[[str], str]) -> pd.DataFrame:
    reasons = table["reason"]
    # records have millions of rows and few reasons: each category is changed once
    known = isinstance(reasons.dtype, pd.CategoricalDtype)
    texts = reasons.cat.categories if known else reasons.astype(str).unique()
    reasons = reasons if known else reasons.astype(str)
    return table.assign(reason=reasons.map({text: change(str(text)) for text in texts}))
