"""Several datasets under one plan: a run each, in a folder each, and a page over all of them."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from xaibench.artefacts.job import Job
from xaibench.errors import Halted, UsageError
from xaibench.plan.schema import Plan
from xaibench.storage.files import write_file
from xaibench.terminal import visible

from . import forecast
from . import pipeline as running
from .engines import Engine, processes_for
from .series_folder import MARK, is_series, overview, refuse_link

Say = Callable[[str], None]


def jobs_of(
    plans: Mapping[str, Plan], source: str, plugins: tuple[str, ...], folder: Path
) -> dict[str, Job]:
    """The job of each dataset, in a folder of its own below that of the series."""
    _check_folder(folder)
    return {label: Job(plan, source, plugins, folder / label) for label, plan in plans.items()}


def run(
    each: Mapping[str, Job], name: str, *, engine: Engine, threads: int, command: str, say: Say
) -> list[str]:
    """Run one after the other, then write the page over all; a line for each thing that failed.

    A dataset that cannot be run does not stop the others; UsageError where none can.
    """
    folder = _folder(each)
    failures: list[str] = []
    absent = dict.fromkeys(each, "")
    for label, job in each.items():
        try:
            refuse_link(job.folder)
            work = running.begin(job, elsewhere=engine.is_remote)
            _mark(folder, name, absent)
            outcome = running.run(work, engine=engine, threads=threads, command=command)
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
            refuse_link(job.folder)
            work = running.begin(job)
        except UsageError as error:
            absent[label] = str(error)
            continue
        forecasts.append(forecast.forecast(work, jobs=jobs, threads=threads))
        jobs = processes_for(work.plan.device, jobs)  # one device for all
        say(f"{label}: {forecast.describe(work, forecasts[-1], jobs=jobs)}")
    _refuse_if_all(absent)
    say(forecast.in_all(forecasts, jobs=jobs))
    return _lines(absent)


def _mark(folder: Path, name: str, absent: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reasons = {label: visible(reason) for label, reason in absent.items()}
        write_file(folder / MARK, json.dumps({"name": name, "datasets": reasons}, indent=1))
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
