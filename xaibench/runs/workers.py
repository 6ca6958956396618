"""Tasks are computed where an engine has them computed; each settles as a result or a reason."""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from time import monotonic, perf_counter, sleep

import torch

from xaibench.artefacts.artefact import Epoch, save_failure
from xaibench.artefacts.job import Work
from xaibench.errors import Died, Halted, UsageError, described
from xaibench.nn.devices import multiplying
from xaibench.plugins.fence import fenced
from xaibench.progress import Progress, announce

from .engines import Engine
from .processes import Do
from .tasks import Task, compute, lacking, unseen

SECONDS_TO_SEE = 90
"""The attributes of a folder on NFS are a minute old at most."""

TaskOutcome = float | Exception
"""The seconds that a task took, or why it came to no end."""


def perform(
    work: Work, tasks: Sequence[Task], *, engine: Engine, threads: int, progress: Progress
) -> None:
    """Compute tasks that do not depend on each other; every result is in the store afterwards, or
    the reason why there is none.

    A task that ended the process which computed it is tried once more when no other runs, for those
    may have taken the memory.
    """
    for task, died in _computed(work, tasks, engine, threads, progress):
        announce(f"{task.described(work.plan)}: {died}; tried once more, alone")
        for _, again in _computed(work, [task], engine, threads, progress):
            _settle(work, task, again, progress)


def _computed(
    work: Work, tasks: Sequence[Task], engine: Engine, threads: int, progress: Progress
) -> list[tuple[Task, Died]]:
    """Compute tasks; gives those whose process died."""
    died, device = [], work.plan.device
    answers = engine.answers(
        *(_begin, work, tasks),
        threads=threads,
        device=device,
        trains=any(task.trains for task in tasks),
        hear=progress.epoch,
    )
    with closing(answers):
        for task, outcome in answers:
            if isinstance(outcome, Died):
                died.append((task, outcome))
                continue
            if engine.is_remote and isinstance(outcome, float):
                _wait_to_see(work, task)
            _settle(work, task, outcome, progress)
    return died


def _wait_to_see(work: Work, task: Task) -> None:
    """Until this machine sees what another has made, which a network file system may show late;
    Halted where it never does."""
    deadline = monotonic() + SECONDS_TO_SEE
    while unseen(work, task):
        if monotonic() > deadline:
            raise Halted(
                f"{work.store.root}: a worker has computed {task.described(work.plan)}, and it is "
                "not to be seen here; do both have the same storage, xaibench and plug-ins?"
            )
        sleep(SECONDS_TO_SEE / 100)


def _begin(work: Work, threads: int) -> Do:
    return lambda task, tell: attempt(work, task, threads, partial(tell, task.described(work.plan)))


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
