"""Whether a model gives logits, or probabilities in their place."""

from __future__ import annotations

from typing import Literal

import numpy as np

from xaibench.shapes import Logits

Units = Literal["logits", "softmax", "log-softmax", "sigmoid"]

CLOSE = 1e-4
"""Sums of probabilities that are within this of 1 are 1. Our choice: rounding in single precision
leaves 1e-6, and logits that sum to 1 so closely in every sequence do so by design."""


def units_of(outputs: Logits, *, last: str = "", spacing: float = 0.0) -> Units:
    """What the outputs ``(sequence, class)`` of a model are, by their values.

    ``last`` names the last operation of the model, without which numbers between 0 and 1 may be
    logits as well as sigmoids; ``spacing`` is that of its numbers at 1.

    >>> import numpy as np
    >>> units_of(np.array([[0.25, 0.75], [0.9, 0.1]]))
    'softmax'
    >>> units_of(np.log([[0.25, 0.75], [0.9, 0.1]]))
    'log-softmax'
    >>> units_of(np.array([[0.3, 0.2], [0.9, 0.4]]), last="sigmoid")
    'sigmoid'
    >>> units_of(np.array([[0.3, 0.2], [0.9, 0.4]]))
    'logits'
    >>> units_of(np.array([[-0.5], [0.8]]), last="_softmax")  # one of two less the other
    'softmax'
    """
    values, close = outputs.astype(np.float64), max(CLOSE, 4 * spacing)
    between = bool(((values >= 0) & (values <= 1)).all())
    if outputs.shape[1] == 1:  # it may be any number, and be 0 or 1
        if last in ("_softmax", "softmax") and bool((np.abs(values) <= 1 + close).all()):
            return "softmax"
        return "sigmoid" if between and "sigmoid" in last and "log" not in last else "logits"
    if between and np.allclose(values.sum(axis=1), 1, rtol=0, atol=close):
        return "softmax"
    if (values <= close).all() and np.allclose(
        np.logaddexp.reduce(values, axis=1), 0, rtol=0, atol=close
    ):
        return "log-softmax"
    return "sigmoid" if between and "sigmoid" in last and "log" not in last else "logits"


def caution_of(units: Units, classes: int) -> str | None:
    """What follows from outputs that are no logits; None where nothing does: log-probabilities
    differ from each other as the logits do, and nothing else is explained."""
    if units not in ("softmax", "sigmoid"):
        return None
    if classes == 1:
        return (
            f"ends in a {units}: what is explained changes little where a probability is near 0 or "
            f"1, whatever the sequence; return the input of the {units} to explain that"
        )
    surest = np.e / (np.e + classes - 1)
    return (
        f"gives probabilities (a {units}), not logits: differences of probabilities are explained, "
        "trained and measured as if they were logits, so the 'probability' of a prediction is at "
        f"most {surest:.2f}; return the input of the {units} to explain logits"
    )
