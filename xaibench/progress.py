"""Messages of a run on standard error: progress bars on a terminal, lines elsewhere."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread, Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from xaibench.terminal import echo, is_silent, visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


VERBOSITY = "XAIBENCH_VERBOSITY"
"""The environment variable that says how much is written, for child processes too."""

QUIET, VERBOSE = "quiet", "verbose"


@contextmanager
def verbosity(level: str) -> Iterator[None]:
    """Within, results and failures alone are written (``quiet``), or epochs and tracebacks too
    (``verbose``)."""
    before = os.environ.get(VERBOSITY)
    os.environ[VERBOSITY] = level
    try:
        yield
    finally:
        os.environ.pop(VERBOSITY)
        if before is not None:
            os.environ[VERBOSITY] = before


def _is(level: str) -> bool:
    return os.environ.get(VERBOSITY) == level


def announce_traceback(error: BaseException) -> None:
    """Where an error of a plug-in came from, where somebody asked for it (``verbose``)."""
    if _is(VERBOSE):
        echo("".join(traceback.format_exception(error)).rstrip(), err=True)


class Progress(Protocol):
    """Receives the tasks that are done, and the epochs of a training."""

    def done(self, task: str, seconds: float) -> None: ...

    def epoch(self, task: str, epoch: int, epochs: int, row: dict[str, float]) -> None: ...


class Lines:
    """One line per finished task."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.finished = 0

    def done(self, task: str, seconds: float) -> None:
        self.finished += 1
        announce_line(f"[{self.finished}/{self.total}] {task}: {seconds:.1f} s")

    def epoch(self, task: str, epoch: int, epochs: int, row: dict[str, float]) -> None:
        if _is(VERBOSE):
            echo(f"  {task}, epoch {epoch} of {epochs}: {_row_text(row)}", err=True)


class Terminal:
    """One bar for the tasks, and one for the epochs of a model in training."""

    def __init__(self, bars: Bars, total: int) -> None:
        self.bars = bars
        self.tasks = bars.add_task("run", total=total, note="")
        self.epochs = bars.add_task("training", total=None, note="", visible=False)
        self.in_training = ""

    def done(self, task: str, seconds: float) -> None:
        if task == self.in_training:
            self.in_training = ""
            self.bars.update(self.epochs, visible=False)
        self.bars.update(self.tasks, advance=1, note=visible(f"{task}: {seconds:.1f} s"))

    def epoch(self, task: str, epoch: int, epochs: int, row: dict[str, float]) -> None:
        self.in_training = self.in_training or task  # of several at a time the first
        if task != self.in_training:
            return
        note = visible(_row_text(row))
        self.bars.update(self.epochs, visible=True, completed=epoch, total=epochs, note=note)


def _row_text(row: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in row.items() if name != "epoch")


def announce(message: str) -> None:
    """Print what a user must know before anything runs, or what a run does between tasks."""
    announce_line(f"xaibench: {message}")


def announce_line(line: str) -> None:
    """Print a line about the way to a result, unless that is not to be written (``quiet``)."""
    if not _is(QUIET):
        echo(line, err=True)


SECONDS_OF_SILENCE = 3.0


@contextmanager
def announce_if_slow(message: str) -> Iterator[None]:
    """Print the message where the block takes more than ``SECONDS_OF_SILENCE``."""
    timer = Timer(SECONDS_OF_SILENCE, announce, (message,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextmanager
def repeatedly(act: Callable[[float], float], seconds: float) -> Iterator[None]:
    """In here another thread calls ``act`` after so many ``seconds``, with these, and again after
    as many as it returned."""
    over = Event()

    def run() -> None:
        waited = seconds
        while not over.wait(waited):
            waited = act(waited)

    thread = Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def progress_of(total: int) -> Iterator[Progress]:
    """The progress of ``total`` tasks: bars where standard error is a terminal, else lines."""
    from rich.console import Console  # slow to import, and a run that finds all there shows none
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if is_silent() or _is(QUIET) or not console.is_terminal:
        yield Lines(total)
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Bars(*columns, console=console) as bars:
        yield Terminal(bars, total)


SECONDS_BETWEEN_LINES = 5

Fetching = Callable[[int, int | None, str], None]
"""Called with how much is done, of how much if that is known, and of what."""


@contextmanager
def fetching(name: str) -> Iterator[Fetching]:
    """The progress of a download: a bar on a terminal, else a line every few seconds."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if _is(QUIET) or not console.is_terminal:
        last_line = -float("inf")

        def line(done: int, total: int | None, what: str) -> None:
            nonlocal last_line
            if monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = monotonic()
                of = "" if total is None else f" of {total:,}"
                announce_line(f"{name}: {done:,}{of} {what}")

        yield line
        return
    columns: tuple[Any, ...] = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.completed:,} {task.fields[what]}"),
    )
    with Bars(*columns, console=console) as bars:
        task = bars.add_task(name, total=None, what="")
        yield lambda done, total, what: bars.update(task, completed=done, total=total, what=what)
