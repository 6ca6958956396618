"""The rows of a board, and the ranks of methods over all its datasets."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations_with_replacement
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import stats

from xaibench.analysis.run_values import facts_of_recorded
from xaibench.errors import UsageError
from xaibench.explanation.controls import ORACLE, PRIORS, RANDOM
from xaibench.plugins.registry import available, load
from xaibench.protocols import MetricFacts, metric_facts
from xaibench.results.leaderboard import measured
from xaibench.results.metric_facts import read_facts
from xaibench.results.schema import Question
from xaibench.statistics.ranks import friedman

from .entries import RunEntry

if TYPE_CHECKING:
    from collections.abc import Hashable

CELL = ("model", "method", "metric", "operator")
"""What a row is about, within a run."""

ROW_COLUMNS = (
    *("run", "data", "version", "records", "model", "kind", "method", "settings"),
    *("family", "metric", "operator", "rank", "ranked", "gap", "gap_low", "gap_high"),
    *("normalised", "normalised_low", "normalised_high"),
    *("forwards", "backwards", "seconds", "sequences", "replicates", "sound", "marks"),
)
"""Those of ``board.csv``; forwards, backwards and seconds are per explained sequence."""

RANK_COLUMNS = (
    *("version", "records", "family", "metric", "operator", "method", "settings", "mean_rank"),
    *("critical_difference", "p_friedman", "datasets", "models", "left_out", "normalised"),
    *("normalised_low", "normalised_high", "normalised_datasets", "reason"),
)
"""Those of ``ranks.csv``."""


def rows_of_entry(entry: RunEntry) -> pd.DataFrame:
    """A row per model, method, metric and operator of a run, ``ROW_COLUMNS``: the gap to random and
    the share of the oracle, each with its 95 % interval, the rank among the methods that were
    ranked, and what the explanation cost. UsageError where a row comes twice."""
    own = measured(entry.estimates)
    own = own[~own["method"].isin((RANDOM, ORACLE, *PRIORS))]
    twice = own[own.duplicated([*CELL])]
    if len(twice):
        raise UsageError(f"expected one row of each {', '.join(CELL)}, got two of {_first(twice)}")
    table = own.merge(_shares(entry), on=[*CELL], how="left")
    table = table.merge(_costs(entry), on=["model", "method"], how="left")
    by_board = table.groupby(["model", "metric", "operator"], sort=False)["rank"]
    uses = {} if entry.results is None else entry.results.plan["models"]
    methods = {} if entry.results is None else entry.results.plan["attribution"]
    return table.assign(
        run=entry.name,
        data=entry.data,
        version=entry.version,
        records=entry.results is not None,
        kind=[uses[name]["use"] if name in uses else "" for name in table["model"]],
        settings=[_settings(methods[name]) if name in methods else "" for name in table["method"]],
        family=table["metric"].map(_families(entry, table["metric"].unique().tolist())),
        ranked=by_board.transform("count"),
        sound=entry.sound,
        marks="; ".join(entry.marks),
    ).reindex(columns=[*ROW_COLUMNS])


def _first(rows: pd.DataFrame) -> str:
    return ", ".join(map(str, rows[[*CELL]].iloc[0]))


def _shares(entry: RunEntry) -> pd.DataFrame:
    """Of the oracle's gap, where there is one."""
    rows = entry.estimates[entry.estimates["question"] == Question.NORMALISED]
    alone = rows["seeds"] == 1
    ends = {
        f"normalised_{end}": rows[f"sequences_{end}"].where(alone, rows[end])
        for end in ("low", "high")
    }
    return rows.assign(normalised=rows["mean"], **ends)[
        [*CELL, "normalised", "normalised_low", "normalised_high"]
    ]


def _costs(entry: RunEntry) -> pd.DataFrame:
    """Per explained sequence, the mean over replicates."""
    counted = ["forwards", "backwards", "seconds"]
    if entry.results is None:
        return pd.DataFrame(columns=["model", "method", *counted])
    cost = entry.results.cost
    each = cost[counted].div(cost["sequences"], axis=0)
    return each.groupby([cost["model"], cost["method"]], sort=False).mean().reset_index()


def _settings(use: Mapping[str, Any]) -> str:
    """Which method a label stands for, with its options, as JSON."""
    return json.dumps({key: value for key, value in use.items() if key != "sequences"})


def _families(entry: RunEntry, metrics: Sequence[Hashable]) -> dict[Hashable, str]:
    """Of recorded metrics; of a table alone those of the metrics that are installed under the
    name."""
    if entry.results is not None:
        facts = read_facts(Path(entry.name), entry.results.environment)
    else:
        facts = _installed_facts()
    known = {metric: facts_of_recorded(str(metric), facts) for metric in metrics}
    return {metric: each.family if each else "" for metric, each in known.items()}


def _installed_facts() -> dict[str, MetricFacts]:
    return {name: metric_facts(load("metrics", name).call) for name in available("metrics")}


# Over all datasets


def ranks_over_datasets(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean ranks of methods over datasets, ``RANK_COLUMNS``, for each version of xaibench, metric
    and operator: with the critical difference of *Nemenyi 1963* and the test of *Friedman 1937*.
    Tables alone are ranked apart from runs, for nobody can check them.

    A dataset is a block, as *Demsar 2006* has it: ranks on several models or runs of the same data
    are averaged first, for they are no independent evidence. Only sound runs count. Which
    methods are ranked on which models, ``_complete`` says; ``left_out`` counts the other models.
    The same label with other options is another method. The share
    of the oracle is the mean over these datasets with t over them.
    """
    sound = rows[rows["sound"].astype(bool) & rows["rank"].notna()]
    groups = sound.groupby([*RANK_COLUMNS[:5]], sort=False, dropna=False)
    parts = [
        dict(zip(RANK_COLUMNS, key, strict=False)) | row
        for key, group in groups
        for row in _ranks(group)
    ]
    return pd.DataFrame(parts, columns=[*RANK_COLUMNS])


def _ranks(group: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """A row per method that is ranked, best first; none where these are fewer than two."""
    method, block = ["method", "settings"], ["data", "run", "model"]
    gaps = group.pivot(index=block, columns=method, values="gap")
    complete = _complete(gaps)
    if complete.empty:
        return
    ranks = complete.rank(axis=1, ascending=False).groupby("data").mean()
    tested = friedman(-ranks.to_numpy(float))
    ranked = group.set_index(block).loc[complete.index]
    shares = ranked.groupby([*method, "data"])["normalised"].mean()
    for place in np.argsort(tested.mean_ranks, kind="stable"):
        name, settings = ranks.columns[place]
        yield {
            "method": name,
            "settings": settings,
            "mean_rank": float(tested.mean_ranks[place]),
            "critical_difference": tested.critical_difference,
            "p_friedman": tested.p,
            "datasets": tested.blocks,
            "models": len(complete),
            "left_out": len(gaps) - len(complete),
            **_mean_over_datasets(shares[name, settings].dropna().to_numpy(float)),
            "reason": tested.reason,
        }


def _complete(gaps: pd.DataFrame) -> pd.DataFrame:
    """The part of ``gaps`` (model, method) without a gap, of two methods or more, that has the most
    methods x datasets, then the most models, among the sets of methods that one model has or two
    share. Our choice: a test of ranks needs every method in every block, and one odd run would
    leave nothing."""
    patterns = gaps.notna().drop_duplicates().to_numpy()
    shared = (one & other for one, other in combinations_with_replacement(patterns, 2))
    parts = [gaps.loc[:, methods].dropna() for methods in shared if methods.sum() > 1]
    return max(parts, key=_size, default=gaps.iloc[:0])


def _size(part: pd.DataFrame) -> tuple[int, int]:
    """Methods x datasets, and models."""
    return part.shape[1] * part.index.get_level_values("data").nunique(), len(part)


def _mean_over_datasets(values: np.ndarray) -> dict[str, float]:
    """With its 95 % interval by t, which two datasets are needed for."""
    mean = float(values.mean()) if values.size else np.nan
    half = np.nan
    if values.size > 1:
        half = float(stats.t.ppf(0.975, values.size - 1) * stats.sem(values))
    return {
        "normalised": mean,
        "normalised_low": mean - half,
        "normalised_high": mean + half,
        "normalised_datasets": values.size,
    }
