"""Which rows of a run a table or a figure shows, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from xaibench.explanation.controls import ORACLE, PRIORS, RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results import leaderboard
from xaibench.results.reading import Results
from xaibench.results.replicates import given_weights
from xaibench.results.schema import Question

REFERENCE_MAPS = (RANDOM, ORACLE, *PRIORS)
"""What is no method but is measured beside them."""

TableRow: TypeAlias = "Mapping[str, Any] | pd.Series[Any]"
"""A row of a table, by column."""


def estimates_of(results: Results, **values: str) -> pd.DataFrame:
    """The estimates whose columns have these values."""
    return matching(results.estimates, **values)


def matching(rows: pd.DataFrame, **values: str) -> pd.DataFrame:
    """The rows whose columns have these values."""
    match = np.ones(len(rows), bool)
    for column, value in values.items():
        match &= (rows[column] == value).to_numpy(bool)
    return rows[match]


def rows_of(table: pd.DataFrame) -> list[TableRow]:
    """Every row of a table: dictionaries, for a Series takes fifty times as long to make and read.

    >>> rows_of(pd.DataFrame({"method": ["saliency"], "mean": [0.5]}))
    [{'method': 'saliency', 'mean': 0.5}]
    """
    names = [str(name) for name in table]
    return [dict(zip(names, row, strict=True)) for row in table.to_numpy(object).tolist()]


def replicate(results: Results, model: str, seed: int) -> str:
    """What a replicate of a model is called in a head: its seed, or the file of its weights."""
    files = given_weights(results).get(model, [])
    return files[seed] if 0 <= seed < len(files) else f"Seed {seed}"


def replicates_of_run(results: Results, seeds: Iterable[int]) -> list[str]:
    """What the replicates with these numbers are called in a sentence: seeds, or the files of the
    models' weights, with a stroke between where those of several models differ."""
    given = given_weights(results)
    trained = bool({*models_of(results)} - {*given})

    def named(seed: int) -> str:
        files = [files[seed] for files in given.values() if 0 <= seed < len(files)]
        seeds = [f"seed {seed}" if files else str(seed)] if trained or not files else []
        return "/".join(dict.fromkeys([*files, *seeds]))

    return [named(seed) for seed in seeds]


def models_of(results: Results) -> list[str]:
    """The models, in the order of the plan."""
    return in_order(results.plan.get("models"), results.estimates["model"])


def single_output(results: Results) -> list[str]:
    """The models that give one number per sequence, and no classes."""
    named = results.environment.get("single_output")
    known = named if isinstance(named, list) else []
    return [model for model in models_of(results) if model in known]


def without_classes(results: Results) -> bool:
    """Whether no model of the run has classes."""
    single = single_output(results)
    return bool(single) and len(single) == len(models_of(results))


def explained_quantity(results: Results) -> str:
    """What a deletion curve of the run is of: the logit difference, or the models' one output."""
    return "output" if without_classes(results) else "logit difference"


def explained_unit(results: Results) -> str:
    """What the gap to random is counted in."""
    return "units of the output" if without_classes(results) else "logits"


def methods_of(results: Results) -> list[str]:
    """The methods, in the order of the plan; without references."""
    ran = pd.concat([results.estimates["method"], unmeasured_records(results)["method"]])
    named = in_order(results.plan.get("attribution"), ran)
    return [method for method in named if method not in ("", *REFERENCE_MAPS)]


def random_of(results: Results) -> list[str]:
    """The methods that are random numbers, under whatever label."""
    planned = results.plan.get("attribution")
    options = planned if isinstance(planned, dict) else {}
    used = {name: (options.get(name) or {}).get("use", name) for name in methods_of(results)}
    return [name for name, plug_in in used.items() if plug_in == "random"]


def operators_of(results: Results) -> list[str]:
    """The operators, in the order of the plan."""
    return in_order(results.plan.get("operators"), pd.Series(dtype="str"))


@lru_cache(maxsize=1)
def operator_of(results: Results) -> str:
    """The operator of the leaderboard."""
    return leaderboard.leaderboard_operator(results.estimates)


@lru_cache(maxsize=1)
def has_classes(results: Results) -> bool:
    """Whether the data have classes; a run that does not name them has."""
    return len((results.environment.get("dataset") or {}).get("class_names") or "12") > 1


def has_train(results: Results) -> bool:
    """Whether the data have a train split; a run that does not say so has."""
    sizes = (results.environment.get("dataset") or {}).get("sizes") or {}
    return bool(sizes.get("train", 1))


def seeds_with_records(results: Results) -> list[int]:
    return sorted(int(seed) for seed in results.records["seed"].unique())


@lru_cache(maxsize=1)
def seed_counts(results: Results) -> dict[str, int]:
    """Model -> under how many seeds it has records."""
    models, seeds = results.records["model"], results.records["seed"]
    # records have millions of rows: a pass for each model is a fraction of finding equal pairs
    return {str(model): len(seeds[models == model].unique()) for model in models.unique()}


def ranking(results: Results, model: str) -> pd.DataFrame:
    """The estimates behind one model's leaderboard, best first; what has no rank last."""
    rows = estimates_of(results, question=Question.AGAINST_RANDOM, metric=PRIMARY, model=model)
    rows = rows[rows["operator"] == operator_of(results)]
    by_gap = rows.sort_values("mean", ascending=False, kind="stable")
    return by_gap.sort_values("rank", kind="stable")


def normalised(results: Results, model: str) -> pd.DataFrame:
    """The gaps of the leaderboard as shares of the oracle's: 0 is random, 1 the oracle."""
    rows = estimates_of(results, question=Question.NORMALISED, metric=PRIMARY, model=model)
    return rows[rows["operator"] == operator_of(results)]


def chances_of_best(results: Results, model: str) -> dict[str, float]:
    """Method -> how often it has the largest gap when the data are resampled, where that ran."""
    rows = matching(results.ranks, model=model, metric=PRIMARY, operator=operator_of(results))
    return dict(zip(rows["method"].astype(str), rows["best"].astype(float), strict=True))


def values_of(results: Results, metric: str, model: str) -> pd.DataFrame:
    """The estimates of a metric itself, one row per method."""
    rows = estimates_of(results, question=Question.VALUE, metric=metric, model=model)
    return rows[~rows["method"].isin(REFERENCE_MAPS)]


@lru_cache(maxsize=1)
def unmeasured_records(results: Results) -> pd.DataFrame:
    """The records of what did not apply or failed."""
    rows = results.records[results.records["status"] != "ok"]
    names = ("model", "method", "control", "metric", "status", "reason")
    texts: dict[str, Any] = {name: rows[name].astype(str) for name in names}
    return rows.assign(**texts)


def in_order(planned: object, ran: pd.Series[Any]) -> list[str]:
    """What the plan names, and after it what else ran."""
    first = [str(name) for name in planned] if isinstance(planned, (dict, list)) else []
    return list(dict.fromkeys([*first, *(str(name) for name in ran.unique())]))
