"""Functions of a run's work that need nothing of each other, called where an engine calls them."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from xaibench.artefacts.artefact import Epoch
from xaibench.artefacts.job import Work
from xaibench.errors import Died
from xaibench.progress import announce

from .engines import Engine
from .processes import Do
from .workers import on_threads

Call = Callable[[Work], Any]
"""A function of a module, or a ``partial`` of one: pickle sends it to a process, and its result
back."""


@dataclass(frozen=True, slots=True)
class _Returned:
    """What a call returned, apart from the errors that come instead."""

    value: Any


def results_of(work: Work, calls: Sequence[Call], *, engine: Engine, threads: int) -> Iterator[Any]:
    """What each call returns, in their order. They are called where the engine runs tasks, unless
    that is one process of this machine: then in this one.

    Where a process ended, or its call raised, the call is made again in this process, where other
    calls take no memory any more: it ends or raises as it does here.
    """
    elsewhere = engine.is_remote or min(engine.jobs, len(calls)) > 1
    returned = _elsewhere(work, calls, engine, threads) if elsewhere else {}
    for number, call in enumerate(calls):
        again = number not in returned
        yield _called(work, call, threads) if again else returned.pop(number).value


def _elsewhere(
    work: Work, calls: Sequence[Call], engine: Engine, threads: int
) -> dict[int, _Returned]:
    """By number of the call, what those returned that did."""
    returned = {}
    with closing(engine.answers(_begin, work, [*enumerate(calls)], threads=threads)) as answers:
        for (number, _), answer in answers:
            if isinstance(answer, _Returned):
                returned[number] = answer
            elif isinstance(answer, Died):
                announce(f"{answer}; what it was to do is done in the main process")
    return returned


def _begin(work: Work, threads: int) -> Do:
    def do(numbered: tuple[int, Call], _: Epoch) -> _Returned | Exception:
        try:
            return _Returned(_called(work, numbered[1], threads))
        except Exception as error:
            return error

    return do


def _called(work: Work, call: Call, threads: int) -> Any:
    with on_threads(threads), warnings.catch_warnings():
        return call(work)
