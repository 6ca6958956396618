"""Where tasks run: in processes with a fixed number of torch threads each, or in this one."""

import pickle
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch

from xaibench.artefacts.artefact import Epoch, save_failure
from xaibench.artefacts.job import Job, Work, prepare
from xaibench.errors import Died, UsageError, described
from xaibench.nn.devices import multiplying
from xaibench.plan.schema import DEFAULT_DEVICE
from xaibench.plugins.fence import fenced
from xaibench.progress import Progress, announce

from .processes import Do, in_processes, sendable
from .tasks import Task, compute, lacking

TaskOutcome = float | Exception
"""The seconds that a task took, or why it came to no end."""


def perform(
    work: Work, tasks: Sequence[Task], *, jobs: int, threads: int, progress: Progress
) -> None:
    """Compute tasks that do not depend on each other; every result is in the store afterwards, or
    the reason why there is none.

    They are computed in ``jobs`` processes, so that a plug-in that ends one of them does not end
    the run: its task is tried once more when no other runs, for those may have taken the memory.
    With ``jobs=0`` they are computed in this process.
    """
    if not jobs:
        for task in tasks:
            _settle(work, task, attempt(work, task, threads, progress.epoch), progress)
        return
    for task, died in _computed(work, tasks, jobs, threads, progress):
        announce(f"{task.described(work.plan)}: {died}; tried once more, alone")
        for _, again in _computed(work, [task], 1, threads, progress):
            _settle(work, task, again, progress)


def processes_for(device: str, jobs: int) -> int:
    """How many of ``jobs`` processes compute: a device other than the CPU has one, since several
    would share its memory and wait for each other.

    >>> processes_for("cpu", 8), processes_for("cuda:1", 8), processes_for("cuda:1", 0)
    (8, 1, 0)
    """
    return jobs if device == DEFAULT_DEVICE else min(jobs, 1)


def _computed(
    work: Work, tasks: Sequence[Task], jobs: int, threads: int, progress: Progress
) -> list[tuple[Task, Died]]:
    """Compute tasks in processes; gives those whose process died."""
    died = []
    hear = progress.epoch if jobs == 1 else lambda *_: None  # of one training at a time
    answers = in_processes(
        *(_begin, (packed(work), threads), tasks),
        count=min(jobs, len(tasks)),
        imports=imports(trains=any(task.trains for task in tasks)),
        hear=hear,
    )
    with closing(answers):
        for task, outcome in answers:
            if isinstance(outcome, Died):
                died.append((task, outcome))
            else:
                _settle(work, task, outcome, progress)
    return died


def imports(*, trains: bool = False) -> list[str]:
    """The slow ones: plug-ins of ours that the plan has (a stranger's may not bear to be copied
    after its import), and, for a training, what torch imports for its first optimiser."""
    return [
        *(name for name in sys.modules if name.startswith("xaibench.")),
        *["torch._dynamo"] * trains,
    ]


def _begin(job: bytes, threads: int) -> Do:
    work = loaded(job, threads)

    def do(task: Task, tell: Epoch) -> TaskOutcome:
        outcome = attempt(work, task, threads, tell)
        return sendable(outcome) if isinstance(outcome, Exception) else outcome

    return do


def packed(work: Work) -> bytes:
    """The job of a work for ``loaded``: its paths hold wherever a plug-in moves to."""
    job = work.job
    files = (Path(each) for each in job.plugins)
    plugins = tuple(str(file.absolute() if file.is_file() else file) for file in files)
    return pickle.dumps(replace(job, plugins=plugins, folder=job.folder.absolute()))


def loaded(job: bytes, threads: int) -> Work:
    """The work of a job, in a process of its own: its data are loaded once for all that it does."""
    torch.set_num_threads(threads)
    unpickled: Job = pickle.loads(job)  # our own bytes, from the parent process
    with fenced():
        return prepare(unpickled)


def attempt(work: Work, task: Task, threads: int, epoch: Epoch) -> TaskOutcome:
    """Make what a task lacks: the seconds that it took, or what it raised.

    Whatever a plug-in sets for the whole process is put back, so that records do not depend on
    which tasks the process had before.
    """
    began = perf_counter()
    try:
        device = torch.device(work.plan.device)
        with on_threads(threads), warnings.catch_warnings(), fenced(), multiplying(device):
            compute(work, task, epoch)
    except Exception as error:
        return error
    return perf_counter() - began


def _settle(work: Work, task: Task, outcome: TaskOutcome, progress: Progress) -> None:
    """Say that a task is done, or keep the reason why it is not; a mistake of the user's and what
    the disk refuses end the run."""
    if isinstance(outcome, UsageError | OSError):
        raise outcome
    if isinstance(outcome, Exception):
        announce(f"{task.described(work.plan)}: {described(outcome)}")
        for artefact in list(lacking(work, task)):
            save_failure(work, artefact.spec, outcome)
    progress.done(task.described(work.plan), outcome if isinstance(outcome, float) else 0.0)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """In here torch computes on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
