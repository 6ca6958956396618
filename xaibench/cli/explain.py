"""``xaibench explain``."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo

from .options import Plugins, fail


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
    device: Annotated[
        str | None,
        typer.Option(help="Where all is computed: cuda, cuda:1, mps [cpu, or that of RUN]."),
    ] = None,
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
        device,
    )
    failures: list[str] = []
    notes: dict[str, list[str]] = {}
    exports = 0
    with on_threads(threads):
        for outcome in explain_into(request, folder, formats=tuple(formats or ())):
            if isinstance(outcome, str):
                failures.append(outcome)
                continue
            exports += 1
            for name, written in outcome.written.items():
                for note in written.notes:
                    notes.setdefault(f"{name}: {note}", []).append(outcome.name)
            echo(outcome.folder)
    for note, names in notes.items():
        echo(note if len(names) == exports else f"{note} ({', '.join(names)})", err=True)
    fail(failures)
