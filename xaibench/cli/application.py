"""The commands in the order of the help."""

from collections.abc import Callable
from inspect import getdoc
from typing import Annotated, Any

import typer

from xaibench import __version__
from xaibench.terminal import echo

from .data import audit, fetch, list_sets
from .explain import explain
from .heads import attention_heads
from .plugins import check, check_model, list_
from .pretrain import pretrain
from .reports import compare, report
from .run import run

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


def _add(commands: typer.Typer, function: Callable[..., Any], name: str | None = None) -> None:
    # typer would cut what a list of commands says of one in the middle of a sentence
    commands.command(name, short_help=getdoc(function))(function)


_add(app, run)
_add(app, explain)
_add(app, attention_heads, "heads")
_add(app, report)
_add(app, compare)
_add(app, list_, "list")
_add(app, check)
_add(app, check_model)
_add(app, pretrain)

_add(data, list_sets, "list")
_add(data, fetch)
_add(data, audit)


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
