"""What is known of each row of a user's table: its class, a measured number, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError, shortened
from xaibench.shapes import Labels
from xaibench.values import UNLABELLED, Sequences

from .columns import classes, require_known

if TYPE_CHECKING:
    import pandas as pd

CLASSES_FACT = "classes"
"""Of ``Splits.facts``, where there are fewer than two: why."""

DEFAULT_LABEL = "label"
"""The column of the classes where no option names one."""


class Targets(NamedTuple):
    """Per row the label and perhaps the measured response, and what the report says of them."""

    labels: Labels
    class_names: tuple[str, ...]
    responses: NDArray[np.float64] | None
    facts: Mapping[str, str]


def require_one_target(dataset: str, label: str | None, response: str | None) -> None:
    """UsageError where both a class and a number are named as what is known of a sequence."""
    if label is not None and response is not None:
        raise UsageError(
            f"{dataset}: expected either label (classes) or response (a number), got {label!r} "
            f"and {response!r}"
        )


def targets(table: pd.DataFrame, path: Path, *, label: str | None, response: str | None) -> Targets:
    """The classes of the column ``label``, or the numbers of the column ``response``; where both
    are None, sequences without labels."""
    none = np.zeros(len(table), np.int64)
    if response is not None:
        responses = _responses(table, path, response)
        span = f"{responses.min():.4g} to {responses.max():.4g}"
        return Targets(
            none, UNLABELLED, responses, {"response": f"column {response!r}, from {span}"}
        )
    if label is None:
        columns = shortened(", ".join(map(repr, table.columns)))
        return Targets(
            none,
            UNLABELLED,
            None,
            {CLASSES_FACT: f"none, no column {DEFAULT_LABEL!r} among {columns}"},
        )
    labels, class_names = classes(table, path, label)
    facts = {} if class_names[1:] else {CLASSES_FACT: f"one, {class_names[0]!r} (column {label!r})"}
    return Targets(labels, class_names, None, facts)


def as_unlabelled(targets: Targets, why: str) -> Targets:
    """The same rows as sequences without labels."""
    return Targets(np.zeros_like(targets.labels), UNLABELLED, None, {CLASSES_FACT: f"none, {why}"})


def _responses(table: pd.DataFrame, path: Path, column: str) -> NDArray[np.float64]:
    import pandas as pd

    require_known(table, path, column, "")
    numbers = pd.to_numeric(table[column], errors="coerce").to_numpy(np.float64)
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if len(wrong):
        word = shortened(repr(table[column].iloc[wrong[0]]))
        raise UsageError(
            f"{path}: column {column!r}: expected numbers, got {word} in row {wrong[0]}; name a "
            "column of classes by the option label instead"
        )
    return numbers


def share_of_test(sequences: Sequences, test_fraction: float | None) -> float:
    """The share of rows to cut off for the test: as stated, else a fifth where there are classes
    to learn, and all of them where there is nothing but sequences to explain."""
    if test_fraction is not None:
        return test_fraction
    return 0.2 if sequences.has_classes else 1.0
