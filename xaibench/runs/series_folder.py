"""The folder of a series: its mark, and the reports and the page over all runs, without torch."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from xaibench.errors import UsageError, described
from xaibench.plan.sections import datasets_of
from xaibench.plugins.registry import load
from xaibench.results import reading
from xaibench.results.reading import Results
from xaibench.storage.files import read_file, write_below

from .reporting import report

MARK = "series.json"
"""Lies in the folder of a series: its name, and by label why there is no run, if there is none."""


def is_series(folder: Path) -> bool:
    """Whether a folder is that of a series."""
    return (folder / MARK).is_file()


def render_series(
    folder: Path, plugins: tuple[str, ...] = (), formats: tuple[str, ...] = ()
) -> tuple[list[Path], list[str]]:
    """The reports of every run of a series again, and the page over all.

    Returns the files, and a line for each thing that failed.
    """
    written, failures = [], []
    for label in _known(folder)["datasets"]:
        if not (folder / label).is_dir():
            continue
        try:
            _refuse_link(folder / label)
            files, failed = report(folder / label, plugins, formats)
        except UsageError as error:
            files, failed = [], [str(error)]
        written += files
        failures += [f"{label}: {failure}" for failure in failed]
    files, failed = overview(folder)
    return [*files, *written], [*failures, *failed]


def overview(folder: Path) -> tuple[list[Path], list[str]]:
    """Write the page over all runs and its table; the files, and a line where that failed."""
    known = _known(folder)
    runs = _runs(folder, known["datasets"])
    try:
        texts = load("overviews", "index").call(known["name"], runs)
    except Exception as error:
        return [], [f"overview: {described(error)}"]
    try:
        return [write_below(folder, name, text) for name, text in texts.items()], []
    except OSError as error:
        return [], [f"overview: {error.filename}: {error.strerror}"]


def _runs(folder: Path, absent: Mapping[str, str]) -> Iterator[tuple[str, Results | str]]:
    """One run at a time, for they may be large; or why there is none."""
    for label, reason in absent.items():
        try:
            _refuse_link(folder / label)
            content: Results | str = reading.read_results(folder / label)
        except UsageError as error:
            content = reason or str(error)
        yield label, content


def _known(folder: Path) -> dict[str, Any]:
    """What the mark of a series says."""
    try:
        known = json.loads(read_file(folder / MARK))
        name, absent = str(known["name"]), dict(known["datasets"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"{folder / MARK}: unreadable, {' '.join(str(error).split())}") from None
    try:
        datasets_of({label: {} for label in absent})  # each a folder below this one
    except UsageError as error:
        raise UsageError(f"{folder / MARK}: {error}") from None
    return {"name": name, "datasets": {label: str(reason) for label, reason in absent.items()}}


def _refuse_link(folder: Path) -> None:
    """What a series holds lies in it."""
    if folder.is_symlink():
        raise UsageError(f"{folder}: is a link, expected the folder of a run")
