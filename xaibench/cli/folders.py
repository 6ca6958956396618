"""``xaibench status`` and ``xaibench clean``: how far a run is, and what of its folder can go."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import AsJson, Plugins, echo_json, fail

RunOrSeries = Annotated[Path, typer.Argument(help="The folder of a run or a series.")]


def status(folder: RunOrSeries, as_json: AsJson = False) -> None:
    """How far a run is: tasks done, running and failed, and about how long is left."""
    from xaibench.runs.status import status_fields, status_lines

    if as_json:
        content, without = status_fields(folder)
        echo_json(content)
    else:
        lines, without = status_lines(folder)
        for line in lines:
            echo(line)
    fail(without)


def clean(
    folder: RunOrSeries,
    yes: Annotated[bool, typer.Option("--yes", help="Delete without asking.")] = False,
    plugins: Plugins = None,
) -> None:
    """Delete what the plan of a run refers to no longer, after it was listed with sizes."""
    from xaibench.runs.amounts import size
    from xaibench.runs.cleaning import delete, leftovers, runs_in

    by_run = {run: leftovers(run, tuple(plugins or ())) for run in runs_in(folder)}
    every = [each for of_run in by_run.values() for each in of_run.items]
    for each in every:
        echo(f"{each.path}: {size(each.size)}, {each.why}")
    if not every:
        echo(f"{folder}: the plan refers to all that is there")
        return
    total = f"{len(every):,} in all, {size(sum(each.size for each in every))}"
    if not yes and not _confirmed(f"{total}; delete?"):
        echo(f"{total}; nothing was deleted")
        return
    fail([line for run, of_run in by_run.items() for line in delete(run, of_run)])
    echo(f"{total}; deleted")


def _confirmed(question: str) -> bool:
    """Whether the user says yes; nobody to ask says no."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        return False
