"""Which operator the leaderboard of a run goes by."""

import pandas as pd

from xaibench.plan.primary import PRIMARY

from .schema import Question


def operator_of(estimates: pd.DataFrame) -> str:
    """``uniform``, or the first of a run without it."""
    board = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    ran = board.loc[board["metric"] == PRIMARY, "operator"].unique()
    return "uniform" if "uniform" in ran or not len(ran) else str(ran[0])
