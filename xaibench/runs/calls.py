"""Functions of a run's work that need nothing of each other, called in processes of their own."""

import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from xaibench.artefacts.artefact import Epoch
from xaibench.artefacts.job import Work
from xaibench.errors import Died
from xaibench.progress import announce

from .processes import Do, in_processes, sendable
from .workers import imports, loaded, on_threads, packed

Call = Callable[[Work], Any]
"""A function of a module, or a ``partial`` of one: pickle sends it to a process, and its result
back."""


@dataclass(frozen=True, slots=True)
class _Returned:
    """What a call returned, apart from the errors that come instead."""

    value: Any


def results_of(work: Work, calls: Sequence[Call], *, jobs: int, threads: int) -> Iterator[Any]:
    """What each call returns, in their order. They are called in ``jobs`` processes, where these
    are two or more, else in this one.

    Where a process ended, or its call raised, the call is made again in this process, where other
    calls take no memory any more: it ends or raises as it does for ``jobs=1``.
    """
    returned = _in_processes(work, calls, jobs, threads) if min(jobs, len(calls)) > 1 else {}
    for number, call in enumerate(calls):
        again = number not in returned
        yield _called(work, call, threads) if again else returned.pop(number).value


def _in_processes(
    work: Work, calls: Sequence[Call], jobs: int, threads: int
) -> dict[int, _Returned]:
    """By number of the call, what those returned that did."""
    answers: Generator[tuple[tuple[int, Call], Any], None, None] = in_processes(
        *(_begin, (packed(work), threads), enumerate(calls)),
        count=min(jobs, len(calls)),
        imports=imports(),
    )
    returned = {}
    with closing(answers):
        for (number, _), answer in answers:
            if isinstance(answer, _Returned):
                returned[number] = answer
            elif isinstance(answer, Died):
                announce(f"{answer}; what it was to do is done in the main process")
    return returned


def _begin(job: bytes, threads: int) -> Do:
    work = loaded(job, threads)

    def do(numbered: tuple[int, Call], _: Epoch) -> _Returned | Exception:
        try:
            return _Returned(_called(work, numbered[1], threads))
        except Exception as error:
            return sendable(error)

    return do


def _called(work: Work, call: Call, threads: int) -> Any:
    with on_threads(threads), warnings.catch_warnings():
        return call(work)
