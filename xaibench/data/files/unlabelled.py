"""Sequences to learn from without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from xaibench.data.codes import read_codes
from xaibench.errors import UsageError, shortened
from xaibench.shapes import Codes

from .columns import SPLIT_WORDS, require, require_filled, with_plain_names
from .folder_reading import read_sequences
from .packed_rows import PackedLetters
from .targets import DEFAULT_LABEL

if TYPE_CHECKING:
    import pandas as pd

_SEQUENCE, _SPLIT = "sequence", "split"


def unlabelled_codes(path: Path) -> Codes:
    """``(sequence, position)`` of a CSV, TSV, Parquet or FASTA file, or of a folder of these; where
    a column ``split`` stands in it, or places in the folder say splits, those of train alone."""
    table = read_sequences(path, sequence=_SEQUENCE, label=DEFAULT_LABEL)
    table = with_plain_names(table, path, keep=(_SEQUENCE,))
    require(table, path, [_SEQUENCE])
    require_filled(table, path, _SEQUENCE)
    rows = _rows_of_train(table, path)
    if not len(rows):
        raise UsageError(f"{path}: expected sequences of train to learn from, got none")
    letters = PackedLetters(table[_SEQUENCE].iloc[rows])
    return read_codes(letters, lambda row: f"{path}: row {rows[row]}")


def _rows_of_train(table: pd.DataFrame, path: Path) -> np.ndarray:
    if _SPLIT not in table:
        return np.arange(len(table))
    kinds = table[_SPLIT].str.strip().str.lower().map(SPLIT_WORDS)
    unknown = np.flatnonzero(kinds.isna())
    if len(unknown):
        word = shortened(repr(table[_SPLIT].iloc[unknown[0]]))
        raise UsageError(
            f"{path}: column {_SPLIT!r}: expected train, test or validation, got {word} in row "
            f"{unknown[0]}"
        )
    return np.flatnonzero((kinds == "train").to_numpy())
