"""What several commands share: options, JSON, and how one ends that could not do all."""

import json
from typing import Annotated

import typer

from xaibench.terminal import echo

Plugins = Annotated[
    list[str] | None,
    typer.Option("--plugin", help="A file or module whose functions are plug-ins. Repeatable."),
]

AsJson = Annotated[bool, typer.Option("--json", help="Print it as JSON.")]


def echo_json(content: object) -> None:
    """Print a value as JSON."""
    echo(json.dumps(content, indent=2))


def fail(failures: list[str]) -> None:
    """Exit code 1 with a line for each thing that failed, if anything did."""
    for failure in failures:
        echo(f"failed: {failure}", err=True)
    if failures:
        raise typer.Exit(1)
