"""What the numbers of a run say, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.names import (
    better_of,
    chance_of,
    first_localisation,
    first_upper,
    label,
    named,
)
from ..format.numbers import (
    brief,
    corrected_p,
    decimals_of,
    direction,
    ends,
    interval,
    listed,
    mean_and_interval,
    number,
    probability,
)
from ..format.select import (
    chances_of_best,
    models_of,
    operator_of,
    random_of,
    values_of,
)
from ..tables.controls import unbeaten
from ..tables.discrimination import uneven, value_of
from ..tables.leader import Leading, beside_best, leading
from ..tables.leaderboard import normalised
from ..tables.selftest import operators_that_pass, tested

MOST = 6
"""How many methods a sentence names; of more it says how many there are."""


@dataclass(frozen=True, slots=True)
class Name:
    """A method inside a sentence; ``trusted`` where the sentence recommends it."""

    text: str
    trusted: bool = False


Sentence = tuple[str | Name, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of one model."""

    model: str
    sentences: tuple[Sentence, ...]


@lru_cache(maxsize=1)
def verdicts(results: Results) -> list[Verdict]:
    """For each model: the best method by deletion and by localisation, and what equals it."""
    return [
        Verdict(
            model,
            (
                *_faithfulness(results, model),
                *_localisation(results, model),
                *_accuracy(results, model),
            ),
        )
        for model in models_of(results)
    ]


def _accuracy(results: Results, model: str) -> list[Sentence]:
    rows = values_of(results, "accuracy", model)
    if rows.empty or math.isnan(rows["mean"].iloc[0]):
        return []
    row = rows.iloc[0]
    right = f"The model is right on {_share(row)} of the sequences{_floor(results, row)}."
    return [(f"{right}{_uneven(results, model)}",)]


def _uneven(results: Results, model: str) -> str:
    """Said where classes are so uneven that the comparison by accuracy misleads: that by AUROC."""
    row = value_of(results, "auroc", model)
    if uneven(results) is None or row is None:
        return ""
    floor = [each for each in results.environment.get("floor") or [] if each.get("auroc")]
    best = max(floor, key=lambda trivial: float(trivial["auroc"]), default=None)
    said = f" Classes are uneven, so go by AUROC: {mean_and_interval(row, 3)}"
    if best is None:
        return f"{said}."
    clearly = "clearly" if ends(row)[0] > best["auroc"] else "not clearly"
    reached = f"{best['name']}: {number(float(best['auroc']), 3)}"
    return f"{said}, {clearly} more than the best trivial model ({reached})."


def _floor(results: Results, row: pd.Series[Any]) -> str:
    """Said where the accuracy of a model is not clearly above that of the best trivial one."""
    floor = results.environment.get("floor") or []
    best = max(floor, key=lambda trivial: float(trivial["accuracy"]), default=None)
    if best is None or ends(row)[0] > best["accuracy"]:
        return ""
    reached = f"{number(100 * best['accuracy'], 1)} %"
    return f", not clearly more than a trivial model ({best['name']}: {reached})"


def _share(row: pd.Series[Any]) -> str:
    low, high = ends(row)
    text = f"{number(100 * row['mean'], 1)} %"
    known = interval(100 * low, 100 * high, 1)
    return f"{text} {known}".strip()


def _faithfulness(results: Results, model: str) -> list[Sentence]:
    found, operator = leading(results, model), operator_of(results)
    known = found.candidates
    if found.outcome == "unmeasured":
        return [("No method has a place on the leaderboard: no deletion was measured.",)]
    if found.outcome == "blind":
        return _blind(results, model, PRIMARY, operator)
    if found.outcome == "only random":
        return [("Only random numbers were measured.",)]
    if found.outcome == "unsure":
        return _unsure(found)
    return [
        *_leading(results, model, known),
        *_spoilt(results, model, known),
        *_against_random(known),
        *_untested(results, model, PRIMARY, operator),
    ]


def _leading(results: Results, model: str, known: pd.DataFrame) -> list[Sentence]:
    """Who finds best what the model uses, by how much and how sure."""
    best, operator = known.iloc[0], operator_of(results)
    name = str(best["method"])
    beside = beside_best(results, model, (PRIMARY, operator), best=name)
    above = set(_standing(known, 1))
    leaders = [name, *(method for method in _at(beside, 0) if method in above)]
    gap = f"gap to random {mean_and_interval(best, decimals_of(known))}"
    p, population = corrected_p(best)
    tests = f", corrected p {_equal(probability(p))} ({population})" if not math.isnan(p) else ""
    numbers = f"{gap}{_normalised(results, model, name)}{tests}{_chance(results, model, name)}"
    what = "what the model uses"
    if len(leaders) > 1:
        tied = f" find {what} equally well, as far as can be told; {name}: {numbers}"
        return [(*_names(leaders, trusted=True), tied, *_ahead(beside), ".")]
    told = _beside(beside, list(known["method"][1:]))
    return [(Name(name, trusted=True), f" finds best {what}: {numbers}", *told)]


def _normalised(results: Results, model: str, method: str) -> str:
    """The gap as a share of the oracle's, where an oracle was measured."""
    rows = normalised(results, model)
    rows = rows[(rows["method"] == method) & rows["mean"].notna()]
    if rows.empty:
        return ""
    return f", normalised {mean_and_interval(rows.iloc[0], decimals_of(rows))}"


def _chance(results: Results, model: str, method: str) -> str:
    chance = chances_of_best(results, model).get(method, math.nan)
    return "" if math.isnan(chance) else f", best in {number(100 * chance, 0)} % of resamplings"


def _equal(p: str) -> str:
    """A p value after the letter: ``< 0.001`` or ``= 0.012``."""
    return f"< {p[1:]}" if p.startswith("<") else p


def _spoilt(results: Results, model: str, known: pd.DataFrame) -> list[Sentence]:
    """The methods that beat random positions and not the controls made from their own maps."""
    found = unbeaten(results, model, PRIMARY, operator_of(results))
    ahead = [name for name in _standing(known, 1) if name in found]
    if not ahead:
        return []
    kinds = {name: f" ({', '.join(found[name])})" for name in ahead}
    return [("Not above a control made from their own map: ", *_names(ahead, after=kinds), ".")]


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


def _unsure(found: Leading) -> list[Sentence]:
    """Where the interval of the largest gap to random does not lie above 0."""
    known, name = found.candidates, Name(found.first)
    ahead = _standing(known, 1)
    gap = f"{mean_and_interval(known.iloc[0], decimals_of(known))}, which {found.doubt}"
    first: Sentence = ("The largest gap to random, that of ", name, f", is {gap}.")
    if ahead:
        better: Sentence = ("Better than random: ", *_names(ahead), ".")
        return [first, better, *_against_random(known)]
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
    return [*blind, *(said for metric in sound[:1] for said in _motif(results, model, sound))]


def _motif(results: Results, model: str, metrics: Sequence[str]) -> list[Sentence]:
    """Which method finds the known motif best by the first metric, and which by the others."""
    metric = metrics[0]
    known = _best_first(results, model, metric)
    if known.empty:
        return []
    best, others = known.iloc[0], list(known["method"][1:])
    name, by = str(best["method"]), label(metric)
    chance = chance_of(results, metric)
    than = f", chance {number(chance, 2)}" if chance is not None else ""
    scored = f"{mean_and_interval(best, decimals_of(known))}{than}"
    if _is_chance(results, metric, best):
        none = f"By {by}, no method finds the known motif better than chance; the best is "
        return [(none, Name(name), f", {scored}.")]
    *told, end = _beside(beside_best(results, model, (metric, ""), best=name), others)
    elsewhere = _elsewhere(results, model, metrics[1:], best=name)
    found = (f"By {by}, ", Name(name, trusted=True), f" finds the known motif best: {scored}")
    return [(*found, *told, *_before_end(elsewhere, end)), *_untested(results, model, metric, "")]


def _before_end(clause: Sentence, end: str | Name) -> Sentence:
    """A clause put before the full stop with which the last part of a sentence ends."""
    return (str(end).removesuffix("."), *clause, ".") if clause else (end,)


def _best_first(results: Results, model: str, metric: str) -> pd.DataFrame:
    """The known values of a metric, the best method on top."""
    rows = values_of(results, metric, model)
    lower = better_of(results, metric) == "lower"
    return rows[rows["mean"].notna()].sort_values("mean", ascending=lower, kind="stable")


def _is_chance(results: Results, metric: str, best: pd.Series[Any]) -> bool:
    """Whether the best value does not lie above that of chance, where that is known."""
    chance = chance_of(results, metric)
    if chance is None or better_of(results, metric) == "lower":
        return False
    return bool(ends(best)[0] <= chance)


def _elsewhere(results: Results, model: str, metrics: Sequence[str], *, best: str) -> Sentence:
    """The metrics by which other methods come before the best one, and which methods these are."""
    by_names: dict[tuple[str, ...], list[str]] = {}
    for metric in metrics:
        names = _ahead_by(results, model, metric, best)
        if names:
            by_names.setdefault(names, []).append(label(metric))
    clauses = [
        (f"; by {listed(by)} {'it is' if len(names) == 1 else 'they are'} ", *_names(names))
        for names, by in by_names.items()
    ]
    return tuple(part for clause in clauses for part in clause)


def _ahead_by(results: Results, model: str, metric: str, best: str) -> tuple[str, ...]:
    """The methods with the best value, where ``best`` is told apart from them or has no difference
    to them; none where that value is no better than chance."""
    known = _best_first(results, model, metric)
    known = known[~known["method"].isin(random_of(results))]
    if known.empty or _is_chance(results, metric, known.iloc[0]):
        return ()
    names = tuple(str(name) for name in known["method"][known["mean"] == known["mean"].iloc[0]])
    beside = beside_best(results, model, (metric, ""), best=names[0])
    return () if best in names or beside.get(best) == 0 else names


def _beside(beside: Mapping[str, int | None], others: Sequence[str]) -> Sentence:
    """How the sentence about the best method ends."""
    if not others:
        return (".",)
    if not beside:
        return ("; whether others equal it was not measured.",)
    equals, ahead = _at(beside, 0), _ahead(beside)
    if not equals and not ahead:
        known = " whose difference has an interval" if None in beside.values() else ""
        return (f"; better than every other method{known}.",)
    told = ("; not distinguishable from it: ", *_names(equals)) if equals else ()
    return (*told, *ahead, ".")


def _ahead(beside: Mapping[str, int | None]) -> Sentence:
    """Said of methods whose mean is of other sequences than that of the best."""
    names = _at(beside, 1)
    return ("; ahead of it where both were asked: ", *_names(names)) if names else ()


def _at(beside: Mapping[str, int | None], wanted: int) -> list[str]:
    return [name for name, way in beside.items() if way == wanted]


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


def _names(
    names: Sequence[str], *, trusted: bool = False, after: Mapping[str, str] | None = None
) -> list[str | Name]:
    """``a, b and c``, each with what stands ``after`` it; of very many how many more."""
    shown = list(names) if len(names) <= MOST + 1 else list(names[:MOST])
    rest = len(names) - len(shown)
    parts: list[str | Name] = []
    for place, name in enumerate(shown):
        last = place == len(shown) - 1 and not rest
        parts += [" and " if last else ", ", Name(name, trusted)]
        parts += [after[name]] if after else []
    return [*parts[1:], *([f" and {rest} more"] if rest else [])]
