"""One run at a time in a folder."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from xaibench.errors import UsageError


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """In here no other run keeps anything in the same store, which is made where there is none.

    UsageError where another is under way, or where nothing can be written. What a process that was
    killed had not finished is removed.
    """
    try:
        store.mkdir(parents=True, exist_ok=True)
        lock = (store / "lock").open("a")
    except OSError as error:
        raise UsageError(f"{store.parent}: cannot be written: {error.strerror}") from None
    with lock:
        busy = "another run is under way in this folder; wait until it has ended, or choose another"
        if not locked(lock, f"{store.parent}: {busy} folder with -o"):
            yield
            return
        _sweep(store)
        try:
            yield
        finally:
            _sweep(store)


def locked(lock: TextIO, busy: str) -> bool:
    """Whether the lock is ours; the system takes it from a process that ends, however it ends.

    UsageError, in the words ``busy``, where another process has it.
    """
    try:
        from fcntl import LOCK_EX, LOCK_NB, flock

        flock(lock, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        raise UsageError(busy) from None
    except (ImportError, OSError):  # a system without locks, on which nobody can be asked
        return False
    return True


def _sweep(store: Path) -> None:
    for unfinished in store.glob(".making-*"):
        if unfinished.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
        else:
            unfinished.unlink(missing_ok=True)
