"""From records to panels: the values of one metric of one map, by seed and sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.evaluation.records import RecordGroup
from xaibench.statistics.rounding import subtracted
from xaibench.storage.artefacts import OK


class PanelKey(NamedTuple):
    """What the values of one panel have in common.

    ``control`` is empty for a method's own map, else the control that was made of it.
    """

    dataset: str
    model: str
    method: str
    control: str
    metric: str
    operator: str

    @property
    def source(self) -> str:
        """Whose map it is, as ``other`` names it: ``oracle, negated``."""
        return f"{self.method}, {self.control}" if self.control else self.method


@dataclass(frozen=True, slots=True)
class CrossedValues:
    """Values ``(seed, sequence)``, averaged over repeats, with the numbers of seeds and sequences.

    ``reason`` says why values are missing, where records do.
    """

    values: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    seeds: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    sequences: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    reason: str = ""


@dataclass(frozen=True, slots=True)
class MeasuredPanels:
    """Panels, and the seeds and the names of the sequences at the numbers that they use."""

    panels: dict[PanelKey, CrossedValues]
    seeds: NDArray[np.int64]
    sequences: list[str]


def panels_of_frame(records: pd.DataFrame) -> MeasuredPanels:
    """The panels of a table of records, in order of appearance."""
    groups, cells = _groups(records)
    ok = (records["status"] == "ok").to_numpy()
    reasons = _reasons(records[~ok], groups[~ok])
    order = np.flatnonzero(ok)[np.argsort(groups[ok], kind="stable")]
    seeds, sequences = (_sorted_codes(records[name])[order] for name in ("seed", "sequence"))
    values = records["value"].to_numpy(np.float64)[order]
    bounds = np.searchsorted(groups[order], np.arange(len(cells) + 1))
    made = {
        cell: _panel_of_records(
            seeds[start:end], sequences[start:end], values[start:end], reasons.get(group, "")
        )
        for group, (cell, start, end) in enumerate(zip(cells, bounds, bounds[1:], strict=False))
    }
    known = np.unique(records["seed"].to_numpy(np.int64))
    return MeasuredPanels(made, known, _sequences_of(records))


def measured_panels(groups: Sequence[RecordGroup], dataset: str) -> MeasuredPanels:
    """The same of what was measured, of which no table is made: a million sequences would be
    gigabytes. Kept are sums over repeats, one number for each seed and sequence."""
    seeds = np.unique([group.seed for group in groups])
    names, numbers = _numbers_of_names(groups)
    sums: dict[PanelKey, dict[int, _Sums]] = {}
    reasons: dict[PanelKey, dict[str, None]] = {}
    for group in groups:
        cell = PanelKey(
            *(dataset, group.model, group.method, group.control, group.metric, group.operator)
        )
        by_seed = sums.setdefault(cell, {})
        if group.status != OK:
            reasons.setdefault(cell, {})[f"{group.status}: {group.reason}"] = None
        elif group.values is not None:
            number = int(np.searchsorted(seeds, group.seed))
            own = by_seed.setdefault(number, _Sums(len(names)))
            own.add(numbers[id(group.sequences)], group.values)
    made = {
        cell: _panel_of_sums(by_seed, "; ".join(reasons.get(cell, ())))
        for cell, by_seed in sums.items()
    }
    return MeasuredPanels(made, seeds.astype(np.int64), names)


def _numbers_of_names(
    groups: Sequence[RecordGroup],
) -> tuple[list[str], dict[int, NDArray[np.intp]]]:
    """Every name once, sorted, and by the id of a group's names their numbers."""
    listed = {id(group.sequences): group.sequences or ("",) for group in groups}
    every = np.array([name for names in listed.values() for name in names], np.object_)
    labels, numbers = np.unique(every, return_inverse=True)
    ends = np.cumsum([len(names) for names in listed.values()])
    return labels.tolist(), dict(zip(listed, np.split(numbers, ends[:-1]), strict=True))


class _Sums:
    """Sums of values over repeats, and of how many, by the number of the sequence."""

    def __init__(self, sequences: int) -> None:
        self.values, self.repeats = np.zeros(sequences), np.zeros(sequences, np.int32)

    def add(self, numbers: NDArray[np.intp], values: NDArray[np.float64]) -> None:
        self.values[numbers] += values
        self.repeats[numbers] += 1


def _panel_of_sums(by_seed: dict[int, _Sums], reason: str) -> CrossedValues:
    if not by_seed:
        return CrossedValues(reason=reason)
    seeds = sorted(by_seed)
    sums = [by_seed[seed] for seed in seeds]
    sequences = np.flatnonzero(np.any([each.repeats for each in sums], axis=0))
    values = np.full((len(seeds), len(sequences)), np.nan)
    for row, each in zip(values, sums, strict=True):
        repeats = each.repeats[sequences]
        np.divide(each.values[sequences], repeats, out=row, where=repeats > 0)
    return CrossedValues(values, np.array(seeds, np.intp), sequences, reason)


def _sequences_of(records: pd.DataFrame) -> list[str]:
    """The names of the sequences, at the numbers that panels give them."""
    return [str(name) for name in np.sort(np.asarray(pd.factorize(records["sequence"])[1]))]


def aligned(*panels: CrossedValues) -> list[CrossedValues]:
    """All of them where all have the seed and the sequence."""
    shared = partial(np.intersect1d, assume_unique=True)
    seeds = reduce(shared, [panel.seeds for panel in panels])
    sequences = reduce(shared, [panel.sequences for panel in panels])
    return [
        CrossedValues(_part(panel, seeds, sequences), seeds, sequences, panel.reason)
        for panel in panels
    ]


def _part(
    panel: CrossedValues, seeds: NDArray[np.intp], sequences: NDArray[np.intp]
) -> NDArray[np.float64]:
    rows, columns = np.isin(panel.seeds, seeds), np.isin(panel.sequences, sequences)
    return panel.values[np.ix_(rows, columns)]


def minus(first: CrossedValues, second: CrossedValues) -> CrossedValues:
    """The difference where both have the seed and the sequence."""
    one, other = aligned(first, second)
    reason = joined(first.reason, second.reason)
    return CrossedValues(subtracted(one.values, other.values), one.seeds, one.sequences, reason)


def joined(*reasons: str) -> str:
    """Each reason once."""
    return "; ".join(dict.fromkeys(filter(None, reasons)))


def _groups(records: pd.DataFrame) -> tuple[NDArray[np.intp], list[PanelKey]]:
    """The number of each record's cell, and the cells, both in order of appearance."""
    # One column at a time: those of a large run are gigabytes.
    combined, names = np.zeros(len(records), np.intp), []
    for name in PanelKey._fields:
        codes, labels = pd.factorize(records[name])
        combined = combined * max(1, len(labels)) + codes
        names.append(labels)
    groups, distinct = pd.factorize(combined)
    places = np.unravel_index(distinct, [max(1, len(labels)) for labels in names])
    cells = [
        PanelKey(*(str(labels[code]) for code, labels in zip(codes, names, strict=True)))
        for codes in zip(*places, strict=True)
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
    texts_of_group = pd.DataFrame(
        {"group": groups, "status": records["status"].array, "reason": records["reason"].array}
    ).drop_duplicates()
    reasons: dict[int, list[str]] = {}
    for group, status, reason in texts_of_group.itertuples(index=False):
        reasons.setdefault(group, []).append(f"{status}: {reason}")
    return {group: "; ".join(texts) for group, texts in reasons.items()}


def _panel_of_records(
    seeds: NDArray[np.intp],
    sequences: NDArray[np.intp],
    values: NDArray[np.float64],
    reason: str,
) -> CrossedValues:
    seeds, rows = np.unique(seeds, return_inverse=True)
    sequences, columns = np.unique(sequences, return_inverse=True)
    shape = len(seeds), len(sequences)
    places, size = rows * len(sequences) + columns, len(seeds) * len(sequences)
    sums = np.bincount(places, weights=values, minlength=size).reshape(shape)
    repeats = np.bincount(places, minlength=size).reshape(shape)
    means = np.divide(sums, repeats, out=np.full(shape, np.nan), where=repeats > 0)
    return CrossedValues(means, seeds, sequences, reason)
