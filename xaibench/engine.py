"""Where tasks run: in this process, or in several with a fixed number of torch threads each."""

import os
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait
from signal import SIG_IGN, SIGINT, signal
from threading import Thread
from time import perf_counter

import torch

from xaibench.cells import effects, explaining, oracle, replacing, retraining, training
from xaibench.cells.keeping import is_there
from xaibench.controls import ORACLE, RANDOM
from xaibench.progress import Progress
from xaibench.store import Spec
from xaibench.work import Job, Work, is_explained, prepare


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
        specs = [*training.model_specs(work, *where).values(), *_retrained(work, task)]
        return not all(map(work.store.holds, specs))
    if not _usable(work, task):
        return True
    if not all(map(work.store.holds, _first_specs(work, task))):
        return True
    if not is_explained(work.plan, task.model):
        return False
    curves = replacing.curve_specs(work, *where, task.source)
    return not all(work.store.holds(spec) for _, spec in curves)


def _first_specs(work: Work, task: Task) -> list[Spec]:
    """What a task of a source makes before its curves."""
    where, source = (task.model, task.seed), str(task.source)
    if source == ORACLE:
        oracles = [oracle.oracle_spec(work, *where, each) for each in oracle.oracles(work)]
        wanted = effects.asked(work)
        return oracles + [effects.effects_spec(work, *where, each) for each in wanted]
    learnt = _retrained(work, task)
    if source == RANDOM:
        return [training.predictions_spec(work, *where), *learnt]
    changes = (explaining.UNCHANGED, *explaining.changes(work, task.model))
    return [explaining.explained_spec(work, *where, source, each) for each in changes] + learnt


def _retrained(work: Work, task: Task) -> list[Spec]:
    found = retraining.retrained_specs(work, task.model, task.seed, task.source)
    return [spec for _, spec in found]


def compute(work: Work, task: Task, progress: Progress | None = None) -> None:
    """Make what a task lacks."""
    where = (task.model, task.seed)
    if task.source is None:
        training.train(work, *where, progress.epoch if progress else lambda *_: None)
        if _usable(work, task):
            retraining.retrained_cell(work, *where, None)
        return
    if not _usable(work, task):
        return
    if task.source == ORACLE:
        oracle.oracle_cell(work, *where)
        effects.effects_cell(work, *where)
    elif task.source == RANDOM:
        training.predict(work, *where)
    else:
        explaining.explain_cell(work, *where, task.source)
    if not is_explained(work.plan, task.model):
        return
    replacing.curve_cell(work, *where, task.source)
    if task.source != ORACLE:
        retraining.retrained_cell(work, *where, task.source)


def _usable(work: Work, task: Task) -> bool:
    """Whether the model of a task was trained."""
    return is_there(work, training.model_spec(work, task.model, task.seed))


def perform(
    work: Work, tasks: Sequence[Task], *, jobs: int, threads: int, progress: Progress
) -> None:
    """Compute tasks that do not depend on each other; every result is in the store afterwards."""
    if jobs == 1 or len(tasks) < 2:
        with on_threads(threads):
            for task in tasks:
                began = perf_counter()
                compute(work, task, progress)
                progress.done(str(task), perf_counter() - began)
        return
    job = pickle.dumps(work.job)
    with _processes(min(jobs, len(tasks)), threads) as pool:
        running = {pool.submit(_remote, job, task): task for task in tasks}
        for finished in as_completed(running):
            progress.done(str(running[finished]), finished.result())


@contextmanager
def _processes(count: int, threads: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that are ended at once where in here is left by an error or an interrupt."""
    others = set(active_children())
    pool = ProcessPoolExecutor(count, get_context("spawn"), _begin, (threads,))
    try:
        yield pool
    except BaseException:
        for process in set(active_children()) - others:
            process.terminate()  # artefacts and checkpoints are whole or absent
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _begin(threads: int) -> None:
    """The first thing that a process of ours does."""
    signal(SIGINT, SIG_IGN)  # a key interrupts the parent too, which ends us and says so once
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(threads)


def _end_with_parent() -> None:
    """A parent that is killed cannot end its processes."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


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
def on_threads(count: int) -> Iterator[None]:
    """In here torch computes on so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
