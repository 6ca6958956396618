"""One row a value: the tidy table that everything printed is made from."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.results.schema import columns_of
from xaibench.storage.artefacts import FAILED, NOT_COMPUTED, OK

WORDS = ("dataset", "model", "method", "control", "metric", "operator", "status", "reason")


@dataclass(frozen=True, slots=True)
class Block:
    """Values that share all but their sequences: the rows of one metric under one seed and draw.

    A block without sequences stands for a metric that gave no values; its ``status`` and ``reason``
    say why.
    """

    model: str
    seed: int
    method: str = ""
    control: str = ""
    metric: str = ""
    operator: str = ""
    repeat: int = 0
    sequences: tuple[str, ...] = ()
    values: NDArray[np.float64] | None = None
    status: str = OK
    reason: str = ""


def excused(block: Block) -> Block:
    """The block as a run tells it that was stopped: what was not computed did not fail."""
    not_yet = block.status == FAILED and block.reason == NOT_COMPUTED
    return replace(block, status=NOT_COMPUTED) if not_yet else block


def frame(blocks: Iterable[Block], dataset: str) -> pd.DataFrame:
    """The records of blocks, words as categories; NaN values stay, to be counted."""
    kept = list(blocks)
    rows = np.array([max(len(block.sequences), 1) for block in kept], dtype=np.intp)
    columns: dict[str, Any] = {
        name: _words([getattr(block, name) for block in kept], rows) for name in WORDS[1:]
    }
    columns["dataset"] = _words([dataset] * len(kept), rows)
    for name in ("seed", "repeat"):
        numbers = np.array([getattr(block, name) for block in kept], dtype=np.int64)
        columns[name] = np.repeat(numbers, rows)
    columns["sequence"] = pd.Categorical(
        [name for block in kept for name in (block.sequences or ("",))]
    )
    columns["value"] = np.concatenate(
        [np.array([np.nan]) if block.values is None else block.values for block in kept]
    )
    return pd.DataFrame(columns)[columns_of("records")]


def _words(words: list[str], rows: NDArray[np.intp]) -> pd.Categorical:
    categories = list(dict.fromkeys(words))
    places = {word: place for place, word in enumerate(categories)}
    codes = np.array([places[word] for word in words], dtype=np.intp)
    return pd.Categorical.from_codes(np.repeat(codes, rows), pd.Index(categories, dtype="str"))
