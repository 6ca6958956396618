"""The main tables as LaTeX, ready for ``\\input`` where booktabs is loaded."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Any

import pandas as pd

from xaibench.plan.primary import PRIMARY
from xaibench.results.reading import Results
from xaibench.results.schema import Question

from .format.latex import Float, bold, escaped, figure, floated, in_parts, slug
from .format.latex import label as reference
from .format.names import better_of, heading, label, metrics_of, named
from .format.numbers import (
    ABSENT,
    decimals_of,
    direction,
    mean_and_interval,
    number,
    probability,
)
from .format.paths import shareable, without_folders
from .format.select import (
    estimates_of,
    methods_of,
    models_of,
    operator_of,
    ranking,
    values_of,
)
from .tables.discrimination import NAMES, headings, value_of
from .tables.leaderboard import normalised
from .tables.selftest import tested

ACROSS = 3
"""So many columns with intervals stand side by side; more go into another table."""

BOLD = "Bold: the interval of the paired difference to every other lies on one side of 0."
DIFFERENT = "Bold: the interval lies on one side of 0."


def latex(results: Results) -> dict[str, str]:
    r"""Tables for a paper, as ``tables/*.tex``: booktabs, with intervals and captions."""
    results = shareable(results)
    found = {
        "leaderboard": _over_models(results),
        **_each_model(results, "leaderboard", _leaderboard),
        "accuracy": _accuracy(results),
        **_each_model(results, "localisation", _localisation),
        "between_models": _between(results),
    }
    files = {name: list(tables) for name, tables in found.items()}
    return {f"tables/{name}.tex": _text(tables) for name, tables in files.items() if tables}


def _text(tables: Iterable[Float]) -> str:
    head = "% Needs \\usepackage{booktabs} in the preamble.\n"
    return head + "\n".join(floated(table) for table in tables)


def _told(text: str) -> str:
    """Words of the run as LaTeX prints them. Folders go first: commands look like folders."""
    return escaped(without_folders(text))


def _each_model(
    results: Results, name: str, tables: Callable[[Results, str], Iterator[Float]]
) -> dict[str, Iterator[Float]]:
    """A file a model; numbered, for two names may differ in what a file name cannot hold."""
    models = models_of(results)
    slugs = [slug(model) for model in models]
    names = [
        word if word and slugs.count(word) == 1 else f"{word}-{place}".strip("-")
        for place, word in enumerate(slugs, start=1)
    ]
    return {f"{name}_{word}": tables(results, m) for word, m in zip(names, models, strict=True)}


# Leaderboards


def _over_models(results: Results) -> Iterator[Float]:
    """Methods down, models across: the gap to random."""
    gaps = {model: ranking(results, model) for model in models_of(results)}
    known = [model for model, rows in gaps.items() if len(rows)]
    for place, models in enumerate(in_parts(known, ACROSS), start=1):
        columns = [_column(results, model, gaps[model]) for model in models]
        rows = _down(methods_of(results), columns)
        caption = f"{_gap(results)} {BOLD} {_made_of(results, pd.concat(gaps.values()))}"
        header = ("Method", *(_told(model) for model in models))
        yield Float(caption, reference("leaderboard", str(place)), header, rows)


def _leaderboard(results: Results, model: str) -> Iterator[Float]:
    """All that the leaderboard of one model tells."""
    rows = ranking(results, model)
    if rows.empty:
        return
    shares = normalised(results, model)
    columns = [
        {str(row["method"]): figure(number(row["rank"], 0)) for _, row in rows.iterrows()},
        _column(results, model, rows),
        _figures(shares) if len(shares) else {},
        {
            str(row["method"]): figure(probability(row["p_sequences_holm"]))
            for _, row in rows.iterrows()
        },
        {str(row["method"]): figure(probability(row["p_holm"])) for _, row in rows.iterrows()},
    ]
    heads = ("Rank", "Gap", "Normalised", "$p$ (models)", "$p$ (retraining)")
    kept = [place for place, column in enumerate(columns) if column]
    caption = (
        f"{_told(model)}. {_gap(results)} {BOLD} $p$: two-sided, Holm over the methods, for "
        f"these trained models and for retraining. "
        f"{_made_of(results, rows)}{_doubt(results, model)}"
    )
    header = ("Method", *(heads[place] for place in kept))
    body = _down(list(rows["method"].astype(str)), [columns[place] for place in kept])
    yield Float(caption, reference("leaderboard", model), header, body)


def _gap(results: Results) -> str:
    operator = _told(operator_of(results))
    return (
        "Gap to random deletion: area under the falling logit difference, random minus method "
        f"(higher is better), operator {operator}, with 95\\% interval."
    )


def _doubt(results: Results, model: str) -> str:
    found = tested(results, model, PRIMARY, operator_of(results))
    return f" Nothing is ranked: {_told(found.reason)}." if found.failed else ""


def _column(results: Results, model: str, rows: pd.DataFrame) -> dict[str, str]:
    """The gaps of one model; the best bold where it is told from all others."""
    figures = _figures(rows)
    if tested(results, model, PRIMARY, operator_of(results)).failed:
        return figures
    return _with_best(results, model, PRIMARY, operator_of(results), figures)


# Accuracy


def _accuracy(results: Results) -> Iterator[Float]:
    rows = estimates_of(results, question=Question.VALUE, metric="accuracy")
    if rows.empty:
        return
    decimals = max(decimals_of(rows), 3)
    best = _best_model(results)
    measures = list(NAMES) if len(results.classification) else []
    body = []
    for _, row in rows.iterrows():
        text = figure(mean_and_interval(row, decimals))
        more = (_discriminates(results, measure, row["model"], decimals) for measure in measures)
        body.append((_told(row["model"]), bold(text) if row["model"] == best else text, *more))
    for trivial in results.environment.get("floor") or []:
        known = [trivial.get(name) for name in ("accuracy", *measures)]
        body.append((_told(f"{trivial['name']} (floor)"), *(_trivial(n, decimals) for n in known)))
    several = ", AUROC, AUPRC and MCC" if measures else ""
    caption = (
        f"Accuracy{several} on the test sequences, with 95\\% interval. {BOLD} "
        f"{_made_of(results, rows)}"
    )
    heads = (_told(headings(results)[measure]) for measure in measures)
    yield Float(caption, reference("accuracy"), ("Model", "Accuracy", *heads), tuple(body))


def _discriminates(results: Results, measure: str, model: str, decimals: int) -> str:
    row = value_of(results, measure, model)
    return figure(ABSENT if row is None else mean_and_interval(row, decimals))


def _trivial(value: float | None, decimals: int) -> str:
    return figure(ABSENT if value is None else number(float(value), decimals))


def _best_model(results: Results) -> str | None:
    """The model whose accuracy is told from that of every other; None where there is none."""
    rows = estimates_of(results, question=Question.BETWEEN_MODELS, metric="accuracy")
    ahead: dict[str, int] = {}
    for _, row in rows.iterrows():
        told = direction(row)
        winner = {1: row["model"], -1: row["other"]}.get(told or 0)
        if winner is not None:
            ahead[str(winner)] = ahead.get(str(winner), 0) + 1
    others = len(models_of(results)) - 1
    return next((model for model, count in ahead.items() if count == others), None)


# Localisation


def _localisation(results: Results, model: str) -> Iterator[Float]:
    """Methods down, metrics of localisation across."""
    found = {
        metric: values_of(results, metric, model) for metric in metrics_of(results, "localisation")
    }
    found = {metric: rows for metric, rows in found.items() if len(rows)}
    for place, metrics in enumerate(in_parts(list(found), ACROSS), start=1):
        columns = [_measure(results, model, metric, found[metric]) for metric in metrics]
        heads = (_told(heading(results, metric, "")) for metric in metrics)
        counted = _made_of(results, pd.concat([found[metric] for metric in metrics]))
        caption = (
            f"{_told(model)}: how the scores lie on the known motif, for the true label, with "
            f"95\\% interval. {BOLD} {counted}"
        )
        rows = _down(methods_of(results), columns)
        yield Float(caption, reference("localisation", model, str(place)), ("Method", *heads), rows)


def _measure(results: Results, model: str, metric: str, rows: pd.DataFrame) -> dict[str, str]:
    figures = _figures(rows)
    if better_of(results, metric) == "neither" or tested(results, model, metric, "").failed:
        return figures
    return _with_best(results, model, metric, "", figures)


# Between models


def _between(results: Results) -> Iterator[Float]:
    """A table a pair of models: the paired differences of every method."""
    local = [(metric, "") for metric in metrics_of(results, "localisation")]
    for model, other in combinations(models_of(results), 2):
        every = estimates_of(results, question=Question.BETWEEN_MODELS, model=model, other=other)
        found = {
            pair: every[(every["metric"] == pair[0]) & (every["operator"] == pair[1])]
            for pair in [(PRIMARY, operator_of(results)), *local]
        }
        found = {pair: rows for pair, rows in found.items() if len(rows)}
        for place, pairs in enumerate(in_parts(list(found), ACROSS), start=1):
            columns = [_figures(found[pair], marked=True) for pair in pairs]
            counted = _made_of(results, pd.concat([found[pair] for pair in pairs]))
            caption = (
                f"{_told(model)} minus {_told(other)}, the same method on both: paired "
                f"differences (for deletion, of the gap to random; operator "
                f"{_told(operator_of(results))}) with 95\\% interval, above 0 where the method "
                f"serves {_told(model)} better. {DIFFERENT} {counted}"
            )
            heads = (_told(_short(pair)) for pair in pairs)
            name = reference("between", model, other, str(place))
            yield Float(caption, name, ("Method", *heads), _down(methods_of(results), columns))


def _short(pair: tuple[str, str]) -> str:
    metric, operator = pair
    return label(metric) if metric == PRIMARY else named(metric, operator)


# What all have in common


def _figures(rows: pd.DataFrame, *, marked: bool = False) -> dict[str, str]:
    """Method -> its mean with the interval; ``marked``: bold where that lies on one side of 0."""
    decimals = decimals_of(rows)
    figures = {}
    for _, row in rows.iterrows():
        text = figure(mean_and_interval(row, decimals))
        apart = marked and direction(row) in (1, -1)
        figures[str(row["method"])] = bold(text) if apart else text
    return figures


def _with_best(
    results: Results, model: str, metric: str, operator: str, figures: dict[str, str]
) -> dict[str, str]:
    """The figures, that of the best bold where every other is clearly behind it."""
    rows = estimates_of(results, question=Question.AGAINST_BEST, model=model, metric=metric)
    rows = rows[(rows["operator"] == operator) & rows["mean"].notna()]
    best = set(rows["other"].astype(str))
    if len(best) != 1 or any(direction(row) != -1 for _, row in rows.iterrows()):
        return figures
    return {name: bold(text) if name in best else text for name, text in figures.items()}


def _down(names: Iterable[str], columns: list[dict[str, str]]) -> tuple[tuple[str, ...], ...]:
    """A row a name that any column knows."""
    known = [name for name in names if any(name in column for column in columns)]
    absent = figure(ABSENT)
    return tuple((_told(name), *(column.get(name, absent) for column in columns)) for name in known)


def _made_of(results: Results, rows: pd.DataFrame) -> str:
    """What the figures are made of: sequences, seeds, and which interval it is."""
    known = rows[rows["mean"].notna()]
    if known.empty:
        return "Nothing was measured."
    which = "for these trained models" if known["seeds"].max() == 1 else "for retraining"
    undefined = int(known["undefined"].fillna(0).max())
    more = f", up to {undefined} more undefined" if undefined else ""
    unfinished = " The run is unfinished." if results.environment.get("unfinished") else ""
    counted = (
        f"{_counted(known['sequences'], 'sequence')}{more}, {_counted(known['seeds'], 'seed')}"
    )
    return f"$n$ = {counted}; intervals {which}.{unfinished}"


def _counted(counts: pd.Series[Any], what: str) -> str:
    low, high = int(counts.min()), int(counts.max())
    number_of = str(low) if low == high else f"{low}--{high}"
    return f"{number_of} {what}{'' if high == 1 else 's'}"
