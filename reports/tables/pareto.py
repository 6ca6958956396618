"""What methods find beside what they cost: which of them a careful spender would choose from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.numbers import decimals_of, number, usual_counts
from ..format.select import operator_of, ranking
from .grid import CANNOT, Cell, Table, estimated
from .leaderboard import normalised
from .selftest import tested


@dataclass(frozen=True, slots=True)
class Worth:
    """What the methods of one model find and what they cost, a row a method, best first.

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
    rows = scores.merge(_each(results, model), on="method", how="inner")
    if rows.empty:
        return None
    name = "normalised score" if has_shares else "gap to random"
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    return Worth(rows.sort_values("mean", ascending=False, kind="stable"), name, not failed)


def front(scores: NDArray[np.float64], costs: NDArray[np.float64]) -> NDArray[np.bool_]:
    """``(method,)``: whether no other is at least as good and cheaper, or better and as cheap.

    >>> front(np.array([0.9, 0.9, 0.5, 0.4]), np.array([50.0, 1.0, 2.0, 0.0])).tolist()
    [False, True, False, True]
    """
    own_scores, own_costs = scores[:, None], costs[:, None]
    as_good = (scores >= own_scores) & (costs <= own_costs)
    better = (scores > own_scores) | (costs < own_costs)
    dominated: NDArray[np.bool_] = np.any(as_good & better, axis=1)
    return ~dominated


def score_and_cost(results: Results, model: str) -> Table | None:
    """A model's methods by their score, with what each costs and whether it is on the front."""
    found = worth(results, model)
    if found is None:
        return None
    rows, usual = found.rows, usual_counts(found.rows)
    marks = {name: _marks(found, name) for name in ("forwards", "milliseconds")}
    body = tuple(
        (
            Cell(row["method"], method=row["method"]),
            estimated(row, found.decimals, usual=usual),
            Cell(number(row["forwards"], 1) + marks["forwards"][place]),
            Cell(number(row["backwards"], 1)),
            Cell(number(row["milliseconds"], 1) + marks["milliseconds"][place]),
        )
        for place, (_, row) in enumerate(rows.iterrows())
    )
    caption = f"{model}: {found.score} against cost ({usual})"
    caption += "" if found.discriminates else f"; {CANNOT}, so no front"
    header = ("Method", found.score.capitalize(), "Forwards", "Backwards", "Milliseconds")
    return Table(caption, header, body)


def _marks(found: Worth, cost: str) -> list[str]:
    rows = found.rows
    on = front(rows["mean"].to_numpy(np.float64), rows[cost].to_numpy(np.float64))
    return [" ●" if one and found.discriminates else "" for one in on]


def _each(results: Results, model: str) -> pd.DataFrame:
    """What one sequence costs each method: the mean over seeds."""
    rows = results.cost[results.cost["model"] == model]
    counted = ["forwards", "backwards", "seconds", "sequences"]
    sums = rows.groupby("method", sort=False)[counted].sum()
    each = sums[["forwards", "backwards"]].div(sums["sequences"], axis=0)
    each["milliseconds"] = 1000 * sums["seconds"] / sums["sequences"]
    return each.reset_index()
