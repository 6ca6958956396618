"""The measured values of a run: its panels, the facts of its metrics, and how to resample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xaibench.explanation.controls import ORACLE, PRIORS
from xaibench.protocols import MetricFacts, OfChange, OfCurves, OfExplanation
from xaibench.statistics.resampling import Clusters, Drawing, shared_draws

from .orientation import is_directed, sign_of
from .panels import CrossedValues, MeasuredPanels, PanelKey, minus, panels_of_frame

_ACCURACY = MetricFacts("model", "higher", (0, 1), OfExplanation())


@dataclass(frozen=True, slots=True)
class RunValues:
    """The values of a run, and how they are resampled.

    ``control`` is the method of the control's records. ``random_method`` is the label of the random
    method, with which stability is compared, for there are no changes of the control. ``seeds``
    and ``groups`` are those behind the numbers of seeds and sequences in panels; ``groups`` is None
    where sequences are resampled one by one.
    """

    panels: Mapping[PanelKey, CrossedValues]
    seeds: NDArray[np.int64]
    facts: Mapping[str, MetricFacts | None]
    control: str
    random_method: str | None
    groups: Clusters | None
    drawing: Drawing

    def panel(self, cell: PanelKey) -> CrossedValues:
        missing = f"there are no values of {cell.source or 'the model'} on {cell.model}"
        return self.panels.get(cell, CrossedValues(reason=missing))

    def gap(self, first: PanelKey, second: PanelKey) -> CrossedValues:
        """How much better the first is than the second, by seed and sequence."""
        one, other = self.panel(first), self.panel(second)
        return minus(other, one) if sign_of(self.facts[first.metric]) < 0 else minus(one, other)

    def merit(self, cell: PanelKey) -> CrossedValues:
        """The values, with their sign changed where lower is better."""
        panel = self.panel(cell)
        lower = sign_of(self.facts[cell.metric]) < 0
        return replace(panel, values=-panel.values) if lower else panel

    def random(self, cell: PanelKey) -> PanelKey:
        """The random maps that a method is compared with."""
        facts = self.facts[cell.metric]
        of_change = facts is not None and isinstance(facts.kind, OfChange)
        return cell._replace(method=(self.random_method or "random") if of_change else self.control)

    def yes_no(self, *cells: PanelKey) -> bool:
        """Whether the values of all of these are 0 or 1 by their metric, as accuracy is."""
        return all(self._yes_no(cell) for cell in cells)

    def _yes_no(self, cell: PanelKey) -> bool:
        facts = self.facts[cell.metric]
        if facts is None or facts.range != (0, 1):
            return False
        values = self.panel(cell).values
        return bool(((values == 0) | (values == 1) | np.isnan(values)).all())

    def clusters(self, panel: CrossedValues) -> Clusters | None:
        """The groups of its sequences, where whole groups are resampled."""
        return None if self.groups is None else self.groups[panel.sequences]

    def of_methods(self) -> Iterator[tuple[PanelKey, MetricFacts]]:
        """The methods' own maps under metrics of which one value is better than another."""
        others = ("", self.control, ORACLE, *PRIORS)
        for cell in self.panels:
            facts = self.facts[cell.metric]
            if is_directed(facts) and not cell.control and cell.method not in others:
                yield cell, facts


def values_of_run(
    records: pd.DataFrame | MeasuredPanels,
    *,
    facts: Mapping[str, MetricFacts],
    data_seed: int,
    control: str = "random control",
    random_method: str | None = None,
    groups: Mapping[str, str] | None = None,
) -> RunValues:
    """The measured values in records, or what was made of them.

    ``facts`` holds those of each metric by its label in the plan. ``groups`` gives the group of a
    sequence by its name, where whole groups are resampled; one without is a group of its own.
    """
    made = records if isinstance(records, MeasuredPanels) else panels_of_frame(records)
    known = {
        metric: facts_of_recorded(metric, facts) for metric in {cell.metric for cell in made.panels}
    }
    numbered = None if groups is None else _numbered(made.sequences, groups)
    return RunValues(
        made.panels,
        made.seeds,
        known,
        control,
        random_method,
        numbered,
        shared_draws(data_seed, "statistics"),
    )


def facts_of_recorded(metric: str, facts: Mapping[str, MetricFacts]) -> MetricFacts | None:
    """A curve metric is recorded as its label, an underscore and the quantity; one of a single
    quantity as its label."""
    known = {"accuracy": _ACCURACY, **facts}
    if metric in known:
        return known[metric]
    labels = [
        label
        for label, each in facts.items()
        if isinstance(each.kind, OfCurves)
        and len(each.kind.quantities) > 1
        and metric.startswith(f"{label}_")
    ]
    return facts[max(labels, key=len)] if labels else None


def _numbered(names: list[str], groups: Mapping[str, str]) -> Clusters:
    """``(sequence,)``: the number of the group of each sequence."""
    of_each = [(name in groups, groups.get(name, name)) for name in names]
    numbers = {group: number for number, group in enumerate(dict.fromkeys(of_each))}
    return np.array([numbers[group] for group in of_each], np.intp)
