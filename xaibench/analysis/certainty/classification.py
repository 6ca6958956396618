"""How well models discriminate between classes, and how they differ: AUROC, AUPRC and MCC."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.results.schema import Question, columns_of
from xaibench.statistics.discrimination import (
    MEASURES,
    PASSES,
    Discrimination,
    difference,
    estimate,
    regression,
)
from xaibench.statistics.regression_measures import REGRESSION
from xaibench.statistics.resampling import Clusters, Drawing, shared_draws

OF_CLASS = "logit_"
"""The columns of ``predictions.parquet`` with the logits, each before the number of its class."""

NO_SEED = "no seed in common"


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model predicts: ``logits`` ``(seed, sequence, class)``, of which sequences."""

    seeds: NDArray[np.int64]
    sequences: NDArray[np.str_]
    labels: NDArray[np.int64]
    logits: NDArray[np.float64]

    @property
    def has_classes(self) -> bool:
        """Whether there are logits of two classes or more, and no single output in place of the
        first."""
        return self.logits.shape[2] > 1 and not bool(np.isnan(self.logits[:, :, 1:]).all())

    def under(self, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        """The logits under these seeds, which are some of its own, in their order."""
        return self.logits[[int(np.flatnonzero(self.seeds == seed)[0]) for seed in seeds]]


def predicted(table: pd.DataFrame) -> dict[str, Predicted]:
    """By model, the predictions in the rows of ``predictions.parquet``."""
    columns = [name for name in table if str(name).startswith(OF_CLASS)]
    by_model = {}
    for model, rows in table.groupby("model", sort=False, observed=True):
        ordered = rows.sort_values(["seed", "sequence"], kind="stable")
        seeds = ordered["seed"].unique()
        once = ordered[ordered["seed"] == seeds[0]]
        logits = ordered[columns].to_numpy(np.float64).reshape(len(seeds), len(once), -1)
        names = once["sequence"].to_numpy(str)
        by_model[str(model)] = Predicted(seeds, names, once["label"].to_numpy(np.int64), logits)
    return by_model


def classification(
    predictions: pd.DataFrame,
    groups: Mapping[str, str] | None,
    data_seed: int,
    responses: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """One row per model and measure, then one per pair of models and measure.

    A model of a single output has Pearson, Spearman and MSE where there are ``responses``, the
    measured number by the name of a test sequence.
    """
    drawing = shared_draws(data_seed, "classification", resamples=PASSES, flips=0)
    models = predicted(predictions)
    rows = [
        *_measure_rows(models, groups, drawing),
        *_regression_rows(models, responses, groups, drawing),
        *_difference_rows(models, groups, drawing),
    ]
    return pd.DataFrame(rows, columns=columns_of("classification"))


def _measure_rows(
    models: Mapping[str, Predicted], groups: Mapping[str, str] | None, drawing: Drawing
) -> Iterator[dict[str, Any]]:
    for model, own in models.items():
        if not own.has_classes:
            continue
        clusters = clusters_of(own, groups)
        for measure in MEASURES:
            estimated = estimate(measure, own.logits, own.labels, drawing, clusters=clusters)
            yield _measure_row(Question.VALUE, model, "", measure, estimated)


def _regression_rows(
    models: Mapping[str, Predicted],
    responses: Mapping[str, float] | None,
    groups: Mapping[str, str] | None,
    drawing: Drawing,
) -> Iterator[dict[str, Any]]:
    for model, own in models.items():
        if own.has_classes or responses is None:
            continue
        measured = np.array([responses[name] for name in own.sequences], np.float64)
        clusters = clusters_of(own, groups)
        for measure in REGRESSION:
            estimated = regression(
                measure, own.logits[:, :, 0], measured, drawing, clusters=clusters
            )
            yield _measure_row(Question.VALUE, model, "", measure, estimated)


def _difference_rows(
    models: Mapping[str, Predicted], groups: Mapping[str, str] | None, drawing: Drawing
) -> Iterator[dict[str, Any]]:
    for model, other in combinations(models, 2):
        first, second = models[model], models[other]
        if not (first.has_classes and second.has_classes):
            continue
        seeds = np.intersect1d(first.seeds, second.seeds)
        clusters = clusters_of(first, groups)
        for measure in MEASURES:
            estimated = Discrimination(np.nan, reason=NO_SEED)
            if len(seeds):
                pair = first.under(seeds), second.under(seeds)
                estimated = difference(measure, *pair, first.labels, drawing, clusters=clusters)
            yield _measure_row(Question.BETWEEN_MODELS, model, other, measure, estimated)


def clusters_of(own: Predicted, groups: Mapping[str, str] | None) -> Clusters | None:
    """The number of the group of each sequence; None where sequences are resampled."""
    if groups is None:
        return None
    numbers: Clusters = np.unique([groups[name] for name in own.sequences], return_inverse=True)[1]
    return numbers


def _measure_row(
    question: str, model: str, other: str, measure: str, estimated: Discrimination
) -> dict[str, Any]:
    where = {"question": question, "model": model, "other": other, "metric": measure}
    return {**where, **asdict(estimated)}
