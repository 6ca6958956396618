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

from .measures import better_of, chance_of, first_localisation, first_upper, label, named
from .printing import brief, decimals_of, direction, ends, interval, mean_and_interval, number
from .selection import PRIMARY, models_of, operator_of, own_records, ranking, values_of
from .selftest import operators_that_pass, tested


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
    operator = operator_of(results)
    if tested(results, model, PRIMARY, operator).failed:
        return _blind(results, model, PRIMARY, operator)
    best, others = known.iloc[0], list(known["method"][1:])
    name = Name(str(best["method"]))
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
    return [
        (*ahead, *_equals(equals, others)),
        *_against_random(known),
        *_untested(results, model, *measure),
    ]


def _blind(results: Results, model: str, metric: str, operator: str) -> list[Sentence]:
    """Where a metric failed its self-test: nothing is recommended from it."""
    why = _because(tested(results, model, metric, operator).reason)
    which = first_upper(named(metric, operator))
    told = f"{which} cannot tell good explanations from bad ones on this model{why}."
    others = operators_that_pass(results, model, metric)
    elsewhere: list[Sentence] = [(f"It passes its self-test under {', '.join(others)}.",)]
    return [(told,), ("No method is recommended from it.",), *(elsewhere if others else [])]


def _untested(results: Results, model: str, metric: str, operator: str) -> list[Sentence]:
    """Where nothing is known of whether a metric can tell good from bad, though it was asked."""
    found = tested(results, model, metric, operator)
    if found.passed != "unknown":
        return []
    which = named(metric, operator)
    return [(f"Whether {which} can tell good from bad here is not known{_because(found.reason)}.",)]


def _because(reason: str) -> str:
    return f": {brief(reason).rstrip('.')}" if reason else ""


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
    """By the first metric of localisation that did not fail its self-test, and of it if it did."""
    metrics = first_localisation(results)
    sound = [metric for metric in metrics if not tested(results, model, metric, "").failed]
    failed = metrics[:1] if sound[:1] != metrics[:1] else []
    blind = [said for metric in failed for said in _blind(results, model, metric, "")]
    return [*blind, *(said for metric in sound[:1] for said in _motif(results, model, metric))]


def _motif(results: Results, model: str, metric: str) -> list[Sentence]:
    """Which method finds the known motif best."""
    rows = values_of(results, metric, model)
    known = rows[rows["mean"].notna()]
    if known.empty:
        return []
    lower = better_of(results, metric) == "lower"
    known = known.sort_values("mean", ascending=lower, kind="stable")
    best, others = known.iloc[0], list(known["method"][1:])
    name = Name(str(best["method"]))
    chance = chance_of(results, metric)
    than = f", chance {number(chance, 2)}" if chance is not None else ""
    scored = f"{label(metric)} {mean_and_interval(best, decimals_of(known))}{than}"
    if chance is not None and not lower and ends(best)[0] <= chance:
        none = "No method finds the known motif better than chance; the best is "
        return [(none, name, f", {scored}.")]
    sign = -1 if lower else 1
    equals = equal_to_best(results, model, (metric, ""), best=name.text, others=others, sign=sign)
    found: Sentence = (name, f" finds the known motif best: {scored}")
    return [(*found, *_equals(equals, others)), *_untested(results, model, metric, "")]


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
    rows = own_records(results)
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
