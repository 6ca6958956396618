"""How much better or worse the second run's models predict: AUROC, AUPRC and MCC of classes,
Pearson, Spearman and MSE of numbers beside measured responses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from xaibench.analysis.certainty.classification import (
    Predicted,
    difference_under,
    predicted,
    shared_measures,
)
from xaibench.analysis.orientation import sign_of_measure
from xaibench.statistics.discrimination import PASSES, Discrimination, of_seeds
from xaibench.statistics.resampling import Drawing, shared_draws
from xaibench.values import Estimate

from .runs import ComparedRun

SAME = 1e-6
"""Measures that differ by no more count as equal: rounding of float32 logits reorders sequences."""

_NO_SHARED_SEED = "the runs share no seed: no difference by seed"


def classification_rows(first: ComparedRun, second: ComparedRun) -> Iterator[dict[str, Any]]:
    """Rows as those of ``difference_rows``, for each model whose predictions both runs have.

    On the sequences that both predicted, with the same label or response, and the shared seeds.
    """
    if _class_names_of(first) != _class_names_of(second):
        return
    data_seed = int(first.results.plan.get("data_seed", 0))
    drawing = shared_draws(data_seed, "classification", resamples=PASSES, flips=0)
    one, other = (predicted(run.results.predictions) for run in (first, second))
    for model in one:
        if model in other:
            both = _same_predictions(one[model], other[model])
            for measure in shared_measures(*both):
                where = {"first": first.letter, "second": second.letter, "model": model}
                yield {**_row_of_measure(measure, *both, drawing), **where, "metric": measure}


def _class_names_of(run: ComparedRun) -> object:
    dataset = run.results.environment.get("dataset")
    return dataset.get("class_names") if isinstance(dataset, dict) else None


def _same_predictions(first: Predicted, second: Predicted) -> tuple[Predicted, Predicted]:
    names, rows, others = np.intersect1d(first.sequences, second.sequences, return_indices=True)
    alike = first.labels[rows] == second.labels[others]
    measured = first.responses is not None and second.responses is not None
    if measured:
        alike &= first.responses[rows] == second.responses[others]  # type: ignore[index]
    return tuple(  # type: ignore[return-value]  # two of them
        Predicted(
            run.seeds,
            names[alike],
            run.labels[of[alike]],
            run.logits[:, of[alike]],
            run.responses[of[alike]] if measured and run.responses is not None else None,
        )
        for run, of in ((first, rows), (second, others))
    )


def _row_of_measure(
    measure: str, first: Predicted, second: Predicted, drawing: Drawing
) -> dict[str, Any]:
    sign = sign_of_measure(measure)
    seeds = np.intersect1d(first.seeds, second.seeds)
    estimated = Discrimination(np.nan, reason=_NO_SHARED_SEED)
    means, alike, exactly = (np.nan, np.nan), False, False
    if len(seeds) and len(first.labels):
        one, other = first.under(seeds), second.under(seeds)
        better = (second, first) if sign > 0 else (first, second)
        estimated = difference_under(seeds, measure, *better, drawing)
        of_runs = [of_seeds(measure, each, first.truth) for each in (one, other)]
        means = (float(of_runs[0].mean()), float(of_runs[1].mean()))
        exactly = np.array_equal(one, other)
        alike = exactly or bool((np.abs(of_runs[0] - of_runs[1]) <= SAME).all())
    known = {name: getattr(estimated, name, np.nan) for name in Estimate.columns()}
    return {
        **{**known, "undefined": 0},
        **{"family": "model", "method": "", "operator": ""},
        "better": "higher" if sign > 0 else "lower",
        **{"compared": "value", "first_mean": means[0], "second_mean": means[1]},
        **{"first_seeds": len(seeds), "second_seeds": len(seeds)},
        **{"equal": alike, "rounding": alike and not exactly},
    }
