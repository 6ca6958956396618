"""Whether heads follow a track more, or less, than they did in another state or another context."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xaibench.dna.shuffling import shuffles
from xaibench.errors import UsageError
from xaibench.randomness import streams
from xaibench.shapes import Codes, Float
from xaibench.statistics.corrections import benjamini_hochberg
from xaibench.statistics.paired import of_t, paired_t

from .association import FALSE_DISCOVERIES
from .tracks import Track


def changes_between(before: Float, after: Float, tracks: Sequence[str]) -> pd.DataFrame:
    """A row per layer, head and track, of correlations ``(sequence, layer, head, track)`` of the
    same sequences: ``mean_before``, ``mean_after``, ``change`` (after minus before), ``low, high``
    and ``p`` (Student's t over pairs), ``sequences``, ``q``, ``changed``.

    A sequence without either of the two is left out. ``q`` is Benjamini and Hochberg's, over all
    rows; ``changed`` where it is below ``FALSE_DISCOVERIES``.
    """
    rows = []
    for layer, head, track in np.ndindex(before.shape[1:]):
        pairs = np.stack([each[:, layer, head, track] for each in (before, after)])
        pairs = pairs[:, ~np.isnan(pairs).any(axis=0)]
        about = {"layer": layer, "head": head, "track": tracks[track]}
        rows.append({**about, **_compared(*pairs)})
    table = pd.DataFrame(rows)
    table["q"] = benjamini_hochberg(table["p"])
    return table.assign(changed=table["q"] < FALSE_DISCOVERIES)


def _compared(before: Float, after: Float) -> dict[str, float]:
    """Of pairs ``(sequence,)``."""
    if not len(before):
        undefined = ("mean_before", "mean_after", "change", "low", "high", "p")
        return {**dict.fromkeys(undefined, np.nan), "sequences": 0}
    low, high = of_t(after - before)
    return {
        "mean_before": before.mean(),
        "mean_after": after.mean(),
        "change": (after - before).mean(),
        "low": low,
        "high": high,
        "p": paired_t(after - before, size=1).p,
        "sequences": len(before),
    }


def shuffled_around(codes: Codes, track: Track, seed: int) -> Codes:
    """Sequences ``(N, L)`` in which all but what a track marks is from a dinucleotide shuffle: its
    features stand where they stood, and their context is gone.

    UsageError where the track does not mark features, by 1 inside and 0 elsewhere.
    """
    if not np.isin(track.values[~np.isnan(track.values)], (0, 1)).all():
        raise UsageError(
            f"--shuffle-around {track.name}: expected a track of features, with 1 inside and 0 "
            "elsewhere, got other values"
        )
    shuffled = shuffles(codes, 1, streams(seed, "context", codes))[:, 0]
    planted: Codes = np.where(track.values == 1, codes, shuffled)
    return planted
