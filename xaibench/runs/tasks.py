"""Where tasks run: in processes with a fixed number of torch threads each, or in this one."""

import pickle
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import torch

from xaibench.artefacts import (
    curves,
    effects,
    explanations,
    model_checks,
    models,
    oracle,
    retraining,
)
from xaibench.artefacts.artefact import is_there, keep_failure
from xaibench.artefacts.job import Job, Work, is_explained, prepare
from xaibench.errors import Died, UsageError, described
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.plugins.fence import fenced
from xaibench.progress import Progress, said
from xaibench.storage.artefacts import Spec

from .processes import Do, in_processes, sendable

Epoch = Callable[[int, int, dict[str, float]], None]
"""Told of each epoch of a training."""

Outcome = float | Exception
"""The seconds that a task took, or why it came to no end."""


@dataclass(frozen=True, slots=True)
class Task:
    """The cells that one process computes together: a training, or a source with its curves."""

    model: str
    seed: int
    source: str | None = None

    def __str__(self) -> str:
        doing = "training" if self.source is None else self.source
        return f"{self.model}, seed {self.seed}, {doing}"


def missing(work: Work, task: Task) -> bool:
    """Whether any artefact of a task is not there yet; a failure is tried again."""
    if task.source is not None and not _usable(work, task):
        return True
    return not all(map(work.store.holds, _specs(work, task)))


def _specs(work: Work, task: Task) -> Iterator[Spec]:
    """What a task makes, in the order in which it does."""
    where = (task.model, task.seed)
    if task.source is None:
        yield from models.model_specs(work, *where).values()
        yield model_checks.behaviour_spec(work, *where)
        yield from _retrained(work, task)
        return
    yield from _first_specs(work, task)
    if is_explained(work.plan, task.model):
        yield from (spec for _, spec in curves.curve_specs(work, *where, task.source))


def _first_specs(work: Work, task: Task) -> list[Spec]:
    """What a task of a source makes before its curves."""
    where, source = (task.model, task.seed), str(task.source)
    if source == ORACLE:
        oracles = [oracle.oracle_spec(work, *where, each) for each in oracle.oracles(work)]
        wanted = effects.asked(work)
        return oracles + [effects.effects_spec(work, *where, each) for each in wanted]
    learnt = _retrained(work, task)
    if source == RANDOM:
        return [models.predictions_spec(work, *where), *learnt]
    changes = (explanations.UNCHANGED, *explanations.changes(work, task.model))
    return [explanations.explained_spec(work, *where, source, each) for each in changes] + learnt


def _retrained(work: Work, task: Task) -> list[Spec]:
    found = retraining.retrained_specs(work, task.model, task.seed, task.source)
    return [spec for _, spec in found]


def compute(work: Work, task: Task, epoch: Epoch = lambda *_: None) -> None:
    """Make what a task lacks."""
    where = (task.model, task.seed)
    if task.source is None:
        models.train(work, *where, epoch)
        if is_there(work, models.model_spec(work, *where)):
            model_checks.behaviour_cell(work, *where)
        if _usable(work, task):
            retraining.retrained_cell(work, *where, None)
        return
    if not _usable(work, task):
        return
    if task.source == ORACLE:
        oracle.oracle_cell(work, *where)
        effects.effects_cell(work, *where)
    elif task.source == RANDOM:
        models.predict(work, *where)
    else:
        explanations.explain_cell(work, *where, task.source)
    if not is_explained(work.plan, task.model):
        return
    curves.curve_cell(work, *where, task.source)
    if task.source != ORACLE:
        retraining.retrained_cell(work, *where, task.source)


def _usable(work: Work, task: Task) -> bool:
    """Whether the model of a task was trained and can be asked."""
    return model_checks.usable(work, task.model, task.seed)


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
        said(f"{task}: {died}; tried once more, alone")
        for _, again in _computed(work, [task], 1, threads, progress):
            _settle(work, task, again, progress)


def _computed(
    work: Work, tasks: Sequence[Task], jobs: int, threads: int, progress: Progress
) -> list[tuple[Task, Died]]:
    """Compute tasks in processes; gives those whose process died."""
    job, died = pickle.dumps(_from_anywhere(work.job)), []
    hear = progress.epoch if jobs == 1 else lambda *_: None  # of one training at a time
    answers = in_processes(
        *(_begin, (job, threads), tasks),
        count=min(jobs, len(tasks)),
        imports=_imports(tasks),
        hear=hear,
    )
    with closing(answers):
        for task, outcome in answers:
            if isinstance(outcome, Died):
                died.append((task, outcome))
            else:
                _settle(work, task, outcome, progress)
    return died


def _imports(tasks: Sequence[Task]) -> list[str]:
    """The slow ones: plug-ins of ours that the plan has (a stranger's may not bear to be copied
    after its import), and what torch imports for its first optimiser."""
    trains = any(task.source is None for task in tasks)
    return [
        *(name for name in sys.modules if name.startswith("xaibench.")),
        *["torch._dynamo"] * trains,
    ]


def _begin(job: bytes, threads: int) -> Do:
    """The data of a job, loaded once in each process, and what is done there."""
    torch.set_num_threads(threads)
    unpickled: Job = pickle.loads(job)  # our own bytes, from the parent process
    with fenced():
        work = prepare(unpickled)

    def do(task: Task, tell: Epoch) -> Outcome:
        outcome = attempt(work, task, threads, tell)
        return sendable(outcome) if isinstance(outcome, Exception) else outcome

    return do


def _from_anywhere(job: Job) -> Job:
    """A job whose paths hold wherever a plug-in moves to."""
    files = (Path(each) for each in job.plugins)
    plugins = tuple(str(file.absolute() if file.is_file() else file) for file in files)
    return replace(job, plugins=plugins, folder=job.folder.absolute())


def attempt(work: Work, task: Task, threads: int, epoch: Epoch) -> Outcome:
    """Make what a task lacks: the seconds that it took, or what it raised.

    Whatever a plug-in sets for the whole process is put back, so that records do not depend on
    which tasks the process had before.
    """
    began = perf_counter()
    try:
        with on_threads(threads), warnings.catch_warnings(), fenced():
            compute(work, task, epoch)
    except Exception as error:
        return error
    return perf_counter() - began


def _settle(work: Work, task: Task, outcome: Outcome, progress: Progress) -> None:
    """Say that a task is done, or keep the reason why it is not; a mistake of the user's and what
    the disk refuses end the run."""
    if isinstance(outcome, UsageError | OSError):
        raise outcome
    if isinstance(outcome, Exception):
        said(f"{task}: {described(outcome)}")
        for spec in _specs(work, task):
            if not work.store.holds(spec):
                keep_failure(work, spec, outcome)
    progress.done(str(task), outcome if isinstance(outcome, float) else 0.0)


@contextmanager
def on_threads(count: int) -> Iterator[None]:
    """In here torch computes on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
