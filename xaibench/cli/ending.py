"""How a call ends: its exit code, one line for what a user can fix, and the order in which work is
put down where it is interrupted."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from traceback import walk_tb
from typing import NoReturn

import typer

from xaibench.errors import (
    Escaped,
    Interrupted,
    Terminated,
    UsageError,
    described,
    message_of,
    readable,
)
from xaibench.terminal import echo, lasting

from .application import app

_STOPPED, _TERMINATED = 130, 143
"""The exit codes after an interrupt and after a request to end, as shells have them."""

_PATIENCE = 1
"""Seconds after an interrupt in which another says nothing new."""


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """Within, a request to end (SIGTERM) does what an interrupt does: processes are ended, and what
    is unfinished is removed. Further interrupts within a second are ignored."""
    began = None

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second request is not kept waiting
        raise Terminated(_TERMINATED)

    def interrupt(*_: object) -> None:
        nonlocal began
        if began is None:
            began = monotonic()
            raise Interrupted
        if monotonic() - began > _PATIENCE:
            os._exit(_STOPPED)

    handlers = {signal.SIGTERM: end, signal.SIGINT: interrupt}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if began is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _print_mistake(message: object, code: int = 2) -> int:
    echo(f"xaibench: {' '.join(readable(str(message)).split())}", err=True)
    return code


def _code() -> int:
    """Run the command of this call; what a user can fix is one line."""
    try:
        with _ends_in_order():
            code = app(sys.argv[1:] or ["--help"], prog_name="xaibench", standalone_mode=False)
    except UsageError as error:
        return _print_mistake(error, error.code)
    except Escaped as error:
        return _print_mistake(error)
    except typer.TyperException as error:
        return _print_mistake(error.format_message())
    except OSError as error:
        return _print_mistake(_of_the_system(error))
    except UnicodeError as error:
        return _print_mistake(f"a name that is no text: {message_of(error)}")
    except MemoryError:
        return _print_mistake("there is not enough memory", 1)
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except Terminated:
        code = _TERMINATED
    except SystemExit as ended:
        if _is_typers(ended):  # a shell was answered
            return int(ended.code or 0)
        return _print_mistake(f"a plug-in ended the process ({described(ended)})")
    if code in (_STOPPED, _TERMINATED):  # some versions of typer answer where a key interrupts
        echo("xaibench: stopped; the same command goes on where it was", err=True)
    return int(code or 0)


def _is_typers(ended: SystemExit) -> bool:
    """Whether typer raised it, which it does for the completion of a shell alone."""
    *_, (frame, _) = walk_tb(ended.__traceback__)
    return str(frame.f_globals["__name__"]).startswith("typer.")


def _of_the_system(error: OSError) -> str:
    """What the system rejected, and where."""
    reason = error.strerror or message_of(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def exit_code() -> int:
    """Run the command of this call; its exit code."""
    with lasting() as unwritten:
        code = _code()
    for line in unwritten:
        _print_mistake(line)
    return code or (2 if unwritten else 0)


def main() -> None:
    """Run the command of this call and end with its exit code."""
    sys.exit(exit_code())
