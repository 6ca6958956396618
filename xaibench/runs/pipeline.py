"""A plan becomes tasks, tasks become artefacts, artefacts records, and records a report."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from xaibench.analysis.clusters import group_counts, groups_of
from xaibench.artefacts import effects, retraining
from xaibench.artefacts.artefact import is_stored
from xaibench.artefacts.fixed_scores import require_scores_fit
from xaibench.artefacts.given_weights import described_model, require_different_weights
from xaibench.artefacts.job import Job, Work, is_trained, prepare
from xaibench.artefacts.model_checks import of_padding, unusable_models
from xaibench.artefacts.models import (
    card,
    model_spec,
    stored_trivial_baselines,
    trivial_baselines_of,
)
from xaibench.artefacts.networks import build
from xaibench.artefacts.trained_models import TrainedModel, trained_models
from xaibench.data.audit.cautions import dataset_cautions
from xaibench.data.loading import BECAUSE, STANDS_IN
from xaibench.errors import Escaped, UsageError, described
from xaibench.evaluation.records import excused
from xaibench.nn.devices import described_device, device_named
from xaibench.nn.machine import count_kernels, describe_kernels, kernels, machine
from xaibench.plan.schema import DEFAULT_DEVICE, dump
from xaibench.progress import announce, announce_if_slow, progress_of
from xaibench.results.compatibility import RENDERED
from xaibench.results.manifest import (
    Begun,
    edited_since,
    mark,
    offline,
    relative_to_current,
    unmark,
)
from xaibench.results.rendering import render_reports
from xaibench.results.schema import OF_FILE
from xaibench.storage.arrays import release
from xaibench.storage.artefacts import FAILED
from xaibench.storage.files import FileContent, remove_file, write_file
from xaibench.storage.lock import alone

from .calls import Call
from .elapsed import Counting, Keep, counted, seconds_of
from .engines import PROCESSES, Engine, local, processes_for
from .folder import (
    check_folder,
    failures_of,
    halting,
    is_rendered,
    mark_folder,
    mark_rendered,
    mark_written,
    set_damaged_aside,
)
from .forecast import foreseen_apart
from .from_artefacts import FromArtefacts, from_artefacts, import_ahead
from .tables import Ingredients, contents
from .task_log import TaskLog, begin_log
from .tasks import Task, planned
from .workers import perform

OUTPUTS = ("plan.yaml", "environment.json", *OF_FILE, "examples.json")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: tasks computed now, tasks in all, and the failed records with reasons."""

    computed: int
    tasks: int
    failures: list[str]


def begin(job: Job, *, elsewhere: bool = False) -> Work:
    """The work of a job, after all that can be rejected before anything runs has been. Where it is
    computed ``elsewhere``, this machine need not have its device."""
    if not elsewhere:
        device_named(job.plan.device)
    work = _prepared(job)
    if STANDS_IN in work.splits.facts:
        announce(f"{work.splits.note} ({work.splits.facts[BECAUSE]})")
    for caution in dataset_cautions(work.splits):
        announce(caution)
    require_different_weights(work)
    require_scores_fit(work)
    for model in job.plan.models:
        _check_model(work, model)
    for check in (retraining.retrainings, effects.effects_keys, groups_of):
        check(work)  # options of metrics that cannot be
    check_folder(work)
    return work


def _prepared(job: Job) -> Work:
    with announce_if_slow("reading the data"):
        return prepare(job)


def _check_model(work: Work, model: str) -> None:
    """Reject a model that does not suit the data; one that is broken fails later, alone."""
    try:
        build(work, model)
    except UsageError:
        raise
    except Exception:
        return


def run(
    work: Work, *, jobs: int = 0, engine: Engine | None = None, threads: int, command: str
) -> Outcome:
    """Compute what is missing, then write the tables and reports unless they are there; in ``jobs``
    processes of this machine, 0 for this one, or where ``engine`` computes.

    UsageError where another run is under way in the folder; Halted where it cannot be written any
    more. What is damaged is made again.
    """
    engine = engine or local(jobs)
    called = {
        "command": command,
        "plugins": [relative_to_current(plugin) for plugin in work.job.plugins],
        "date": _now(),
        "engine": engine.name,
        "jobs": engine.jobs,
        "threads": threads,
        "device": work.plan.device if engine.is_remote else described_device(work.plan.device),
    }
    folder = work.job.folder
    with alone(work.store.root), halting(work):
        check_folder(work)  # another run may have come between
        work = mark_folder(work)
        every, todo = planned(work)
        if todo or not is_rendered(work, OUTPUTS):
            if set_damaged_aside(work):
                every, todo = planned(work)
            for sentence in edited_since(work):
                announce(sentence)
            mark(work, called)
            strange = len(todo) < len(every)  # some of it was there
            with counted(folder) as keep, _naming_store(folder) if strange else nullcontext():
                _say_other_kernels(work, todo, threads)
                begin_log(work, every, todo, jobs=_at_once(work, engine))
                _compute(work, todo, keep, engine=engine, threads=threads)
                _write_tables(work, called, engine=engine, threads=threads)
                environment = _environment(work, {**called, "date": _now(), "seconds": keep()})
                write_file(folder / "environment.json", environment)
                mark_written(folder, OUTPUTS)
                unmark(work)
                return Outcome(len(todo), len(every), _render(work))
        # tables are slow to read
        known = failures_of(folder)
        return Outcome(0, len(every), _failures(work) if known is None else known)


def _at_once(work: Work, engine: Engine) -> int:
    """How many tasks are computed at a time."""
    return engine.jobs if engine.is_remote else processes_for(work.plan.device, engine.jobs)


def _say_other_kernels(work: Work, todo: list[Task], threads: int) -> None:
    """A training differs by more than rounding where its sums are made in another order."""
    now, before = describe_kernels(kernels(threads)), trained_with(work)
    others = [f"{count} with {kernel}" for kernel, count in before.items() if kernel != now]
    if todo and others:
        announce(
            f"models trained before: {', '.join(others)}; what is computed now is with {now}, and "
            "a training under it comes to other weights"
        )


def trained_with(work: Work) -> dict[str, int]:
    """How many of the models were trained with which kernels, where that is known."""
    every = trained_models(work.plan)
    cards = [card(work, each) for each in every if is_stored(work, model_spec(work, each))]
    return count_kernels(each["computed_with"] for each in cards if "computed_with" in each)


def _compute(work: Work, todo: list[Task], keep: Keep, *, engine: Engine, threads: int) -> None:
    """Every artefact that is missing."""
    # what was rendered before is no longer all there is
    remove_file(work.job.folder / RENDERED)
    if engine.name == PROCESSES:
        _begin_processes(work, todo, engine.jobs)
    # processes that share a device would wait for each other, and take each other's memory
    apart = engine.name == PROCESSES and work.plan.device == DEFAULT_DEVICE
    foresee = partial(foreseen_apart, work, threads=threads) if apart else dict
    with progress_of(len(todo)) as progress:
        log = TaskLog(progress, work, {each.described(work.plan): each for each in todo}, foresee)
        for training in (True, False):
            stage = [task for task in todo if task.trains == training]
            counting = Counting(log, keep, work.store.check)
            perform(work, stage, engine=engine, threads=threads, progress=counting)
            if training and stage:
                _say_of_models(work)


def _begin_processes(work: Work, todo: list[Task], jobs: int) -> None:
    if todo and processes_for(work.plan.device, jobs) < jobs:
        announce(f"{work.plan.device} is one device: 1 process computes on it, not {jobs}")
    if jobs > 1 or todo:
        import_ahead(jobs=jobs, trains=any(task.trains for task in todo))


def _say_of_models(work: Work) -> None:
    """Say what is known of the trained models before anything is explained."""
    for sentence in [*unusable_models(work), *of_padding(work)]:
        announce(sentence)


def _render(work: Work) -> list[str]:
    """Write the reports of the plan; a line for each thing of the run that failed."""
    folder, failed = work.job.folder, _failures(work)
    announce(f"reports ({', '.join(work.plan.reports)})")
    written, failures = render_reports(folder, work.job.plugins)
    if not failures:
        mark_rendered(work, OUTPUTS, written, failed)
    return failed + failures


def offline_work(job: Job) -> Work:
    """The work of a job with data of this machine: nothing is fetched."""
    without_network = replace(job, plan=offline(job.plan, job.plugins))
    return replace(_prepared(without_network), job=job)


def write_so_far(
    begun: Begun, folder: Path, plugins: tuple[str, ...], check: Callable[[], None]
) -> list[str]:
    """The tables of a run that has not come to its end, from its artefacts; a line for each that is
    damaged. ``check`` is called before each table is replaced."""
    work = offline_work(begun.job(folder, plugins))
    check_folder(work)
    damaged = dict(work.store.damaged())
    ignored = frozenset(path.name for path in damaged)
    work = replace(work, store=replace(work.store, ignored=ignored))
    every, todo = planned(work)
    done = {"done": len(every) - len(todo), "tasks": len(every)}
    known = {**begun.call, "seconds": seconds_of(folder), "unfinished": done}
    for name, content in _readable_tables(work, known):
        write_file(folder / name, content, check=check)
    again = "not in this report; the command of the run makes it again"
    return [f"{path}: {why}; {again}" for path, why in damaged.items()]


def _readable_tables(work: Work, known: dict[str, Any]) -> Iterator[tuple[str, str | FileContent]]:
    """The tables and the environment of a run as it stands; UsageError where its artefacts are as
    they were stored, by their digests, and yet are no artefacts of this plan."""
    with _naming_store(work.job.folder):
        announce("measuring")
        made = from_artefacts(work)
        yield from _tables(work, replace(made, groups=[*map(excused, made.groups)]))
        yield "environment.json", _environment(work, known)


@contextmanager
def _naming_store(folder: Path) -> Iterator[None]:
    """In here an error without a meaning is one line that names the store: what artefacts may lead
    to that a stranger made, with their digests, has no end."""
    try:
        yield
    except (UsageError, Escaped, OSError, ImportError, MemoryError):  # none is of the store
        raise
    except Exception as error:
        raise UsageError(
            f"{folder}: its tables cannot be made from what its store holds: {described(error)}; "
            "delete the store and run the command of the run again"
        ) from error


def _write_tables(work: Work, called: dict[str, Any], *, engine: Engine, threads: int) -> None:
    """The tables of the whole run."""
    baselines = [*_missing_baselines(work)]
    if baselines:
        announce("what trivial models reach")
    announce("measuring")
    made = _tables(work, from_artefacts(work, engine=engine, threads=threads, beside=baselines))
    first = next(made)
    mark(work, called, ending=True)  # from here on no report of what there was is written
    for name, content in chain([first], made):
        write_file(work.job.folder / name, content)


def _missing_baselines(work: Work) -> Iterator[Call]:
    """What makes the trivial baselines, where there are any and they do not exist."""
    train = work.splits.train
    if work.splits.has_train and train.has_classes and not stored_trivial_baselines(work):
        yield trivial_baselines_of


def _tables(work: Work, made: FromArtefacts) -> Iterator[tuple[str, str | FileContent]]:
    """Name and content of every table, one at a time, for they may be large."""
    announce("tables")
    release(work.splits.test.codes)
    yield from contents(Ingredients(work, made.tables, made.groups), work.job.folder)
    yield "examples.json", json.dumps(made.examples)
    yield "plan.yaml", dump(work.plan)


def _environment(work: Work, known: dict[str, Any]) -> str:
    from xaibench.analysis.description import description

    environment = {
        **known,
        "tables": list(OF_FILE),
        **machine(),
        "trained_with": trained_with(work),
        **description(work),
        "clusters": group_counts(work),
    }
    return json.dumps(environment, indent=1)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _failures(work: Work) -> list[str]:
    """One line for each thing that failed, from the records."""
    import pandas as pd

    path = work.job.folder / "results.parquet"
    columns = ["model", "seed", "method", "metric", "reason"]
    records = pd.read_parquet(path, columns=columns, filters=[("status", "==", FAILED)])
    rows = records.astype(str).drop_duplicates(["model", "seed", "method", "reason"])
    return [
        ", ".join(filter(None, _of_failure(work, *row))) for row in rows.itertuples(index=False)
    ]


def _of_failure(
    work: Work, model: str, seed: str, method: str, metric: str, reason: str
) -> tuple[str, ...]:
    """The parts of a line; a model with weights of its own was never trained."""
    if model not in work.plan.models or is_trained(work.plan, model):
        return model, seed, method, metric, reason
    named = described_model(work.plan, TrainedModel(model, int(seed)))
    return named, method, "" if metric == "training" else metric, reason


def conclusion(work: Work, outcome: Outcome) -> str:
    """The last words of a run: what was computed, and where the report is."""
    done = f"{outcome.computed} of {outcome.tasks} tasks computed"
    if not outcome.computed:
        done = f"nothing to compute: all {outcome.tasks} tasks were there"
    reports = sorted(work.job.folder.glob("report.*"))
    return "\n".join([done, *map(str, reports[:1])])
