"""The operator of the leaderboard is that of what ran, not of what was planned."""

import pandas as pd
import pytest

from xaibench.plan.primary import PRIMARY
from xaibench.results.leaderboard import leaderboard_operator


def estimates(*rows: tuple[str, str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["question", "metric", "operator"])


@pytest.mark.parametrize(
    ("operators", "leading"),
    [(("n", "uniform"), "uniform"), (("window", "n"), "window"), ((), "uniform")],
)
def test_the_leaderboard_goes_by_uniform_or_else_by_the_first_that_ran(operators, leading):
    ran = [("against random", PRIMARY, operator) for operator in operators]
    others = [("value", PRIMARY, "uniform"), ("against random", "flip_rate", "uniform")]
    assert leaderboard_operator(estimates(*others, *ran)) == leading
