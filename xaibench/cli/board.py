"""``xaibench board``: many runs on one site."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import fail


def board(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="DIR...", help="Folders of runs or series, and CSV files of estimates alone."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Where index.html and its tables go.")
    ] = Path("board"),
) -> None:
    """Rank methods over many runs, on one page that needs no server."""
    from xaibench.board.site import write_board

    files, failures = write_board(paths, output)
    for path in files:
        echo(path)
    fail(failures)
