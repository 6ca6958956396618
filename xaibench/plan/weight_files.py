"""Files of weights by a pattern: ``fold*.pt``, or ``rs{seed}.pt`` with any number in that place."""

from __future__ import annotations

import re
from collections.abc import Sequence
from glob import escape, glob, has_magic
from pathlib import Path

from xaibench.errors import UsageError

from .paths import expanded, folders_of, where_looked

_SEED = "{seed}"


def weight_files(given: str | Sequence[str], source: str, *, where: str) -> str | Sequence[str]:
    """The files of weights that an option names, each pattern replaced by the files that match it,
    in the order of their numbers; paths as ``plan.paths.locate`` takes them.

    UsageError where a pattern matches none.
    """
    names = [given] if isinstance(given, str) else list(given)
    patterns = [name for name in names if _is_pattern(name, source)]
    if not patterns:
        return given
    return [
        file
        for name in names
        for file in (_matching(name, source, where) if name in patterns else [name])
    ]


def _is_pattern(name: str, source: str) -> bool:
    """A file may have a bracket in its name."""
    there = any((folder / expanded(name)).exists() for folder in folders_of(source))
    return not there and (has_magic(name) or _SEED in name)


def _matching(pattern: str, source: str, where: str) -> list[str]:
    """The files of the first folder that has any."""
    written = str(expanded(pattern))
    for folder in folders_of(source):
        if files := _files(written, folder):
            return files
    raise UsageError(f"{where}: no file matches {pattern!r} ({where_looked()})")


def _files(pattern: str, folder: Path) -> list[str]:
    if _SEED not in pattern:
        matching = glob(pattern, root_dir=folder, recursive=True)
    else:
        form = r"\d+".join(map(re.escape, pattern.split(_SEED)))
        any_number = "[0-9]*".join(map(escape, pattern.split(_SEED)))
        matching = [file for file in glob(any_number, root_dir=folder) if re.fullmatch(form, file)]
    return sorted(matching, key=_by_number)


def _by_number(file: str) -> list[tuple[int, str]]:
    """fold2 before fold10."""
    parts = re.split(r"(\d+)", file)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
