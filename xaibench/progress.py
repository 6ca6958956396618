"""Messages of a run on standard error: progress bars on a terminal, lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Timer
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from xaibench.terminal import echo, is_silent, visible

if TYPE_CHECKING:
    from rich.progress import Progress as Bars


class Progress(Protocol):
    """Receives the tasks that are done, and the epochs of a training."""

    def done(self, task: str, seconds: float) -> None: ...

    def epoch(self, epoch: int, epochs: int, row: dict[str, float]) -> None: ...


class Lines:
    """One line per finished task."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.finished = 0

    def done(self, task: str, seconds: float) -> None:
        self.finished += 1
        echo(f"[{self.finished}/{self.total}] {task}: {seconds:.1f} s", err=True)

    def epoch(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        pass


class Terminal:
    """One bar for the tasks, and one for the epochs of the model in training."""

    def __init__(self, bars: Bars, total: int) -> None:
        self.bars = bars
        self.tasks = bars.add_task("run", total=total, note="")
        self.epochs = bars.add_task("training", total=None, note="", visible=False)

    def done(self, task: str, seconds: float) -> None:
        self.bars.update(self.epochs, visible=False)
        self.bars.update(self.tasks, advance=1, note=visible(f"{task}: {seconds:.1f} s"))

    def epoch(self, epoch: int, epochs: int, row: dict[str, float]) -> None:
        note = ", ".join(f"{name} {value:.3g}" for name, value in row.items() if name != "epoch")
        self.bars.update(
            self.epochs, visible=True, completed=epoch, total=epochs, note=visible(note)
        )


def announce(message: str) -> None:
    """Print what a user must know before anything runs, or what a run does between tasks."""
    echo(f"xaibench: {message}", err=True)


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
def progress_of(total: int) -> Iterator[Progress]:
    """The progress of ``total`` tasks: bars where standard error is a terminal, else lines."""
    from rich.console import Console  # slow to import, and a run that finds all there shows none
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    console = Console(stderr=True)
    if is_silent() or not console.is_terminal:
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
    if not console.is_terminal:
        last_line = -float("inf")

        def line(done: int, total: int | None, what: str) -> None:
            nonlocal last_line
            if monotonic() - last_line > SECONDS_BETWEEN_LINES:
                last_line = monotonic()
                of = "" if total is None else f" of {total:,}"
                echo(f"{name}: {done:,}{of} {what}", err=True)

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
