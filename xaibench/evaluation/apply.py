"""A metric called with its inputs: one value per sequence, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.job import Work, plugin_and_options
from xaibench.errors import Missing, NotApplicable, described, message_of
from xaibench.plugins.fence import fenced
from xaibench.storage.artefacts import FAILED, NOT_APPLICABLE

from .records import RecordGroup


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a metric is called with.

    ``names`` and ``has_map`` ``(sequence,)`` are of all sequences that are measured. ``parts`` are
    of those that have a map, their rows and the arguments for them: many are measured some at a
    time, since a metric gives one number for each sequence.
    """

    names: tuple[str, ...]
    has_map: NDArray[np.bool_]
    parts: Iterable[tuple[NDArray[np.intp], tuple[Any, ...]]]

    @classmethod
    def at_once(cls, names: tuple[str, ...], has_map: NDArray[np.bool_], *arguments: Any) -> Inputs:
        """Arguments for all that have a map together."""
        return cls(names, has_map, [(np.flatnonzero(has_map), arguments)])


MetricPart = tuple[RecordGroup, Callable[[], Iterator[Inputs]]]
"""A part of what a metric is measured on: an operator and a quantity, a layer, or all at once. What
its records say, and what makes the inputs, one per draw; that raises ``Missing`` or
``NotApplicable`` where there are none."""


def require_any_map(has_map: NDArray[np.bool_], control: str) -> None:
    """NotApplicable where a control could be made of no sequence."""
    if not has_map.any():
        raise NotApplicable(f"the control {control!r} could be made of no sequence")


def without_values(record: RecordGroup, why: NotApplicable | Missing) -> RecordGroup:
    """The record of a metric that has no values, and the reason."""
    if isinstance(why, Missing):
        return replace(record, status=why.status, reason=why.reason)
    return replace(record, status=NOT_APPLICABLE, reason=message_of(why))


def applied(work: Work, label: str, record: RecordGroup, inputs: Inputs) -> RecordGroup:
    """The values of one of the plan's metrics; NaN for sequences without a map."""
    use = work.plan.metrics[label]
    plugin, options = plugin_and_options(work, "metrics", use)
    values = np.full(len(inputs.names), np.nan)
    try:
        for rows, arguments in inputs.parts:
            with fenced():
                measured = np.asarray(plugin.call(*arguments, **options), dtype=np.float64)
            if measured.shape != rows.shape:
                raise ValueError(
                    f"expected one number per sequence, {rows.shape}, got {measured.shape}"
                )
            values[rows] = measured
    except NotApplicable as reason:
        return without_values(record, reason)
    except Exception as error:
        return replace(record, status=FAILED, reason=described(error))
    count = use.options["sequences"] or len(inputs.names)
    return replace(record, sequences=inputs.names[:count], values=values[:count])
