"""Tasks in processes of their own: one that ends without an answer is named, the others go on."""

import os
import pickle
import signal
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Thread
from types import ModuleType
from typing import Any

from xaibench.errors import Died, Escaped, UsageError, described, message_of
from xaibench.terminal import lasting

Do = Callable[[Any, Callable[..., None]], Any]
"""What a process does with a task; the second argument sends its progress to the parent."""

ATTEMPTS = 3
"""After so many processes in a row that ended before they had begun, no more are started."""

METHOD = "forkserver" if sys.platform == "linux" else "spawn"
"""Copies of a process that has imported everything, where they are safe."""

_UNKNOWN = 255
"""The exit code of a process whose parent was killed; it may be there still."""

PATIENCE = 5
"""Seconds for a process to end by itself."""


def in_processes(
    begin: Callable[..., Do],
    given: tuple[Any, ...],
    tasks: Iterable[Any],
    *,
    count: int,
    imports: Sequence[str] = (),
    hear: Callable[..., None] = lambda *_: None,
) -> Generator[tuple[Any, Any], None, None]:
    """Each task with what ``begin(*given)(task, tell)`` returns in one of ``count`` processes, as
    they finish; with Died where its process ended instead. ``hear`` gets the progress meanwhile.
    ``imports`` are modules that every process will need, imported once where that can be.

    UsageError where processes end again and again before they have begun.
    """
    waiting, workers = deque(tasks), list[_Worker]()

    def start() -> None:
        while waiting and len(workers) < count:
            workers.append(_started(begin, given, waiting.popleft(), imports))

    try:
        yield from _outcomes(workers, waiting, start, hear)
    finally:
        for worker in workers:
            worker.end()


def begin_imports(imports: Sequence[str]) -> None:
    """Begin to import, once for all processes, what they will need, while this one goes on; nothing
    where each of them imports for itself."""
    if METHOD == "forkserver":
        from multiprocessing import forkserver  # not on every system

        with _apart(), suppress(OSError):  # said, if at all, where processes are started
            get_context(METHOD).set_forkserver_preload([*imports])
            forkserver.ensure_running()


def _require_a_beginning(early: int, died: Any) -> None:
    if early >= ATTEMPTS:
        raise UsageError(
            f"{ATTEMPTS} processes in a row ended before they had read the data ({died}); "
            "is there memory for them? Fewer are started with --jobs"
        )


@dataclass(slots=True)
class _Worker:
    """A process with the task that it has."""

    process: BaseProcess
    connection: Connection
    task: Any
    has_begun: bool = False

    def message(self) -> tuple[str, Any]:
        """What it says next, or how it died."""
        with suppress(EOFError, OSError):
            if self.connection.poll():
                kind, content = self.connection.recv()
                return kind, content
        self.process.join(PATIENCE)
        return "died", Died(f"the worker died: {_end_of(self.end())}")

    @property
    def is_busy(self) -> bool:
        return self.task is not None

    def goes_on(self, kind: str, waiting: deque[Any]) -> None:
        """With the next task after an answer; after its beginning with the one that it has."""
        self.has_begun = True
        if kind == "answer":
            self.task = waiting.popleft() if waiting else None
            self.give()

    def give(self) -> None:
        if self.is_busy:
            with suppress(OSError):  # it has died meanwhile, and is met as such
                self.connection.send(self.task)

    def end(self) -> int | None:
        """End it, in a task at once: artefacts and checkpoints are whole or absent. Without one it
        ends by itself, and gives back locks that libraries hold. Gives its exit code."""
        if not self.is_busy:
            self.connection.close()
            self.process.join(PATIENCE)
        if self.process.pid and self.process.exitcode in (None, _UNKNOWN):
            with suppress(OSError):
                os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()
        self.connection.close()
        return self.process.exitcode


def _end_of(code: int | None) -> str:
    """How a process ended.

    >>> _end_of(-9), _end_of(3)
    ('signal 9 (SIGKILL)', 'exit code 3')
    """
    if code is None or code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        return f"signal {-code} ({signal.Signals(-code).name})"
    return f"signal {-code}"


def _ready(workers: Sequence[_Worker]) -> list[_Worker]:
    """Those that have said something, or have ended."""
    heard = set(wait([end for w in workers for end in (w.connection, w.process.sentinel)]))
    return [w for w in workers if {w.connection, w.process.sentinel} & heard]


def _outcomes(
    workers: list[_Worker],
    waiting: deque[Any],
    start: Callable[[], None],
    hear: Callable[..., None],
) -> Iterator[tuple[Any, Any]]:
    """Tasks with their outcomes until none is left; ``start`` begins processes where some lack."""
    early = 0
    while waiting or any(worker.is_busy for worker in workers):
        start()
        for worker in _ready(workers):
            kind, content = worker.message()
            if kind == "progress":
                hear(*content)
                continue
            if kind == "died":
                workers.remove(worker)
            early = early + 1 if kind == "died" and not worker.has_begun else 0
            _require_a_beginning(early, content)
            if kind != "begun" and worker.is_busy:
                yield worker.task, content
            worker.goes_on(kind, waiting)


def _started(
    begin: Callable[..., Do], given: tuple[Any, ...], task: Any, imports: Sequence[str]
) -> _Worker:
    """A process with its first task."""
    with _apart():
        try:
            worker = _start(METHOD, begin, given, imports)
        except OSError:  # no place for the socket by which copies are asked for
            worker = _start("spawn", begin, given)
    worker.task = task
    worker.give()
    return worker


def _start(
    method: str, begin: Callable[..., Do], given: tuple[Any, ...], imports: Sequence[str] = ()
) -> _Worker:
    context: Any = get_context(method)
    context.set_forkserver_preload([begin.__module__, *imports])
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, dict(os.environ), begin, given))
    process.start()
    theirs.close()
    return _Worker(process, ours, None)


@contextmanager
def _apart() -> Iterator[None]:
    """Processes that are started in here are apart from this one, from their first moment."""
    with without_script(), hearing_no_key():
        yield


@contextmanager
def without_script() -> Iterator[None]:
    """Processes that are started in here do not run the script of this one again, which need not
    bear that."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def hearing_no_key() -> Iterator[None]:
    """Processes and threads that are started in here hear of no key that is pressed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(
    connection: Connection, environment: dict[str, str], begin: Callable[..., Do], given: Any
) -> None:
    """The life of a process: task by task, until the parent has no more or ends."""

    def tell(*content: Any) -> None:
        connection.send(("progress", content))

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a key interrupts the parent, which ends us
    Thread(target=_end_with_parent, args=(os._exit,), daemon=True).start()
    os.environ.clear()
    os.environ.update(environment)
    try:
        do = begin(*given)
    except Exception as error:
        failure = sendable(error)
        do = lambda *_: failure  # noqa: E731
    connection.send(("begun", None))
    with suppress(EOFError), lasting():
        while True:
            connection.send(("answer", do(connection.recv(), tell)))


def _end_with_parent(leave: Callable[[int], None]) -> None:
    """A parent that is killed cannot end its processes."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        leave(1)


def sendable(error: Exception) -> Exception:
    """An error that another process can read: as it is where it ends the run, else described."""
    if not isinstance(error, UsageError | OSError):
        return Escaped(described(error))
    try:
        pickle.loads(pickle.dumps(error))  # our own bytes
    except Exception:
        kind = UsageError if isinstance(error, UsageError) else OSError
        return kind(message_of(error))
    return error
