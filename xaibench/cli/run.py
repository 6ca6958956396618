"""``xaibench run``."""

import gc
import os
import re
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import Plugins, fail


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
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder [runs/NAME].")
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
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would be computed and how long it takes.")
    ] = False,
) -> None:
    """Train, explain, measure and write the report; called again, resume where it stopped."""
    # Threads that wait should sleep: where processes share the cores, spinning costs five-fold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    given, jobs = tuple(plugins or ()), jobs or min(os.cpu_count() or 1, 8)
    changed = (*(changes or ()), *([f"device={device}"] if device else []))
    with loading():
        from xaibench.artefacts.job import Job
        from xaibench.plan.schema import read_any
        from xaibench.plan.sources import plan_name
        from xaibench.runs import pipeline as running

        read = read_any(plan, changes=changed, plugins=given, limit=limit)
    folder, how = folder or Path("runs") / plan_name(plan), {"jobs": jobs, "threads": threads}
    if isinstance(read, dict):
        from xaibench.runs import series

        each = series.jobs_of(read, plan, given, folder)
        if dry_run:
            fail(series.foresee(each, **how, say=echo))
        else:
            fail(series.run(each, plan_name(plan), **how, command=command_of_this_call(), say=echo))
        return
    work = running.begin(Job(read, plan, given, folder))
    if dry_run:
        from xaibench.runs import forecast

        echo(forecast.forecast_text(work, **how))
        return
    outcome = running.run(work, **how, command=command_of_this_call())
    echo(running.conclusion(work, outcome))
    fail(outcome.failures)


def command_of_this_call() -> str:
    """The arguments of this call, without the folders of this machine."""
    arguments = [re.sub(r"^(-[^=]*=)?(file://|/|~).*/", r"\1", each) for each in sys.argv[1:]]
    return shlex.join(["xaibench", *arguments])
