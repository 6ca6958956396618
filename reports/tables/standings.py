"""The leaderboard over all models: which method to trust on which, by how much, how sure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import signed
from ..format.numbers import brief, decimals_of, direction, number
from ..format.select import (
    chances_of_best,
    estimates_of,
    models_of,
    operator_of,
    random_of,
    ranking,
)
from .board import (
    Board,
    Head,
    Line,
    Place,
    Scale,
    corrected,
    figure,
    scale_of,
    without_empty_columns,
)
from .controls import unbeaten
from .leaderboard import normalised
from .selftest import tested

GAP = (
    "Gap to random, in logits: how far a method's deletion curve lies below that of random "
    "positions, on average; 0 is no better than random."
)
NORMALISED = (
    " Normalised, without unit: the gap as a share of that of the oracle, an order that knows the "
    "answer."
)
BOTH_KINDS = (
    " Signed methods replace evidence against the class last, and unsigned ones cannot tell it "
    "apart: part of a difference between the two kinds may be this."
)
HEADS = (
    Head("Model", words=True),
    Head("Method", words=True),
    Head("Rank", "Among the methods of its model, by the gap to random."),
    Head(
        "Gap to random",
        "Random minus method, the area under the falling logit difference: above 0 is better than "
        "random positions.",
        falls=True,
        drawn=True,
    ),
    Head(
        "Normalised",
        "The gap as a share of the oracle's: 0 is random, 1 an order that knows the answer.",
        falls=True,
    ),
    Head("p", "Two-sided, of the gap, corrected after Holm over the methods of a model."),
    Head("P(best)", "How often the gap is the largest when the data are resampled.", falls=True),
    Head("To the best", "The paired difference to the largest gap of the model.", falls=True),
    Head("ms", "Milliseconds of the processor that one explained sequence costs."),
)


@dataclass(frozen=True, slots=True)
class _Shared:
    """What all lines have in common; ``unsigned`` are to be told from others that are signed."""

    scale: Scale
    decimals: int
    share_decimals: int
    random: frozenset[str]
    unsigned: frozenset[str]


def standings(results: Results) -> Board | None:
    """Every method on every model, best first within a model; None where nothing was deleted."""
    rows = [(model, ranking(results, model)) for model in models_of(results)]
    known = [frame for _, frame in rows if len(frame)]
    if not known:
        return None
    every = pd.concat(known)
    shares = pd.concat([normalised(results, model) for model, _ in rows])
    random, unsigned = frozenset(random_of(results)), _unsigned(results, every)
    shared = _Shared(scale_of(every), decimals_of(every), decimals_of(shares), random, unsigned)
    lines = [line for model, frame in rows for line in _lines(results, model, frame, shared)]
    heads, lines_kept = without_empty_columns(HEADS, lines)
    caption = f"Deletion, logit difference, operator {operator_of(results)}"
    note = _note(results) + BOTH_KINDS * bool(unsigned)
    gloss = GAP + NORMALISED * any(head.text == "Normalised" for head in heads)
    return Board("standings", caption, heads, lines_kept, "beats random", note, gloss)


def _unsigned(results: Results, rows: pd.DataFrame) -> frozenset[str]:
    """The unsigned methods that were measured beside signed ones, without random numbers."""
    measured = {str(name) for name in rows[rows["mean"].notna()]["method"]}
    measured -= {*random_of(results)}
    unsigned = {name for name in measured if not signed(results, name)}
    return frozenset(unsigned) if unsigned != measured else frozenset()


def _note(results: Results) -> str:
    seeds = results.estimates["seeds"].max()
    population = "for retraining" if seeds > 1 else "over sequences, for these trained models"
    inner = "; thick, for these trained models" if seeds > 1 else ""
    return f"In brackets and as a thin line: 95 % interval {population}{inner}. Dashed: random."


def _lines(results: Results, model: str, rows: pd.DataFrame, shared: _Shared) -> list[Line]:
    shares = _by_method(normalised(results, model))
    behind = _by_method(behind_best(results, model, PRIMARY, operator_of(results)))
    chances, cost = chances_of_best(results, model), _milliseconds(results, model)
    failed = tested(results, model, PRIMARY, operator_of(results)).failed
    spoilt = unbeaten(results, model, PRIMARY, operator_of(results))
    lines = []
    for _, row in rows.iterrows():
        method = str(row["method"])
        remark = _remark(row, spoilt.get(method, []), shared, failed=failed)
        places = (
            Place(model),
            Place(method, method=method, remark=remark),
            _rank(row),
            figure(row, shared.decimals, scale=shared.scale),
            figure(shares.get(method), shared.share_decimals),
            corrected(row),
            _chance(chances.get(method, math.nan)),
            _behind(behind.get(method), row, shared),
            _number(cost.get(method, math.nan)),
        )
        lines.append(Line((model,), method, direction(row) == 1 and not failed, places))
    return lines


def behind_best(results: Results, model: str, metric: str, operator: str) -> pd.DataFrame:
    """The paired differences of the methods to the best of them, below 0 where they are behind."""
    rows = estimates_of(results, question=Question.AGAINST_BEST, metric=metric, model=model)
    return rows[rows["operator"] == operator]


def _rank(row: pd.Series[Any]) -> Place:
    return Place(number(row["rank"], 0), float(row["rank"]), note=str(row["reason"]))


def _behind(behind: pd.Series[Any] | None, row: pd.Series[Any], shared: _Shared) -> Place:
    if behind is not None:
        return figure(behind, shared.decimals)
    best = row["rank"] == 1
    return Place("best" if best else "", 0.0 if best else math.nan)


def _chance(chance: float) -> Place:
    text = "<0.01" if chance < 0.005 else number(chance, 2)
    return Place("" if math.isnan(chance) else text, chance)


def _number(milliseconds: float) -> Place:
    return Place(number(milliseconds, 1) if not math.isnan(milliseconds) else "", milliseconds)


def _remark(row: pd.Series[Any], spoilt: list[str], shared: _Shared, *, failed: bool) -> str:
    """What a reader must know before trusting a line."""
    if math.isnan(row["mean"]):
        return brief(str(row["reason"]))
    if failed:
        return "not ranked: the metric failed its self-test"
    if str(row["method"]) in shared.random:
        return "random numbers"
    kind = ["unsigned"] if str(row["method"]) in shared.unsigned else []
    above = [f"not above its control: {', '.join(spoilt)}"] if spoilt else []
    return "; ".join([*kind, *above])


def _milliseconds(results: Results, model: str) -> dict[str, float]:
    rows = results.cost[results.cost["model"] == model]
    sums = rows.groupby("method", sort=False)[["seconds", "sequences"]].sum()
    each = 1000 * sums["seconds"] / sums["sequences"]
    return {str(method): float(value) for method, value in each.items()}


def _by_method(rows: pd.DataFrame) -> dict[str, pd.Series[Any]]:
    return {str(row["method"]): row for _, row in rows.iterrows()}
