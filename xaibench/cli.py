"""Words -> plan -> run, report, list. Nothing is computed here, and nothing heavy is imported
before a command needs it."""

import os
import re
import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from xaibench import __version__
from xaibench.errors import UsageError

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which explanation of a DNA network to trust: train, explain, measure, report.",
)

data = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Datasets: list, fetch, audit for leakage."
)
app.add_typer(data, name="data")

Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A file or module whose functions are plug-ins. Repeatable."),
]


class Kind(StrEnum):
    """What can be listed."""

    datasets = "datasets"
    models = "models"
    training = "training"
    attribution = "attribution"
    metrics = "metrics"
    operators = "operators"
    reports = "reports"
    presets = "presets"


@app.command()
def run(
    plan: Annotated[str, typer.Argument(help="A preset, or a plan in YAML.")] = "demo",
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="The run's folder [runs/NAME].")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, dots between keys, YAML values. Repeatable."),
    ] = None,
    plugins: Plugins = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Explain at most so many sequences.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes [the cores, at most 8].")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Torch threads in each; results differ in rounding.")
    ] = 1,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be computed.")] = False,
) -> None:
    """Train, explain, measure, and write the report; again: resume, or do nothing."""
    # Threads that wait should sleep: where processes share the cores, spinning costs five-fold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from xaibench import run as running
    from xaibench.plan import read
    from xaibench.work import Job

    given = tuple(plugins or ())
    read_plan = read(plan, changes=tuple(changes or ()), plugins=given, limit=limit)
    folder = folder or Path("runs") / Path(plan).stem
    work = running.begin(Job(read_plan, plan, given, folder))
    if dry_run:
        typer.echo(running.summary(work))
        return
    jobs = jobs or min(os.cpu_count() or 1, 8)
    outcome = running.run(work, jobs=jobs, threads=threads, command=_command())
    typer.echo(running.conclusion(work, outcome))
    _fail(outcome.failures)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run.")], plugins: Plugins = None
) -> None:
    """Render the reports of a run again, without computing."""
    from xaibench.run import render

    written, failures = render(folder, tuple(plugins or ()))
    for path in written:
        typer.echo(path)
    _fail(failures)


@app.command("list")
def list_(
    kind: Annotated[Kind | None, typer.Argument(help="One kind only.")] = None,
    plugins: Plugins = None,
) -> None:
    """What is available, a line each."""
    from xaibench.catalogue import lines

    kinds = [kind] if kind else list(Kind)
    for each in kinds:
        if len(kinds) > 1:
            typer.echo(f"\n{each}" if each != kinds[0] else each)
        for line in lines(each, tuple(plugins or ())):
            typer.echo(f"  {line}" if len(kinds) > 1 else line)


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="An attribution method, or captum.attr:CLASS.")],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the method. Repeatable."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """The contract of a method, on small models with known answers; exit code 1 if it is broken."""
    from xaibench.testing import checked, told

    checks = checked(name, changes=changes or (), plugins=tuple(plugins or ()))
    for line in told(checks):
        typer.echo(line)
    _fail([check.name for check in checks if check.held is False])


Root = Annotated[
    Path | None,
    typer.Option(help="Where the sets are [XAIBENCH_GENOMIC_BENCHMARKS or ~/.genomic_benchmarks]."),
]


@data.command("list")
def data_list(root: Root = None) -> None:
    """The nine sets of genomic-benchmarks: size, classes, lengths, and which are here."""
    from xaibench.data.published.fetching import listed

    for line in listed(root):
        typer.echo(line)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A set of genomic-benchmarks.")], root: Root = None
) -> None:
    """Download a set of genomic-benchmarks and verify that it is whole."""
    from xaibench.data.published.fetching import fetch
    from xaibench.progress import fetching

    with fetching(name) as progress:
        folder = fetch(name, root=root, progress=progress)
    typer.echo(folder)


@data.command()
def audit(
    dataset: Annotated[
        str, typer.Argument(help="A set, dataset, plan, file, or folder (of intervals too).")
    ],
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the dataset. Repeatable."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """What is in a dataset, how far test leaks into train, and what trivial models reach."""
    from xaibench.data.named import audited

    for line in audited(dataset, changes=changes or (), plugins=tuple(plugins or ())):
        typer.echo(line)


def _fail(failures: list[str]) -> None:
    """Exit code 1 with a line for each thing that failed, if anything did."""
    for failure in failures:
        typer.echo(f"failed: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"xaibench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


def _command() -> str:
    """The words of this call, without the folders of this machine."""
    words = [re.sub(r"^(-[^=]*=)?(file://|/|~).*/", r"\1", word) for word in sys.argv[1:]]
    return shlex.join(["xaibench", *words])


_WrongWords: Any = typer.BadParameter.__mro__[1]
"""What typer raises for any word that it cannot take; its name moved between versions."""


_STOPPED = 130
"""The exit code after an interrupt, as shells have it."""


def _mistake(message: str) -> NoReturn:
    sys.stderr.write(f"xaibench: {' '.join(message.split())}\n")
    sys.exit(2)


def main() -> None:
    """The console script; what a user can mend is one line and exit code 2."""
    try:
        code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except UsageError as error:
        _mistake(str(error))
    except _WrongWords as error:
        _mistake(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    if code == _STOPPED:  # some versions of typer answer with it where a key interrupts
        sys.stderr.write("xaibench: stopped; the same command goes on where it was\n")
    sys.exit(code or 0)
