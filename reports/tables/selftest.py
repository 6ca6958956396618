"""The self-test: whether a metric can tell good explanations from bad ones on a model."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import pandas as pd

from xaibench.analysis.selftest import BLURRED, NEGATED
from xaibench.explanation.controls import ORACLE, RANDOM
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import metric_under_operator
from ..format.numbers import ABSENT, LEVEL, decimals_of, usual_counts
from ..format.replicates import replicate_terms
from ..format.select import estimates_of, matching, models_of, rows_of
from .table import CANNOT, Cell, Table, estimated, heads

CONTRASTS = {
    "Oracle over random": (ORACLE, RANDOM),
    "Random over negated oracle": (RANDOM, NEGATED),
    "Oracle over blurred oracle": (ORACLE, BLURRED),
}
"""What the columns say -> method and other of the ``self-test`` estimates."""

LONG = 8
"""With more rows the outcomes open on a click; what failed is above them."""

_OUTCOMES = {"yes": "passes", "no": CANNOT, "unknown": f"not known {ABSENT}"}


@dataclass(frozen=True, slots=True)
class Tested:
    """The outcome of the self-test of one metric: ``yes``, ``no``, ``unknown``, or ``""`` untested.

    ``reason`` says what failed or why nothing is known.
    """

    passed: str
    reason: str

    @property
    def failed(self) -> bool:
        return self.passed == "no"


@lru_cache(maxsize=512)
def tested(results: Results, model: str, metric: str, operator: str) -> Tested:
    """How a metric did on a model under an operator."""
    rows = matching(results.selftest, model=model, metric=metric, operator=operator)
    if rows.empty:
        return Tested("", "")
    reason = str(rows["reason"].iloc[0]).removeprefix(f"{CANNOT}: ")
    return Tested(str(rows["passed"].iloc[0]), reason)


def operators_that_pass(results: Results, model: str, metric: str) -> list[str]:
    """The operators under which a metric passed on a model."""
    rows = results.selftest
    rows = rows[(rows["model"] == model) & (rows["metric"] == metric) & (rows["passed"] == "yes")]
    return [str(operator) for operator in rows["operator"]]


def outcomes(results: Results) -> Table | None:
    """Every metric on every model: passes or fails; None where nothing was tested."""
    rows = results.selftest
    models = [model for model in models_of(results) if model in set(rows["model"])]
    keys = dict.fromkeys(zip(rows["metric"], rows["operator"], strict=True))
    body = tuple(
        (
            Cell(metric_under_operator(metric, operator)),
            *(_outcome(tested(results, model, metric, operator)) for model in models),
        )
        for metric, operator in keys
    )
    if not body:
        return None
    header = heads("Metric", *models, prose=range(len(models) + 1))
    return Table("The self-test of every metric", header, body, folded=len(body) > LONG)


def failures(results: Results) -> Table | None:
    """The metrics that rank nothing on a model, and why; None where all passed."""
    rows = results.selftest[results.selftest["passed"] != "yes"]
    order = {model: place for place, model in enumerate(models_of(results))}
    rows = rows.sort_values("model", key=lambda models: models.map(order), kind="stable")
    body = tuple(
        (
            Cell(str(row["model"])),
            Cell(metric_under_operator(str(row["metric"]), str(row["operator"]))),
            Cell(_OUTCOMES.get(str(row["passed"]), "")),
            Cell(str(row["reason"]).removeprefix(f"{CANNOT}: ")),
        )
        for row in rows_of(rows)
    )
    if not body:
        return None
    header = heads("Model", "Metric", "Outcome", "Reason", prose=range(4))
    return Table("What did not pass its self-test", header, body, folded=len(body) > LONG)


def selftest_sentence(results: Results) -> str:
    """How many metrics pass on each model, in a sentence."""
    counts = []
    for model, rows in results.selftest.groupby("model", sort=False):
        passed = int((rows["passed"] == "yes").sum())
        counts.append(f"{passed} of {len(rows)} pass on {model}")
    return f"{', '.join(counts)}." if counts else ""


def comparisons(results: Results, model: str) -> Table | None:
    """The differences behind the outcomes on one model, positive where the order is as expected.

    The test is of these trained models, so its intervals are those over sequences.
    """
    rows = estimates_of(results, question=Question.SELF_TEST, model=model)
    rows = rows.assign(low=rows["sequences_low"], high=rows["sequences_high"])
    keys = dict.fromkeys(zip(rows["metric"], rows["operator"], strict=True))
    body = tuple(_comparison(results, model, rows, metric, operator) for metric, operator in keys)
    if not body:
        return None
    header = heads("Metric", *CONTRASTS, "Outcome", replicate_terms(results).counted, prose=(0, 4))
    caption = f"{model}: mean differences behind the self-test, these models {LEVEL}"
    return Table(caption, header, body, folded=True)


def _comparison(
    results: Results, model: str, rows: pd.DataFrame, metric: str, operator: str
) -> tuple[Cell, ...]:
    """A metric under an operator: the differences of its self-test, and the outcome."""
    own = rows[(rows["metric"] == metric) & (rows["operator"] == operator)]
    usual, decimals = usual_counts(own), decimals_of(own)
    by_pair = {(row["method"], row["other"]): row for row in rows_of(own)}
    contrasts = (by_pair.get(pair) for pair in CONTRASTS.values())
    cells = (estimated(row, decimals, usual=usual, marked=row) for row in contrasts)
    outcome = _outcome(tested(results, model, metric, operator))
    return (Cell(metric_under_operator(metric, operator)), *cells, outcome, Cell(usual))


def _outcome(test: Tested) -> Cell:
    return Cell(_OUTCOMES.get(test.passed, ""), note=test.reason)
