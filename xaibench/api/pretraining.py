"""Pre-train a small language model from Python."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xaibench.errors import UsageError
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load
from xaibench.plugins.signatures import typed
from xaibench.runs.workers import on_threads
from xaibench.terminal import silent

from .figures import figure_named

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

HISTORY, WEIGHTS = "history.csv", "model.safetensors"


@dataclass(frozen=True, slots=True)
class Pretraining:
    """A finished pre-training in its folder."""

    folder: Path

    @classmethod
    def read(cls, folder: str | Path) -> Pretraining:
        """The pre-training that is in a folder; UsageError where there is none."""
        if not (Path(folder) / HISTORY).is_file():
            raise UsageError(f"{folder}: holds no pre-training; expected a file {HISTORY}")
        return cls(Path(folder))

    @property
    def weights(self) -> Path:
        """The file for ``pretrained`` of ``dnabert2`` in a plan."""
        return self.folder / WEIGHTS

    def to_frame(self) -> pd.DataFrame:
        """A row per epoch: losses in nats per masked token on train and on what is held out, beside
        ``unigram_loss`` of who knows only how frequent each token is; accuracies; seconds."""
        import pandas as pd

        return pd.read_csv(self.folder / HISTORY)

    def plot(self) -> Figure:
        """The losses by epoch."""
        return figure_named("pretraining", self.to_frame())


def pretrain(
    sequences: str | Path | Sequence[str | Path],
    *,
    tokenizer: str | Path,
    folder: str | Path,
    threads: int = 1,
    quiet: bool = False,
    **options: Any,
) -> Pretraining:
    """Train a small DNABERT-2 on masked tokens, for models to begin from; called again, goes on
    where it stopped.

    Parameters
    ----------
    sequences
        A CSV, TSV, Parquet (column ``sequence``) or FASTA file, a folder of these, or several.
    tokenizer
        A ``tokenizer.json``, or a folder that holds one.
    folder
        Where weights, tokenizer, configuration and history go.
    threads
        Of torch.
    quiet
        Print nothing on the way.
    **options
        Those of ``xaibench pretrain``, with its defaults: ``width``, ``layers``, ``heads``,
        ``hidden``, ``dropout``, ``longest``, ``epochs``, ``batch_size``, ``learning_rate``,
        ``warm_up``, ``weight_decay``, ``mask_rate``, ``held_out``, ``precision``, ``seed``.

    Notes
    -----
    UsageError (one line) for what the caller can mend.
    """
    several = [sequences] if isinstance(sequences, str | Path) else sequences
    plugin = load("pretraining", "dnabert2")
    given = {**options, "tokenizer": str(tokenizer)}
    known = typed(plugin, resolve(plugin, given, where="pretrain"))
    with on_threads(threads), silent() if quiet else nullcontext():
        plugin.call([Path(each) for each in several], Path(folder), **known)
    return Pretraining(Path(folder))
