"""Tests of the leading comparisons beside those that stand in the estimates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from xaibench.asked import Asked
from xaibench.certainty.leading import WHERE, Comparison, comparisons, means
from xaibench.statistics.corrections import holm
from xaibench.statistics.draws import FLIPS
from xaibench.statistics.effect_sizes import cliffs_delta, d_z
from xaibench.statistics.paired import Test, mcnemar, paired_t, sign_flips, wilcoxon

COLUMNS = [
    *(*WHERE, "seed", "test", "population", "statistic", "p", "p_corrected", "correction"),
    *("pairs", "smallest", "effect", "delta", "reason"),
]

_FAMILY = [*(name for name in WHERE if name != "method"), "test", "population"]
"""Of these: the methods of a model, or the seeds that McNemar's test was made under."""

Row = dict[str, Any]


def tests(asked: Asked, estimates: pd.DataFrame) -> pd.DataFrame:
    """One row a test, two-sided, in the columns ``COLUMNS``.

    Over seeds (``retraining``): paired t, Wilcoxon and sign flips of the seeds' means. Over
    sequences (``these models``): the sign flips of the estimates, and of two models' accuracy
    McNemar's test, one under each ``seed``, for the same sequence under several seeds counts once.
    ``effect`` is d_z of what was tested and ``delta`` Cliff's, positive where the first is better.
    ``smallest`` is the smallest p that the test can give. ``correction`` says over how many tests
    Holm's runs: those of one kind over the methods of a model, or over the seeds.
    """
    rows = chain.from_iterable(_tests(one, asked) for one in comparisons(asked, estimates))
    return _corrected(pd.DataFrame(rows, columns=COLUMNS))


def _tests(compared: Comparison, asked: Asked) -> Iterator[Row]:
    yield from _over_seeds(compared, asked)
    yield _over_sequences(compared, asked)
    if compared.row["metric"] == "accuracy":
        yield from _by_seed(compared, asked)


def _over_seeds(compared: Comparison, asked: Asked) -> Iterator[Row]:
    differences = means(compared.differences.values, 1)
    first, second = (means(side.values, 1) for side in (compared.first, compared.second))
    drawn = asked.drawing(1, max(len(differences), 1))
    made = {
        "paired t": paired_t(differences),
        "Wilcoxon": wilcoxon(differences),
        "sign flips": sign_flips(differences, drawn.signs),
    }
    sizes = {"effect": d_z(differences), "delta": cliffs_delta(first, second)}
    for name, test in made.items():
        yield _row(compared, name, "retraining", test, **sizes)


def _over_sequences(compared: Comparison, asked: Asked) -> Row:
    """The test of the estimates, with all signs where there are few enough."""
    row, differences = compared.row, compared.differences
    clusters = asked.clusters(differences)
    counted = ~np.isnan(differences.values).all(axis=0)
    units = int(counted.sum()) if clusters is None else len(np.unique(clusters[counted]))
    test = Test(row["mean"], row["p_sequences"], units, 1 / (FLIPS + 1), "")
    if units and 2**units <= FLIPS:
        of_each = means(differences.values, 0)
        members = None if clusters is None else clusters[counted]
        drawn = asked.drawing(1, len(of_each))
        test = sign_flips(of_each, drawn.signs, clusters=members)._replace(pairs=units)
    first, second = (means(side.values, 0) for side in (compared.first, compared.second))
    sizes = {"effect": row["effect"], "delta": cliffs_delta(first, second)}
    return _row(compared, "sign flips", "these models", test, **sizes)


def _by_seed(compared: Comparison, asked: Asked) -> Iterator[Row]:
    sides = compared.first.values, compared.second.values
    for seed, one, other in zip(asked.seeds[compared.first.seeds], *sides, strict=True):
        known = ~np.isnan(one)
        first, second = one[known] == 1, other[known] == 1
        sizes = {"effect": np.nan, "delta": cliffs_delta(first, second), "seed": seed}
        yield _row(compared, "McNemar", "these models", mcnemar(first, second), **sizes)


def _row(compared: Comparison, name: str, population: str, test: Test, **more: float) -> Row:
    known = compared.row["reason"] if np.isnan(test.p) else ""
    return {
        **compared.where,
        "seed": np.nan,
        "test": name,
        "population": population,
        **test._asdict(),
        **more,
        "reason": test.reason if test.pairs else known,
    }


def _corrected(frame: pd.DataFrame) -> pd.DataFrame:
    tested = frame.groupby(_FAMILY, sort=False)["p"]
    frame["p_corrected"] = tested.transform(lambda p: holm(p.to_numpy())).astype(np.float64)
    counts = tested.transform("count").where(frame["p"].notna(), 0)
    frame["correction"] = [f"Holm over {count:g}" if count else "" for count in counts]
    return frame
