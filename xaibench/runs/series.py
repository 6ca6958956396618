"""Several datasets under one plan: a run each, in a folder each, and a page over all of them."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from xaibench.artefacts.job import Job
from xaibench.errors import Halted, UsageError, described
from xaibench.plan.schema import Plan
from xaibench.plan.sections import datasets_of
from xaibench.plugins.registry import load
from xaibench.results import reading
from xaibench.results.reading import Results
from xaibench.storage.files import read_file, write_below, write_file

from . import forecast
from . import pipeline as running

MARK = "series.json"
"""Lies in the folder of a series: its name, and by label why there is no run, if there is none."""

Say = Callable[[str], None]


def jobs_of(
    plans: Mapping[str, Plan], source: str, plugins: tuple[str, ...], folder: Path
) -> dict[str, Job]:
    """The job of each dataset, in a folder of its own below that of the series."""
    _check_folder(folder)
    return {label: Job(plan, source, plugins, folder / label) for label, plan in plans.items()}


def run(
    each: Mapping[str, Job], name: str, *, jobs: int, threads: int, command: str, say: Say
) -> list[str]:
    """Run one after the other, then write the page over all; a line for each thing that failed.

    A dataset that cannot be run does not stop the others; UsageError where none can.
    """
    folder = _folder(each)
    failures: list[str] = []
    absent = dict.fromkeys(each, "")
    for label, job in each.items():
        try:
            work = running.begin(job)
            _mark(folder, name, absent)
            outcome = running.run(work, jobs=jobs, threads=threads, command=command)
        except Halted:  # the other runs lie on the same disk
            raise
        except UsageError as error:
            absent[label] = str(error)
            continue
        say(f"{label}: {running.conclusion(work, outcome)}")
        failures += [f"{label}: {failure}" for failure in outcome.failures]
    _refuse_if_all(absent)
    _mark(folder, name, absent)
    written, unwritten = overview(folder)
    for path in written[:1]:
        say(str(path))
    return [*failures, *_lines(absent), *unwritten]


def foresee(each: Mapping[str, Job], *, jobs: int, threads: int, say: Say) -> list[str]:
    """Say what each run would take, and all together; a line for each that cannot begin."""
    absent = dict.fromkeys(each, "")
    forecasts = []
    for label, job in each.items():
        try:
            work = running.begin(job)
        except UsageError as error:
            absent[label] = str(error)
            continue
        forecasts.append(forecast.forecast(work, jobs=jobs, threads=threads))
        say(f"{label}: {forecast.describe(work, forecasts[-1], jobs=jobs)}")
    _refuse_if_all(absent)
    say(forecast.in_all(forecasts, jobs=jobs))
    return _lines(absent)


def is_series(folder: Path) -> bool:
    """Whether a folder is that of a series."""
    return (folder / MARK).is_file()


def render(
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
            files, failed = running.report(folder / label, plugins, formats)
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
            content: Results | str = reading.read(folder / label)
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


def _mark(folder: Path, name: str, absent: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_file(folder / MARK, json.dumps({"name": name, "datasets": absent}, indent=1))
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None


def _check_folder(folder: Path) -> None:
    if folder.is_dir() and any(folder.iterdir()) and not is_series(folder):
        raise UsageError(f"{folder}: expected a new folder or one of a series, got other files")


def _folder(each: Mapping[str, Job]) -> Path:
    return next(iter(each.values())).folder.parent


def _refuse_if_all(absent: Mapping[str, str]) -> None:
    if all(absent.values()):
        label, reason = next(iter(absent.items()))
        others = f"; nor {', '.join([*absent][1:])}" if len(absent) > 1 else ""
        raise UsageError(f"{label}: {reason}{others}")


def _lines(absent: Mapping[str, str]) -> list[str]:
    return [f"{label}: {reason}" for label, reason in absent.items() if reason]
