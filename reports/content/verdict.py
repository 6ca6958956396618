"""What the numbers of a run say, in sentences."""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import PurePath

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results

from ..format.names import (
    better_of,
    chance_of,
    first_localisation,
    first_upper,
    label,
    metric_under_operator,
)
from ..format.numbers import (
    brief,
    corrected_p,
    decimals_of,
    direction,
    ends,
    interval_text,
    listed,
    mean_and_interval,
    number,
    probability,
    with_noun,
)
from ..format.replicates import replicate_terms
from ..format.select import (
    TableRow,
    chances_of_best,
    models_of,
    normalised,
    operator_of,
    random_of,
    rows_of,
    values_of,
)
from ..tables.controls import unbeaten
from ..tables.discrimination import uneven, value_of
from ..tables.leader import Leading, beside_best, leading
from ..tables.selftest import operators_that_pass, tested
from .document import Answer, Name, Sentence, Verdict

NAMED = 6
"""How many methods a sentence names; of more it says how many there are."""


@lru_cache(maxsize=1)
def verdicts(results: Results) -> list[Verdict]:
    """For each model what a reader asks first: which method, how sure that is, on what evidence,
    and what to do with it. A question without an answer is left out."""
    return [
        Verdict(model, tuple(answer for answer in _answers(results, model) if answer.sentences))
        for model in models_of(results)
    ]


def _answers(results: Results, model: str) -> Iterator[Answer]:
    yield Answer("Which method?", tuple(_about_faithfulness(results, model)))
    yield Answer("How sure?", tuple(_how_sure(results, model)))
    evidence = (
        *_about_the_metric(results, model),
        *_about_localisation(results, model),
        *_about_accuracy(results, model),
    )
    yield Answer("On what evidence?", evidence)
    yield _what_next(results, model)


def _how_sure(results: Results, model: str) -> list[Sentence]:
    """Of the method that leads: its test, how often it is best, and how much was measured."""
    leader = leading(results, model)
    if leader.outcome != "leads":
        return []
    best = leader.candidates.iloc[0]
    name, (p, population) = str(best["method"]), corrected_p(best)
    chance = chances_of_best(results, model).get(name, math.nan)
    terms = replicate_terms(results)
    of = terms.test if population == "retraining" else population
    tested_at = f"corrected p {_p_value(probability(p))} ({of})"
    often = f"best in {number(100 * chance, 0)} % of resamplings"
    parts = [*([] if math.isnan(p) else [tested_at]), *([] if math.isnan(chance) else [often])]
    made_of = (
        f"measured on {with_noun(int(best['sequences']), 'sequence')} and "
        f"{with_noun(int(best['seeds']), terms.noun)}"
    )
    return [(f"{name}: {', '.join([*parts, made_of])}.",)]


def _about_the_metric(results: Results, model: str) -> list[Sentence]:
    """What the leaderboard is made of, and whether it can be believed on this model."""
    leader, operator = leading(results, model), operator_of(results)
    if leader.outcome in ("unmeasured", "blind"):
        return []
    test = tested(results, model, PRIMARY, operator)
    passed = {"yes": ", which passed its self-test on this model"}.get(test.passed, "")
    what = f"Deletion of the most relevant positions first, operator {operator}{passed}."
    return [(what,), *_untested(results, model, PRIMARY, operator)]


def _what_next(results: Results, model: str) -> Answer:
    """The command that explains sequences of one's own with the recommended method."""
    leader = leading(results, model)
    if leader.outcome != "leads":
        nouns = replicate_terms(results).nouns
        more = f"More sequences or {nouns} narrow the intervals; the run computes only what is new."
        other = "Another operator may tell methods apart: name it in the plan's operators."
        texts = {"unsure": more, "blind": other}
        known = texts.get(leader.outcome)
        return Answer("What next?", ((known,),) if known else ())
    given = (("--plugin", PurePath(each).name) for each in results.environment.get("plugins") or ())
    command = [
        "xaibench",
        "explain",
        ".",
        "sequences.fa",
        "--model",
        model,
        "--method",
        leader.first,
    ]
    typed = shlex.join([*command, *(each for pair in given for each in pair)])
    where = "Sequences of your own, from the folder of this run:"
    return Answer("What next?", ((where,),), typed)


def _about_accuracy(results: Results, model: str) -> list[Sentence]:
    """How good the model is, beside trivial baselines; nothing where it is not known."""
    rows = values_of(results, "accuracy", model)
    if rows.empty or math.isnan(rows["mean"].iloc[0]):
        return []
    row = rows.iloc[0]
    beside = _beside_baselines(results, row)
    right = f"The model is right on {_percentage(row)} of the sequences{beside}."
    return [(f"{right}{_by_auroc(results, model)}",)]


def _by_auroc(results: Results, model: str) -> str:
    """Where classes are so uneven that the comparison by accuracy misleads: that by AUROC."""
    row = value_of(results, "auroc", model)
    if uneven(results) is None or row is None:
        return ""
    known = [each for each in results.environment.get("floor") or [] if each.get("auroc")]
    best = max(known, key=lambda baseline: float(baseline["auroc"]), default=None)
    sentence = f" Classes are uneven, so go by AUROC: {mean_and_interval(row, 3)}"
    if best is None:
        return f"{sentence}."
    clearly = "clearly" if ends(row)[0] > best["auroc"] else "not clearly"
    reached = f"{best['name']}: {number(float(best['auroc']), 3)}"
    return f"{sentence}, {clearly} more than the best trivial baseline ({reached})."


def _beside_baselines(results: Results, row: TableRow) -> str:
    """Where the accuracy of a model is not clearly above that of the best trivial baseline."""
    known = results.environment.get("floor") or []
    best = max(known, key=lambda baseline: float(baseline["accuracy"]), default=None)
    if best is None or ends(row)[0] > best["accuracy"]:
        return ""
    reached = f"{number(100 * best['accuracy'], 1)} %"
    return f", not clearly more than a trivial baseline ({best['name']}: {reached})"


def _percentage(row: TableRow) -> str:
    low, high = ends(row)
    text = f"{number(100 * row['mean'], 1)} %"
    known = interval_text(100 * low, 100 * high, 1)
    return f"{text} {known}".strip()


def _about_faithfulness(results: Results, model: str) -> list[Sentence]:
    """Who leads the leaderboard, or why nobody does."""
    leader, operator = leading(results, model), operator_of(results)
    known = leader.candidates
    if leader.outcome == "unmeasured":
        return [("No method has a place on the leaderboard: no deletion was measured.",)]
    if leader.outcome == "blind":
        return _blind(results, model, PRIMARY, operator)
    if leader.outcome == "only random":
        return [("Only random numbers were measured.",)]
    if leader.outcome == "unsure":
        return _unsure(leader)
    return [
        *_leading(results, model, known),
        *_not_above_controls(results, model, known),
        *_no_better_than_random(known),
    ]


def _leading(results: Results, model: str, known: pd.DataFrame) -> list[Sentence]:
    """Who finds best what the model uses, by how much and how sure."""
    best, operator = known.iloc[0], operator_of(results)
    name = str(best["method"])
    beside = beside_best(results, model, (PRIMARY, operator), best=name)
    above = set(_with_direction(known, 1))
    # a method that is no better than random leads nothing, however wide its interval
    leaders = [name, *(method for method in _at(beside, 0) if method in above)]
    gap = f"gap to random {mean_and_interval(best, decimals_of(known))}"
    numbers = f"{gap}{_normalised_clause(results, model, name)}"
    what = "what the model uses"
    if len(leaders) > 1:
        tied = f" find {what} equally well (statistically indistinguishable); {name}: {numbers}"
        return [(*_listed_names(leaders, trusted=True), tied, *_ahead_clause(beside), ".")]
    others = _other_methods(beside, list(known["method"][1:]))
    return [(Name(name, trusted=True), f" finds best {what}: {numbers}", *others, ".")]


def _normalised_clause(results: Results, model: str, method: str) -> str:
    """The gap as a share of the oracle's, where an oracle was measured."""
    rows = normalised(results, model)
    rows = rows[(rows["method"] == method) & rows["mean"].notna()]
    if rows.empty:
        return ""
    return f", normalised {mean_and_interval(rows.iloc[0], decimals_of(rows))}"


def _p_value(p: str) -> str:
    """A p value after the letter: ``< 0.001`` or ``= 0.012``."""
    return f"< {p[1:]}" if p.startswith("<") else p


def _not_above_controls(results: Results, model: str, known: pd.DataFrame) -> list[Sentence]:
    """The methods that beat random positions and not the control maps made from their own."""
    controls = unbeaten(results, model, PRIMARY, operator_of(results))
    ahead = [name for name in _with_direction(known, 1) if name in controls]
    if not ahead:
        return []
    kinds = {name: f" ({', '.join(controls[name])})" for name in ahead}
    return [
        ("Not above a control map made from their own: ", *_listed_names(ahead, after=kinds), ".")
    ]


def _blind(results: Results, model: str, metric: str, operator: str) -> list[Sentence]:
    """Where a metric failed its self-test: nothing is recommended from it."""
    why = _because(tested(results, model, metric, operator).reason)
    which = first_upper(metric_under_operator(metric, operator))
    failed = f"{which} cannot tell good explanations from bad ones on this model{why}."
    others = operators_that_pass(results, model, metric)
    passes: list[Sentence] = [(f"It passes its self-test under {', '.join(others)}.",)]
    return [(failed,), ("No method is recommended from it.",), *(passes if others else [])]


def _untested(results: Results, model: str, metric: str, operator: str) -> list[Sentence]:
    """Where the self-test of a metric could not be decided."""
    test = tested(results, model, metric, operator)
    if test.passed != "unknown":
        return []
    which, why = metric_under_operator(metric, operator), _because(test.reason)
    return [(f"Whether {which} can tell good explanations from bad ones is not known{why}.",)]


def _because(reason: str) -> str:
    return f": {brief(reason).rstrip('.')}" if reason else ""


def _unsure(leader: Leading) -> list[Sentence]:
    """Where the interval of the largest gap to random is not above 0."""
    known, name = leader.candidates, Name(leader.first)
    ahead = _with_direction(known, 1)
    gap = f"{mean_and_interval(known.iloc[0], decimals_of(known))}, {leader.doubt}"
    first: Sentence = ("The largest gap to random, that of ", name, f", is {gap}.")
    if ahead:
        better: Sentence = ("Better than random: ", *_listed_names(ahead), ".")
        return [first, better, *_no_better_than_random(known)]
    above = [str(method) for method in known[known["sequences_low"] > 0]["method"]]
    fixed: Sentence = ("Better than random on these trained models: ", *_listed_names(above), ".")
    none: Sentence = ("No method is distinguishable from random.",)
    return [none, first, *([fixed] if above else []), *_worse(known)]


def _about_localisation(results: Results, model: str) -> list[Sentence]:
    """By the first metric of localisation that did not fail its self-test, and of it if it did."""
    metrics = first_localisation(results)
    sound = [metric for metric in metrics if not tested(results, model, metric, "").failed]
    failed = metrics[:1] if sound[:1] != metrics[:1] else []
    blind = [sentence for metric in failed for sentence in _blind(results, model, metric, "")]
    return [*blind, *(_motif(results, model, sound) if sound else [])]


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
    sentence = (
        f"By {by}, ",
        Name(name, trusted=True),
        f" finds the known motif best: {scored}",
        *_other_methods(beside_best(results, model, (metric, ""), best=name), others),
        *_by_other_metrics(results, model, metrics[1:], best=name),
        ".",
    )
    return [sentence, *_untested(results, model, metric, "")]


def _best_first(results: Results, model: str, metric: str) -> pd.DataFrame:
    """The known values of a metric, the best method on top."""
    rows = values_of(results, metric, model)
    lower = better_of(results, metric) == "lower"
    return rows[rows["mean"].notna()].sort_values("mean", ascending=lower, kind="stable")


def _is_chance(results: Results, metric: str, best: TableRow) -> bool:
    """Whether the best value is not above that of chance, where that is known."""
    chance = chance_of(results, metric)
    if chance is None or better_of(results, metric) == "lower":
        return False
    return bool(ends(best)[0] <= chance)


def _by_other_metrics(
    results: Results, model: str, metrics: Sequence[str], *, best: str
) -> Sentence:
    """The metrics by which other methods come before the best one, and which methods these are."""
    by_names: dict[tuple[str, ...], list[str]] = {}
    for metric in metrics:
        names = _ahead_by(results, model, metric, best)
        if names:
            by_names.setdefault(names, []).append(label(metric))
    clauses = [
        (f"; by {listed(by)} {'it is' if len(names) == 1 else 'they are'} ", *_listed_names(names))
        for names, by in by_names.items()
    ]
    return tuple(part for clause in clauses for part in clause)


def _ahead_by(results: Results, model: str, metric: str, best: str) -> tuple[str, ...]:
    """The methods with the best value, where ``best`` is distinguishable from them or has no
    difference to them; none where that value is no better than chance."""
    known = _best_first(results, model, metric)
    known = known[~known["method"].isin(random_of(results))]
    if known.empty or _is_chance(results, metric, known.iloc[0]):
        return ()
    names = tuple(str(name) for name in known["method"][known["mean"] == known["mean"].iloc[0]])
    beside = beside_best(results, model, (metric, ""), best=names[0])
    return () if best in names or beside.get(best) == 0 else names


def _other_methods(beside: Mapping[str, int | None], others: Sequence[str]) -> Sentence:
    """The clause about the other methods, after the one about the best."""
    if not others:
        return ()
    if not beside:
        return ("; whether others equal it was not measured",)
    equals, ahead = _at(beside, 0), _ahead_clause(beside)
    if not equals and not ahead:
        known = " whose difference has an interval" if None in beside.values() else ""
        return (f"; better than every other method{known}",)
    tied = ("; not distinguishable from it: ", *_listed_names(equals)) if equals else ()
    return (*tied, *ahead)


def _ahead_clause(beside: Mapping[str, int | None]) -> Sentence:
    """The methods whose mean is over other sequences than that of the best."""
    names = _at(beside, 1)
    return ("; ahead of it on shared sequences: ", *_listed_names(names)) if names else ()


def _at(beside: Mapping[str, int | None], way: int) -> list[str]:
    return [name for name, own in beside.items() if own == way]


def _no_better_than_random(known: pd.DataFrame) -> list[Sentence]:
    """Who does not beat random positions, and who is worse."""
    names = _with_direction(known, 0)
    equal: list[Sentence] = [("Not distinguishable from random: ", *_listed_names(names), ".")]
    return [*(equal if names else []), *_worse(known)]


def _worse(known: pd.DataFrame) -> list[Sentence]:
    names = _with_direction(known, -1)
    return [("Worse than random: ", *_listed_names(names), ".")] if names else []


def _with_direction(known: pd.DataFrame, way: int) -> list[str]:
    """The methods whose gap to random has its interval above 0 (1), around 0 (0) or below (-1)."""
    return [str(row["method"]) for row in rows_of(known) if direction(row) == way]


def _listed_names(
    names: Sequence[str], *, trusted: bool = False, after: Mapping[str, str] | None = None
) -> list[str | Name]:
    """``a, b and c``, each followed by its text of ``after``; of very many how many more."""
    shown = list(names) if len(names) <= NAMED + 1 else list(names[:NAMED])
    rest = len(names) - len(shown)
    parts: list[str | Name] = []
    for place, name in enumerate(shown):
        last = place == len(shown) - 1 and not rest
        parts += [" and " if last else ", ", Name(name, trusted)]
        parts += [after[name]] if after else []
    return [*parts[1:], *([f" and {rest} more"] if rest else [])]
