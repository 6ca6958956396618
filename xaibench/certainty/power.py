"""What so many seeds and sequences can show on the leading comparisons."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from xaibench.asked import Asked
from xaibench.certainty.leading import Comparison, Values, comparisons, means
from xaibench.statistics.detectable import detectable as smallest_found

COLUMNS = [
    *("model", "other", "method", "metric", "operator", "question", "population"),
    *("n", "spread", "detectable", "reason"),
]


def detectable(asked: Asked, estimates: pd.DataFrame) -> pd.DataFrame:
    """One row a leading comparison and population, in the columns ``COLUMNS``.

    ``detectable`` is the smallest true difference that a two-sided t test at .05 would find four
    times in five, with ``n`` seeds (``retraining``) or sequences (``these models``) whose
    differences have this standard deviation, ``spread``. Where whole groups are resampled, ``n``
    counts these, and ``spread`` over the root of n is the standard error that they give.
    """
    rows = chain.from_iterable(_rows(one, asked) for one in comparisons(asked, estimates))
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(compared: Comparison, asked: Asked) -> Iterator[dict[str, Any]]:
    values = compared.differences.values
    units = {"retraining": means(values, 1), "these models": _units(compared, asked)}
    words = {"retraining": "seed", "these models": "sequence" if asked.groups is None else "group"}
    for population, each in units.items():
        n = len(each)
        spread = float(each.std(ddof=1)) if n > 1 else np.nan
        few = f"one {words[population]}: its spread is not known"
        reason = "" if n > 1 else few if n else compared.row["reason"]
        found = {"n": n, "spread": spread, "detectable": smallest_found(spread, n)}
        yield {**compared.where, "population": population, **found, "reason": reason}


def _units(compared: Comparison, asked: Asked) -> Values:
    """What the sequences bring to the mean, one by one; or what their groups do."""
    differences = compared.differences
    of_sequences = means(differences.values, 0)
    clusters = asked.clusters(differences)
    if clusters is None:
        return of_sequences
    known = ~np.isnan(differences.values).all(axis=0)
    groups, members = np.unique(clusters[known], return_inverse=True)
    away = of_sequences - of_sequences.mean()
    sums = np.bincount(members, weights=away)
    found: Values = of_sequences.mean() + sums * len(groups) / len(of_sequences)
    return found
