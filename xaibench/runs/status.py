"""How far the run in a folder is, or each run of a series, without torch and without computing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from xaibench.errors import UsageError
from xaibench.results.compatibility import RENDERED, check_store
from xaibench.results.manifest import begun_in
from xaibench.storage.artefacts import FAILED, MARK_FILE
from xaibench.storage.files import with_rights
from xaibench.storage.lock import busy

from .amounts import SHORT, duration
from .elapsed import seconds_of
from .folder import changed_since, failures_of
from .series_folder import datasets_of_series, is_series, refuse_link
from .task_log import DONE, TO_DO, LoggedTasks, read_log


@dataclass(frozen=True, slots=True)
class Status:
    """A run: ``state`` is ``under way``, ``stopped`` or ``finished``. ``tasks`` are None where the
    folder does not say how many there are, ``seconds_left`` where it cannot be known yet.
    ``failures`` have a line each, as has what is ``damaged`` of the tables and reports."""

    folder: str
    state: str
    tasks: int | None
    done: int
    running: int
    failed: int
    seconds: float | None
    seconds_left: float | None
    failures: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def status_of(folder: Path) -> Status:
    """How far the run in a folder is. UsageError where there is none, or it cannot be read."""
    with with_rights(folder):
        _require_run(folder)
        try:
            return _status(folder)
        except OSError as error:
            raise UsageError(f"{error.filename or folder}: {error.strerror}") from error


def _require_run(folder: Path) -> None:
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no folder"
        raise UsageError(f"{folder}: expected the folder of a run or a series, got {got}")
    check_store(folder)
    if not any((folder / name).is_file() for name in ("environment.json", f"store/{MARK_FILE}")):
        raise UsageError(f"{folder}: no run has begun here")


def _status(folder: Path) -> Status:
    begun, under_way, known = begun_in(folder), busy(folder / "store"), read_log(folder)
    states = Counter(known.states.values())
    left = states[TO_DO]
    finished = begun is None and not under_way and (folder / RENDERED).is_file()
    return Status(
        str(folder),
        "under way" if under_way else "finished" if finished else "stopped",
        tasks=len(known.states) or None,
        done=states[DONE],
        running=min(known.jobs, left) if under_way else 0,
        failed=states[FAILED],
        seconds=seconds_of(folder),
        seconds_left=0.0 if finished else known.seconds_left() if known.states else None,
        failures=tuple(_failures(folder, known, finished)),
        damaged=tuple(changed_since(folder)) if finished else (),
    )


def _failures(folder: Path, known: LoggedTasks, finished: bool) -> list[str]:
    """Of a finished run as its command told them, else of the tasks so far."""
    stored = failures_of(folder) if finished else None
    return [f"{task}: {why}" for task, why in known.failures.items()] if stored is None else stored


# A series


def statuses(folder: Path) -> tuple[dict[str, Status], list[str]]:
    """The status of each run of a series by its label, and a line for each without one."""
    by_label, without = {}, []
    for label, reason in datasets_of_series(folder).items():
        try:
            refuse_link(folder / label)
            by_label[label] = status_of(folder / label)
        except UsageError as error:
            without.append(f"{label}: {reason or error}")
    return by_label, without


# As text


def status_lines(folder: Path) -> tuple[list[str], list[str]]:
    """What ``status`` prints of a run or a series, and a line for each run that cannot be read."""
    if not is_series(folder):
        return [*_lines(status_of(folder))], []
    by_label, without = statuses(folder)
    return [line for each in by_label.values() for line in _lines(each)], without


def status_fields(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """The same for JSON: the fields of ``Status``, of a series by label under ``runs``."""
    if not is_series(folder):
        return asdict(status_of(folder)), []
    by_label, without = statuses(folder)
    known = {label: asdict(each) for label, each in by_label.items()}
    return {"folder": str(folder), "runs": known, "without": without}, without


def _lines(each: Status) -> Iterator[str]:
    of = "" if each.tasks is None else f", {each.done:,} of {each.tasks:,} tasks done"
    counts = {"running": each.running, "failed": each.failed}
    others = "".join(f", {count:,} {name}" for name, count in counts.items() if count)
    on = "; the same command goes on" if each.state == "stopped" else ""
    yield f"{each.folder}: {each.state}{of}{others}{on}"
    times = [*_times(each)]
    if times:
        yield f"  {', '.join(times)}"
    yield from (f"  failed: {line}" for line in each.failures)
    yield from (f"  damaged: {line}" for line in each.damaged)


def _times(each: Status) -> Iterator[str]:
    if each.seconds is not None:
        yield (
            f"{duration(each.seconds)} so far"
            if each.state != "finished"
            else duration(each.seconds)
        )
    if each.state == "finished":
        return
    if each.seconds_left is None:
        yield "what is left is not known yet"
    elif each.seconds_left < SHORT:
        yield f"less than {SHORT} seconds of tasks left"
    else:
        yield f"about {duration(each.seconds_left)} of tasks left"
