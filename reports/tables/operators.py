"""Operators: how far each pushes the data, the gaps under it, and whether they agree."""

from __future__ import annotations

import numpy as np
import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import metric_under_operator
from ..format.numbers import decimals_of, number, used, usual_counts
from ..format.replicates import replicate_terms
from ..format.select import estimates_of, methods_of, models_of, operators_of, rows_of
from .selftest import tested
from .table import CANNOT, EMPTY, Cell, Table, estimated, heads

_SHIFTS = {
    "log_likelihood": "Log-likelihood, nats per base",
    "confidence": "Largest probability",
}
"""What is measured of an operator -> what a reader calls it."""

_FRACTIONS = (0.1, 0.5)
"""Of the positions: the shares replaced at random in the table."""


def distances(results: Results, model: str) -> Table | None:
    """How far each operator pushes the data, and below it what every method finds under it.

    None where no distance was measured.
    """
    pushed = results.operators[results.operators["model"].isin([model, ""])]
    gaps = estimates_of(results, question=Question.AGAINST_RANDOM, model=model, metric=PRIMARY)
    ran = {*pushed["operator"], *gaps["operator"]}
    operators = [operator for operator in operators_of(results) if operator in ran]
    if pushed.empty or not operators:
        return None
    pushed = pushed[pushed["fraction"].isin(_shown(pushed))]
    body = [
        _under_operators(_shift_head(rows), rows, operators)
        for quantity in _SHIFTS
        for _, rows in pushed[pushed["quantity"] == quantity].groupby("fraction")
    ]
    decimals = decimals_of(gaps)
    body += [
        _under_operators(method, rows, operators, method=method, decimals=decimals)
        for method in methods_of(results)
        if len(rows := gaps[gaps["method"] == method])
    ]
    failed = _failed(results, model, operators)
    caption = f"{model}: how far operators push the data, and the gap to random under each"
    heading = (operator + failed.get(operator, "") for operator in operators)
    header = ("", *heading, replicate_terms(results).counted)
    return Table(caption, heads(*header), tuple(body))


def agreement_of_operators(results: Results, model: str) -> Table | None:
    """Kendall's tau between the rankings of methods under two operators, by the leaderboard's
    metric."""
    rows = _rankings(results, model)
    rows = rows[rows["metric"] == PRIMARY]
    if rows.empty:
        return None
    usual = _usual_methods(rows)
    by_pair = {
        pair: Cell(_tau(row["tau"], row["methods"], usual), note=_UNDEFINED)
        for row in rows_of(rows)
        for pair in ((row["operator"], row["other"]), (row["other"], row["operator"]))
    }
    compared = {operator for pair in by_pair for operator in pair}
    operators = [operator for operator in operators_of(results) if operator in compared]
    body = tuple(
        (Cell(one), *(by_pair.get((one, other), EMPTY) for other in operators)) for one in operators
    )
    measured = metric_under_operator(PRIMARY, "")
    caption = f"{model}: Kendall's tau between operators, {measured}, {usual} methods"
    return Table(caption, heads("Operator", *operators), body, folded=True)


def least_agreement(results: Results) -> Table | None:
    """For every metric and model, the two operators that order the methods least alike."""
    body = []
    for model in models_of(results):
        rows = _rankings(results, model)
        for metric, pairs in rows.groupby("metric", sort=False):
            known = pairs[pairs["tau"].notna()].sort_values("tau", kind="stable")
            if known.empty:
                continue
            least = known.iloc[0]
            names = (
                model,
                metric_under_operator(str(metric), ""),
                f"{least['operator']}, {least['other']}",
            )
            numbers = (number(least["tau"], 2), number(float(known["tau"].median()), 2))
            each = (*names, *numbers, number(len(known), 0), number(least["methods"], 0))
            body.append(tuple(Cell(text) for text in each))
    header = ("Model", "Metric", "Least alike", "Their tau", "Median tau", "Pairs", "Methods")
    if not body:
        return None
    caption = "Kendall's tau between operators, every metric"
    return Table(caption, heads(*header, prose=range(3)), tuple(body), folded=True)


_UNDEFINED = "the methods are too few, or all are equal under one operator"


def _under_operators(
    head: str,
    rows: pd.DataFrame,
    operators: list[str],
    *,
    method: str = "",
    decimals: int | None = None,
) -> tuple[Cell, ...]:
    """One number under each operator; of a method's gap, with its mark."""
    usual = usual_counts(rows)
    digits = decimals_of(rows) if decimals is None else decimals
    cells = {
        row["operator"]: estimated(row, digits, usual=usual, marked=row if method else None)
        for row in rows_of(rows)
    }
    across = (cells.get(operator, EMPTY) for operator in operators)
    no_model = (rows["model"] == "").all()
    return (Cell(head, method=method), *across, Cell(used(rows.iloc[0]) if no_model else usual))


def _shown(pushed: pd.DataFrame) -> list[float]:
    """The measured fractions that are nearest to those of ``_FRACTIONS``."""
    fractions = pushed["fraction"].to_numpy(np.float64)
    return [float(fractions[np.abs(fractions - share).argmin()]) for share in _FRACTIONS]


def _shift_head(rows: pd.DataFrame) -> str:
    """What the rows, which share it, measure."""
    quantity, fraction = rows["quantity"].iloc[0], float(rows["fraction"].iloc[0])
    return f"{_SHIFTS[quantity]}, at\N{NO-BREAK SPACE}{100 * fraction:g}\N{NO-BREAK SPACE}%"


def _failed(results: Results, model: str, operators: list[str]) -> dict[str, str]:
    """What the head of an operator adds where the leaderboard's metric failed under it."""
    return {
        operator: f" ({CANNOT})"
        for operator in operators
        if tested(results, model, PRIMARY, operator).failed
    }


def _rankings(results: Results, model: str) -> pd.DataFrame:
    return results.rankings[results.rankings["model"] == model]


def _usual_methods(rows: pd.DataFrame) -> int:
    return int(rows["methods"].mode().max())


def _tau(tau: float, methods: float, usual: int) -> str:
    """Tau, and from how many methods where that is not the usual number."""
    return number(tau, 2) + ("" if methods == usual else f" ({number(methods, 0)})")
