"""``xaibench report`` and ``xaibench compare``: of runs that are there, without computing."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import Plugins, fail


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
    fail(failures)


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
