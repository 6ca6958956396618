"""What the leaderboard goes by."""

from collections.abc import Iterable

PRIMARY = "deletion_logit_difference"
"""The metric of the leaderboard."""


def leading_operator(operators: Iterable[str]) -> str:
    """Of the operators of a plan, or of those that ran, the one of the leaderboard: ``uniform``, or
    the first without it.

    >>> leading_operator(["n", "uniform"]), leading_operator(["n", "window"])
    ('uniform', 'n')
    """
    ordered = [*operators]
    return "uniform" if "uniform" in ordered or not ordered else ordered[0]
