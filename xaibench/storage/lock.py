"""One run at a time in a folder."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain
from pathlib import Path
from stat import S_ISREG

from xaibench.errors import UsageError

from .files import TEMPORARY, make_folder, regular, remove_tree

_ABANDONED_AFTER = 3600
"""Seconds after which a temporary file is abandoned: the process that wrote it was killed."""


@contextmanager
def alone(store: Path) -> Iterator[None]:
    """Within, no other run saves anything in the same store, which is created where there is none.

    UsageError where another is under way, or where nothing can be written. What a process that was
    killed had not finished is removed.
    """
    with ExitStack() as opened:
        try:
            make_folder(store)
            lock = opened.enter_context(regular(store / "lock", os.O_RDWR | os.O_CREAT))
        except OSError as error:
            lock_file = str(store / "lock")
            where = lock_file if error.filename == lock_file else store.parent
            raise UsageError(f"{where}: cannot be written: {error.strerror}") from None
        message = (
            "another run is under way in this folder; wait until it has ended, or choose another"
        )
        if not locked(lock, f"{store.parent}: {message} folder with -o"):
            yield
            return
        _sweep(store)
        try:
            yield
        finally:
            _sweep(store)


def busy(store: Path) -> bool:
    """Whether a run is under way in a store."""
    try:
        with regular(store / "lock", os.O_RDONLY) as lock:
            locked(lock, "under way")
    except UsageError:
        return True
    except OSError:  # nobody has ever run there
        return False
    return False


def locked(descriptor: int, message: str) -> bool:
    """Whether this process has locked an open file; the system unlocks it when the process ends,
    however it ends.

    False on a file system without locks. UsageError, with this ``message``, where another process
    holds the lock.
    """
    from filelock import lock_descriptor  # slow to import, and most commands lock nothing

    try:
        if lock_descriptor(descriptor, blocking=False):
            return True
    except OSError:
        return False
    raise UsageError(message)


def abandoned(store: Path) -> Iterator[Path]:
    """What processes that were killed had not finished, while none is under way; of files beside
    the store only old ones, for a report that is being written takes no lock."""
    yield from store.glob(f"{TEMPORARY}*")
    for path in chain.from_iterable(
        store.parent.glob(pattern) for pattern in (f"{TEMPORARY}*", f"*/{TEMPORARY}*")
    ):
        if path.parent == store or path.parent.is_symlink():
            continue
        with suppress(OSError):  # gone meanwhile
            status = path.lstat()
            if time.time() - status.st_mtime > _ABANDONED_AFTER and S_ISREG(status.st_mode):
                yield path


def _sweep(store: Path) -> None:
    for path in [*abandoned(store)]:
        with suppress(OSError):
            remove_tree(path)
