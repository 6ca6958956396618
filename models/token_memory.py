"""Tokens of sequences that were tokenised a moment ago: passes count those of all sequences and
embed them, and curves begin with the same ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes

MOST_TOKENS = 2**21
"""So many are remembered, in 25 MB; then all are forgotten."""


class Tokens(NamedTuple):
    """The tokens of sequences: identifiers ``(N, S)``, the nucleotides of each as ``start, end``
    ``(N, S, 2)``, and how many each sequence has ``(N,)``; what is behind is padding."""

    ids: NDArray[np.int64]
    spans: NDArray[np.int64]
    counts: NDArray[np.intp]


class TokenMemory:
    """``split``, which makes ``Tokens`` of sequences ``(N, L)`` one by one, without doing it again
    for those of a moment ago; ``padding`` is the identifier that fills up."""

    def __init__(self, split: Callable[[Codes], Tokens], padding: int) -> None:
        self._split, self._padding = split, padding
        self._rows: dict[bytes, tuple[int, int]] = {}
        self._blocks: list[tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.intp]]] = []
        self._remembered = 0

    def __call__(self, codes: Codes) -> Tokens:
        if not codes.size:
            return self._split(codes)
        keys = np.ascontiguousarray(codes).view(f"V{codes.shape[1]}")[:, 0].tolist()
        unknown = [row for row, key in enumerate(keys) if key not in self._rows]
        if len(unknown) == len(keys):  # nothing to put together
            return self._learn(keys, self._split(codes))
        if unknown:
            self._learn([keys[row] for row in unknown], self._split(codes[unknown]))
            if any(key not in self._rows for key in keys):  # all but these were forgotten
                return self._split(codes)
        return self._gathered(np.array([self._rows[key] for key in keys]))

    def __deepcopy__(self, memo: Any) -> TokenMemory:
        """Copies of a model read the same tokens."""
        return self

    def _learn(self, keys: list[bytes], tokens: Tokens) -> Tokens:
        self._remembered += tokens.ids.size
        if self._remembered > MOST_TOKENS:
            self._forget()
            self._remembered = tokens.ids.size
        block = len(self._blocks)
        small = tokens.ids.astype(np.int32), tokens.spans.astype(np.int32), tokens.counts
        self._blocks.append(small)
        self._rows.update((key, (block, row)) for row, key in enumerate(keys))
        return tokens

    def _forget(self) -> None:
        self._rows, self._blocks, self._remembered = {}, [], 0

    def _gathered(self, places: NDArray[np.int64]) -> Tokens:
        """The tokens of ``(block, row)`` each, padded to the most."""
        counts = np.empty(len(places), np.intp)
        chosen = [(each, np.flatnonzero(places[:, 0] == each)) for each in np.unique(places[:, 0])]
        for block, rows in chosen:
            counts[rows] = self._blocks[block][2][places[rows, 1]]
        most = int(counts.max())
        ids = np.full((len(places), most), self._padding)
        spans = np.zeros((len(places), most, 2), np.int64)
        for block, rows in chosen:
            known_ids, known_spans, _ = self._blocks[block]
            width = min(most, known_ids.shape[1])
            ids[rows, :width] = known_ids[places[rows, 1], :width]
            spans[rows, :width] = known_spans[places[rows, 1], :width]
        return Tokens(ids, spans, counts)
