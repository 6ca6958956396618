"""From records to estimates: one row a question, asked of every method, metric and operator.

- ``value``: the mean of the metric itself.
- ``against random``: the paired difference to the control.
- ``against control``: to a control of the method's own map, and to what no model made.
- ``normalised``: where the method stands between random, 0, and the oracle, 1.
- ``between models``: the paired difference of one method on two models.
- ``self-test``: the differences that show whether the metric can tell good from bad.

A positive difference means that the first is better: the method, ``model``, or ``method`` in the
self-test. Rows of one panel are paired by seed and sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.controls import ORACLE, PRIORS
from xaibench.panels import Cell, Panel, joined, minus, paired, panels
from xaibench.protocols import MetricFacts
from xaibench.randomness import stream
from xaibench.selftest import PLACE, verdicts
from xaibench.statistics import (
    Drawing,
    Draws,
    draw,
    holm,
    of_differences,
    of_ratio,
    of_values,
    rank,
    undefined,
)
from xaibench.values import Estimate

_ACCURACY = MetricFacts(family="model", better="higher", range=(0, 1), of="explanation")
_FAMILY = ["question", "dataset", "model", "other", "metric", "operator"]
"""The methods that share these are ranked against each other and corrected together."""

_RANKED = ("value", "against random")
_NEVER_RANKED = ("stability", "randomisation", "complexity")
"""Families that a useless map can win: a constant one is perfectly stable."""

_KEPT = 2**28
"""Bytes of draws that are remembered."""

COLUMNS = [
    *("question", "dataset", "model", "other", "method", "metric", "operator"),
    *Estimate.columns(),
    *("p_sequences_holm", "p_seeds_holm", "rank"),
]

Row = dict[str, Any]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Run:
    """What every question is asked of."""

    panels: Mapping[Cell, Panel]
    facts: Mapping[str, MetricFacts | None]
    control: str
    random_method: str | None
    drawing: Drawing

    def panel(self, cell: Cell) -> Panel:
        missing = f"there are no values of {cell.source or 'the model'} on {cell.model}"
        return self.panels.get(cell, Panel(reason=missing))


def estimates(
    records: pd.DataFrame,
    *,
    facts: Mapping[str, MetricFacts],
    data_seed: int,
    control: str = "random control",
    random_method: str | None = None,
    signed: Mapping[str, bool] | None = None,
) -> pd.DataFrame:
    """Every question the records answer, one row each, in the columns ``COLUMNS``.

    ``facts`` holds those of each metric by its label in the plan. ``control`` is the method of the
    control's records. ``random_method`` is the label of the random method, with which stability is
    compared, for there are no changes of the control. What no value answers is a row of NaN with
    the reason. ``signed`` tells which methods are: those that are not have a family of their own
    under metrics of the least relevant first. Nothing is ranked by a metric that fails its
    self-test on the model. Neither the order of the records nor other rows change an estimate.
    """
    asked = panels(records)
    known = {metric: _facts_of(metric, facts) for metric in {cell.metric for cell in asked}}
    run = _Run(asked, known, control, random_method, _shared_draws(data_seed))
    questions = _values, _against_random, _against_control, _normalised, _between_models, _self_test
    rows = chain.from_iterable(question(run) for question in questions)
    frame = pd.DataFrame(rows, columns=COLUMNS)
    families = _families(frame, known, signed or {})
    return _ranked(_corrected(frame, families), families, run)


def _facts_of(metric: str, facts: Mapping[str, MetricFacts]) -> MetricFacts | None:
    """A curve metric is recorded as its label, an underscore and the quantity; one of a single
    quantity as its label."""
    known = {"accuracy": _ACCURACY, **facts}
    if metric in known:
        return known[metric]
    labels = [
        label
        for label, each in facts.items()
        if each.of == "curves" and len(each.quantities) > 1 and metric.startswith(f"{label}_")
    ]
    return facts[max(labels, key=len)] if labels else None


def _shared_draws(data_seed: int) -> Drawing:
    """The draws depend on the size alone, so that comparisons of one size can share them."""
    kept: dict[tuple[int, int], Draws] = {}

    def drawing(seeds: int, sequences: int) -> Draws:
        size = seeds, sequences
        draws = kept.pop(size, None)
        kept[size] = draws or draw(stream(data_seed, "statistics", *size), *size)
        while len(kept) > 1 and sum(map(_bytes, kept.values())) > _KEPT:
            del kept[next(iter(kept))]  # the one not asked for the longest
        return kept[size]

    return drawing


def _bytes(draws: Draws) -> int:
    return draws.sequence_counts.nbytes + draws.seed_counts.nbytes + draws.signs.nbytes


# The questions


def _row(question: str, cell: Cell, other: str, found: Estimate) -> Row:
    return {"question": question, **cell._asdict(), "other": other, **asdict(found)}


def _found(cell: Cell, panel: Panel, how: Callable[..., Estimate], run: _Run) -> Estimate:
    if not panel.values.size:
        return undefined(panel.reason or "there are no pairs of values")
    facts = run.facts[cell.metric]
    compares_seeds = facts is not None and facts.change == "seed"
    found = how(panel.values, run.drawing, sequences_only=compares_seeds)
    return replace(found, reason=joined(found.reason, panel.reason))


def _values(run: _Run) -> Iterator[Row]:
    for cell, panel in run.panels.items():
        if not cell.control:
            yield _row("value", cell, "", _found(cell, panel, of_values, run))


def _of_methods(run: _Run) -> Iterator[tuple[Cell, MetricFacts]]:
    """The methods' own maps under metrics of which one value is better than another."""
    others = ("", run.control, ORACLE, *PRIORS)
    for cell in run.panels:
        facts = run.facts[cell.metric]
        if facts is None or facts.better == "neither":
            continue
        if not cell.control and cell.method not in others:
            yield cell, facts


def _against_random(run: _Run) -> Iterator[Row]:
    """Not where weights were randomised: a map that ignores them is no bar to be above."""
    for cell, facts in _of_methods(run):
        if facts.family == "randomisation":
            continue
        other = run.control
        if facts.of == "change":
            other = run.random_method or "random"
        if cell.method != other:
            gap = _gap(cell, cell._replace(method=other), facts, run)
            yield _row("against random", cell, other, _found(cell, gap, of_differences, run))


def _against_control(run: _Run) -> Iterator[Row]:
    """Where there are values of the control."""
    controls = [name for name in dict.fromkeys(cell.control for cell in run.panels) if name]
    for cell, facts in _of_methods(run):
        spoilt = [(name, cell._replace(control=name)) for name in controls]
        priors = [(name, cell._replace(method=name)) for name in PRIORS]
        for other, compared in (*spoilt, *priors):
            if compared in run.panels:
                gap = _gap(cell, compared, facts, run)
                yield _row("against control", cell, other, _found(cell, gap, of_differences, run))


def _normalised(run: _Run) -> Iterator[Row]:
    """Where there is an oracle, on what it, the control and the method share."""
    for cell, facts in _of_methods(run):
        oracle, chance = cell._replace(method=ORACLE), cell._replace(method=run.control)
        if oracle in run.panels:
            reached, possible = paired(
                _gap(cell, chance, facts, run), _gap(oracle, chance, facts, run)
            )
            reason = joined(*(run.panel(each).reason for each in (cell, chance, oracle)))
            share = partial(_share, possible.values)
            found = _found(cell, replace(reached, reason=reason), share, run)
            yield _row("normalised", cell, ORACLE, found)


def _share(possible: Values, reached: Values, drawing: Drawing, **options: Any) -> Estimate:
    """How much of what the oracle is above random the method reaches."""
    return of_ratio(reached, possible, drawing, named="oracle minus random", **options)


def _self_test(run: _Run) -> Iterator[Row]:
    """Of each metric that an oracle was measured by."""
    for oracle in run.panels:
        facts = run.facts[oracle.metric]
        if facts is None or facts.better == "neither":
            continue
        if oracle.method == ORACLE and not oracle.control:
            for first, second in _self_test_pairs(oracle, run.control):
                found = _found(first, _gap(first, second, facts, run), of_differences, run)
                yield _row("self-test", first, second.source, found)


def _self_test_pairs(oracle: Cell, control: str) -> Iterator[tuple[Cell, Cell]]:
    """The one that should be better first."""
    chance = oracle._replace(method=control)
    yield oracle, chance
    yield chance, oracle._replace(control="negated")
    yield oracle, oracle._replace(control="blurred")


def _gap(first: Cell, second: Cell, facts: MetricFacts, run: _Run) -> Panel:
    """How much better the first is than the second, by seed and sequence."""
    one, other = run.panel(first), run.panel(second)
    return minus(other, one) if facts.better == "lower" else minus(one, other)


def _between_models(run: _Run) -> Iterator[Row]:
    for model, other, cell in _model_pairs(run):
        facts = run.facts[cell.metric]
        if facts is not None:
            first, second = (
                _comparable(cell._replace(model=name), facts, run) for name in (model, other)
            )
            found = _found(cell, minus(first, second), of_differences, run)
            yield _row("between models", cell, other, found)


def _model_pairs(run: _Run) -> Iterator[tuple[str, str, Cell]]:
    """Each pair of models with each cell of either, named by the first."""
    apart = (run.control, ORACLE, *PRIORS)
    own = [cell for cell in run.panels if not cell.control and cell.method not in apart]
    for dataset in dict.fromkeys(cell.dataset for cell in run.panels):
        cells = [cell for cell in own if cell.dataset == dataset]
        of_dataset = (cell.model for cell in run.panels if cell.dataset == dataset)
        for model, other in combinations(dict.fromkeys(of_dataset), 2):
            of_either = (cell for cell in cells if cell.model in (model, other))
            for cell in dict.fromkeys(cell._replace(model=model) for cell in of_either):
                yield model, other, cell


def _comparable(cell: Cell, facts: MetricFacts, run: _Run) -> Panel:
    """What may be compared between models, larger being better where one is.

    Curves depend on how sure a model is, which the gap to random takes out.
    """
    panel = run.panel(cell)
    if facts.better == "neither":
        return panel
    if facts.of == "curves":
        return _gap(cell, cell._replace(method=run.control), facts, run)
    return replace(panel, values=-panel.values) if facts.better == "lower" else panel


# Corrections and ranks


def _families(
    frame: pd.DataFrame, facts: Mapping[str, MetricFacts | None], signed: Mapping[str, bool]
) -> pd.Series[int]:
    """The number of the family of each row. Signed methods put evidence against the target last
    and unsigned ones cannot, so least relevant first they are not compared; nor are they where a
    metric asks them different things."""
    apart = {
        name
        for name, each in facts.items()
        if each and (each.needs_least_relevant_first or each.signs_apart)
    }
    of_signed = frame["method"].map(lambda name: signed.get(name, True)).astype(bool)
    alone = frame["metric"].isin(apart) & of_signed
    names = [*(frame[name] for name in _FAMILY), alone]
    return frame.groupby(names, sort=False).ngroup()


def _corrected(frame: pd.DataFrame, families: pd.Series[int]) -> pd.DataFrame:
    for name in ("p_sequences", "p_seeds"):
        tested = frame[name].dropna()
        adjusted = tested.groupby(families, sort=False).transform(lambda p: holm(p.to_numpy()))
        frame[f"{name}_holm"] = adjusted.reindex(frame.index)
    return frame


def _ranked(frame: pd.DataFrame, families: pd.Series[int], run: _Run) -> pd.DataFrame:
    """Methods by their mean, within a model, where the metric can rank them."""
    methods = ~frame["method"].isin(["", run.control, ORACLE, *PRIORS])
    can = methods & frame["question"].isin(_RANKED) & frame["metric"].map(_ranks(run))
    tests = verdicts(frame)
    failed = pd.MultiIndex.from_frame(tests.loc[tests["passed"] == "no", PLACE])
    can &= ~pd.MultiIndex.from_frame(frame[PLACE]).isin(failed)
    falls = {name: each is not None and each.better == "lower" for name, each in run.facts.items()}
    falling = frame["metric"].map(falls).astype(bool) & (frame["question"] == "value")
    merit = frame["mean"].where(~falling, -frame["mean"])[can.astype(bool)]
    ranks = merit.groupby(families, sort=False).transform(
        lambda means: rank(means.to_numpy(), "higher")
    )
    frame["rank"] = ranks.reindex(frame.index)
    return frame


def _ranks(run: _Run) -> dict[str, bool]:
    """Which metrics rank at all."""
    return {
        name: facts is not None and facts.better != "neither" and facts.family not in _NEVER_RANKED
        for name, facts in run.facts.items()
    }
