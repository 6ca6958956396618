"""Around a stranger's code: what it raises ends no process, and what it changes is put back."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from xaibench.errors import Escaped, described, is_of_the_user


@contextmanager
def fenced() -> Iterator[None]:
    """In here a plug-in runs. Escaped where it raises what is no Exception (SystemExit,
    GeneratorExit, a KeyboardInterrupt that is no key of the user's) or calls ``os._exit``; the
    working folder, torch's default precision and its mode of gradients are put back."""
    folder, leave = _working_folder(), os._exit
    process, thread = os.getpid(), threading.get_ident()

    def reject(status: int) -> NoReturn:
        # processes and threads that a plug-in starts may end as they like
        if (os.getpid(), threading.get_ident()) != (process, thread):
            leave(status)
        raise Escaped(f"os._exit({status!r})")

    os._exit = reject
    put_back = _torch_as_it_is()
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
        put_back()
        if folder is not None and _working_folder() != folder:
            with suppress(OSError):  # it is gone, and the next file that is opened says so
                os.chdir(folder)


def _torch_as_it_is() -> Callable[[], None]:
    """Puts back what is set for the whole process; nothing where torch is not there yet."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "is_grad_enabled") or not hasattr(torch, "set_default_dtype"):
        return lambda: None
    precision, gradients = torch.get_default_dtype(), torch.is_grad_enabled()

    def put_back() -> None:
        if torch.get_default_dtype() is not precision:
            torch.set_default_dtype(precision)
        if torch.is_grad_enabled() is not gradients:
            torch.set_grad_enabled(gradients)

    return put_back


def _working_folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None
