"""Which method leads on a model, and why none does: what the verdict and an index go by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import direction
from ..format.select import estimates_of, operator_of, random_of, ranking, rows_of
from .selftest import tested

LeaderOutcome = Literal["leads", "unsure", "only random", "blind", "unmeasured"]

_DOUBTS = {
    0: "whose interval includes 0",
    -1: "whose interval is below 0",
    None: "which has no interval",
}


@dataclass(frozen=True, slots=True)
class Leading:
    """The first of the ``candidates`` where the ``outcome`` is ``leads``, else none.

    ``candidates`` are the gaps to random that are known, best first, without random numbers.
    ``unsure``: the interval of the first is not above 0; ``blind``: the metric failed its
    self-test.
    """

    outcome: LeaderOutcome
    candidates: pd.DataFrame

    @property
    def first(self) -> str:
        return str(self.candidates["method"].iloc[0])

    @property
    def doubt(self) -> str:
        """What speaks against the first where the outcome is ``unsure``, after its interval."""
        return _DOUBTS.get(direction(self.candidates.iloc[0]), "")


def leading(results: Results, model: str) -> Leading:
    """Who leads on a model by the leaderboard's metric."""
    rows = ranking(results, model)
    rows = rows[rows["mean"].notna()]
    candidates = rows[~rows["method"].isin(random_of(results))]
    if rows.empty:
        return Leading("unmeasured", candidates)
    if tested(results, model, PRIMARY, operator_of(results)).failed:
        return Leading("blind", candidates)
    if candidates.empty:
        return Leading("only random", candidates)
    above = direction(candidates.iloc[0]) == 1
    return Leading("leads" if above else "unsure", candidates)


def to_best(results: Results, model: str, metric: str, operator: str) -> pd.DataFrame:
    """The paired differences of a model's methods to the best of them (``other``), one row per
    method; below 0 where it is behind. Empty where the run has none."""
    rows = estimates_of(results, question=Question.AGAINST_BEST, metric=metric, model=model)
    return rows[rows["operator"] == operator]


def beside_best(
    results: Results, model: str, measure: tuple[str, str], *, best: str
) -> dict[str, int | None]:
    """Method -> the ``direction`` of its paired difference to the best; without random numbers.

    ``measure`` is ``(metric, operator)``. 0 is not distinguishable; 1 is ahead of the best on the
    sequences that both have, which can be where means are of different ones. Empty where the run
    has no differences to this best.
    """
    rows = to_best(results, model, *measure)
    rows = rows[(rows["other"] == best) & rows["mean"].notna()]
    rows = rows[~rows["method"].isin([best, *random_of(results)])]
    return {str(row["method"]): direction(row) for row in rows_of(rows)}


def clearly_best(results: Results, model: str, metric: str, operator: str) -> str | None:
    """The best method by a metric where every other is distinguishable from it and behind; else
    None."""
    rows = to_best(results, model, metric, operator)
    rows = rows[rows["mean"].notna()]
    # two names where methods have different sequences, and then none is best on all
    best = {str(name) for name in rows["other"]}
    if len(best) != 1 or any(direction(row) != -1 for row in rows_of(rows)):
        return None
    return best.pop()
