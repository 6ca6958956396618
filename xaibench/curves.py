"""What a model says while more and more positions are replaced."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.predict import logits, rows_of
from xaibench.protocols import Precision
from xaibench.shapes import Codes, Labels, Logits, Mask, Scores

Ranks = NDArray[np.int32]
"""``(sequence, position)``: 0 is replaced first; invalid positions come last."""

MOST = "most_relevant_first"
LEAST = "least_relevant_first"
QUANTITIES = ("logit_difference", "probability", "accuracy")


def counts(fractions: tuple[float, ...], valid: Mask) -> NDArray[np.intp]:
    """How many positions are replaced ``(step, sequence)``: of the valid ones, rounded half up.

    >>> counts((0, 0.5, 1), np.array([[True, True, True], [True, False, False]])).tolist()
    [[0, 0], [2, 1], [3, 1]]
    """
    shares = np.outer(np.asarray(fractions, dtype=float), valid.sum(axis=1))
    return np.floor(shares + 0.5 + 1e-9).astype(np.intp)


def ranks(
    scores: Scores, valid: Mask, generators: Iterable[np.random.Generator], *, order: str = MOST
) -> Ranks:
    """The order of replacement; ties are broken at random by each sequence's own stream.

    Least relevant first is the reverse of most relevant first, ties included.
    """
    ranked = np.empty(scores.shape, np.int32)
    places = np.arange(scores.shape[1])
    # Row by row: what sorting needs is forgotten with the row, so memory does not grow.
    for row, known, own, generator in zip(scores, valid, ranked, generators, strict=True):
        jitter = generator.random(len(row))
        falling, jitter = (-row, jitter) if order == MOST else (row, -jitter)
        own[np.lexsort((jitter, np.where(known, falling, np.inf)))] = places
    return ranked


def replaced(codes: Codes, donor: Codes, ranked: Ranks, count: NDArray[np.intp]) -> Codes:
    """The sequences with the first ``count`` ``(sequence,)`` positions taken from the donor."""
    taken: Codes = np.where(ranked < count[:, None], donor, codes)
    return taken


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
        wanted = exact.argmax(-1) == (targets if name == "kept" else labels)
        return np.where(np.isnan(exact).any(-1), np.nan, wanted)
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
