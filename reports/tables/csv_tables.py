"""The main tables as CSV: all digits, empty where a value is not known."""

from __future__ import annotations

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import TEXT, Question

from ..format.names import metrics_of
from ..format.paths import as_cells
from ..format.select import REFERENCE_MAPS, operator_of
from .discrimination import NAMES


def csv_tables(results: Results) -> dict[str, str]:
    """A CSV per table, by the name of its file."""
    return {name: _as_csv(frame) for name, frame in _frames(results).items()}


def _frames(results: Results) -> dict[str, pd.DataFrame]:
    """The estimates behind the main tables, by the name of their file; without empty ones."""
    rows = results.estimates
    by_operator = (rows["metric"] == PRIMARY) & (rows["operator"] == operator_of(results))
    value = rows[(rows["question"] == Question.VALUE) & ~rows["method"].isin(REFERENCE_MAPS)]
    of_family = {
        f"{family}.csv": value[value["metric"].isin(metrics_of(results, family))]
        for family in ("localisation", "stability", "randomisation", "complexity")
    }
    frames = {
        "leaderboard.csv": rows[by_operator & (rows["question"] == Question.AGAINST_RANDOM)],
        "normalised.csv": rows[by_operator & (rows["question"] == Question.NORMALISED)],
        "accuracy.csv": _with_discrimination(value[value["metric"] == "accuracy"], results),
        **of_family,
        "against_controls.csv": rows[rows["question"] == Question.AGAINST_CONTROL],
        "between_models.csv": rows[rows["question"] == Question.BETWEEN_MODELS],
    }
    return {name: frame for name, frame in frames.items() if len(frame)}


def _with_discrimination(accuracy: pd.DataFrame, results: Results) -> pd.DataFrame:
    """With AUROC, AUPRC and MCC and their intervals; empty in a run from before they were saved."""
    rows = results.classification[results.classification["question"] == Question.VALUE]
    ends = ("low", "high", "sequences_low", "sequences_high")
    columns = {}
    for measure in NAMES:
        own = rows[rows["metric"] == measure].set_index("model").reindex(accuracy["model"])
        columns[measure] = own["mean"].to_numpy(float)
        columns |= {f"{measure}_{end}": own[end].to_numpy(float) for end in ends}
    return accuracy.assign(**columns)


def _as_csv(frame: pd.DataFrame) -> str:
    texts = [name for name in frame if name in TEXT]
    return as_cells(frame, texts).to_csv(index=False, lineterminator="\n")
