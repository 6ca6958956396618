"""The values of one metric, or why there are none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.job import Work, found
from xaibench.errors import NotApplicable, described, message_of
from xaibench.plugins.fence import fenced
from xaibench.storage.artefacts import FAILED, NOT_APPLICABLE

from .records import Block


def without_map(here: Block) -> Block:
    reason = f"the control {here.control!r} could be made of no sequence"
    return replace(here, status=NOT_APPLICABLE, reason=reason)


def measured(
    work: Work,
    here: Block,
    label: str,
    names: tuple[str, ...],
    has_map: NDArray[np.bool_],
    *compared: Any,
) -> Block:
    """The values of one metric, or why there are none; NaN for sequences without a map.

    ``compared`` holds what the metric is called with, of the sequences that have one.
    """
    use = work.plan.metrics[label]
    plugin, options = found(work, "metrics", use)
    values = np.full(len(names), np.nan)
    try:
        with fenced():
            measured = np.asarray(plugin.call(*compared, **options), dtype=np.float64)
        if measured.shape != (int(has_map.sum()),):
            wanted = f"({int(has_map.sum())},)"
            raise ValueError(f"wanted one number a sequence, {wanted}, got {measured.shape}")
        values[has_map] = measured
    except NotApplicable as reason:
        return replace(here, status=NOT_APPLICABLE, reason=message_of(reason))
    except Exception as error:
        return replace(here, status=FAILED, reason=described(error))
    count = use.options["sequences"] or len(names)
    return replace(here, sequences=names[:count], values=values[:count])
