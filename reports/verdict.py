"""What the numbers of a run say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.randomness import stream
from xaibench.results import Results
from xaibench.statistics import estimate

from .measures import better_of, chance_of, label, metrics_of
from .tables import (
    PRIMARY,
    decimals_of,
    direction,
    ends,
    interval,
    mean_and_interval,
    models_of,
    number,
    operator_of,
    ranking,
    values_of,
)


@dataclass(frozen=True, slots=True)
class Name:
    """A method inside a sentence."""

    text: str


Sentence = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one model."""

    model: str
    sentences: tuple[Sentence, ...]


def verdicts(results: Results) -> list[Verdict]:
    """For each model: the best method by deletion and by localisation, and what equals it."""
    return [
        Verdict(
            model,
            (
                *_accuracy(results, model),
                *_faithfulness(results, model),
                *_localisation(results, model),
            ),
        )
        for model in models_of(results)
    ]


def _accuracy(results: Results, model: str) -> list[Sentence]:
    rows = values_of(results, "accuracy", model)
    if rows.empty or math.isnan(rows["mean"].iloc[0]):
        return []
    row = rows.iloc[0]
    right: Sentence = ("The model classifies ", _share(row), " of the sequences correctly.")
    return [right, *_beside_the_floor(results, row)]


def _beside_the_floor(results: Results, row: pd.Series[Any]) -> list[Sentence]:
    """Said where the accuracy of a model is not clearly above that of the best trivial one."""
    floor = results.environment.get("floor") or []
    best = max(floor, key=lambda trivial: float(trivial["accuracy"]), default=None)
    if best is None or ends(row)[0] > best["accuracy"]:
        return []
    reached = f"{number(100 * best['accuracy'], 1)} %"
    return [(f"That is not clearly above a trivial model ({best['name']}: {reached}).",)]


def _share(row: pd.Series[Any]) -> str:
    low, high = ends(row)
    text = f"{number(100 * row['mean'], 1)} %"
    known = interval(100 * low, 100 * high, 1)
    return f"{text} {known}".strip()


def _faithfulness(results: Results, model: str) -> list[Sentence]:
    rows = ranking(results, model)
    known = rows[rows["mean"].notna()]
    if known.empty:
        return [("No method has a place on the leaderboard: no deletion was measured.",)]
    best, others = known.iloc[0], list(known["method"][1:])
    name, operator = Name(str(best["method"])), operator_of(results)
    gap = mean_and_interval(best, decimals_of(known))
    if direction(best) != 1:
        return _unsure(known, name, gap)
    ahead: Sentence = (
        name,
        f" finds best what the model uses: replacing its top positions (operator {operator}) ",
        f"lowers the logit difference by {gap} more than random positions",
    )
    measure = (PRIMARY, operator)
    equals = equal_to_best(results, model, measure, best=name.text, others=others, sign=-1)
    return [(*ahead, *_equals(equals, others)), *_against_random(known)]


def _unsure(known: pd.DataFrame, name: Name, gap: str) -> list[Sentence]:
    """Where the interval of the largest gap to random holds 0."""
    ahead = _standing(known, 1)
    first: Sentence = ("The largest gap to random, that of ", name, f", is {gap}, which holds 0.")
    if ahead:
        return [first, ("Better than random: ", *_names(ahead), "."), *_against_random(known)]
    here = [str(method) for method in known[known["sequences_low"] > 0]["method"]]
    fixed: Sentence = ("Better than random on these trained models: ", *_names(here), ".")
    none: Sentence = ("No method is distinguishable from random.",)
    return [none, first, *([fixed] if here else []), *_worse(known)]


def _localisation(results: Results, model: str) -> list[Sentence]:
    metrics = metrics_of(results, "localisation")
    rows = values_of(results, metrics[0], model) if metrics else pd.DataFrame()
    known = rows[rows["mean"].notna()] if len(rows) else rows
    if known.empty:
        return []
    metric, lower = metrics[0], better_of(results, metrics[0]) == "lower"
    known = known.sort_values("mean", ascending=lower, kind="stable")
    best = known.iloc[0]
    name = Name(str(best["method"]))
    chance = chance_of(results, metric)
    than = f", chance {number(chance, 2)}" if chance is not None else ""
    scored = mean_and_interval(best, decimals_of(known))
    if chance is not None and not lower and ends(best)[0] <= chance:
        at_most = f", {label(metric)} {scored}{than}."
        return [("No method finds the known motif better than chance; the best is ", name, at_most)]
    found: Sentence = (name, f" finds the known motif best: {label(metric)} {scored}{than}")
    others = list(known["method"][1:])
    chosen = str(best["method"])
    equals = equal_to_best(
        results, model, (metric, ""), best=chosen, others=others, sign=-1 if lower else 1
    )
    return [(*found, *_equals(equals, others))]


def equal_to_best(
    results: Results,
    model: str,
    measure: tuple[str, str],
    *,
    best: str,
    others: Sequence[str],
    sign: int,
) -> list[str] | None:
    """The methods whose paired difference to the best has an interval that holds 0.

    ``measure`` is ``(metric, operator)``; ``sign`` is 1 where higher is better, else -1. None
    where the run kept no values to pair.
    """
    values = _by_sequence(results, model, *measure)
    if best not in values:
        return None
    return [
        other
        for other in others
        if other in values and not _ahead(sign * (values[best] - values[other]), model, other)
    ]


def _ahead(differences: NDArray[np.float64], model: str, other: str) -> bool:
    """Whether differences ``(seed, sequence)`` lie above 0."""
    found = estimate(differences, generator=stream(0, "report", model, other))
    low = found.sequences_low if math.isnan(found.low) else found.low
    return bool(low > 0)


def _by_sequence(
    results: Results, model: str, metric: str, operator: str
) -> dict[str, NDArray[np.float64]]:
    """Method -> ``(seed, sequence)``, all over the same seeds and sequences."""
    rows = results.records
    for column, word in (("model", model), ("metric", metric), ("operator", operator)):
        rows = rows[rows[column] == word]
    rows = rows[rows["status"] == "ok"]
    if rows.empty:
        return {}
    wide = rows.pivot_table(
        index="seed", columns=["method", "sequence"], values="value", observed=True
    )
    methods = [str(method) for method in rows["method"].unique()]
    pairs = {method: [(method, name) for name in rows["sequence"].unique()] for method in methods}
    return {
        method: wide.reindex(columns=pd.MultiIndex.from_tuples(columns)).to_numpy(np.float64)
        for method, columns in pairs.items()
    }


def _equals(equals: list[str] | None, others: Sequence[str]) -> Sentence:
    """How the sentence about the best method ends."""
    if equals is None or not others:
        return (".",)
    if not equals:
        return ("; every other method is distinguishable from it.",)
    return ("; not distinguishable from it: ", *_names(equals), ".")


def _against_random(known: pd.DataFrame) -> list[Sentence]:
    """Who does not beat random positions, and who is worse."""
    names = _standing(known, 0)
    equal: list[Sentence] = [("Not distinguishable from random: ", *_names(names), ".")]
    return [*(equal if names else []), *_worse(known)]


def _worse(known: pd.DataFrame) -> list[Sentence]:
    names = _standing(known, -1)
    return [("Worse than random: ", *_names(names), ".")] if names else []


def _standing(known: pd.DataFrame, wanted: int) -> list[str]:
    """The methods whose gap to random lies above 0 (1), holds 0 (0) or lies below (-1)."""
    return [str(row["method"]) for _, row in known.iterrows() if direction(row) == wanted]


def _names(names: Sequence[str]) -> list[str | Name]:
    parts: list[str | Name] = []
    for name in names:
        parts += [", ", Name(name)]
    return parts[1:]
