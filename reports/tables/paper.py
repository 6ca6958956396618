"""The tables of a paper: fewer columns than those of the page, and captions that say it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import better_of, heading, label, metric_under_operator, metrics_of
from ..format.numbers import ABSENT, decimals_of, direction, number, probability
from ..format.replicates import replicate_terms
from ..format.select import (
    estimates_of,
    has_classes,
    methods_of,
    models_of,
    normalised,
    operator_of,
    ranking,
    rows_of,
    values_of,
)
from .discrimination import NAMES, headings, value_of
from .leader import clearly_best
from .selftest import tested
from .table import Cell, Table, by_method, estimated, heads

ACROSS = 3
"""Columns with intervals side by side; more go into another table."""

BOLD = "Bold: the interval of the paired difference to every other is on one side of 0."
DIFFERENT = "Bold: the interval is on one side of 0."

Cells = Mapping[str, Cell]
"""A column: name of the row -> its cell."""


# Leaderboards


def gaps_by_model(results: Results) -> Iterator[Table]:
    """Methods down, models across: the gap to random."""
    rows = {model: ranking(results, model) for model in models_of(results)}
    known = [model for model, own in rows.items() if len(own)]
    for place, models in enumerate(_in_parts(known), start=1):
        columns = [_gaps_of_model(results, model, rows[model]) for model in models]
        body = _down(methods_of(results), columns)
        caption = f"{_gap_caption(results)} {BOLD} {_sample(results, pd.concat(rows.values()))}"
        yield Table(caption, heads("Method", *models), body, name=f"leaderboard {place}")


def leaderboard_of_model(results: Results, model: str) -> Iterator[Table]:
    """The gaps of one model with ranks, normalised scores and p values."""
    rows = ranking(results, model)
    if rows.empty:
        return
    shares, terms = normalised(results, model), replicate_terms(results)
    columns = {
        "Rank": {name: Cell(number(row["rank"], 0)) for name, row in by_method(rows).items()},
        "Gap": _gaps_of_model(results, model, rows),
        "Normalised": _estimates(shares) if len(shares) else {},
        "p (models)": _p_values(rows, "p_sequences_holm"),
        f"p ({terms.test})": _p_values(rows, "p_holm"),
    }
    columns = {head: cells for head, cells in columns.items() if cells}
    test = tested(results, model, PRIMARY, operator_of(results))
    doubt = f" Nothing is ranked: {test.reason}." if test.failed else ""
    caption = (
        f"{model}. {_gap_caption(results)} {BOLD} p: two-sided, Holm over the methods, for these "
        f"trained models and {terms.over}. {_sample(results, rows)}{doubt}"
    )
    body = _down([str(name) for name in rows["method"]], list(columns.values()))
    yield Table(caption, heads("Method", *columns), body, name=f"leaderboard {model}")


def _p_values(rows: pd.DataFrame, column: str) -> Cells:
    return {name: Cell(probability(row[column])) for name, row in by_method(rows).items()}


def _gap_caption(results: Results) -> str:
    return (
        "Gap to random deletion: area under the falling logit difference, random minus method "
        f"(higher is better), operator {operator_of(results)}, with 95 % interval."
    )


def _gaps_of_model(results: Results, model: str, rows: pd.DataFrame) -> Cells:
    """The gaps of one model; the best strong where it is distinguishable from all others."""
    cells = _estimates(rows)
    if tested(results, model, PRIMARY, operator_of(results)).failed:
        return cells
    return _with_best(cells, clearly_best(results, model, PRIMARY, operator_of(results)))


# Accuracy


def quality_of_models(results: Results) -> Iterator[Table]:
    """Models down, and below them the trivial baselines; accuracy, AUROC, AUPRC and MCC across."""
    rows = estimates_of(results, question=Question.VALUE, metric="accuracy")
    if rows.empty or not has_classes(results):
        return
    decimals = max(decimals_of(rows), 3)
    best = _best_model(results)
    measures = list(NAMES) if len(results.classification) else []
    body = []
    for row in rows_of(rows):
        accuracy = replace(estimated(row, decimals), strong=row["model"] == best)
        values = (value_of(results, measure, row["model"]) for measure in measures)
        others = (Cell(ABSENT) if v is None else estimated(v, decimals) for v in values)
        body.append((Cell(row["model"]), accuracy, *others))
    for baseline in results.environment.get("floor") or []:
        known = [baseline.get(name) for name in ("accuracy", *measures)]
        cells = (Cell(ABSENT if v is None else number(float(v), decimals)) for v in known)
        body.append((Cell(f"{baseline['name']} (baseline)"), *cells))
    several = ", AUROC, AUPRC and MCC" if measures else ""
    caption = (
        f"Accuracy{several} on the test sequences, with 95 % interval. {BOLD} "
        f"{_sample(results, rows)}"
    )
    names = (headings(results)[measure] for measure in measures)
    yield Table(caption, heads("Model", "Accuracy", *names), tuple(body), name="accuracy")


def _best_model(results: Results) -> str | None:
    """The model whose accuracy is above that of every other and distinguishable; else None."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric="accuracy")
    ahead: dict[str, int] = {}
    for row in rows_of(rows):
        winner = {1: row["model"], -1: row["other"]}.get(direction(row) or 0)
        if winner is not None:
            ahead[str(winner)] = ahead.get(str(winner), 0) + 1
    others = len(models_of(results)) - 1
    return next((model for model, count in ahead.items() if count == others), None)


# Localisation


def localisation_of_model(results: Results, model: str) -> Iterator[Table]:
    """Methods down, metrics of localisation across."""
    each = {
        metric: values_of(results, metric, model) for metric in metrics_of(results, "localisation")
    }
    rows = {metric: own for metric, own in each.items() if len(own)}
    for place, metrics in enumerate(_in_parts(list(rows)), start=1):
        columns = [_localisation_cells(results, model, metric, rows[metric]) for metric in metrics]
        names = (heading(results, metric, "") for metric in metrics)
        sample = _sample(results, pd.concat([rows[metric] for metric in metrics]))
        caption = (
            f"{model}: the scores on the known motif, for the true label, with 95 % interval. "
            f"{BOLD} {sample}"
        )
        body = _down(methods_of(results), columns)
        name = f"localisation {model} {place}"
        yield Table(caption, heads("Method", *names), body, name=name)


def _localisation_cells(results: Results, model: str, metric: str, rows: pd.DataFrame) -> Cells:
    cells = _estimates(rows)
    if better_of(results, metric) == "neither" or tested(results, model, metric, "").failed:
        return cells
    return _with_best(cells, clearly_best(results, model, metric, ""))


# Between models


def between_pairs(results: Results) -> Iterator[Table]:
    """A table per pair of models: the paired differences of every method."""
    local = [(metric, "") for metric in metrics_of(results, "localisation")]
    for model, other in combinations(models_of(results), 2):
        every = estimates_of(results, question=Question.BETWEEN_MODELS, model=model, other=other)
        each = {
            pair: every[(every["metric"] == pair[0]) & (every["operator"] == pair[1])]
            for pair in [(PRIMARY, operator_of(results)), *local]
        }
        rows = {pair: own for pair, own in each.items() if len(own)}
        for place, pairs in enumerate(_in_parts(list(rows)), start=1):
            columns = [_estimates(rows[pair], marked=True) for pair in pairs]
            sample = _sample(results, pd.concat([rows[pair] for pair in pairs]))
            caption = (
                f"{model} minus {other}, the same method on both: paired differences (for "
                f"deletion, of the gap to random; operator {operator_of(results)}) with 95 % "
                f"interval, above 0 where the method serves {model} better. {DIFFERENT} {sample}"
            )
            names = (_short_name(pair) for pair in pairs)
            body = _down(methods_of(results), columns)
            name = f"between {model} {other} {place}"
            yield Table(caption, heads("Method", *names), body, name=name)


def _short_name(pair: tuple[str, str]) -> str:
    metric, operator = pair
    return label(metric) if metric == PRIMARY else metric_under_operator(metric, operator)


# What all have in common


def each_model(
    results: Results,
    name: str,
    tables: Callable[[Results, str], Iterable[Table]],
    slug: Callable[[str], str],
) -> dict[str, list[Table]]:
    """The tables of each model by the name of their file; numbered, for two names may differ in
    what a file name cannot hold."""
    models = models_of(results)
    slugs = [slug(model) for model in models]
    names = [
        own if own and slugs.count(own) == 1 else f"{own}-{place}".strip("-")
        for place, own in enumerate(slugs, start=1)
    ]
    pairs = zip(names, models, strict=True)
    return {f"{name}_{own}": list(tables(results, model)) for own, model in pairs}


def _estimates(rows: pd.DataFrame, *, marked: bool = False) -> Cells:
    """Method -> its mean with the interval; ``marked``: strong where that is on one side of 0."""
    decimals = decimals_of(rows)
    return {
        method: replace(estimated(row, decimals), strong=marked and direction(row) in (1, -1))
        for method, row in by_method(rows).items()
    }


def _with_best(cells: Cells, best: str | None) -> Cells:
    return {name: replace(cell, strong=name == best) for name, cell in cells.items()}


def _down(names: Iterable[str], columns: Sequence[Cells]) -> tuple[tuple[Cell, ...], ...]:
    """A row per name that any column knows."""
    known = [name for name in names if any(name in column for column in columns)]
    absent = Cell(ABSENT)
    return tuple((Cell(name), *(column.get(name, absent) for column in columns)) for name in known)


def _in_parts(columns: Sequence[Any]) -> list[list[Any]]:
    """Columns in as few and as equal parts as fit a page.

    >>> _in_parts(list("abcd"))
    [['a', 'b'], ['c', 'd']]
    """
    parts = -(-len(columns) // ACROSS)
    size = -(-len(columns) // parts) if parts else 1
    return [list(columns[start : start + size]) for start in range(0, len(columns), size)]


def _sample(results: Results, rows: pd.DataFrame) -> str:
    """From how many sequences and seeds the numbers are, and which interval it is."""
    known = rows[rows["mean"].notna()]
    if known.empty:
        return "Nothing was measured."
    terms = replicate_terms(results)
    which = "for these trained models" if known["seeds"].max() == 1 else terms.over
    undefined = int(known["undefined"].fillna(0).max())
    more = f", up to {undefined} more undefined" if undefined else ""
    unfinished = " The run is unfinished." if results.environment.get("unfinished") else ""
    sizes = f"{_span(known['sequences'], 'sequence')}{more}, {_span(known['seeds'], terms.noun)}"
    return f"n = {sizes}; intervals {which}.{unfinished}"


def _span(counts: pd.Series[Any], noun: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    span = str(low) if low == high else f"{low}\N{EN DASH}{high}"
    return f"{span} {noun}{'' if high == 1 else 's'}"
