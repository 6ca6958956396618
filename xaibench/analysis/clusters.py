"""Groups of sequences that are resampled whole: sequences of a region are not independent."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from xaibench.artefacts.job import Work
from xaibench.errors import UsageError


def groups_of(work: Work) -> dict[str, str] | None:
    """The group of every test sequence by its name, or None where sequences are resampled.

    UsageError where the plan asks for clusters and the explained sequences have fewer than two.
    """
    if not work.plan.clusters:
        return None
    test, chosen = work.splits.test, work.chosen
    if test.groups is None or chosen.groups is None:
        raise UsageError(
            "clusters: expected data with groups (chromosome, region), got data without"
        )
    if len(set(chosen.groups)) < 2:
        raise UsageError(
            f"clusters: expected two groups to resample, got one: all {len(chosen)} explained "
            f"sequences are of {chosen.groups[0]!r}"
        )
    return dict(zip(test.names, test.groups, strict=True))


def group_counts(work: Work) -> dict[str, int]:
    """How many groups are resampled; nothing where sequences are."""
    if not work.plan.clusters:
        return {}
    parts = {"explained": work.chosen, "test": work.splits.test}
    return {name: len(set(part.groups or ())) for name, part in parts.items()}


def numbers_of(work: Work, sequences: int) -> NDArray[np.intp] | None:
    """The number of the group of each of the first explained sequences, or None where sequences are
    resampled."""
    if not work.plan.clusters or work.chosen.groups is None:
        return None
    numbers: NDArray[np.intp] = np.unique(work.chosen.groups[:sequences], return_inverse=True)[1]
    return numbers
