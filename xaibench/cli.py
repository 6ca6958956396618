"""The command line: arguments -> plan -> run, report, compare, list. Nothing is computed here, and
nothing slow is imported before a command needs it."""

import gc
import os
import re
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import getdoc
from pathlib import Path
from time import monotonic
from typing import Annotated, NoReturn

import typer

from xaibench import __version__
from xaibench.errors import (
    Escaped,
    Interrupted,
    Terminated,
    UsageError,
    described,
    message_of,
    readable,
)
from xaibench.plugins.registry import PLUGIN_KINDS
from xaibench.terminal import echo, lasting

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
            _fail(series.foresee(each, **how, say=echo))
        else:
            _fail(series.run(each, plan_name(plan), **how, command=_command(), say=echo))
        return
    work = running.begin(Job(read, plan, given, folder))
    if dry_run:
        from xaibench.runs import forecast

        echo(forecast.forecast_text(work, **how))
        return
    outcome = running.run(work, **how, command=_command())
    echo(running.conclusion(work, outcome))
    _fail(outcome.failures)


@app.command()
def explain(
    source: Annotated[
        str, typer.Argument(metavar="MODEL|RUN", help="A model by its name, or a run's folder.")
    ],
    sequences: Annotated[
        str | None,
        typer.Argument(
            help="FASTA, CSV, TSV, Parquet, or BED with --genome [those that the run explained]."
        ),
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option("--method", help="An attribution method [all of the run]. Repeatable."),
    ] = None,
    target: Annotated[
        str, typer.Option(help="predicted, label, or a class or output by its name or number.")
    ] = "predicted",
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="modisco, bigwig ... [scores, parquet, html]. Repeatable."),
    ] = None,
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where the files go.")] = Path(
        "explained"
    ),
    weights: Annotated[
        list[str] | None,
        typer.Option(help="A file of weights of MODEL, one per replicate. Repeatable."),
    ] = None,
    genome: Annotated[str | None, typer.Option(help="FASTA, which intervals are cut from.")] = None,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="One of RUN [all]. Repeatable.")
    ] = None,
    seeds: Annotated[
        list[str] | None, typer.Option("--seed", help="One of RUN [all]. Repeatable.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value, keys of a plan: attribution.METHOD.steps=64. Repeatable."
        ),
    ] = None,
    plugins: Plugins = None,
    threads: Annotated[int, typer.Option(min=1, max=1000, help="Torch threads.")] = 1,
) -> None:
    """Explain sequences with a model of your own or of a run, into files that other tools read."""
    from xaibench.export.explain import explain_into
    from xaibench.export.request import Request
    from xaibench.runs.workers import on_threads

    request = Request(
        source,
        sequences,
        tuple(methods or ()),
        target,
        tuple(weights or ()),
        genome,
        tuple(models or ()),
        tuple(seeds or ()),
        tuple(changes or ()),
        tuple(plugins or ()),
    )
    failures: list[str] = []
    notes: dict[str, None] = {}
    with on_threads(threads):
        for outcome in explain_into(request, folder, formats=tuple(formats or ())):
            if isinstance(outcome, str):
                failures.append(outcome)
                continue
            for name, written in outcome.written.items():
                notes |= {f"{name}: {note}": None for note in written.notes}
            echo(outcome.folder)
    for note in notes:
        echo(note, err=True)
    _fail(failures)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="The folder of a run, finished or not.")],
    formats: Annotated[
        list[str] | None,
        typer.Option("--format", help="html, markdown, latex ... [those of the plan]. Repeatable."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Render the reports of a run again, without computing; of a stopped run, what there is."""
    from xaibench.runs import reporting, series_folder

    is_series = series_folder.is_series(folder)
    render = series_folder.render_series if is_series else reporting.report
    written, failures = render(folder, tuple(plugins or ()), tuple(formats or ()))
    for path in written:
        echo(path)
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
            "--fail-if-drop",
            metavar="METRIC:METHOD:DROP",
            help="Exit code 3 where a later run is worse by more, as auprc:deeplift:0.02. "
            "METHOD is - for accuracy. Repeatable.",
        ),
    ] = None,
) -> None:
    """How runs differ from the first of them: plan, data, versions, and every shared figure."""
    from xaibench.comparison import side_by_side

    compared = side_by_side.compare(folders, gates or ())
    files = side_by_side.write_files(compared, output) if output else []
    echo(side_by_side.printed_text(compared).removesuffix("\n"))
    for path in files:
        echo(path)
    if compared.failed:
        raise typer.Exit(3)


@app.command("list")
def list_(
    kind: Annotated[
        str | None, typer.Argument(help=f"One kind only: {', '.join(PLUGIN_KINDS)} or presets.")
    ] = None,
    plugins: Plugins = None,
) -> None:
    """What is available, one line each."""
    from xaibench.plan.listing import LISTED, described_plugins

    if kind:
        listed = [described_plugins(kind, tuple(plugins or ()))]
    else:
        listed = [
            [each, *(f"  {line}" for line in described_plugins(each, tuple(plugins or ())))]
            for each in LISTED
        ]
    echo("\n\n".join("\n".join(each) for each in listed))


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
    from xaibench.testing.contract import check_by_name, describe_checks

    checks = check_by_name(name, changes=changes or (), plugins=tuple(plugins or ()))
    for line in describe_checks(checks):
        echo(line)
    _fail([check.name for check in checks if check.held is False])


@app.command("check-model")
def check_model(
    name: Annotated[str, typer.Argument(help="A model: a function or class of --plugin, or ours.")],
    weights: Annotated[
        list[str] | None,
        typer.Option(help="safetensors, or .pt as torch.save writes it [fresh]. Repeatable."),
    ] = None,
    sequences: Annotated[
        str | None, typer.Option(help="A file, a dataset or a plan [random DNA].")
    ] = None,
    length: Annotated[int, typer.Option(min=1, help="Of random DNA.")] = 200,
    classes: Annotated[
        int | None,
        typer.Option(min=1, help="How many; 1 for a number (regression) [those of the labels]"),
    ] = None,
    methods: Annotated[
        list[str] | None, typer.Option("--method", help="A method to try [all]. Repeatable.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="key=value, an option of the model: layout=NL4, explain.output=3. Repeatable.",
        ),
    ] = None,
    plugins: Plugins = None,
    device: Annotated[str, typer.Option(help="Where the model computes, such as cuda.")] = "cpu",
) -> None:
    """What a model does to a few sequences, and which methods apply; exit code 1 on a problem."""
    from xaibench.testing.own_model import check_models_by_name

    problems = []
    checks = check_models_by_name(
        name,
        weights=weights or (),
        sequences=sequences,
        length=length,
        classes=classes,
        changes=changes or (),
        plugins=tuple(plugins or ()),
        methods=methods,
        device=device,
    )
    for heading, checked in checks:
        echo(heading)
        echo(checked)
        problems += [f"{heading}: {finding.name}" for finding in checked.problems]
    _fail(problems)


Root = Annotated[
    Path | None,
    typer.Option(help="Where the sets are [XAIBENCH_GENOMIC_BENCHMARKS or ~/.genomic_benchmarks]."),
]


@data.command("list")
def data_list(root: Root = None) -> None:
    """The nine sets of genomic-benchmarks: size, classes, lengths, and which are downloaded."""
    from xaibench.data.genomic_benchmarks.fetching import describe_sets

    for line in describe_sets(root):
        echo(line)


@data.command()
def fetch(
    name: Annotated[str, typer.Argument(help="A set of genomic-benchmarks.")], root: Root = None
) -> None:
    """Download a set of genomic-benchmarks and verify that it is complete."""
    from xaibench.data.genomic_benchmarks.fetching import fetch_set
    from xaibench.progress import fetching

    with fetching(name) as progress:
        folder = fetch_set(name, root=root, progress=progress)
    echo(folder)


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
        typer.Option(
            "--deep", help="Run the leak linter seqleak too: rules by position, near copies."
        ),
    ] = False,
) -> None:
    """What is in a dataset, how much test leaks into train, and what trivial baselines reach."""
    from xaibench.data.resolving import audited

    known = tuple(plugins or ())
    for line in audited(dataset, changes=changes or (), plugins=known, deep=deep):
        echo(line)


def _fail(failures: list[str]) -> None:
    """Exit code 1 with a line for each thing that failed, if anything did."""
    for failure in failures:
        echo(f"failed: {failure}", err=True)
    if failures:
        raise typer.Exit(1)


def _print_version(requested: bool) -> None:
    if requested:
        echo(f"xaibench {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="The version.")
    ] = False,
) -> None:
    pass


def _command() -> str:
    """The arguments of this call, without the folders of this machine."""
    arguments = [re.sub(r"^(-[^=]*=)?(file://|/|~).*/", r"\1", each) for each in sys.argv[1:]]
    return shlex.join(["xaibench", *arguments])


for _named in (*app.registered_commands, *data.registered_commands):
    # typer would cut what a list of commands says of one in the middle of a sentence
    _named.short_help = getdoc(_named.callback)


_STOPPED, _TERMINATED = 130, 143
"""The exit codes after an interrupt and after a request to end, as shells have them."""

_PATIENCE = 1
"""Seconds after an interrupt in which another says nothing new."""


@contextmanager
def _ends_in_order() -> Iterator[None]:
    """Within, a request to end (SIGTERM) does what an interrupt does: processes are ended, and what
    is unfinished is removed. Further interrupts within a second are ignored."""
    began = None

    def end(*_: object) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second request is not kept waiting
        raise Terminated(_TERMINATED)

    def interrupt(*_: object) -> None:
        nonlocal began
        if began is None:
            began = monotonic()
            raise Interrupted
        if monotonic() - began > _PATIENCE:
            os._exit(_STOPPED)

    handlers = {signal.SIGTERM: end, signal.SIGINT: interrupt}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if began is not None:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _print_mistake(message: object, code: int = 2) -> int:
    echo(f"xaibench: {' '.join(readable(str(message)).split())}", err=True)
    return code


def _code() -> int:
    """Run the command of this call; what a user can fix is one line."""
    try:
        with _ends_in_order():
            code = app(args=sys.argv[1:] or ["--help"], standalone_mode=False)
    except UsageError as error:
        return _print_mistake(error, error.code)
    except Escaped as error:
        return _print_mistake(error)
    except typer.TyperException as error:
        return _print_mistake(error.format_message())
    except OSError as error:
        return _print_mistake(_of_the_system(error))
    except UnicodeError as error:
        return _print_mistake(f"a name that is no text: {message_of(error)}")
    except MemoryError:
        return _print_mistake("there is not enough memory", 1)
    except (KeyboardInterrupt, typer.Abort):
        code = _STOPPED
    except Terminated:
        code = _TERMINATED
    except SystemExit as ended:  # typer never raises it here
        return _print_mistake(f"a plug-in ended the process ({described(ended)})")
    if code in (_STOPPED, _TERMINATED):  # some versions of typer answer where a key interrupts
        echo("xaibench: stopped; the same command goes on where it was", err=True)
    return int(code or 0)


def _of_the_system(error: OSError) -> str:
    """What the system rejected, and where."""
    reason = error.strerror or message_of(error)
    return f"{error.filename}: {reason}" if error.filename else reason


def exit_code() -> int:
    """Run the command of this call; its exit code."""
    with lasting() as unwritten:
        code = _code()
    for line in unwritten:
        _print_mistake(line)
    return code or (2 if unwritten else 0)


def main() -> None:
    """Run the command of this call and end with its exit code."""
    sys.exit(exit_code())
