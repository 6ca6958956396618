"""Methods down, metrics across: a model's methods on all that was measured of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from ..format.names import (
    better_of,
    chance_of,
    curve_of,
    heading,
    label,
    metrics_of,
    named,
    parts_signed_from_unsigned,
    signed,
)
from ..format.numbers import number
from ..format.select import REFERENCES, estimates_of, methods_of, operator_of
from .grid import CANNOT, Column, Table, grid
from .selftest import tested

CHANCE = "chance level"
MEAN_MAP = "mean map"
"""The control whose map is the same for every sequence."""

FEW = 2
"""So many metrics of curves are shown whole; of more, all but the leaderboard's open on a click."""

Pair = tuple[str, str]
"""Metric and operator."""


def measures(results: Results, model: str, section: str) -> Table | None:
    """A model's methods on the metrics of a section, each marked against random."""
    values, compared = _rows(results, model, metrics_of(results, section))
    columns = [_column(results, model, pair, values, compared) for pair in _pairs(values)]
    names = [*methods_of(results), *REFERENCES]
    return grid(f"{model}: {section}", columns, names, footer=CHANCE)


def stability(results: Results, model: str) -> list[Table]:
    """The metrics of stability, and their differences to the same number of the mean map."""
    values, compared = _rows(results, model, metrics_of(results, "stability"))
    mean_map = estimates_of(results, question=Question.AGAINST_CONTROL, model=model, other=MEAN_MAP)
    own, beside = [], []
    for pair in _pairs(values):
        difference = _only(mean_map, pair)
        own.append(_column(results, model, pair, values, compared))
        beside.append(Column(named(*pair), difference, marks=difference))
    names = [*methods_of(results), *REFERENCES]
    caption = f"{model}: better than the stability of the method's mean map by"
    tables = (grid(f"{model}: stability", own, names), grid(caption, beside, names))
    found = [table for table in tables if table is not None]
    return [*found[:1], *(replace(table, folded=True) for table in found[1:])]


def randomisation(results: Results, model: str) -> list[Table]:
    """How alike maps stay when a model's weights are randomised: a table a metric, by layer."""
    values, compared = _rows(results, model, metrics_of(results, "randomisation"))
    layers: dict[str, list[str]] = {}
    for metric, layer in _pairs(values):
        layers.setdefault(metric, []).extend([layer] if layer else [])
    found = []
    for metric in (metric for metric, known in layers.items() if known):
        # what did not apply to a method has no layer: its reason stands in every column
        absent = _only(values, (metric, ""))
        columns = [
            Column(
                layer,
                pd.concat([_only(values, (metric, layer)), absent]),
                marks=_only(compared, (metric, layer)),
            )
            for layer in layers[metric]
        ]
        caption = f"{model}: {heading(results, metric, '')} by layer"
        found.append(grid(caption, columns, methods_of(results)))
    whole = [(metric, "") for metric, known in layers.items() if not known]
    rest = [_column(results, model, pair, values, compared) for pair in whole]
    found.append(grid(f"{model}: randomisation", rest, methods_of(results)))
    return [table for table in found if table is not None]


def gaps(results: Results, model: str) -> list[Table]:
    """A model's methods on every test of faithfulness: the difference to random, a table a metric.

    Metrics of one column share a table. Signed and unsigned methods have a table each where they
    are not compared.
    """
    rows = estimates_of(results, question=Question.AGAINST_RANDOM, model=model)
    rows = rows[rows["metric"].isin(metrics_of(results, "faithfulness"))]
    families: dict[str, list[Pair]] = {}
    for metric, operator in _pairs(rows):
        family = curve_of(metric)[0] if operator else ""
        families.setdefault(family, []).append((metric, operator))
    found = []
    for family, pairs in families.items():
        columns = [_gap(results, model, pair, rows, family) for pair in pairs]
        caption = f"{model}: {label(family) or 'other tests'}, gap to random"
        folded = len(families) > FEW and family != curve_of(PRIMARY)[0]
        for among, methods in _compared(results, family).items():
            table = grid(caption + among, columns, methods)
            found += [replace(table, folded=folded)] if table else []
    return found


def between(results: Results, model: str, other: str) -> Table | None:
    """The same method explaining two models: the paired difference of each measure."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, model=model, other=other)
    local = metrics_of(results, "localisation") + metrics_of(results, "stability")
    wanted = [(PRIMARY, operator_of(results)), *((metric, "") for metric in local)]
    columns = [Column(named(*pair), _only(rows, pair), marks=_only(rows, pair)) for pair in wanted]
    caption = f"{model} \N{MINUS SIGN} {other}: above 0, the method is better on {model}"
    table = grid(caption, columns, methods_of(results))
    return None if table is None else replace(table, folded=True)


def doubted(results: Results, model: str, pair: Pair) -> str:
    """What the head of a column adds where its metric failed its self-test."""
    return f" ({CANNOT})" if tested(results, model, *pair).failed else ""


def _rows(
    results: Results, model: str, metrics: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values of some metrics on a model, and their differences to random."""
    values = estimates_of(results, question=Question.VALUE, model=model)
    compared = estimates_of(results, question=Question.AGAINST_RANDOM, model=model)
    return values[values["metric"].isin(metrics)], compared[compared["metric"].isin(metrics)]


def _column(
    results: Results, model: str, pair: Pair, values: pd.DataFrame, compared: pd.DataFrame
) -> Column:
    metric, _ = pair
    merit = better_of(results, metric) != "neither"
    chance = chance_of(results, metric)
    return Column(
        heading(results, *pair) + doubted(results, model, pair),
        _only(values, pair),
        marks=_only(compared, pair) if merit else None,
        footer="" if chance is None else number(chance, 2),
    )


def _gap(results: Results, model: str, pair: Pair, rows: pd.DataFrame, family: str) -> Column:
    """The difference to random; the head leaves out what the caption says."""
    metric, operator = pair
    said = operator if metric == family else named(metric, operator, prefix=f"{family}_")
    own = _only(rows, pair)
    return Column(said + doubted(results, model, pair), own, marks=own)


def _compared(results: Results, family: str) -> dict[str, list[str]]:
    """The methods that share a table of a curve metric, by what its caption adds."""
    methods = methods_of(results)
    if not parts_signed_from_unsigned(results, family):
        return {"": methods}
    apart = "not compared across signs"
    return {
        f"; signed methods, {apart}": [name for name in methods if signed(results, name)],
        f"; unsigned methods, {apart}": [name for name in methods if not signed(results, name)],
    }


def _pairs(rows: pd.DataFrame) -> list[Pair]:
    """The metrics with their operators, in order of appearance."""
    pairs = zip(rows["metric"], rows["operator"], strict=True)
    return list(dict.fromkeys((str(metric), str(operator)) for metric, operator in pairs))


def _only(rows: pd.DataFrame, pair: Pair) -> pd.DataFrame:
    metric, operator = pair
    return rows[(rows["metric"] == metric) & (rows["operator"] == operator)]
