"""Formats by name, and the files of an export."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from xaibench import __version__
from xaibench.errors import UsageError
from xaibench.plugins.fence import fenced
from xaibench.plugins.registry import Plugin, load
from xaibench.storage.files import write_file

from .values import Blocks, Written

DEFAULT_FORMATS = ("scores", "parquet", "html")
"""What is written where no format is named."""

ABOUT = "about.json"


def formats_by_name(names: Sequence[str], plugins: tuple[str, ...] = ()) -> dict[str, Plugin]:
    """The plug-ins of these formats; UsageError for one that is not known."""
    return {name: load("exports", name, plugins) for name in names}


def write_formats(
    blocks: Blocks,
    folder: Path,
    formats: dict[str, Plugin],
    *,
    options: dict[str, dict[str, Any]] | None = None,
    facts: dict[str, Any] | None = None,
) -> dict[str, Written]:
    """Write each format, and ``about.json``: where the explanations are from, ``facts`` that the
    caller knows, and per format its files and what their reader must know.

    UsageError where there is nothing to write.
    """
    first = next(iter(blocks), None)
    if first is None or not len(first):
        raise UsageError(f"{folder}: expected explanations of one sequence or more, got none")
    folder.mkdir(parents=True, exist_ok=True)
    written: dict[str, Written] = {}
    for name, plugin in formats.items():
        with fenced():
            written[name] = plugin.call(blocks, folder, **(options or {}).get(name, {}))
    described = {
        name: {
            "files": [path.relative_to(folder).as_posix() for path in each.files],
            "notes": list(each.notes),
        }
        for name, each in written.items()
    }
    about = {"xaibench": __version__, **asdict(first.origin), **(facts or {}), "formats": described}
    write_file(folder / ABOUT, json.dumps(about, indent=1) + "\n")
    return written
