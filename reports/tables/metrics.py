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
    gives_signed_scores,
    heading,
    label,
    metric_under_operator,
    metrics_of,
    parts_signed_from_unsigned,
)
from ..format.numbers import MINUS, number
from ..format.replicates import replicate_terms
from ..format.select import REFERENCE_MAPS, estimates_of, methods_of, operator_of
from .selftest import tested
from .table import CANNOT, Measure, Table, grid

CHANCE_LEVEL = "chance level"
MEAN_MAP = "mean map"
"""The control whose map is the same for every sequence."""

FEW_FAMILIES = 2
"""So many metrics of curves are shown whole; of more, all but the leaderboard's open on a click."""

MetricPair = tuple[str, str]
"""Metric and operator."""


def measures(results: Results, model: str, section: str) -> Table | None:
    """A model's methods on the metrics of a section, each marked against random."""
    values, compared = _values_and_gaps(results, model, metrics_of(results, section))
    columns = [_measure(results, model, pair, values, compared) for pair in _measured_pairs(values)]
    names = [*methods_of(results), *REFERENCE_MAPS]
    terms = replicate_terms(results)
    return grid(f"{model}: {section}", columns, names, terms=terms, footer=CHANCE_LEVEL)


def stability(results: Results, model: str) -> list[Table]:
    """The metrics of stability, and their differences to the same number of the mean map."""
    values, compared = _values_and_gaps(results, model, metrics_of(results, "stability"))
    mean_map = estimates_of(results, question=Question.AGAINST_CONTROL, model=model, other=MEAN_MAP)
    own, beside = [], []
    for pair in _measured_pairs(values):
        difference = _rows_of_pair(mean_map, pair)
        own.append(_measure(results, model, pair, values, compared))
        beside.append(Measure(metric_under_operator(*pair), difference, marks=difference))
    names = [*methods_of(results), *REFERENCE_MAPS]
    caption = f"{model}: better than the stability of the method's mean map by"
    terms = replicate_terms(results)
    tables = (
        grid(f"{model}: stability", own, names, terms=terms),
        grid(caption, beside, names, terms=terms),
    )
    known = [table for table in tables if table is not None]
    return [*known[:1], *(replace(table, folded=True) for table in known[1:])]


def randomisation(results: Results, model: str) -> list[Table]:
    """How alike maps stay when a model's weights are randomised: one table per metric, by layer."""
    values, compared = _values_and_gaps(results, model, metrics_of(results, "randomisation"))
    layers: dict[str, list[str]] = {}
    for metric, layer in _measured_pairs(values):
        layers.setdefault(metric, []).extend([layer] if layer else [])
    tables, terms = [], replicate_terms(results)
    for metric in (metric for metric, known in layers.items() if known):
        # what did not apply to a method has no layer: its reason is in every column
        absent = _rows_of_pair(values, (metric, ""))
        columns = [
            Measure(
                layer,
                pd.concat([_rows_of_pair(values, (metric, layer)), absent]),
                marks=_rows_of_pair(compared, (metric, layer)),
            )
            for layer in layers[metric]
        ]
        caption = f"{model}: {heading(results, metric, '')} by layer"
        tables.append(grid(caption, columns, methods_of(results), terms=terms))
    whole = [(metric, "") for metric, known in layers.items() if not known]
    rest = [_measure(results, model, pair, values, compared) for pair in whole]
    tables.append(grid(f"{model}: randomisation", rest, methods_of(results), terms=terms))
    return [table for table in tables if table is not None]


def gaps(results: Results, model: str) -> list[Table]:
    """A model's methods on every test of faithfulness: the difference to random, by metric.

    Metrics of one column share a table. Signed and unsigned methods have a table each where they
    are not compared.
    """
    rows = estimates_of(results, question=Question.AGAINST_RANDOM, model=model)
    rows = rows[rows["metric"].isin(metrics_of(results, "faithfulness"))]
    families: dict[str, list[MetricPair]] = {}
    for metric, operator in _measured_pairs(rows):
        family = curve_of(metric)[0] if operator else ""
        families.setdefault(family, []).append((metric, operator))
    tables, terms = [], replicate_terms(results)
    for family, pairs in families.items():
        columns = [_gap_measure(results, model, pair, rows, family) for pair in pairs]
        caption = f"{model}: {label(family) or 'other tests'}, gap to random"
        folded = len(families) > FEW_FAMILIES and family != curve_of(PRIMARY)[0]
        for among, methods in _compared_methods(results, family).items():
            table = grid(caption + among, columns, methods, terms=terms)
            tables += [replace(table, folded=folded)] if table else []
    return tables


def between_models(results: Results, model: str, other: str) -> Table | None:
    """The same method explaining two models: the paired difference of each measure."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, model=model, other=other)
    local = metrics_of(results, "localisation") + metrics_of(results, "stability")
    pairs = [(PRIMARY, operator_of(results)), *((metric, "") for metric in local)]
    columns = [
        Measure(
            metric_under_operator(*pair), _rows_of_pair(rows, pair), marks=_rows_of_pair(rows, pair)
        )
        for pair in pairs
    ]
    described = [(metric, "") for metric in metrics_of(results, "complexity")]
    columns += [
        Measure(metric_under_operator(*pair), _rows_of_pair(rows, pair)) for pair in described
    ]
    caption = f"{model} {MINUS} {other}: above 0, the method is better on {model}"
    table = grid(caption, columns, methods_of(results), terms=replicate_terms(results))
    return None if table is None else replace(table, folded=True)


def doubted(results: Results, model: str, pair: MetricPair) -> str:
    """What the head of a column adds where its metric failed its self-test."""
    return f" ({CANNOT})" if tested(results, model, *pair).failed else ""


def _values_and_gaps(
    results: Results, model: str, metrics: Sequence[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The values of some metrics on a model, and their differences to random."""
    values = estimates_of(results, question=Question.VALUE, model=model)
    compared = estimates_of(results, question=Question.AGAINST_RANDOM, model=model)
    return values[values["metric"].isin(metrics)], compared[compared["metric"].isin(metrics)]


def _measure(
    results: Results, model: str, pair: MetricPair, values: pd.DataFrame, compared: pd.DataFrame
) -> Measure:
    """A metric's values, marked against random where one way is better."""
    metric, _ = pair
    merit = better_of(results, metric) != "neither"
    chance = chance_of(results, metric)
    return Measure(
        heading(results, *pair) + doubted(results, model, pair),
        _rows_of_pair(values, pair),
        marks=_rows_of_pair(compared, pair) if merit else None,
        footer="" if chance is None else number(chance, 2),
    )


def _gap_measure(
    results: Results, model: str, pair: MetricPair, rows: pd.DataFrame, family: str
) -> Measure:
    """The difference to random; the head leaves out what the caption says."""
    metric, operator = pair
    head = (
        operator
        if metric == family
        else metric_under_operator(metric, operator, prefix=f"{family}_")
    )
    own = _rows_of_pair(rows, pair)
    return Measure(head + doubted(results, model, pair), own, marks=own)


def _compared_methods(results: Results, family: str) -> dict[str, list[str]]:
    """The methods that share a table of a curve metric, by what its caption adds."""
    methods = methods_of(results)
    if not parts_signed_from_unsigned(results, family):
        return {"": methods}
    apart = "not compared across signs"
    return {
        f"; signed methods, {apart}": [
            name for name in methods if gives_signed_scores(results, name)
        ],
        f"; unsigned methods, {apart}": [
            name for name in methods if not gives_signed_scores(results, name)
        ],
    }


def _measured_pairs(rows: pd.DataFrame) -> list[MetricPair]:
    """The metrics with their operators, in order of appearance."""
    pairs = zip(rows["metric"], rows["operator"], strict=True)
    return list(dict.fromkeys((str(metric), str(operator)) for metric, operator in pairs))


def _rows_of_pair(rows: pd.DataFrame, pair: MetricPair) -> pd.DataFrame:
    metric, operator = pair
    return rows[(rows["metric"] == metric) & (rows["operator"] == operator)]
