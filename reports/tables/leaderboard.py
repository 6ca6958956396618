"""Which method finds what a model uses: ranks, gaps to random, and their share of the oracle's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.numbers import (
    ABSENT,
    LEVEL,
    counts,
    decimals_of,
    interval,
    number,
    probability,
    usual_counts,
)
from ..format.select import estimates_of, matching, operator_of, ranking
from .grid import CANNOT, COUNTED, Cell, Table, estimated
from .selftest import Tested, tested


def leaderboard(results: Results, model: str) -> Table | None:
    """Which method finds what the model uses; None where the deletion metric did not run."""
    rows = ranking(results, model)
    if rows.empty:
        return None
    operator = operator_of(results)
    decimals, test = decimals_of(rows), tested(results, model, PRIMARY, operator)
    head, shares = _shares(normalised(results, model))
    header = (
        *("Method", "Rank", f"Gap to random {LEVEL}", *head, f"These models {LEVEL}"),
        *("Effect (d_z)", "p these models", "p retraining", COUNTED),
    )
    body = (
        (*_place(row, decimals, test), *_share(shares, row["method"]), *_tests(row, decimals))
        for _, row in rows.iterrows()
    )
    caption = f"{model}: the gap to random deletion (logit difference, {operator})"
    return Table(caption, header, tuple(body), folded=True)


def by_seed(results: Results, model: str) -> Table | None:
    """The gap to random of every seed; None where the run kept no values, or has one seed."""
    gaps = _gaps_by_seed(results, model)
    methods = [str(method) for method in ranking(results, model)["method"] if method in gaps.index]
    if len(gaps.columns) < 2 or not methods:
        return None
    decimals = decimals_of(ranking(results, model))
    body = tuple(
        (
            Cell(method, method=method),
            *(Cell(number(float(gap), decimals)) for gap in np.asarray(gaps.loc[method])),
        )
        for method in methods
    )
    header = ("Method", *(f"Seed {seed}" for seed in gaps.columns))
    caption = f"{model}: the gap to random under every seed"
    return Table(caption, header, body, folded=True)


def _gaps_by_seed(results: Results, model: str) -> pd.DataFrame:
    """Methods down, seeds across: means over the sequences that method and control share."""
    wanted = {"model": model, "metric": PRIMARY, "operator": operator_of(results)}
    rows = matching(results.records, control="", status="ok", **wanted)
    keys = ["method", "seed", "sequence"]
    means = rows.groupby(keys, observed=True, sort=False)["value"].mean().unstack("method")
    if RANDOM not in means:
        return pd.DataFrame()
    means.columns = means.columns.astype(str)
    gaps = means.drop(columns=RANDOM).rsub(means[RANDOM], axis=0)
    return gaps.groupby("seed").mean().T


def normalised(results: Results, model: str) -> pd.DataFrame:
    """The gaps of the leaderboard as shares of the oracle's: 0 is random, 1 the oracle."""
    rows = estimates_of(results, question=Question.NORMALISED, metric=PRIMARY, model=model)
    return rows[rows["operator"] == operator_of(results)]


def _place(row: pd.Series[Any], decimals: int, test: Tested) -> tuple[Cell, ...]:
    """The method, its rank and its gap."""
    failed, why = test.failed, row["reason"]
    rank = Cell(CANNOT, note=test.reason) if failed else Cell(number(row["rank"], 0), note=why)
    gap = number(row["mean"], decimals) + _headline(row, decimals)
    return Cell(row["method"], method=row["method"]), rank, Cell(gap, note=why)


def _shares(rows: pd.DataFrame) -> tuple[tuple[str, ...], dict[str, Cell]]:
    """The head of the normalised scores and their places; nothing where no oracle ran."""
    if rows.empty:
        return (), {}
    usual, decimals = usual_counts(rows), decimals_of(rows)
    cells = {row["method"]: estimated(row, decimals, usual=usual) for _, row in rows.iterrows()}
    return (f"Normalised {LEVEL}{', ' if usual else ''}{usual}",), cells


def _share(shares: dict[str, Cell], method: str) -> tuple[Cell, ...]:
    return (shares.get(method, Cell("")),) if shares else ()


def _tests(row: pd.Series[Any], decimals: int) -> tuple[Cell, ...]:
    """What is known of the gap on these models and of retraining, and from how much."""
    why = row["reason"]
    here = interval(row["sequences_low"], row["sequences_high"], decimals)
    return (
        Cell(here or ABSENT, note=why),
        Cell(number(row["effect"], 2), note=why),
        Cell(probability(row["p_sequences_holm"]), note=why),
        Cell(probability(row["p_holm"]), note=why),
        Cell(counts(row)),
    )


def _headline(row: pd.Series[Any], decimals: int) -> str:
    """The interval for retraining, after a mean; a dash where the mean has none."""
    if math.isnan(row["mean"]):
        return ""
    return " " + (interval(row["low"], row["high"], decimals) or f"[{ABSENT}]")
