"""What has become of each task of a run, in a file of its folder that is read without torch.

The first line says how many processes compute; then each task has a line with what it is like and
whether it was done before. A line is added with every task that ends. What is done is known by the
artefacts alone: nobody but ``status`` reads this file.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from xaibench.progress import Progress
from xaibench.storage.artefacts import FAILED, NOT_COMPUTED
from xaibench.storage.files import append_line, read_file, write_file

if TYPE_CHECKING:
    from xaibench.artefacts.job import Work

    from .tasks import Task

TASKS = Path("store") / "tasks.jsonl"
"""In a run folder, written anew by each call that has something to do."""

FORESEEN_AFTER = 180
"""Seconds after which the time that is left is worth what a forecast takes."""

DONE, TO_DO = "done", "to do"


def begin_log(work: Work, every: list[Task], todo: list[Task], *, jobs: int) -> None:
    """Write which tasks there are, and which of them are still to be computed."""
    left = {*todo}
    lines: list[dict[str, Any]] = [{"jobs": jobs}]
    for task in every:
        state = TO_DO if task in left else DONE
        lines.append({"task": task.described(work.plan), "like": task.like, "state": state})
    write_file(work.job.folder / TASKS, "".join(f"{json.dumps(line)}\n" for line in lines))


@dataclass(slots=True)
class TaskLog:
    """Progress that is passed on and logged. Once a run has taken a while, ``foresee`` gives the
    seconds of a task by what it is like."""

    progress: Progress
    work: Work
    todo: dict[str, Task]
    foresee: Callable[[], dict[str, float]]
    began: float = field(default_factory=perf_counter)
    foreseen: bool = False

    def done(self, task: str, seconds: float) -> None:
        reason = _failure(self.work, self.todo[task])
        outcome = {"state": FAILED, "reason": reason} if reason else {"state": DONE}
        self._add({"task": task, "seconds": round(seconds, 3), **outcome})
        self.progress.done(task, seconds)
        if not self.foreseen and perf_counter() - self.began > FORESEEN_AFTER:
            self.foreseen = True
            self._add({"foreseen": self.foresee()})

    def epoch(self, task: str, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self.progress.epoch(task, epoch, epochs, row)

    def _add(self, line: dict[str, Any]) -> None:
        append_line(self.work.job.folder / TASKS, json.dumps(line))


def _failure(work: Work, task: Task) -> str:
    """Why the first artefact of a task failed; empty where none did."""
    from .tasks import artefacts_of

    outcomes = (work.store.outcome(artefact.spec) for artefact in artefacts_of(work, task))
    failed = (why for status, why in outcomes if status == FAILED and why != NOT_COMPUTED)
    return next(failed, "")


# Reading it back


@dataclass(frozen=True, slots=True)
class LoggedTasks:
    """What a log says: processes, what each task is like, the state that each is in, why those that
    failed did, and seconds of tasks by what they are like: those ``taken``, and those ``foreseen``.
    """

    jobs: int = 1
    likes: dict[str, str] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    taken: dict[str, list[float]] = field(default_factory=dict)
    foreseen: dict[str, float] = field(default_factory=dict)

    def seconds_left(self) -> float | None:
        """Of the tasks that are still to be computed, side by side; None where it is not known."""
        left = [self._seconds(name) for name, state in self.states.items() if state == TO_DO]
        longest = max(left, default=0.0)
        seconds = max(sum(left) / self.jobs, longest)
        return seconds if isfinite(seconds) else None

    def _seconds(self, name: str) -> float:
        """As long as the like has taken in this run, or else as was foreseen; or else NaN."""
        like = self.likes[name]
        taken = self.taken.get(like)
        return sum(taken) / len(taken) if taken else self.foreseen.get(like, nan)


def read_log(folder: Path) -> LoggedTasks:
    """What the log of a run says; nothing of lines that are damaged, or of no log."""
    known = LoggedTasks()
    for line in _lines(folder / TASKS):
        match line:
            case {"task": str(task), "like": str(like), "state": str(state)}:
                known.likes[task], known.states[task] = like, state
            case {"task": str(task), "state": "failed", "reason": str(reason)}:
                known.states[task], known.failures[task] = FAILED, reason
            case {"task": str(task), "seconds": float(seconds)} if task in known.likes:
                known.states[task] = DONE
                known.taken.setdefault(known.likes[task], []).append(seconds)
            case {"foreseen": dict(foreseen)}:
                each = {like: s for like, s in foreseen.items() if isinstance(s, float)}
                known.foreseen.update(each)
            case {"jobs": int(jobs)} if jobs > 0:
                known = replace(known, jobs=jobs)
    return known


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        content = read_file(path)
    except PermissionError:
        raise
    except OSError:
        return
    for line in content.splitlines():
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError):  # the last one, where the disk was full
            continue
        if isinstance(parsed, dict):
            yield parsed
