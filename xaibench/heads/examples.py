"""What a head attends to on one sequence, beside the track that it follows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from xaibench.dna.encoding import LETTERS, lengths
from xaibench.shapes import Float
from xaibench.values import Sequences

from .attention import head_scores
from .options import Received
from .summary import strongest
from .tracks import Track

MOST_EXAMPLES = 60
"""Heads of a model that an example is kept of, those with the strongest association."""


def head_examples(
    model: Any,
    sequences: Sequences,
    tracks: Sequence[Track],
    associated: pd.DataFrame,
    *,
    received: Received = "maximum",
) -> pd.DataFrame:
    """A row per head that follows a track, at most ``MOST_EXAMPLES``: ``layer``, ``head``,
    ``track`` (its strongest), ``sequence``, ``letters``; as lists ``values`` (of the track, per
    nucleotide, None where unknown) and, per site, ``starts, ends`` (in nucleotides) and ``scores``.

    The sequence is the first in which the track varies: a rule, and no choice of the best looking.
    ``associated`` are the rows of ``associations_of``.
    """
    rows_of = {track.name: _first_varying(track.values) for track in tracks}
    values = {track.name: track.values for track in tracks}
    chosen = strongest(associated).drop_duplicates(["layer", "head"]).head(MOST_EXAMPLES)
    needed = np.unique([rows_of[track] for track in chosen["track"]]).astype(np.intp)
    of_rows = {
        int(needed[each.row]): each
        for each in (head_scores(model, sequences.take(needed), received=received))
    }
    examples = []
    for layer, head, track in chosen[["layer", "head", "track"]].itertuples(index=False):
        row = rows_of[track]
        length, of_head = int(lengths(sequences.codes[[row]])[0]), of_rows[row]
        along = values[track][row, :length]
        examples.append(
            {
                **{"layer": layer, "head": head, "track": track, "sequence": sequences.names[row]},
                "letters": "".join(LETTERS[code] for code in sequences.codes[row, :length]),
                "values": [None if np.isnan(value) else float(value) for value in along],
                "starts": of_head.spans[:, 0].tolist(),
                "ends": of_head.spans[:, 1].tolist(),
                "scores": of_head.scores[layer, head].tolist(),
            }
        )
    return pd.DataFrame(examples)


def _first_varying(values: Float) -> int:
    """The first row that has two values; 0 where none has."""
    filled = np.where(np.isnan(values), -np.inf, values)
    lowest = np.where(np.isnan(values), np.inf, values).min(axis=1)
    return int((filled.max(axis=1) > lowest).argmax())
