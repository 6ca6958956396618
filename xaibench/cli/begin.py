"""``xaibench doctor``, ``init`` and ``open``: what comes before the first run, and after it."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import AsJson, Plugins, echo_json, fail

_PAGES = ("index.html", "report.html", "comparison.html", "explanations.html")
"""What is opened of a folder, the first of these that is there."""


def doctor(
    as_json: AsJson = False,
    speed: Annotated[bool, typer.Option(help="Measure for ten seconds how fast it is.")] = True,
) -> None:
    """Versions, devices, plug-ins, data and speed here; exit code 1 if a plug-in is broken."""
    from xaibench.testing.installation import broken_plugins, describe_installation, installation

    findings = installation(speed=speed)
    if as_json:
        echo_json(findings)
    else:
        echo("\n".join(describe_installation(findings)))
    fail(broken_plugins(findings))


def init(
    source: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="CSV, TSV, Parquet or FASTA, BED with --genome, a folder of these, or a set.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The plan to write [NAME.yaml, here].")
    ] = None,
    genome: Annotated[str | None, typer.Option(help="FASTA, which intervals are cut from.")] = None,
    model: Annotated[
        str | None, typer.Option(help="A network that you have, by its name in --plugin.")
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="A file of its weights, per fold. Repeatable.")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", help="key=value, an option of the dataset: label=y. Repeatable."),
    ] = None,
    plugins: Plugins = None,
) -> None:
    """Look at data and write a commented plan for them, which ``xaibench run`` takes at once."""
    from xaibench.data.drafting import OwnModel, drafted_plan
    from xaibench.errors import UsageError

    path = output or Path(f"{Path(source).resolve().name.partition('.')[0] or 'plan'}.yaml")
    changed = [*(changes or ()), *([f"genome={genome}"] if genome else [])]
    if weights and not model:
        raise UsageError("--weights: expected --model with it, the name of the network")
    own = OwnModel(model, tuple(weights or ()), tuple(plugins or ())) if model else None
    draft = drafted_plan(source, path, changes=changed, model=own)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(draft.text)
    except FileExistsError:
        raise UsageError(f"{path}: is there already; remove it, or name another by -o") from None
    echo(f"{path}: {draft.summary}")
    echo(f"next: {draft.command}")


def open_(
    folder: Annotated[
        Path, typer.Argument(help="The folder of a run, a series, a comparison or explanations.")
    ],
) -> None:
    """Open the report of a run in the browser; without a display, print where it is."""
    import webbrowser

    from xaibench.errors import UsageError

    page = next((folder / name for name in _PAGES if (folder / name).is_file()), None)
    if page is None:
        raise UsageError(
            f"{folder}: expected a folder with one of {', '.join(_PAGES)}, got none; of a run that "
            f"was stopped `xaibench report {folder}` writes it"
        )
    echo(page)
    if _has_display():
        webbrowser.open(page.absolute().as_uri())


def _has_display() -> bool:
    """Whether a browser would have a window; where BROWSER names one, it is asked."""
    known = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY")
    return sys.platform != "linux" or any(os.environ.get(name) for name in known)
