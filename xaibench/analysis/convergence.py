"""How fast a training converges and how steady it is, read from its history.

A history has one row per epoch, with ``epoch`` (from 1), ``validation_accuracy`` and perhaps
``steps`` (of the optimiser, so far). Accuracy is measured once per epoch, so nothing is known more
finely.
Compare trainings of the same data, batch size and schedule: where the rate falls over all epochs,
convergence follows the schedule.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

History = Sequence[Mapping[str, float]]

LAST = 5
"""So many last epochs are called the end of a training, or half of fewer than ten."""


class Convergence(NamedTuple):
    """Epochs and steps to an accuracy of 95 % and to 99 % of the accuracy after the last epoch
    (lower is faster); the area under the validation curve (higher is better); the spread over the
    last five epochs, or the last half of fewer than ten (lower is steadier). NaN where never
    reached, not counted or undefined."""

    epochs_to_95: float
    steps_to_95: float
    epochs_to_99_of_final: float
    steps_to_99_of_final: float
    area: float
    spread: float


def convergence(history: History) -> Convergence:
    """All of one history."""
    final = _accuracies(history)[-1] if history else float("nan")
    return Convergence(
        reached(history, 0.95),
        reached(history, 0.95, count="steps"),
        reached(history, 0.99 * final),
        reached(history, 0.99 * final, count="steps"),
        area(history),
        accuracy_spread(history),
    )


def reached(
    history: History, accuracy: float, *, count: Literal["epoch", "steps"] = "epoch"
) -> float:
    """The first epoch, counted from 1, whose validation accuracy is as high, or the steps till its
    end. NaN where none is, or where the history does not count steps.

    >>> reached([{"epoch": 1, "validation_accuracy": 0.9}], 0.8)
    1.0
    """
    for row in history:
        if row["validation_accuracy"] >= accuracy:
            return float(row.get(count, float("nan")))
    return float("nan")


def area(history: History) -> float:
    """The area under validation accuracy over epochs, as a share of the time from the first to the
    last, in [0, 1]: the mean accuracy on the way. NaN for fewer than two epochs."""
    accuracies = _accuracies(history)
    if len(accuracies) < 2:
        return float("nan")
    return float(np.trapezoid(accuracies) / (len(accuracies) - 1))


def accuracy_spread(history: History, *, last: int | None = None) -> float:
    """The standard deviation of validation accuracy over the last epochs, in [0, 1]. NaN where
    there are fewer epochs than that, or only one of them."""
    accuracies = _accuracies(history)
    if last is None:
        last = min(LAST, len(accuracies) // 2)
    if len(accuracies) < last or last < 2:
        return float("nan")
    return float(np.std(accuracies[-last:], ddof=1))


def _accuracies(history: History) -> list[float]:
    return [row["validation_accuracy"] for row in history]
