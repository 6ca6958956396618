"""Which operator the leaderboard of a run goes by, and its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaibench.plan.primary import PRIMARY, leading_operator

from .schema import Question

if TYPE_CHECKING:
    import pandas as pd

_INTERVALS = ("low", "high", "sequences_low", "sequences_high")
"""For retraining on other sequences, then for these trained models."""


def leaderboard_operator(estimates: pd.DataFrame) -> str:
    """Of those that deletion was measured under."""
    board = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    ran = board.loc[board["metric"] == PRIMARY, "operator"].unique()
    return leading_operator(map(str, ran))


def leaderboard_of(estimates: pd.DataFrame) -> pd.DataFrame:
    """The leaderboard: the gap to random deletion of every method, best first, for each model."""
    rows = estimates[
        (estimates["question"] == Question.AGAINST_RANDOM)
        & (estimates["metric"] == PRIMARY)
        & (estimates["operator"] == leaderboard_operator(estimates))
    ]
    by_gap = rows.sort_values("mean", ascending=False, kind="stable")
    ordered = by_gap.sort_values(["model", "rank"], kind="stable")
    columns = ["model", "rank", "method", "mean", *_INTERVALS, "p_holm", "sequences", "seeds"]
    return ordered[[*columns, "reason"]].reset_index(drop=True)


def measured(estimates: pd.DataFrame) -> pd.DataFrame:
    """A row per method and metric: ``mean`` with its interval, and the gap to random or to the
    control with its own; better methods first.

    Without other replicates the intervals are those over sequences, these trained models held
    fixed.
    """
    values = estimates[
        (estimates["question"] == Question.VALUE) & (estimates["method"] != "")
    ].reset_index(drop=True)
    keys = ["model", "method", "metric", "operator"]
    gaps = estimates[estimates["question"] == Question.AGAINST_RANDOM]
    gaps = gaps.drop_duplicates(keys)[[*keys, "other", "mean", *_INTERVALS, "p_holm", "rank"]]
    both = values.drop(columns=["other", "p_holm", "rank"]).merge(
        gaps, on=keys, how="left", suffixes=("", "_gap")
    )
    table = both[[*keys, "mean"]].copy()
    table[["low", "high"]] = _intervals(both)
    table["gap"] = both["mean_gap"]
    table[["gap_low", "gap_high"]] = _intervals(both, "_gap")
    table[["p_holm", "rank", "sequences", "replicates", "reason"]] = both[
        ["p_holm", "rank", "sequences", "seeds", "reason"]
    ]
    order = {metric: place for place, metric in enumerate(table["metric"].unique())}
    place = table["metric"].map(order)
    return (
        table.assign(place=place)
        .sort_values(["model", "place", "operator", "rank"], kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )


def _intervals(both: pd.DataFrame, suffix: str = "") -> pd.DataFrame:
    """``low`` and ``high``; of a single replicate those over sequences."""
    ends = {
        end: both[f"{end}{suffix}"].where(both["seeds"] > 1, both[f"sequences_{end}{suffix}"])
        for end in ("low", "high")
    }
    return both[[]].assign(**ends)
