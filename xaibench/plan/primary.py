"""What the leaderboard goes by: its metric, and which operator replaced the bases."""

import pandas as pd

PRIMARY = "deletion_logit_difference"
"""The metric of the leaderboard."""


def operator_of(estimates: pd.DataFrame) -> str:
    """The operator of the leaderboard: ``uniform``, or the first of a run without it."""
    board = estimates[estimates["question"] == "against random"]
    ran = board.loc[board["metric"] == PRIMARY, "operator"].unique()
    return "uniform" if "uniform" in ran or not len(ran) else str(ran[0])
