"""What a model predicts while more and more positions are replaced."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.replacement import Ranks, replaced
from xaibench.protocols import Precision
from xaibench.shapes import Codes, Labels, Logits

from .inference import logits, rows_of


def curve(
    model: Any,
    codes: Codes,
    donor: Codes,
    ranked: Ranks,
    steps: NDArray[np.intp],
    ends: tuple[Logits, Logits],
    *,
    rows: int | None = None,
    precision: Precision = "float32",
) -> Logits:
    """Logits ``(step, sequence, class)`` along one order.

    ``ends`` are the logits of the intact and of the fully replaced sequences, which all orders
    share and nobody computes twice; ``precision`` is of the passes between them.
    """
    rows = rows or rows_of(codes.shape[1])
    outputs = np.empty((len(steps), *ends[0].shape), np.float32)
    outputs[0], outputs[-1] = ends
    # All steps of a few sequences before the next few: what is edited is never held for all.
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        for step, count in enumerate(steps[1:-1, part], start=1):
            edited = replaced(codes[part], donor[part], ranked[part], count)
            outputs[step, part] = logits(model, edited, rows=rows, precision=precision)
    return outputs


def quantity(name: str, outputs: Logits, targets: Labels, labels: Labels) -> NDArray[np.float64]:
    """A ``protocols.Quantity`` ``(..., sequence)`` of logits ``(..., sequence, class)``.

    ``logit_difference``: the target's logit minus the other's for two classes, else its logit.
    ``probability``: of the target, in [0, 1]. ``accuracy``: 1 where the largest logit is that of
    the true label, else 0. ``kept``: 1 where it is that of the target. NaN where a logit is.
    """
    exact = outputs.astype(np.float64)
    if name in ("kept", "accuracy"):
        equal = exact.argmax(-1) == (targets if name == "kept" else labels)
        return np.where(np.isnan(exact).any(-1), np.nan, equal)
    if name == "probability":
        exact = np.exp(exact - exact.max(-1, keepdims=True))
        exact /= exact.sum(-1, keepdims=True)
    chosen = np.take_along_axis(exact, _column(targets, exact), -1)[..., 0]
    if name == "logit_difference" and exact.shape[-1] == 2:
        other = np.take_along_axis(exact, _column(1 - targets, exact), -1)[..., 0]
        return np.asarray(chosen - other)
    return np.asarray(chosen)


def _column(targets: Labels, outputs: NDArray[np.float64]) -> Labels:
    return np.broadcast_to(targets[:, None], (*outputs.shape[:-1], 1))
