"""Which heads follow which tracks: a table."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from xaibench.errors import NotApplicable
from xaibench.shapes import Float
from xaibench.statistics.association import (
    FEWEST_SEQUENCES,
    Along,
    associations,
    correlations,
)
from xaibench.statistics.corrections import benjamini_hochberg

from .attention import HeadScores
from .tracks import Track, track_along_tokens

FALSE_DISCOVERIES = 0.05
"""Of the false discovery rate."""

TOO_FEW = f"head and track vary in fewer than {FEWEST_SEQUENCES} sequences"
NO_EXCHANGE = (
    f"no exchange: the track is the same in all sequences, or fewer than {FEWEST_SEQUENCES} have "
    "as many sites, all of them known"
)


def associations_of(
    scores: Iterable[HeadScores],
    tracks: Sequence[Track],
    nuisance: Sequence[Track] = (),
    *,
    of_genes: bool = False,
) -> pd.DataFrame:
    """A row per layer, head and track: ``mean`` (of Spearman's correlation within sequences, in
    [-1, 1]), ``low, high``, ``sequences``, ``p_shift``, ``q_shift``, ``p_exchange``,
    ``q_exchange``, ``associated``, ``reason``.

    Tracks are the means over the positions of a site. ``nuisance`` is taken out of both first.
    Positions ``of_genes`` are the same in all cells, and ``p_exchange`` exchanges them.
    ``q`` is Benjamini and Hochberg's, over all rows; ``associated`` where both are below
    ``FALSE_DISCOVERIES``.
    """
    shape, sequences = (0, 0), []
    for each in scores:
        shape = each.scores.shape[:2]
        sequences.append(_beside(each, tracks, nuisance, of_genes=of_genes))
    if not sequences:
        raise NotApplicable("expected sequences, got none")
    measured = associations(sequences)
    layers, heads = np.indices(shape).reshape(2, -1)
    count = len(tracks)
    columns = {name: np.ravel(values) for name, values in measured._asdict().items()}
    few = columns["sequences"] < FEWEST_SEQUENCES
    q_shift, q_exchange = (benjamini_hochberg(columns[name]) for name in ("p_shift", "p_exchange"))
    return pd.DataFrame(
        {
            "layer": np.repeat(layers, count),
            "head": np.repeat(heads, count),
            "track": [track.name for track in tracks] * len(layers),
            **columns,
            "q_shift": q_shift,
            "q_exchange": q_exchange,
            "associated": (q_shift < FALSE_DISCOVERIES) & (q_exchange < FALSE_DISCOVERIES),
            "reason": np.select([few, np.isnan(columns["p_exchange"])], [TOO_FEW, NO_EXCHANGE], ""),
        }
    )


def correlations_of(
    scores: Iterable[HeadScores], tracks: Sequence[Track], nuisance: Sequence[Track] = ()
) -> Float:
    """``(N, layer, head, track)``: Spearman's correlation within each sequence, by its number; what
    ``associations_of`` has the mean of."""
    ordered = sorted(scores, key=lambda each: each.row)
    measured = correlations([_beside(each, tracks, nuisance, of_genes=False) for each in ordered])
    return measured.reshape(len(ordered), *ordered[0].scores.shape[:2], len(tracks))


def _beside(
    scores: HeadScores, tracks: Sequence[Track], nuisance: Sequence[Track], *, of_genes: bool
) -> Along:
    return Along(
        scores.scores.reshape(-1, scores.scores.shape[2]),
        _along(tracks, scores),
        _known(_along(nuisance, scores)) if nuisance else None,
        scores.spans[:, 0] if of_genes else None,
    )


def _along(tracks: Sequence[Track], scores: HeadScores) -> Float:
    """``(track, S)``: the tracks along the sites of one sequence."""
    spans = scores.spans[None]
    rows = [track._replace(values=track.values[scores.row][None]) for track in tracks]
    return np.concatenate([track_along_tokens(row, spans) for row in rows])


def _known(nuisance: Float) -> Float:
    """What is unknown of a nuisance is its mean: it takes nothing out there."""
    with np.errstate(invalid="ignore"):
        means = np.nan_to_num(np.nanmean(nuisance, axis=1, keepdims=True))
    return np.where(np.isnan(nuisance), means, nuisance)
