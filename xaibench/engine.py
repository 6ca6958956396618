"""Where tasks run: in this process, or in several with a fixed number of torch threads each."""

import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import get_context
from time import perf_counter

import torch

from xaibench import cells
from xaibench.controls import RANDOM
from xaibench.progress import Progress
from xaibench.store import OK
from xaibench.work import Job, Work, prepare


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
    where = (task.model, task.seed)
    if task.source is None:
        return not work.store.holds(cells.model_spec(work, *where))
    if not _usable(work, task):
        return True
    if task.source == RANDOM:
        specs = [cells.predictions_spec(work, *where)]
    else:
        every = (cells.UNCHANGED, *cells.changes(work))
        specs = [cells.explained_spec(work, *where, task.source, change) for change in every]
    if not all(map(work.store.holds, specs)):
        return True
    curves = cells.curve_specs(work, *where, task.source)
    return not all(work.store.holds(spec) for _, spec in curves)


def compute(work: Work, task: Task, progress: Progress | None = None) -> None:
    """Make what a task lacks."""
    where = (task.model, task.seed)
    if task.source is None:
        cells.train(work, *where, progress.epoch if progress else lambda *_: None)
    elif _usable(work, task):
        if task.source == RANDOM:
            cells.predict(work, *where)
        else:
            cells.explain_cell(work, *where, task.source)
        cells.curve_cell(work, *where, task.source)


def _usable(work: Work, task: Task) -> bool:
    """Whether the model of a task was trained."""
    spec = cells.model_spec(work, task.model, task.seed)
    return work.store.path(spec).is_dir() and work.store.outcome(spec)[0] == OK


def perform(
    work: Work, tasks: Sequence[Task], *, jobs: int, threads: int, progress: Progress
) -> None:
    """Compute tasks that do not depend on each other; every result is in the store afterwards."""
    if jobs == 1 or len(tasks) < 2:
        with _threads(threads):
            for task in tasks:
                began = perf_counter()
                compute(work, task, progress)
                progress.done(str(task), perf_counter() - began)
        return
    job = pickle.dumps(work.job)
    with ProcessPoolExecutor(
        min(jobs, len(tasks)), get_context("spawn"), torch.set_num_threads, (threads,)
    ) as pool:
        running = {pool.submit(_remote, job, task): task for task in tasks}
        for finished in as_completed(running):
            progress.done(str(running[finished]), finished.result())


def _remote(job: bytes, task: Task) -> float:
    began = perf_counter()
    compute(_work(job), task)
    return perf_counter() - began


@lru_cache(maxsize=1)
def _work(job: bytes) -> Work:
    """The data of a job, loaded once in each process."""
    unpickled: Job = pickle.loads(job)  # our own bytes, from the parent process
    return prepare(unpickled)


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
