"""Score against cost: the Pareto front of the methods."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.numbers import decimals_of, number, usual_counts
from ..format.select import normalised, operator_of, ranking, rows_of
from .cost import cost_per_sequence
from .selftest import tested
from .table import CANNOT, Cell, Table, estimated, heads


@dataclass(frozen=True, slots=True)
class Worth:
    """Score and cost of the methods of one model, one row per method, best first.

    ``rows`` are the estimates of the score with ``forwards``, ``backwards`` and ``milliseconds`` of
    one sequence.
    ``score`` names it. ``discriminates`` is False where its metric failed the self-test.
    """

    rows: pd.DataFrame
    score: str
    discriminates: bool

    @property
    def decimals(self) -> int:
        return decimals_of(self.rows)


def worth(results: Results, model: str) -> Worth | None:
    """Score and cost of a model's methods; None where one of them is not known of any.

    The score is the normalised one where every method of the leaderboard has it, else the gap.
    """
    gaps = ranking(results, model)
    gaps = gaps[gaps["mean"].notna()]
    shares = normalised(results, model).set_index("method")
    has_shares = len(gaps) > 0 and gaps["method"].isin(shares[shares["mean"].notna()].index).all()
    scores = shares.loc[gaps["method"]].reset_index() if has_shares else gaps
    costs = cost_per_sequence(results, model).reset_index()
    rows = scores.merge(costs, on="method", how="inner")
    if rows.empty:
        return None
    name = "normalised score" if has_shares else "gap to random"
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    return Worth(rows.sort_values("mean", ascending=False, kind="stable"), name, not failed)


def pareto_front(scores: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(method,)``: whether no other is at least as good and cheaper, or better and as cheap.

    >>> pareto_front(np.array([0.9, 0.9, 0.5, 0.4]), np.array([50.0, 1.0, 2.0, 0.0])).tolist()
    [False, True, False, True]
    """
    # every method (rows) against every other (columns); equals do not dominate each other
    own_scores, own_costs = scores[:, None], costs[:, None]
    as_good = (scores >= own_scores) & (costs <= own_costs)
    better = (scores > own_scores) | (costs < own_costs)
    dominated: NDArray[np.bool_] = np.any(as_good & better, axis=1)
    return ~dominated


def score_and_cost(results: Results, model: str) -> Table | None:
    """A model's methods by their score, with what each costs and whether it is on the Pareto
    front."""
    value = worth(results, model)
    if value is None:
        return None
    rows, usual = value.rows, usual_counts(value.rows)
    marks = {name: _front_marks(value, name) for name in ("forwards", "milliseconds")}
    body = tuple(
        (
            Cell(row["method"], method=row["method"]),
            estimated(row, value.decimals, usual=usual),
            Cell(number(row["forwards"], 1) + marks["forwards"][place]),
            Cell(number(row["backwards"], 1)),
            Cell(number(row["milliseconds"], 1) + marks["milliseconds"][place]),
        )
        for place, row in enumerate(rows_of(rows))
    )
    caption = f"{model}: {value.score} against cost ({usual})"
    caption += "" if value.discriminates else f"; {CANNOT}, so no Pareto front"
    header = ("Method", value.score.capitalize(), "Forwards", "Backwards", "Milliseconds")
    return Table(caption, heads(*header), body)


def _front_marks(value: Worth, cost: str) -> list[str]:
    """A mark for each method that is on the Pareto front of score and this cost."""
    rows = value.rows
    on = pareto_front(rows["mean"].to_numpy(np.float64), rows[cost].to_numpy(np.float64))
    return [" ●" if one and value.discriminates else "" for one in on]
