"""From records to estimates: one row a question, asked of every method, metric and operator.

``value`` is the mean of the metric itself, ``against random`` the paired difference to the control
and ``between models`` the paired difference of one method on two models; positive differences mean
better than random and better on ``model``. Rows of one panel are paired by seed and sequence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.protocols import MetricFacts
from xaibench.randomness import stream
from xaibench.statistics import (
    Drawing,
    Draws,
    draw,
    holm,
    of_differences,
    of_values,
    rank,
    undefined,
)
from xaibench.values import Estimate

_ACCURACY = MetricFacts(family="model", better="higher", range=(0, 1), of="explanation")
_FAMILY = ["question", "dataset", "model", "other", "metric", "operator"]
"""The methods that share these are ranked against each other and corrected together."""

COLUMNS = [
    *("question", "dataset", "model", "other", "method", "metric", "operator"),
    *Estimate.columns(),
    *("p_sequences_holm", "p_seeds_holm", "rank"),
]


class Cell(NamedTuple):
    """What the values of one panel have in common."""

    dataset: str
    model: str
    method: str
    metric: str
    operator: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Values ``(seed, sequence)``, averaged over repeats, with the numbers of seeds and sequences.

    ``reason`` says why values are missing, where records do.
    """

    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    seeds: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    sequences: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Run:
    """What every question is asked of."""

    panels: Mapping[Cell, Panel]
    facts: Mapping[str, MetricFacts]
    control: str
    random_method: str | None
    drawing: Drawing
    signed: Mapping[str, bool]

    def panel(self, cell: Cell) -> Panel:
        missing = f"there are no values of {cell.method or 'the model'} on {cell.model}"
        return self.panels.get(cell, Panel(reason=missing))

    def facts_of(self, metric: str) -> MetricFacts | None:
        """A curve metric is recorded as its label, an underscore and the quantity."""
        known = {"accuracy": _ACCURACY, **self.facts}
        if metric in known:
            return known[metric]
        labels = [
            label
            for label, facts in self.facts.items()
            if facts.of == "curves" and metric.startswith(f"{label}_")
        ]
        return self.facts[max(labels, key=len)] if labels else None


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
    under metrics of the least relevant first. Neither the order of the records nor other rows
    change an estimate.
    """
    drawing = _shared_draws(data_seed)
    run = _Run(_panels(records), facts, control, random_method, drawing, signed or {})
    rows = [*_values(run), *_against_random(run), *_between_models(run)]
    frame = pd.DataFrame(rows, columns=COLUMNS)
    return _ranked(_corrected(frame, run), run)


def _shared_draws(data_seed: int) -> Drawing:
    """The draws depend on the size alone, so that comparisons of one size can share them."""

    @lru_cache(maxsize=4)
    def drawing(seeds: int, sequences: int) -> Draws:
        return draw(stream(data_seed, "statistics", seeds, sequences), seeds, sequences)

    return drawing


def _panels(records: pd.DataFrame) -> dict[Cell, Panel]:
    """The panels in order of appearance."""
    groups, cells = _groups(records)
    ok = (records["status"] == "ok").to_numpy()
    reasons = _reasons(records[~ok], groups[~ok])
    order = np.flatnonzero(ok)[np.argsort(groups[ok], kind="stable")]
    seeds, sequences = (_sorted_codes(records[name])[order] for name in ("seed", "sequence"))
    values = records["value"].to_numpy(np.float64)[order]
    bounds = np.searchsorted(groups[order], np.arange(len(cells) + 1))
    return {
        cell: _panel(
            seeds[start:end], sequences[start:end], values[start:end], reasons.get(group, "")
        )
        for group, (cell, start, end) in enumerate(zip(cells, bounds, bounds[1:], strict=False))
    }


def _groups(records: pd.DataFrame) -> tuple[NDArray[np.intp], list[Cell]]:
    """The number of each record's cell, and the cells, both in order of appearance."""
    columns = [pd.factorize(records[name]) for name in Cell._fields]
    shape = [max(1, len(labels)) for _, labels in columns]
    combined = np.ravel_multi_index([codes for codes, _ in columns], shape)
    groups, distinct = pd.factorize(combined)
    cells = [
        Cell(*(str(labels[code]) for code, (_, labels) in zip(codes, columns, strict=True)))
        for codes in zip(*np.unravel_index(distinct, shape), strict=True)
    ]
    return groups, cells


def _sorted_codes(column: pd.Series[Any]) -> NDArray[np.intp]:
    """A number for each entry that does not depend on the order of the records."""
    codes, labels = pd.factorize(column)
    positions = np.empty(len(labels), np.intp)
    positions[np.argsort(np.asarray(labels), kind="stable")] = np.arange(len(labels))
    return positions[codes]


def _reasons(records: pd.DataFrame, groups: NDArray[np.intp]) -> dict[int, str]:
    """Of each group, why records are not ok: ``status: reason``, each once."""
    said = pd.DataFrame(
        {"group": groups, "status": records["status"].array, "reason": records["reason"].array}
    ).drop_duplicates()
    reasons: dict[int, list[str]] = {}
    for group, status, reason in said.itertuples(index=False):
        reasons.setdefault(group, []).append(f"{status}: {reason}")
    return {group: "; ".join(texts) for group, texts in reasons.items()}


def _panel(
    seeds: NDArray[np.intp],
    sequences: NDArray[np.intp],
    values: NDArray[np.float64],
    reason: str,
) -> Panel:
    seeds, rows = np.unique(seeds, return_inverse=True)
    sequences, columns = np.unique(sequences, return_inverse=True)
    shape = len(seeds), len(sequences)
    places, size = rows * len(sequences) + columns, len(seeds) * len(sequences)
    sums = np.bincount(places, weights=values, minlength=size).reshape(shape)
    repeats = np.bincount(places, minlength=size).reshape(shape)
    means = np.divide(sums, repeats, out=np.full(shape, np.nan), where=repeats > 0)
    return Panel(means, seeds, sequences, reason)


def _minus(first: Panel, second: Panel) -> Panel:
    """The difference where both have the seed and the sequence."""
    shared = partial(np.intersect1d, assume_unique=True, return_indices=True)
    seeds, *rows = shared(first.seeds, second.seeds)
    sequences, *columns = shared(first.sequences, second.sequences)
    one, other = (
        panel.values[np.ix_(row, column)]
        for panel, row, column in zip((first, second), rows, columns, strict=True)
    )
    return Panel(one - other, seeds, sequences, _joined(first.reason, second.reason))


def _joined(*reasons: str) -> str:
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _row(
    question: str,
    cell: Cell,
    other: str,
    panel: Panel,
    how: Callable[..., Estimate],
    run: _Run,
) -> dict[str, Any]:
    facts = run.facts_of(cell.metric)
    if panel.values.size:
        compares_seeds = facts is not None and facts.change == "seed"
        found = how(panel.values, run.drawing, sequences_only=compares_seeds)
        found = replace(found, reason=_joined(found.reason, panel.reason))
    else:
        found = undefined(panel.reason or "there are no pairs of values")
    return {"question": question, **cell._asdict(), "other": other, **asdict(found)}


def _values(run: _Run) -> Iterator[dict[str, Any]]:
    for cell, panel in run.panels.items():
        yield _row("value", cell, "", panel, of_values, run)


def _against_random(run: _Run) -> Iterator[dict[str, Any]]:
    for cell in run.panels:
        facts = run.facts_of(cell.metric)
        if facts is None or cell.method in ("", run.control):
            continue
        other = run.control
        if facts.of == "change":
            other = run.random_method or "random"
        if cell.method != other:
            gap = _gap(cell, other, facts, run)
            yield _row("against random", cell, other, gap, of_differences, run)


def _gap(cell: Cell, other: str, facts: MetricFacts, run: _Run) -> Panel:
    """How much better than the other method, by seed and sequence."""
    method, compared = run.panel(cell), run.panel(cell._replace(method=other))
    if facts.better == "lower":
        return _minus(compared, method)
    return _minus(method, compared)


def _between_models(run: _Run) -> Iterator[dict[str, Any]]:
    for model, other, cell in _model_pairs(run):
        facts = run.facts_of(cell.metric)
        if facts is None or cell.method == run.control:
            continue
        first, second = (
            _comparable(cell._replace(model=name), facts, run) for name in (model, other)
        )
        yield _row("between models", cell, other, _minus(first, second), of_differences, run)


def _model_pairs(run: _Run) -> Iterator[tuple[str, str, Cell]]:
    """Each pair of models with each cell of either, named by the first."""
    for dataset in dict.fromkeys(cell.dataset for cell in run.panels):
        cells = [cell for cell in run.panels if cell.dataset == dataset]
        for model, other in combinations(dict.fromkeys(cell.model for cell in cells), 2):
            of_either = (cell for cell in cells if cell.model in (model, other))
            for cell in dict.fromkeys(cell._replace(model=model) for cell in of_either):
                yield model, other, cell


def _comparable(cell: Cell, facts: MetricFacts, run: _Run) -> Panel:
    """What may be compared between models, larger being better.

    Curves depend on how sure a model is, which the gap to random takes out.
    """
    if facts.of == "curves":
        return _gap(cell, run.control, facts, run)
    panel = run.panel(cell)
    return replace(panel, values=-panel.values) if facts.better == "lower" else panel


def _families(frame: pd.DataFrame, run: _Run) -> list[pd.Series]:
    """What makes methods one family. Signed methods put evidence against the target last and
    unsigned ones cannot, so least relevant first they are not compared."""
    facts = frame["metric"].map(run.facts_of)
    apart = facts.map(lambda each: each is not None and each.needs_least_relevant_first)
    signed = frame["method"].map(lambda name: run.signed.get(name, True))
    return [*(frame[name] for name in _FAMILY), (apart & signed).astype(bool)]


def _corrected(frame: pd.DataFrame, run: _Run) -> pd.DataFrame:
    for name in ("p_sequences", "p_seeds"):
        families = frame[name].groupby(_families(frame, run), sort=False)
        frame[f"{name}_holm"] = families.transform(lambda p: holm(p.to_numpy()))
    return frame


def _ranked(frame: pd.DataFrame, run: _Run) -> pd.DataFrame:
    """Methods by their mean, within a model; neither the control nor the model itself."""
    is_method = ~frame["method"].isin(["", run.control])
    merit = frame["mean"].where(is_method & (frame["question"] != "between models"))
    facts = frame["metric"].map(run.facts_of)
    falls = facts.map(lambda each: each is not None and each.better == "lower").astype(bool)
    merit = merit.where(~(falls & (frame["question"] == "value")), -merit)
    families = merit.where(facts.notna()).groupby(_families(frame, run), sort=False)
    frame["rank"] = families.transform(lambda means: rank(means.to_numpy(), "higher"))
    return frame
