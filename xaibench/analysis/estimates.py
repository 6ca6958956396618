"""From records to estimates: one row a question, asked of every method, metric and operator.

- ``value``: the mean of the metric itself.
- ``against random``: the paired difference to the control.
- ``against control``: to a control of the method's own map, and to what no model made.
- ``normalised``: where the method stands between random, 0, and the oracle, 1.
- ``between models``: the paired difference of one method on two models.
- ``normalised between models``: of what is normalised on each of them.
- ``self-test``: the differences that show whether the metric can tell good from bad.
- ``against best``: the paired difference of a ranked method to the one with the best mean. Which
  that is, the same data have said, so the difference is somewhat larger than on new data.
- ``against reference``: to the method that the plan names.

A positive difference means that the first is better: the method, ``model``, or ``method`` in the
self-test. Rows of one panel are paired by seed and sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.protocols import MetricFacts
from xaibench.statistics.means import of_differences, of_values, undefined
from xaibench.statistics.ratios import difference_of_ratios, of_ratio
from xaibench.values import Estimate

from .measurements import Asked
from .panels import Cell, Panel, aligned, joined, minus
from .ranking import apart, boards, cells_of, corrected, families, ranked

COLUMNS = [
    *("question", "dataset", "model", "other", "method", "metric", "operator"),
    *Estimate.columns(),
    *("p_holm", "p_sequences_holm", "p_seeds_holm", "rank"),
]

Row = dict[str, Any]
Values = NDArray[np.float64]


def estimates(
    asked: Asked, *, signed: Mapping[str, bool] | None = None, reference: str | None = None
) -> pd.DataFrame:
    """Every question that the records answer, one row each, in the columns ``COLUMNS``.

    What no value answers is a row of NaN with the reason. ``signed`` tells which methods are: those
    that are not have a family of their own under metrics of the least relevant first. Nothing is
    ranked by a metric that fails its self-test on the model, and what has no rank is compared
    neither with the best nor with the ``reference``. Neither the order of the records nor other
    rows change an estimate.
    """
    questions = (
        *(_values, _against_random, _against_control, _normalised),
        *(_between_models, _normalised_between_models, _self_test),
    )
    frame = _frame(chain.from_iterable(question(asked) for question in questions))
    alone = apart(frame, asked, signed or {})
    numbers = families(frame, alone)
    frame = ranked(corrected(frame, numbers), numbers, asked)
    later = _frame(_of_ranked(asked, frame, alone, reference))
    own = families(later, apart(later, asked, signed or {}))
    return pd.concat([frame, corrected(later, own)], ignore_index=True)


def _frame(rows: Iterator[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return frame.astype(dict.fromkeys(COLUMNS[-4:], np.float64))


# The questions


def _row(question: str, cell: Cell, other: str, found: Estimate) -> Row:
    return {"question": question, **cell._asdict(), "other": other, **asdict(found)}


def _found(
    cell: Cell, panel: Panel, how: Callable[..., Estimate], asked: Asked, **options: Any
) -> Estimate:
    if not panel.values.size:
        return undefined(panel.reason or "there are no pairs of values")
    facts = asked.facts[cell.metric]
    compares_seeds = facts is not None and facts.change == "seed"
    found = how(
        panel.values,
        sequences_only=compares_seeds,
        clusters=asked.clusters(panel),
        **options,
    )
    return replace(found, reason=joined(found.reason, panel.reason))


def _values(asked: Asked) -> Iterator[Row]:
    for cell, panel in asked.panels.items():
        if not cell.control:
            found = _found(cell, panel, of_values, asked, yes_no=asked.yes_no(cell))
            yield _row("value", cell, "", _within(found, asked.facts[cell.metric]))


def _within(found: Estimate, facts: MetricFacts | None) -> Estimate:
    """Its intervals end where the metric does: t of few seeds reaches beyond."""
    if facts is None:
        return found
    ends = found.low, found.high, found.sequences_low, found.sequences_high
    low, high, sequences_low, sequences_high = map(float, np.clip(ends, *facts.range))
    return replace(
        found,
        low=low,
        high=high,
        sequences_low=sequences_low,
        sequences_high=sequences_high,
    )


def _against_random(asked: Asked) -> Iterator[Row]:
    """Not where weights were randomised: a map that ignores them is no bar to be above."""
    for cell, facts in asked.of_methods():
        other = asked.random(cell)
        if facts.family != "randomisation" and cell != other:
            yield _difference("against random", cell, other, asked)


def _difference(question: str, cell: Cell, other: Cell, asked: Asked, name: str = "") -> Row:
    """The paired difference of two maps; ``name`` is what ``other`` is called, else its method."""
    yes_no = asked.yes_no(cell, other)
    found = _found(cell, asked.gap(cell, other), of_differences, asked, yes_no=yes_no)
    return _row(question, cell, name or other.method, found)


def _against_control(asked: Asked) -> Iterator[Row]:
    """Where there are values of the control."""
    controls = [name for name in dict.fromkeys(cell.control for cell in asked.panels) if name]
    for cell, _ in asked.of_methods():
        spoilt = [(name, cell._replace(control=name)) for name in controls]
        priors = [(name, cell._replace(method=name)) for name in PRIORS]
        for other, compared in (*spoilt, *priors):
            if compared in asked.panels:
                yield _difference("against control", cell, compared, asked, other)


def _normalised(asked: Asked) -> Iterator[Row]:
    """Where there is an oracle, on what it, the control and the method share."""
    for cell, _ in asked.of_methods():
        if cell._replace(method=ORACLE) in asked.panels:
            reached, possible = aligned(*_of_the_possible(cell, asked))
            share = partial(_share, possible.values)
            yield _row("normalised", cell, ORACLE, _found(cell, reached, share, asked))


def _of_the_possible(cell: Cell, asked: Asked) -> tuple[Panel, Panel]:
    """How far a method and the oracle are above random; the reasons of all three with the first."""
    oracle, chance = cell._replace(method=ORACLE), cell._replace(method=asked.control)
    reason = joined(*(asked.panel(each).reason for each in (cell, chance, oracle)))
    return replace(asked.gap(cell, chance), reason=reason), asked.gap(oracle, chance)


def _share(possible: Values, reached: Values, **options: Any) -> Estimate:
    """How much of what the oracle is above random the method reaches."""
    return of_ratio(reached, possible, named="oracle minus random", **options)


def _shares(rest: list[Values], reached: Values, **options: Any) -> Estimate:
    """The difference of two such shares."""
    possible, *second = rest
    return difference_of_ratios(
        (reached, possible),
        (second[0], second[1]),
        named="oracle minus random",
        **options,
    )


def _normalised_between_models(asked: Asked) -> Iterator[Row]:
    """Where both models have an oracle, on what all share."""
    for model, other, cell in _model_pairs(asked):
        facts = asked.facts[cell.metric]
        cells = [cell._replace(model=name) for name in (model, other)]
        have_oracle = all(each._replace(method=ORACLE) in asked.panels for each in cells)
        if facts is None or facts.better == "neither" or not have_oracle:
            continue
        panels = aligned(*chain.from_iterable(_of_the_possible(each, asked) for each in cells))
        rest = [panel.values for panel in panels[1:]]
        reason = joined(panels[0].reason, panels[2].reason)
        found = _found(cell, replace(panels[0], reason=reason), partial(_shares, rest), asked)
        yield _row("normalised between models", cell, other, found)


def _self_test(asked: Asked) -> Iterator[Row]:
    """Of each metric that an oracle was measured by."""
    for oracle in asked.panels:
        facts = asked.facts[oracle.metric]
        if facts is None or facts.better == "neither":
            continue
        if oracle.method == ORACLE and not oracle.control:
            for first, second in _self_test_pairs(oracle, asked.control):
                yield _difference("self-test", first, second, asked, second.source)


def _self_test_pairs(oracle: Cell, control: str) -> Iterator[tuple[Cell, Cell]]:
    """The one that should be better first."""
    chance = oracle._replace(method=control)
    yield oracle, chance
    yield chance, oracle._replace(control="negated")
    yield oracle, oracle._replace(control="blurred")


def _between_models(asked: Asked) -> Iterator[Row]:
    for model, other, cell in _model_pairs(asked):
        if asked.facts[cell.metric] is not None:
            gap = minus(*between(model, other, cell, asked))
            yes_no = asked.yes_no(cell, cell._replace(model=other))
            found = _found(cell, gap, of_differences, asked, yes_no=yes_no)
            yield _row("between models", cell, other, found)


def between(model: str, other: str, cell: Cell, asked: Asked) -> tuple[Panel, Panel]:
    """What is compared of two models, larger being better where one is."""
    first, second = (_comparable(cell._replace(model=name), asked) for name in (model, other))
    return first, second


def _model_pairs(asked: Asked) -> Iterator[tuple[str, str, Cell]]:
    """Each pair of models with each cell of either, named by the first."""
    apart = (asked.control, ORACLE, *PRIORS)
    own = [cell for cell in asked.panels if not cell.control and cell.method not in apart]
    for dataset in dict.fromkeys(cell.dataset for cell in asked.panels):
        cells = [cell for cell in own if cell.dataset == dataset]
        of_dataset = (cell.model for cell in asked.panels if cell.dataset == dataset)
        for model, other in combinations(dict.fromkeys(of_dataset), 2):
            of_either = (cell for cell in cells if cell.model in (model, other))
            for cell in dict.fromkeys(cell._replace(model=model) for cell in of_either):
                yield model, other, cell


def _comparable(cell: Cell, asked: Asked) -> Panel:
    """Curves depend on how sure a model is, which the gap to random takes out."""
    facts, panel = asked.facts[cell.metric], asked.panel(cell)
    if facts is None or facts.better == "neither":
        return panel
    if facts.of == "curves":
        return asked.gap(cell, cell._replace(method=asked.control))
    return replace(panel, values=-panel.values) if facts.better == "lower" else panel


def _of_ranked(
    asked: Asked, frame: pd.DataFrame, alone: pd.Series[bool], reference: str | None
) -> Iterator[Row]:
    """Of every method with a rank, how far it is from the best, and from the reference."""
    with_rank = set(cells_of(frame[frame["rank"].notna()]))
    for board in boards(frame, alone):
        cells = cells_of(board)
        best = cells[int(board["rank"].argmin())]
        yield from _compared("against best", cells, best, asked)
        named = best._replace(method=reference or "")
        # one that is ranked elsewhere is not to be compared with these
        if reference and (named in cells or named not in with_rank):
            yield from _compared("against reference", cells, named, asked)


def _compared(question: str, cells: list[Cell], other: Cell, asked: Asked) -> Iterator[Row]:
    return (_difference(question, cell, other, asked) for cell in cells if cell != other)
