"""AUROC, AUPRC and MCC of the models, and whether accuracy alone would mislead."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import LEVEL, MINUS, counts, decimals_of
from ..format.replicates import replicate_terms
from ..format.select import TableRow, matching
from .table import Cell, Table, estimated, heads

NAMES = {"auroc": "AUROC", "auprc": "AUPRC", "mcc": "MCC"}

OF_NUMBERS = {"pearson": "Pearson", "spearman": "Spearman", "mse": "MSE"}

UNEVEN = 0.1
"""So far above an even share, the share of the largest class makes accuracy misleading: from 0.6
on for two classes. Our choice."""

LACKING = (
    "AUROC, AUPRC and MCC are missing: the run was made before they were saved, or no model "
    "predicted; its command again adds them."
)


def discrimination(results: Results) -> Table | None:
    """How well the models separate the classes; None where a run did not save it."""
    caption = "AUROC, AUPRC and MCC on the test sequences"
    return _measured(results, Question.VALUE, caption, headings(results))


def regression_table(results: Results) -> Table | None:
    """How well single outputs predict measured numbers; None where no model has one."""
    caption = "Predicted beside measured numbers on the test sequences"
    return _measured(results, Question.VALUE, caption, OF_NUMBERS)


def discrimination_differences(results: Results) -> Table | None:
    """How much the models differ in these; None with one model."""
    caption = "Differences in AUROC, AUPRC and MCC, paired by sequence"
    return _measured(results, Question.BETWEEN_MODELS, caption, headings(results))


def regression_differences(results: Results) -> Table | None:
    """How much single outputs differ in how well they predict; None with one model."""
    caption = "Differences in Pearson, Spearman and MSE, paired by sequence"
    return _measured(results, Question.BETWEEN_MODELS, caption, OF_NUMBERS)


def _measured(
    results: Results, question: Question, caption: str, measures: Mapping[str, str]
) -> Table | None:
    """A row per model, or pair of models, with its value of each of the ``measures``, by the name
    that heads its column; None where none was saved."""
    rows = results.classification
    answers = rows[(rows["question"] == question) & rows["metric"].isin([*measures])]
    if answers.empty:
        return None
    decimals = max(decimals_of(answers), 3)
    body = tuple(
        (
            Cell(f"{model} {MINUS} {other}" if other else str(model)),
            *(estimated(own[own["metric"] == name].iloc[0], decimals) for name in measures),
            Cell(counts(own.iloc[0])),
        )
        for (model, other), own in answers.groupby(["model", "other"], sort=False)
    )
    columns = (f"{name} {LEVEL}" for name in measures.values())
    first = "Model" if question == Question.VALUE else "Models"
    counted = replicate_terms(results).counted
    return Table(caption, heads(first, *columns, counted), body)


def headings(results: Results) -> dict[str, str]:
    """The measures with what they are of: with more than two classes the mean over classes."""
    names = [str(name) for name in _dataset(results).get("class_names") or ()]
    if len(names) == 2:
        return {**NAMES, "auprc": f"AUPRC of {names[1]}"}
    mean = " (mean over classes)" if len(names) > 2 else ""
    return {"auroc": f"AUROC{mean}", "auprc": f"AUPRC{mean}", "mcc": "MCC"}


def value_of(results: Results, measure: str, model: str) -> TableRow | None:
    """One row of ``classification.csv``; None where there is no number."""
    rows = results.classification
    rows = matching(rows, question=Question.VALUE, model=model, metric=measure)
    rows = rows[rows["mean"].notna()]
    return None if rows.empty else rows.iloc[0]


def uneven(results: Results) -> float | None:
    """The share of the largest class in test, where it makes accuracy misleading."""
    counted = _dataset(results).get("test_counts") or []
    if len(counted) < 2 or not sum(counted):
        return None
    share = max(counted) / sum(counted)
    return share if share >= 1 / len(counted) + UNEVEN else None


def largest_class(results: Results) -> str:
    dataset = _dataset(results)
    counted = dataset.get("test_counts") or []
    return str((dataset.get("class_names") or [""])[counted.index(max(counted))])


def _dataset(results: Results) -> dict[str, Any]:
    dataset = results.environment.get("dataset")
    return dataset if isinstance(dataset, dict) else {}
