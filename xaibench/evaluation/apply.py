"""A metric called with its inputs: one value per sequence, or why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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

    ``names`` and ``has_map`` ``(sequence,)`` are of all sequences that are measured; ``arguments``
    of those that have a map.
    """

    names: tuple[str, ...]
    has_map: NDArray[np.bool_]
    arguments: tuple[Any, ...]


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
    shape = (int(inputs.has_map.sum()),)
    try:
        with fenced():
            measured = np.asarray(plugin.call(*inputs.arguments, **options), dtype=np.float64)
        if measured.shape != shape:
            raise ValueError(f"expected one number per sequence, {shape}, got {measured.shape}")
        values[inputs.has_map] = measured
    except NotApplicable as reason:
        return without_values(record, reason)
    except Exception as error:
        return replace(record, status=FAILED, reason=described(error))
    count = use.options["sequences"] or len(inputs.names)
    return replace(record, sequences=inputs.names[:count], values=values[:count])
