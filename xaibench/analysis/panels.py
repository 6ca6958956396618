"""From records to panels: the values of one metric of one map, by seed and sequence."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial, reduce
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.statistics.rounding import subtracted


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


def panels(records: pd.DataFrame) -> dict[PanelKey, CrossedValues]:
    """The panels in order of appearance."""
    groups, cells = _groups(records)
    ok = (records["status"] == "ok").to_numpy()
    reasons = _reasons(records[~ok], groups[~ok])
    order = np.flatnonzero(ok)[np.argsort(groups[ok], kind="stable")]
    seeds, sequences = (_sorted_codes(records[name])[order] for name in ("seed", "sequence"))
    values = records["value"].to_numpy(np.float64)[order]
    bounds = np.searchsorted(groups[order], np.arange(len(cells) + 1))
    return {
        cell: _panel_of_records(
            seeds[start:end], sequences[start:end], values[start:end], reasons.get(group, "")
        )
        for group, (cell, start, end) in enumerate(zip(cells, bounds, bounds[1:], strict=False))
    }


def sequences_of(records: pd.DataFrame) -> list[str]:
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
