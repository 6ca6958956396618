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
)
from xaibench.statistics.regression_measures import REGRESSION
from xaibench.statistics.resampling import Clusters, Drawing, shared_draws

OF_CLASS = "logit_"
"""The columns of ``predictions.parquet`` with the logits, each before the number of its class."""

NO_SEED = "no seed in common"


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model predicts: ``logits`` ``(seed, sequence, class)``, of which sequences, and the
    ``responses`` that were measured of them, where there are any."""

    seeds: NDArray[np.int64]
    sequences: NDArray[np.str_]
    labels: NDArray[np.int64]
    logits: NDArray[np.float64]
    responses: NDArray[np.float64] | None = None

    @property
    def has_classes(self) -> bool:
        """Whether there are logits of two classes or more, and no single output in place of the
        first."""
        return self.logits.shape[2] > 1 and not bool(np.isnan(self.logits[:, :, 1:]).all())

    @property
    def measures(self) -> tuple[str, ...]:
        """How well they predict is said by these: of classes, or of numbers beside responses."""
        if self.has_classes:
            return MEASURES
        return () if self.responses is None else tuple(REGRESSION)

    @property
    def outputs(self) -> NDArray[np.float64]:
        """Logits, or ``(seed, sequence)`` of a single output."""
        return self.logits if self.has_classes else self.logits[:, :, 0]

    @property
    def truth(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """``(sequence,)``: the labels, or the measured responses."""
        if self.has_classes or self.responses is None:
            return self.labels
        return self.responses

    def under(self, seeds: NDArray[np.int64]) -> NDArray[np.float64]:
        """The outputs under these seeds, which are some of its own, in their order."""
        return self.outputs[[int(np.flatnonzero(self.seeds == seed)[0]) for seed in seeds]]


def predicted(table: pd.DataFrame) -> dict[str, Predicted]:
    """By model, the predictions in the rows of ``predictions.parquet``."""
    columns = [name for name in table if str(name).startswith(OF_CLASS)]
    by_model = {}
    for model, rows in table.groupby("model", sort=False, observed=True):
        ordered = rows.sort_values(["seed", "sequence"], kind="stable")
        seeds = ordered["seed"].unique()
        once = ordered[ordered["seed"] == seeds[0]]
        logits = ordered[columns].to_numpy(np.float64).reshape(len(seeds), len(once), -1)
        names, labels = once["sequence"].to_numpy(str), once["label"].to_numpy(np.int64)
        responses = once["response"].to_numpy(np.float64) if "response" in once else None
        by_model[str(model)] = Predicted(seeds, names, labels, logits, responses)
    return by_model


def classification(
    predictions: pd.DataFrame, groups: Mapping[str, str] | None, data_seed: int
) -> pd.DataFrame:
    """One row per model and measure, then one per pair of models and measure.

    A model of a single output has Pearson, Spearman and MSE where the predictions stand beside
    measured responses.
    """
    drawing = shared_draws(data_seed, "classification", resamples=PASSES, flips=0)
    models = predicted(predictions)
    rows = [*_measure_rows(models, groups, drawing), *_difference_rows(models, groups, drawing)]
    return pd.DataFrame(rows, columns=columns_of("classification"))


def _measure_rows(
    models: Mapping[str, Predicted], groups: Mapping[str, str] | None, drawing: Drawing
) -> Iterator[dict[str, Any]]:
    """The models with classes first."""
    for model, own in sorted(models.items(), key=lambda item: not item[1].has_classes):
        clusters = clusters_of(own, groups) if own.measures else None
        for measure in own.measures:
            estimated = estimate(measure, own.outputs, own.truth, drawing, clusters=clusters)
            yield _measure_row(Question.VALUE, model, "", measure, estimated)


def _difference_rows(
    models: Mapping[str, Predicted], groups: Mapping[str, str] | None, drawing: Drawing
) -> Iterator[dict[str, Any]]:
    for model, other in combinations(models, 2):
        first, second = models[model], models[other]
        seeds = np.intersect1d(first.seeds, second.seeds)
        clusters = clusters_of(first, groups)
        for measure in shared_measures(first, second):
            estimated = Discrimination(np.nan, reason=NO_SEED)
            if len(seeds):
                estimated = difference_under(seeds, measure, first, second, drawing, clusters)
            yield _measure_row(Question.BETWEEN_MODELS, model, other, measure, estimated)


def shared_measures(first: Predicted, second: Predicted) -> tuple[str, ...]:
    """What two models can be compared by: those of classes, or of numbers beside responses."""
    return first.measures if first.has_classes == second.has_classes else ()


def difference_under(
    seeds: NDArray[np.int64],
    measure: str,
    first: Predicted,
    second: Predicted,
    drawing: Drawing,
    clusters: Clusters | None = None,
) -> Discrimination:
    """A measure of the first minus that of the second, under the same seeds on the same
    sequences."""
    one, other = first.under(seeds), second.under(seeds)
    return difference(measure, one, other, first.truth, drawing, clusters=clusters)


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
