"""The commands in the order of the help, each with an example and the options that all take."""

from collections.abc import Callable
from contextlib import nullcontext
from functools import wraps
from inspect import Parameter, getdoc, signature
from typing import Annotated, Any

import typer

from xaibench import __version__
from xaibench.progress import QUIET, VERBOSE, verbosity
from xaibench.terminal import echo

from .begin import doctor, init, open_
from .board import board
from .data import audit, fetch, list_sets
from .explain import explain
from .folders import clean, status
from .heads import attention_heads
from .plugins import check, check_model, list_
from .pretrain import pretrain
from .reports import compare, report
from .run import run

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Which explanation of a DNA network to trust: train, explain, measure, report.",
    epilog="Example: xaibench run demo",
)

data = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="Datasets: list, fetch, audit for leakage."
)
app.add_typer(data, name="data")


_Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Write results and failures alone.")]
_Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Write epochs, and tracebacks of plug-ins, too.")
]


def _as_loud_as_asked(function: Callable[..., None]) -> Callable[..., None]:
    """The function of a command with the two options that all of them take."""

    @wraps(function)
    def called(*, quiet: bool, verbose: bool, **given: Any) -> None:
        level = QUIET if quiet else VERBOSE if verbose else ""
        with verbosity(level) if level else nullcontext():
            function(**given)

    options = {"quiet": _Quiet, "verbose": _Verbose}
    own = signature(function)
    both = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=False, annotation=hint)
        for name, hint in options.items()
    ]
    called.__signature__ = own.replace(parameters=[*own.parameters.values(), *both])  # type: ignore[attr-defined]  # what typer reads
    called.__annotations__ = {**function.__annotations__, **options}
    return called


def _add(
    commands: typer.Typer, function: Callable[..., None], name: str | None = None, *, example: str
) -> None:
    # typer would cut what a list of commands says of one in the middle of a sentence
    added = commands.command(
        name, short_help=getdoc(function), epilog=f"Example: xaibench {example}"
    )
    added(_as_loud_as_asked(function))


_add(app, init, example="init peaks.csv")
_add(app, doctor, example="doctor --json")
_add(app, run, example="run peaks.yaml --dry-run")
_add(app, status, example="status runs/demo --json")
_add(app, open_, "open", example="open runs/demo")
_add(app, explain, example="explain runs/demo --method deeplift --format modisco")
_add(app, attention_heads, "heads", example="heads runs/demo --track gc --ablate 10")
_add(app, report, example="report runs/demo --format latex")
_add(app, compare, example="compare runs/demo runs/other --fail-if-drop deletion:deeplift:0.02")
_add(app, board, example="board runs/tata runs/ctcf -o board")
_add(app, clean, example="clean runs/demo")
_add(app, list_, "list", example="list attribution")
_add(app, check, example="check my_method --plugin my_method.py")
_add(app, check_model, example="check-model Net --plugin my_model.py --weights fold0.pt")
_add(app, pretrain, example="pretrain train.fa --tokenizer tokenizer.json -o pretrained")

_add(data, list_sets, "list", example="data list")
_add(data, fetch, example="data fetch human_enhancers_cohn")
_add(data, audit, example="data audit peaks.csv --set label=class")


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
