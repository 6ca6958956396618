"""``xaibench run``."""

import gc
import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from xaibench.errors import UsageError
from xaibench.terminal import echo

from .options import Plugins, fail

if TYPE_CHECKING:
    from xaibench.artefacts.job import Job
    from xaibench.runs.engines import Engine


@contextmanager
def loading() -> Iterator[None]:
    """In here modules are imported, which stay: nothing is gained by looking for garbage among
    their objects, now or later, and it takes a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def run(
    plan: Annotated[
        str, typer.Argument(help="A preset, or a plan in YAML; with a size: planted+quick.")
    ] = "demo",
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            help="Its folder [runs/NAME]; s3://BUCKET/NAME: put there as well.",
        ),
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, dots between keys, YAML values. Repeatable."),
    ] = None,
    plugins: Plugins = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Explain at most this many sequences.")
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Processes [the cores, at most 8]."),
    ] = None,
    threads: Annotated[
        int,
        typer.Option(
            min=1, max=1000, help="Torch threads per process; another number trains other models."
        ),
    ] = 1,
    device: Annotated[
        str | None,
        typer.Option(help="Where all is computed: cuda, cuda:1, mps [cpu]."),
    ] = None,
    engine: Annotated[
        str | None,
        typer.Option(help="Where tasks run: here, processes, or dask, a cluster [processes]."),
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Of --engine dask: its address, as tcp://HOST:8786, or its file."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Of --engine dask: a cluster of so many processes here."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be computed and how long it takes.")
    ] = False,
) -> None:
    """Train, explain, measure and write the report; called again, resume where it stopped."""
    # Threads that wait should sleep: where processes share the cores, spinning costs five-fold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given = tuple(plugins or ())
    changed = (*(changes or ()), *([f"device={device}"] if device else []))
    with loading():
        from xaibench.artefacts.job import Job
        from xaibench.plan.schema import read_any
        from xaibench.plan.sources import plan_name
        from xaibench.runs import pipeline  # noqa: F401  # so that nothing of it is looked through
        from xaibench.storage.objects import also_at, is_url

        read = read_any(plan, changes=changed, plugins=given, limit=limit)
    there = output if output and is_url(output) else None
    name = PurePosixPath(there).name if there else plan_name(plan)
    folder = Path(output) if output and not there else Path("runs") / name
    copied = also_at(there, folder) if there and not dry_run else nullcontext()
    with _engine(engine, jobs, scheduler, workers) as where, copied:
        if isinstance(read, dict):
            from xaibench.runs.series import jobs_of

            each = jobs_of(read, plan, given, folder)
            _run_series(each, plan_name(plan), where, threads=threads, dry_run=dry_run)
        else:
            _run_one(Job(read, plan, given, folder), where, threads=threads, dry_run=dry_run)


def _run_series(
    each: "Mapping[str, Job]", name: str, engine: "Engine", *, threads: int, dry_run: bool
) -> None:
    from xaibench.runs import series

    if dry_run:
        fail(series.foresee(each, jobs=max(1, engine.jobs), threads=threads, say=echo))
    else:
        command = command_of_this_call()
        fail(series.run(each, name, engine=engine, threads=threads, command=command, say=echo))


def _run_one(job: "Job", engine: "Engine", *, threads: int, dry_run: bool) -> None:
    from xaibench.runs import pipeline

    work = pipeline.begin(job, elsewhere=engine.is_remote and not dry_run)
    if dry_run:
        from xaibench.runs.forecast import forecast_text

        echo(forecast_text(work, jobs=max(1, engine.jobs), threads=threads))
        return
    outcome = pipeline.run(work, engine=engine, threads=threads, command=command_of_this_call())
    echo(pipeline.conclusion(work, outcome))
    fail(outcome.failures)


@contextmanager
def _engine(
    name: str | None, jobs: int | None, scheduler: str | None, workers: int | None
) -> "Iterator[Engine]":
    """Where tasks run, by the options; UsageError for options that do not belong together."""
    from xaibench.runs.engines import DASK, HERE, PROCESSES, local

    name = name or PROCESSES
    if name not in (HERE, PROCESSES, DASK):
        raise UsageError(f"--engine: expected {HERE}, {PROCESSES} or {DASK}, got {name!r}")
    if name != PROCESSES and jobs:
        raise UsageError(f"--jobs: counts processes; leave it out with --engine {name}")
    if (name == DASK) != (bool(scheduler) != bool(workers)):
        raise UsageError(
            "expected --engine dask with --scheduler ADDRESS or --workers N, which belong together"
        )
    if name != DASK:
        yield local(0 if name == HERE else jobs or min(os.cpu_count() or 1, 8))
        return
    from xaibench.runs import cluster

    with cluster.on_local_workers(workers) if workers else cluster.on_dask(str(scheduler)) as made:
        yield made


def command_of_this_call() -> str:
    """The arguments of this call, without the folders of this machine or the places of
    object stores."""
    arguments = [
        re.sub(r"^(-[^=]*=)?([a-z][a-z0-9+.-]+://|/|~).*/", r"\1", each) for each in sys.argv[1:]
    ]
    return shlex.join(["xaibench", *arguments])
