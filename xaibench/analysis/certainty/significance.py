"""Tests of the leading contrasts beside those in the estimates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np
import pandas as pd

from xaibench.analysis.run_values import RunValues
from xaibench.results.columns import Row
from xaibench.results.schema import columns_of
from xaibench.statistics.corrections import holm
from xaibench.statistics.effect_sizes import cliffs_delta, d_z
from xaibench.statistics.paired import Test, mcnemar, paired_t, sign_flips, wilcoxon

from .contrasts import WHERE, Contrast, contrasts, means

_TEST_FAMILY = [*(name for name in WHERE if name != "method"), "test", "population"]
"""Of these: the methods of a model, or the seeds that McNemar's test was made under."""

RETRAINING, ON_THESE, THESE = "retraining", "retraining, these sequences", "these models"


def tests(run: RunValues, estimates: pd.DataFrame) -> pd.DataFrame:
    """One row per test, two-sided.

    For ``retraining``: the crossed t of the estimates. For ``retraining, these sequences``, which
    takes the sequences as given: paired t, Wilcoxon and sign flips of the seeds' means. For ``these
    models``: the t of the estimates, sign flips of the sequences' differences (which ask whether
    these are symmetric about 0), and of two models' accuracy McNemar's test, one under each
    ``seed``, for the same sequence under several seeds counts once.
    ``effect`` is d_z of what was tested and ``delta`` Cliff's, positive where the first is better.
    ``smallest`` is the smallest p that the test can give. ``correction`` says over how many tests
    Holm's runs: those of one kind over the methods of a model, or over the seeds.
    """
    rows = chain.from_iterable(_tests_of(one, run) for one in contrasts(run, estimates))
    return _with_corrections(pd.DataFrame(rows, columns=columns_of("tests")))


def _tests_of(contrast: Contrast, run: RunValues) -> Iterator[Row]:
    yield _test_of_estimate(contrast, "crossed t", RETRAINING, "p", int(contrast.row["seeds"]))
    yield from _tests_over_seeds(contrast, run)
    yield _test_of_estimate(contrast, "t", THESE, "p_sequences", _units(contrast, run))
    yield _test_over_sequences(contrast, run)
    if contrast.row["metric"] == "accuracy":
        yield from _tests_by_seed(contrast, run)


def _tests_over_seeds(contrast: Contrast, run: RunValues) -> Iterator[Row]:
    differences = means(contrast.differences.values, 1)
    first, second = (means(side.values, 1) for side in (contrast.first, contrast.second))
    drawn = run.drawing(1, max(len(differences), 1))
    made = {
        "paired t": paired_t(differences),
        "Wilcoxon": wilcoxon(differences),
        "sign flips": sign_flips(differences, drawn.signs),
    }
    sizes = {"effect": d_z(differences), "delta": cliffs_delta(first, second)}
    for name, test in made.items():
        yield _test_row(contrast, name, ON_THESE, test, **sizes)


def _test_of_estimate(contrast: Contrast, name: str, population: str, p: str, pairs: int) -> Row:
    """The test that is in the estimates, by its column."""
    row = contrast.row
    test = Test(row["mean"], row[p], pairs, np.nan, "")
    sizes = {"effect": row["effect"], "delta": np.nan}
    reason = row["reason"] if np.isnan(test.p) else ""
    return _test_row(contrast, name, population, test._replace(reason=reason), **sizes)


def _test_over_sequences(contrast: Contrast, run: RunValues) -> Row:
    """Of whole groups where these are resampled; with all signs where there are few enough."""
    differences = contrast.differences
    clusters = run.clusters(differences)
    counted = ~np.isnan(differences.values).all(axis=0)
    of_each = means(differences.values, 0)
    members = None if clusters is None else clusters[counted]
    signs = run.drawing(1, max(len(of_each), 1)).signs
    test = sign_flips(of_each, signs, clusters=members)
    first, second = (means(side.values, 0) for side in (contrast.first, contrast.second))
    sizes = {"effect": contrast.row["effect"], "delta": cliffs_delta(first, second)}
    units = _units(contrast, run)
    return _test_row(contrast, "sign flips", THESE, test._replace(pairs=units), **sizes)


def _units(contrast: Contrast, run: RunValues) -> int:
    """The sequences that have a difference, or their groups where whole groups are resampled."""
    differences = contrast.differences
    counted = ~np.isnan(differences.values).all(axis=0)
    clusters = run.clusters(differences)
    return int(counted.sum()) if clusters is None else len(np.unique(clusters[counted]))


def _tests_by_seed(contrast: Contrast, run: RunValues) -> Iterator[Row]:
    sides = contrast.first.values, contrast.second.values
    for seed, one, other in zip(run.seeds[contrast.first.seeds], *sides, strict=True):
        known = ~np.isnan(one)
        first, second = one[known] == 1, other[known] == 1
        sizes = {"effect": np.nan, "delta": cliffs_delta(first, second), "seed": seed}
        yield _test_row(contrast, "McNemar", THESE, mcnemar(first, second), **sizes)


def _test_row(contrast: Contrast, name: str, population: str, test: Test, **more: float) -> Row:
    known = contrast.row["reason"] if np.isnan(test.p) else ""
    return {
        **contrast.where,
        "seed": np.nan,
        "test": name,
        "population": population,
        **test._asdict(),
        **more,
        "reason": test.reason if test.pairs else known,
    }


def _with_corrections(frame: pd.DataFrame) -> pd.DataFrame:
    tested = frame.groupby(_TEST_FAMILY, sort=False)["p"]
    frame["p_corrected"] = tested.transform(lambda p: holm(p.to_numpy())).astype(np.float64)
    counts = tested.transform("count").where(frame["p"].notna(), 0)
    frame["correction"] = [f"Holm over {count:g}" if count else "" for count in counts]
    return frame
