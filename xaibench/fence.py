"""Around a stranger's code: what it raises ends no process, and what it changes is put back."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn

from xaibench.errors import Escaped, described, is_of_the_user


@contextmanager
def fenced() -> Iterator[None]:
    """In here a plug-in runs. Escaped where it raises what is no Exception (SystemExit,
    GeneratorExit, a KeyboardInterrupt that is no key of the user's) or calls ``os._exit``; the
    working folder is put back."""
    folder, leave = _folder(), os._exit
    process, thread = os.getpid(), threading.get_ident()

    def refuse(status: int) -> NoReturn:
        # processes and threads that a plug-in starts may end as they like
        if (os.getpid(), threading.get_ident()) != (process, thread):
            leave(status)
        raise Escaped(f"os._exit({status!r})")

    os._exit = refuse
    try:
        yield
    except Exception:
        raise
    except BaseException as error:
        if is_of_the_user(error):
            raise
        raise Escaped(described(error)) from error
    finally:
        os._exit = leave
        if folder is not None and _folder() != folder:
            with suppress(OSError):  # it is gone, and the next file that is opened says so
                os.chdir(folder)


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
