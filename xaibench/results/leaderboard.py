"""Which operator the leaderboard of a run goes by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaibench.plan.primary import PRIMARY, leading_operator

from .schema import Question

if TYPE_CHECKING:
    import pandas as pd


def operator_of(estimates: pd.DataFrame) -> str:
    """Of those that deletion was measured under."""
    board = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    ran = board.loc[board["metric"] == PRIMARY, "operator"].unique()
    return leading_operator(map(str, ran))
