"""From records to estimates: one row per question, method, metric and operator.

- ``value``: the mean of the metric itself.
- ``against random``: the paired difference to the control.
- ``against control``: to a control of the method's own map, and to what no model made.
- ``normalised``: where the method is between random, 0, and the oracle, 1.
- ``between models``: the paired difference of one method on two models.
- ``normalised between models``: of what is normalised on each of them.
- ``self-test``: the differences that show whether the metric can tell good from bad.
- ``against best``: the paired difference of a ranked method to the one with the best mean. The
  same data choose it, so the difference is somewhat larger than on new data.
- ``against reference``: to the method that the plan names.
- ``between transfers``: the paired difference of two labels of one method that differ alone in how
  the scores of tokens reach nucleotides.

A positive difference means that the first is better: the method, ``model``, or ``method`` in the
self-test. Rows of one panel are paired by seed and sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain, combinations, product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.protocols import MetricFacts, OfChange, OfCurves
from xaibench.results.columns import Row
from xaibench.results.schema import Question, columns_of
from xaibench.shapes import Float
from xaibench.statistics.means import of_differences, of_values, undefined
from xaibench.statistics.ratios import difference_of_ratios, of_ratio
from xaibench.statistics.resampling import Resampling
from xaibench.values import Estimate

from .orientation import is_directed
from .panels import CrossedValues, PanelKey, aligned, joined, minus
from .ranking import apart, boards, cells_of, corrected, families, ranked
from .run_values import RunValues

if TYPE_CHECKING:
    from .transfers import TransferPair

_CORRECTED_AND_RANK = ("p_holm", "p_sequences_holm", "p_seeds_holm", "rank")
"""The columns that are filled once all rows are there."""


def estimates(
    run: RunValues,
    *,
    signed: Mapping[str, bool] | None = None,
    reference: str | None = None,
    transfers: Sequence[TransferPair] = (),
) -> pd.DataFrame:
    """Every question that the records answer, one row each.

    A question without values is a row of NaN with the reason. ``signed`` says which methods give
    signed scores: the others have a family of their own under metrics of the least relevant first.
    Nothing is ranked by a metric that fails its self-test on the model, and what has no rank is
    compared neither with the best nor with the ``reference``. ``transfers`` are labels that differ
    in that option alone. Neither the order of the records nor
    other rows change an estimate.
    """
    questions = (
        *(_values, _against_random, _against_control, _normalised),
        *(_between_models, _normalised_between_models, _self_test),
        partial(_between_transfers, transfers),
    )
    frame = _frame(chain.from_iterable(question(run) for question in questions))
    alone = apart(frame, run, signed or {})
    numbers = families(frame, alone)
    frame = ranked(corrected(frame, numbers), numbers, run)
    later = _frame(_of_ranked(run, frame, alone, reference))
    own = families(later, apart(later, run, signed or {}))
    return pd.concat([frame, corrected(later, own)], ignore_index=True)


def _frame(rows: Iterator[Row]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns_of("estimates"))
    return frame.astype(dict.fromkeys(_CORRECTED_AND_RANK, np.float64))


# The questions


def _row_of(question: Question, cell: PanelKey, other: str, estimate: Estimate) -> Row:
    return {"question": question.value, **cell._asdict(), "other": other, **asdict(estimate)}


def _estimate_of(
    cell: PanelKey,
    panel: CrossedValues,
    how: Callable[..., Estimate],
    run: RunValues,
    **options: Any,
) -> Estimate:
    """The estimate ``how`` makes of a panel's values, with the reasons of both."""
    if not panel.values.size:
        return undefined(panel.reason or "there are no pairs of values")
    facts = run.facts[cell.metric]
    resampling = Resampling(
        sequences_only=facts is not None and facts.kind == OfChange("seed"),
        clusters=run.clusters(panel),
    )
    estimate = how(panel.values, resampling, **options)
    return replace(estimate, reason=joined(estimate.reason, panel.reason))


def _values(run: RunValues) -> Iterator[Row]:
    for cell, panel in run.panels.items():
        if not cell.control:
            estimate = _estimate_of(cell, panel, of_values, run, yes_no=run.yes_no(cell))
            yield _row_of(Question.VALUE, cell, "", _within(estimate, run.facts[cell.metric]))


def _within(estimate: Estimate, facts: MetricFacts | None) -> Estimate:
    """Its intervals end where the metric does: t of few seeds reaches beyond."""
    if facts is None:
        return estimate
    ends = estimate.low, estimate.high, estimate.sequences_low, estimate.sequences_high
    low, high, sequences_low, sequences_high = map(float, np.clip(ends, *facts.range))
    return replace(
        estimate,
        low=low,
        high=high,
        sequences_low=sequences_low,
        sequences_high=sequences_high,
    )


def _against_random(run: RunValues) -> Iterator[Row]:
    """Not where weights were randomised: a map that ignores them is no bar to be above."""
    for cell, facts in run.of_methods():
        other = run.random(cell)
        if facts.family != "randomisation" and cell != other:
            yield _difference_row(Question.AGAINST_RANDOM, cell, other, run)


def _difference_row(
    question: Question, cell: PanelKey, other: PanelKey, run: RunValues, name: str = ""
) -> Row:
    """The paired difference of two maps; ``name`` is what ``other`` is called, else its method."""
    yes_no = run.yes_no(cell, other)
    estimate = _estimate_of(cell, run.gap(cell, other), of_differences, run, yes_no=yes_no)
    return _row_of(question, cell, name or other.method, estimate)


def _against_control(run: RunValues) -> Iterator[Row]:
    """Where there are values of the control."""
    controls = [name for name in dict.fromkeys(cell.control for cell in run.panels) if name]
    for cell, _ in run.of_methods():
        controls_of_cell = [(name, cell._replace(control=name)) for name in controls]
        priors = [(name, cell._replace(method=name)) for name in PRIORS]
        for other, compared in (*controls_of_cell, *priors):
            if compared in run.panels:
                yield _difference_row(Question.AGAINST_CONTROL, cell, compared, run, other)


def _normalised(run: RunValues) -> Iterator[Row]:
    """Where there is an oracle, on what it, the control and the method share."""
    for cell, _ in run.of_methods():
        if cell._replace(method=ORACLE) in run.panels:
            reached, possible = aligned(*_of_the_possible(cell, run))
            share = partial(_share_of_possible, possible.values)
            yield _row_of(
                Question.NORMALISED, cell, ORACLE, _estimate_of(cell, reached, share, run)
            )


def _of_the_possible(cell: PanelKey, run: RunValues) -> tuple[CrossedValues, CrossedValues]:
    """How far a method and the oracle are above random; the reasons of all three with the first."""
    oracle, chance = cell._replace(method=ORACLE), cell._replace(method=run.control)
    reason = joined(*(run.panel(each).reason for each in (cell, chance, oracle)))
    return replace(run.gap(cell, chance), reason=reason), run.gap(oracle, chance)


def _share_of_possible(possible: Float, reached: Float, resampling: Resampling) -> Estimate:
    """How much of what the oracle is above random the method reaches."""
    return of_ratio(reached, possible, resampling, named=_POSSIBLE)


def _difference_of_shares(rest: list[Float], reached: Float, resampling: Resampling) -> Estimate:
    """The difference of two such shares; ``rest`` is what is possible for the first model, and what
    is reached and possible for the second."""
    possible, *second = rest
    return difference_of_ratios(
        (reached, possible), (second[0], second[1]), resampling, named=_POSSIBLE
    )


_POSSIBLE = "oracle minus random"


def _normalised_between_models(run: RunValues) -> Iterator[Row]:
    """Where both models have an oracle, on what all share."""
    for model, other, cell in _model_pairs(run):
        facts = run.facts[cell.metric]
        cells = [cell._replace(model=name) for name in (model, other)]
        have_oracle = all(each._replace(method=ORACLE) in run.panels for each in cells)
        if not (is_directed(facts) and have_oracle):
            continue
        panels = aligned(*chain.from_iterable(_of_the_possible(each, run) for each in cells))
        rest = [panel.values for panel in panels[1:]]
        reason = joined(panels[0].reason, panels[2].reason)
        reached, shares = replace(panels[0], reason=reason), partial(_difference_of_shares, rest)
        estimate = _estimate_of(cell, reached, shares, run)
        yield _row_of(Question.NORMALISED_BETWEEN_MODELS, cell, other, estimate)


def _self_test(run: RunValues) -> Iterator[Row]:
    """Of each metric that an oracle was measured by."""
    for oracle in run.panels:
        facts = run.facts[oracle.metric]
        if not is_directed(facts):
            continue
        if oracle.method == ORACLE and not oracle.control:
            for first, second in _self_test_pairs(oracle, run.control):
                yield _difference_row(Question.SELF_TEST, first, second, run, second.source)


def _self_test_pairs(oracle: PanelKey, control: str) -> Iterator[tuple[PanelKey, PanelKey]]:
    """The one that should be better first."""
    chance = oracle._replace(method=control)
    yield oracle, chance
    yield chance, oracle._replace(control="negated")
    yield oracle, oracle._replace(control="blurred")


def _between_models(run: RunValues) -> Iterator[Row]:
    for model, other, cell in _model_pairs(run):
        if run.facts[cell.metric] is not None:
            gap = minus(*between(model, other, cell, run))
            yes_no = run.yes_no(cell, cell._replace(model=other))
            estimate = _estimate_of(cell, gap, of_differences, run, yes_no=yes_no)
            yield _row_of(Question.BETWEEN_MODELS, cell, other, estimate)


def _between_transfers(transfers: Sequence[TransferPair], run: RunValues) -> Iterator[Row]:
    for (model, method, other), cell in product(transfers, run.panels):
        compared = cell._replace(method=other)
        own = (cell.model, cell.method, cell.control) == (model, method, "")
        if own and compared in run.panels and run.facts[cell.metric] is not None:
            yield _difference_row(Question.BETWEEN_TRANSFERS, cell, compared, run)


def between(
    model: str, other: str, cell: PanelKey, run: RunValues
) -> tuple[CrossedValues, CrossedValues]:
    """What is compared of two models, larger being better where one is."""
    first, second = (_comparable(cell._replace(model=name), run) for name in (model, other))
    return first, second


def _model_pairs(run: RunValues) -> Iterator[tuple[str, str, PanelKey]]:
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


def _comparable(cell: PanelKey, run: RunValues) -> CrossedValues:
    """Curves depend on how sure a model is, which the gap to random takes out."""
    facts = run.facts[cell.metric]
    if not is_directed(facts):
        return run.panel(cell)
    if isinstance(facts.kind, OfCurves):
        return run.gap(cell, cell._replace(method=run.control))
    return run.merit(cell)


def _of_ranked(
    run: RunValues, frame: pd.DataFrame, alone: pd.Series[bool], reference: str | None
) -> Iterator[Row]:
    """Of every method with a rank, how far it is from the best, and from the reference."""
    with_rank = set(cells_of(frame[frame["rank"].notna()]))
    for board in boards(frame, alone):
        cells = cells_of(board)
        best = cells[int(board["rank"].argmin())]
        yield from _differences(Question.AGAINST_BEST, cells, best, run)
        named = best._replace(method=reference or "")
        # one that is ranked elsewhere is not to be compared with these
        if reference and (named in cells or named not in with_rank):
            yield from _differences(Question.AGAINST_REFERENCE, cells, named, run)


def _differences(
    question: Question, cells: list[PanelKey], other: PanelKey, run: RunValues
) -> Iterator[Row]:
    return (_difference_row(question, cell, other, run) for cell in cells if cell != other)
