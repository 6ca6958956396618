"""``xaibench heads``."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.errors import UsageError
from xaibench.heads.options import (
    RANDOM_SETS,
    TRAINED,
    Fill,
    HeadOptions,
    Received,
    SummaryOptions,
)
from xaibench.terminal import echo

from .options import Plugins, fail


def attention_heads(
    source: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL", help="A run's folder, a model by its name, or its folder."
        ),
    ],
    examples: Annotated[
        str | None,
        typer.Argument(
            metavar="[FILE]",
            help="For MODEL: FASTA, CSV, TSV, Parquet, BED with --genome, or cells as .h5ad.",
        ),
    ] = None,
    tracks: Annotated[
        list[str] | None,
        typer.Option(
            "--track",
            help="gc, cpg, position, centre, truth, a motif (TBP, MA0139.1, TATAAA), family:NAME, "
            "a .bed, .bigBed or .bigWig file [gc, cpg, and truth where it is known]; of cells "
            "expression, cell_type, a .gmt file [expression]. Repeatable.",
        ),
    ] = None,
    nuisance: Annotated[
        list[str] | None,
        typer.Option(help="A track that is taken out of heads and tracks first. Repeatable."),
    ] = None,
    received: Annotated[
        Received,
        typer.Option(
            help="Of a site: attention (its maximum or mean over sites, or pooled), value_norm, or "
            "relevance by AttnLRP."
        ),
    ] = "maximum",
    ablate: Annotated[
        list[float] | None,
        typer.Option(min=0, max=100, help="Percent of the heads to take out. Repeatable."),
    ] = None,
    fill: Annotated[Fill, typer.Option(help="What stands for a lost head: zero or mean.")] = "zero",
    draws: Annotated[int, typer.Option(min=20, help="Random sets of heads.")] = RANDOM_SETS,
    sequences: Annotated[int, typer.Option(min=1, help="Or cells, at most.")] = 1000,
    models: Annotated[
        list[str] | None, typer.Option("--model", help="One of RUN [all]. Repeatable.")
    ] = None,
    states: Annotated[
        list[str] | None,
        typer.Option(
            "--state",
            help="random, pretrained, epoch:N or trained [trained]; each is compared with the one "
            "before. Repeatable.",
        ),
    ] = None,
    around: Annotated[
        list[str] | None,
        typer.Option(
            "--shuffle-around",
            help="A track of features: also where all but these are shuffled. Repeatable.",
        ),
    ] = None,
    weights: Annotated[
        list[str] | None,
        typer.Option(help="A file of weights of MODEL, one per replicate [its own]. Repeatable."),
    ] = None,
    genome: Annotated[str | None, typer.Option(help="FASTA, which intervals are cut from.")] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option(
            "--set", help="key=value, keys of a plan: dataset.label=cell_type. Repeatable."
        ),
    ] = None,
    summarise: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="An OpenAI-compatible endpoint, as http://localhost:8000/v1, that says in a "
            "sentence what a head follows; it is sent tracks and numbers. Its key: OPENAI_API_KEY.",
        ),
    ] = None,
    summarise_model: Annotated[str | None, typer.Option(help="The model at that endpoint.")] = None,
    summarise_calls: Annotated[int, typer.Option(min=1, help="Requests at most.")] = 200,
    summarise_tokens: Annotated[int, typer.Option(min=1, help="Tokens at most.")] = 200_000,
    summarise_timeout: Annotated[
        float, typer.Option(min=0.1, help="Seconds for which a request is waited for.")
    ] = 60,
    folder: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the files go [RUN/heads, heads].")
    ] = None,
    plugins: Plugins = None,
    threads: Annotated[int, typer.Option(min=1, max=1000, help="Torch threads.")] = 1,
) -> None:
    """Ask which attention heads follow what is known of a sequence, and what their loss does."""
    from xaibench.heads.analysis import heads_of_run
    from xaibench.heads.claims import head_claims
    from xaibench.heads.language_model import endpoint_of, head_summaries, unanswered
    from xaibench.heads.own_model import OwnHeads, heads_of_own
    from xaibench.heads.writing import written_pages, written_summaries, written_tables
    from xaibench.runs.workers import on_threads

    endpoint = endpoint_of(
        SummaryOptions(
            summarise, summarise_model, summarise_calls, summarise_tokens, summarise_timeout
        )
    )
    options = HeadOptions(
        tracks=tuple(tracks or ()),
        nuisance=tuple(nuisance or ()),
        received=received,
        shares=tuple(percent / 100 for percent in ablate or ()),
        fill=fill,
        draws=draws,
        sequences=sequences,
        models=tuple(models or ()),
        states=tuple(states or (TRAINED,)),
        around=tuple(around or ()),
    )
    own = tuple(weights or ()), genome, tuple(changes or ())
    with on_threads(threads):
        if examples is None:
            _require_of_run(*own)
            tables = heads_of_run(Path(source), options, plugins=tuple(plugins or ()))
        else:
            request = OwnHeads(source, examples, *own, plugins=tuple(plugins or ()))
            tables = heads_of_own(request, options)
    into = folder or Path("heads" if examples else f"{source}/heads")
    claims = head_claims(tables)
    for path in written_tables(tables, claims, into):
        echo(path)
    summaries = []
    if endpoint is not None:
        with endpoint.client:
            summaries = list(head_summaries(tables.associations, endpoint))
        echo(written_summaries(summaries, endpoint.options, into))
    name = Path(source).resolve().name
    for path in written_pages(tables, claims, summaries, into, name=name):
        echo(path)
    fail([*tables.failures, *unanswered(summaries)])


def _require_of_run(weights: tuple[str, ...], genome: str | None, changes: tuple[str, ...]) -> None:
    """UsageError where something is given that is for a model, and no sequences."""
    given = {"--weights": weights, "--genome": genome, "--set": changes}
    for option in (name for name, value in given.items() if value):
        raise UsageError(f"{option}: is for a model of your own: xaibench heads MODEL SEQUENCES")
