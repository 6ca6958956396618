"""The time that a run took, over all the calls of its command that had something to do."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from time import perf_counter

from xaibench.progress import Progress
from xaibench.storage.files import read_file, write_file

SPENT = Path("store") / "seconds.json"
"""Lies in a run folder beside its artefacts."""

Keep = Callable[[], float]
"""Keeps in the run folder the seconds of all calls up to now, and gives them."""


def seconds_of(folder: Path) -> float | None:
    """Wall seconds of all calls so far; None where that is not known."""
    for path in (folder / SPENT, folder / "environment.json"):  # older runs have the latter alone
        try:
            seconds = float(json.loads(read_file(path))["seconds"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError, OverflowError):
            continue
        if isfinite(seconds):
            return seconds
    return None


@contextmanager
def counted(folder: Path) -> Iterator[Keep]:
    """The time in here is added to that of earlier calls, also where it is left by an error."""
    before, began = seconds_of(folder) or 0.0, perf_counter()

    def keep() -> float:
        seconds = round(before + perf_counter() - began, 1)
        write_file(folder / SPENT, json.dumps({"seconds": seconds}))
        return seconds

    try:
        yield keep
    except BaseException:
        with suppress(OSError):  # a disk that is full, which the error says already
            keep()
        raise
    keep()


@dataclass(frozen=True, slots=True)
class Counting:
    """Progress that is passed on; after every task the time so far is stored, for a process that is
    killed stores nothing later. ``check`` raises where a run cannot go on."""

    progress: Progress
    keep: Keep
    check: Callable[[], None] = lambda: None

    def done(self, task: str, seconds: float) -> None:
        self.check()
        self.keep()
        self.progress.done(task, seconds)

    def epoch(self, task: str, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self.check()
        self.progress.epoch(task, epoch, epochs, row)
