"""Where tasks run: in this process, in processes of this machine, or on a Dask cluster."""

import pickle
import sys
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from xaibench.artefacts.job import Job, Work, prepare
from xaibench.plan.paths import presets
from xaibench.plan.schema import DEFAULT_DEVICE
from xaibench.plugins.fence import fenced

from .processes import Do, in_processes, sendable

HERE, PROCESSES, DASK = "here", "processes", "dask"

Begin = Callable[[Work, int], Do]
"""A function of a module that makes ready what does tasks, from a work and a number of threads."""

Outcomes = Generator[tuple[Any, Any], None, None]


class Answering(Protocol):
    """Gives each task with what ``begin(work, threads)(task, tell)`` returns, as they finish; with
    Died where it ended what it ran in.

    ``device`` is what tasks compute on, ``trains`` whether any trains a model; ``hear`` gets what
    they tell, where that comes through.
    """

    def __call__(
        self,
        begin: Begin,
        work: Work,
        tasks: Sequence[Any],
        *,
        threads: int,
        device: str = DEFAULT_DEVICE,
        trains: bool = False,
        hear: Callable[..., None] = lambda *_: None,
    ) -> Outcomes: ...


@dataclass(frozen=True, slots=True)
class Engine:
    """Where tasks run, ``jobs`` at a time; of a cluster, whose workers come and go, as many as it
    had in the beginning."""

    name: str
    jobs: int
    answers: Answering

    @property
    def is_remote(self) -> bool:
        """Whether tasks may run on other machines, and none here."""
        return self.name == DASK


def local(jobs: int) -> Engine:
    """The engine of this machine: so many processes, so that a plug-in that ends one of them does
    not end the run; this process for 0.

    >>> local(0).name, local(3).name
    ('here', 'processes')
    """
    return Engine(PROCESSES, jobs, partial(_in_processes, jobs)) if jobs else THIS_PROCESS


def processes_for(device: str, jobs: int) -> int:
    """How many of ``jobs`` processes compute: a device other than the CPU has one, since several
    would share its memory and wait for each other.

    >>> processes_for("cpu", 8), processes_for("cuda:1", 8), processes_for("cuda:1", 0)
    (8, 1, 0)
    """
    return jobs if device == DEFAULT_DEVICE else min(jobs, 1)


def _in_this_process(
    begin: Begin,
    work: Work,
    tasks: Sequence[Any],
    *,
    threads: int,
    hear: Callable[..., None] = lambda *_: None,
    **_: Any,
) -> Outcomes:
    do = begin(work, threads)
    for task in tasks:
        yield task, do(task, hear)


THIS_PROCESS = Engine(HERE, 0, _in_this_process)


def _in_processes(
    jobs: int,
    begin: Begin,
    work: Work,
    tasks: Sequence[Any],
    *,
    threads: int,
    device: str = DEFAULT_DEVICE,
    trains: bool = False,
    hear: Callable[..., None] = lambda *_: None,
) -> Outcomes:
    return in_processes(
        *(_begin, (begin, packed(work), threads), tasks),
        count=min(processes_for(device, jobs), len(tasks)),
        imports=imports(trains=trains),
        hear=hear,
    )


def imports(*, trains: bool = False) -> list[str]:
    """The slow ones: plug-ins of ours that the plan has (a stranger's may not bear to be copied
    after its import), and, for a training, what torch imports for its first optimiser."""
    return [
        *(name for name in sys.modules if name.startswith("xaibench.")),
        *["torch._dynamo"] * trains,
    ]


def _begin(begin: Begin, job: bytes, threads: int) -> Do:
    do = begin(loaded(job, threads), threads)
    return lambda task, tell: answer_of(do, task, tell)


def answer_of(do: Do, task: Any, tell: Callable[..., None]) -> Any:
    """What another process can read of an answer."""
    answer = do(task, tell)
    return sendable(answer) if isinstance(answer, Exception) else answer


def packed(work: Work) -> bytes:
    """The job of a work for ``loaded``: its paths hold wherever it is loaded, and a plug-in moves
    to."""
    job = work.job
    plugins = tuple(map(_absolute, job.plugins))
    source = job.source if job.source in presets() else _absolute(job.source)
    folder = job.folder.absolute()
    return pickle.dumps(replace(job, plugins=plugins, source=source, folder=folder))


def _absolute(name: str) -> str:
    """The path of a file; a name of anything else as it is."""
    path = Path(name)
    return str(path.absolute()) if path.is_file() else name


def loaded(job: bytes, threads: int) -> Work:
    """The work of a job, in a process of its own: its data are loaded once for all that it does."""
    torch.set_num_threads(threads)
    unpickled: Job = pickle.loads(job)  # our own bytes, from the process of the command
    with fenced():
        return prepare(unpickled)
