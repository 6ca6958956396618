"""``xaibench pretrain``."""

from pathlib import Path
from typing import Annotated

import typer

from xaibench.terminal import echo


def pretrain(
    sequences: Annotated[
        list[Path],
        typer.Argument(
            help="CSV, TSV, Parquet (column sequence), FASTA, or folders of these. Where there is "
            "a column split, rows of train alone."
        ),
    ],
    tokenizer: Annotated[Path, typer.Option(help="tokenizer.json, or a folder with one.")],
    folder: Annotated[Path, typer.Option("-o", "--output", help="Where the files go.")],
    width: Annotated[int | None, typer.Option(help="Of the embeddings [192].")] = None,
    layers: Annotated[int | None, typer.Option(help="[4].")] = None,
    heads: Annotated[int | None, typer.Option(help="Of attention, a divisor of width [4].")] = None,
    hidden: Annotated[int | None, typer.Option(help="Width of the gated networks [384].")] = None,
    dropout: Annotated[float | None, typer.Option(help="[0.1].")] = None,
    longest: Annotated[int | None, typer.Option(help="Tokens of a sequence [512].")] = None,
    epochs: Annotated[int | None, typer.Option(help="[30].")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Sequences of a step [64].")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest [0.001].")] = None,
    warm_up: Annotated[
        float | None, typer.Option(help="Share of the steps in which the rate rises [0.06].")
    ] = None,
    weight_decay: Annotated[float | None, typer.Option(help="Of AdamW [0.01].")] = None,
    mask_rate: Annotated[
        float | None, typer.Option(help="Share of the tokens to predict [0.15].")
    ] = None,
    held_out: Annotated[
        float | None, typer.Option(help="Share of the sequences that test the model [0.05].")
    ] = None,
    precision: Annotated[
        str | None, typer.Option(help="float32, or bfloat16 for the layers [float32].")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="[0].")] = None,
    threads: Annotated[int, typer.Option(min=1, max=1000, help="Torch threads.")] = 1,
) -> None:
    """Train a small DNABERT-2 on masked tokens of sequences, for models to begin from."""
    given = {
        name: value
        for name, value in locals().items()
        if name not in ("sequences", "folder", "threads") and value is not None
    }
    from xaibench.plugins.options import resolve
    from xaibench.plugins.registry import load
    from xaibench.plugins.signatures import typed
    from xaibench.runs.workers import on_threads

    plugin = load("pretraining", "dnabert2")
    options = typed(plugin, resolve(plugin, given, where="pretrain"))
    with on_threads(threads):
        plugin.call(sequences, folder, **options)
    echo(folder)
