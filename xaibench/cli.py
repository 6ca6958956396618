"""Words -> plan -> run, report, list. Nothing is computed here, and nothing heavy is imported
before a command needs it."""

import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getdoc
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from xaibench import __version__
from xaibench.errors import UsageError
from xaibench.registry import KINDS

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


_GATE, _BETWEEN = "--fail-if-drop", "\x1f"
"""An option of three words, and what stands between them once they are one: typer knows no lists
of more."""


@app.command()
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
        int | None, typer.Option(min=1, help="Explain at most so many sequences.")
    ] = None,
    jobs: Annotated[
        int | None, typer.Option(min=1, help="Processes [the cores, at most 8].")
    ] = None,
    threads: Annotated[
        int, typer.Option(min=1, help="Torch threads in each; results differ in rounding.")
    ] = 1,
    device: Annotated[
        str | None, typer.Option(help="Where models are trained, such as cuda [cpu].")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be computed, and how long it takes.")
    ] = False,
) -> None:
    """Train, explain, measure, and write the report; again: resume, or do nothing."""
    # Threads that wait should sleep: where processes share the cores, spinning costs five-fold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from xaibench import forecast, series
    from xaibench import run as running
    from xaibench.plan import read_any
    from xaibench.work import Job
    from xaibench.written import name_of

    given, jobs = tuple(plugins or ()), jobs or min(os.cpu_count() or 1, 8)
    changed = (*(changes or ()), *([f"training.device={device}"] if device else []))
    read = read_any(plan, changes=changed, plugins=given, limit=limit)
    folder, how = folder or Path("runs") / name_of(plan), {"jobs": jobs, "threads": threads}
    if isinstance(read, dict):
        each = series.jobs_of(read, plan, given, folder)
        if dry_run:
            _fail(series.foresee(each, **how, say=typer.echo))
        else:
            _fail(series.run(each, name_of(plan), **how, command=_command(), say=typer.echo))
        return
    work = running.begin(Job(read, plan, given, folder))
    if dry_run:
        typer.echo(forecast.summary(work, **how))
        return
    outcome = running.run(work, **how, command=_command())
    typer.echo(running.conclusion(work, outcome))
    _fail(outcome.failures)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="html, markdown, latex ... [those of the plan]. Repeatable."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Render the reports of a run again, without computing; of one that was stopped, so far."""
    from xaibench import series
    from xaibench.run import report

    render = series.render if series.is_series(folder) else report
    written, failures = render(folder, tuple(plugins or ()), tuple(formats or ()))
    for path in written:
        typer.echo(path)
    _fail(failures)


@app.command()
def compare(
    folders: Annotated[list[Path], typer.Argument(help="The folders of two runs or more.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where comparison.html and .csv go.")
    ] = None,
    gates: Annotated[
        list[str] | None,
        typer.Option(
            _GATE,
            metavar="METRIC METHOD DROP",
            help="Exit code 3 where a later run is worse by more. METHOD is - for accuracy. "
            "Repeatable.",
        ),
    ] = None,
) -> None:
    """How runs differ from the first of them: plan, data, versions, and every shared figure."""
    from xaibench.compare import comparison

    asked = [gate.split(_BETWEEN) if gate else [] for gate in gates or ()]
    found = comparison.compare(folders, asked)
    files = comparison.written(found, output) if output else []
    typer.echo(comparison.printed(found), nl=False)
    for path in files:
        typer.echo(path)
    if found.failed:
        raise typer.Exit(3)


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help=f"One kind only: {', '.join(KINDS)} or presets.")
    ] = None,
    plugins: Plugins = None,
) -> None:
    """What is available, a line each."""
    from xaibench.catalogue import LISTED, lines

    kinds = [kind] if kind else LISTED
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
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Run the leak linter seqleak too: rules by position, twins."),
    ] = False,
) -> None:
    """What is in a dataset, how far test leaks into train, and what trivial models reach."""
    from xaibench.data.named import audited

    known = tuple(plugins or ())
    for line in audited(dataset, changes=changes or (), plugins=known, deep=deep):
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


def _joined(words: list[str]) -> list[str]:
    """The words of a call, the three after each ``--fail-if-drop`` as one."""
    left, joined = iter(words), []
    for word in left:
        joined.append(word)
        if word == _GATE:
            joined.append(_BETWEEN.join(islice(left, 3)))
    return joined


_WrongWords: Any = typer.BadParameter.__mro__[1]
"""What typer raises for any word that it cannot take; its name moved between versions."""


for _named in (*app.registered_commands, *data.registered_commands):
    # typer would cut what a list of commands says of one in the middle of a sentence
    _named.short_help = getdoc(_named.callback)


_STOPPED, _TERMINATED = 130, 143
"""The exit codes after an interrupt and after a request to end, as shells have them."""


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """In here a request to end (SIGTERM) does what an interrupt does: processes are ended, and what
    is unfinished is put away."""

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second request is not kept waiting
        raise SystemExit(_TERMINATED)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _mistake(message: str, code: int = 2) -> NoReturn:
    sys.stderr.write(f"xaibench: {' '.join(message.split())}\n")
    sys.exit(code)


def main() -> None:
    """The console script; what a user can mend is one line and exit code 2."""
    try:
        with _ends_in_order():
            code = app(args=_joined(sys.argv[1:]) or ["--help"], standalone_mode=False)
    except UsageError as error:
        _mistake(str(error), error.code)
    except _WrongWords as error:
        _mistake(error.format_message())
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except SystemExit as ended:
        code = ended.code
    if code in (_STOPPED, _TERMINATED):  # some versions of typer answer where a key interrupts
        sys.stderr.write("xaibench: stopped; the same command goes on where it was\n")
    sys.exit(code or 0)
