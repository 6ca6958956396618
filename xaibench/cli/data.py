"""``xaibench data``: what sets there are, and what is in one."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import Plugins

Root = Annotated[
    Path | None,
    typer.Option(help="Where the sets are [XAIBENCH_GENOMIC_BENCHMARKS or ~/.genomic_benchmarks]."),
]


def list_sets(root: Root = None) -> None:
    """The nine sets of genomic-benchmarks: size, classes, lengths, and which are downloaded."""
    from xaibench.data.genomic_benchmarks.fetching import describe_sets

    for line in describe_sets(root):
        echo(line)


def fetch(
    name: Annotated[str, typer.Argument(help="A set of genomic-benchmarks.")], root: Root = None
) -> None:
    """Download a set of genomic-benchmarks and verify that it is complete."""
    from xaibench.data.genomic_benchmarks.fetching import fetch_set
    from xaibench.progress import fetching

    with fetching(name) as progress:
        folder = fetch_set(name, root=root, progress=progress)
    echo(folder)


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
