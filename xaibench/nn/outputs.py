"""What is explained of a model's outputs, and what it predicts while more and more positions are
replaced."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.dna.replacement import Ranks, with_replaced
from xaibench.errors import NotApplicable
from xaibench.nn.checks.outputs import NO_CLASSES
from xaibench.protocols import Precision, Quantity
from xaibench.shapes import Codes, Float, Labels, Logits

from .inference import batch_rows, device_of, logits

OF_OTHERS = "the logit minus the mean of the other logits"
"""What is explained of a class where there are three or more; for two, that is the difference."""


def explained_outputs(logits: Tensor, *, dim: int = -1) -> Tensor:
    """What is explained of each class: its logit minus the mean of the other logits, of the same
    shape; ``dim`` is the axis of the classes.

    For two classes that is the difference of the logits; a single output, which has no classes, is
    explained itself. A softmax, and so a prediction, does not
    depend on what is added to all logits, and neither does this. It is linear, so that
    contributions that sum to a change of the logits sum to the change of what is explained; the
    log-odds against the rest, ``z_c - logsumexp of the others``, is not.

    >>> explained_outputs(torch.tensor([6.0, 2.0, 1.0])).tolist()
    [4.5, -1.5, -3.0]
    """
    classes = logits.shape[dim]
    if classes == 1:
        return logits
    if classes == 2:
        return logits - logits.flip(dim)
    # centred first: what all logits share may be far larger than what tells classes apart
    return (logits - logits.mean(dim, keepdim=True)) * (classes / (classes - 1))


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
    rows = rows or batch_rows(codes.shape[1], device_of(model))
    outputs = np.empty((len(steps), *ends[0].shape), np.float32)
    outputs[0], outputs[-1] = ends
    # all steps of a block of sequences before the next block: edited codes exist for one block
    for start in range(0, len(codes), rows):
        part = slice(start, start + rows)
        for step, count in enumerate(steps[1:-1, part], start=1):
            edited = with_replaced(codes[part], donor[part], ranked[part], count)
            outputs[step, part] = logits(model, edited, rows=rows, precision=precision)
    return outputs


def quantity(name: Quantity, outputs: Logits, targets: Labels, labels: Labels) -> Float:
    """A ``protocols.Quantity`` ``(..., sequence)`` of logits ``(..., sequence, class)``.

    ``targets`` and ``labels`` are ``(sequence,)``. NaN where a logit is. NotApplicable for what
    needs classes, where there is a single output; of that the target is always 0.
    """
    if outputs.shape[-1] == 1:
        if name != "logit_difference":
            raise NotApplicable(f"the model {NO_CLASSES}")
        targets = labels = np.zeros_like(targets)
    return _QUANTITIES[name](outputs.astype(np.float64), targets, labels)


def _logit_difference(outputs: Float, targets: Labels, labels: Labels) -> Float:
    """Of the target what ``explained_outputs`` says: its logit minus the mean of the others."""
    return _of_class(explained_outputs(torch.from_numpy(outputs)).numpy(), targets)


def _probability(outputs: Float, targets: Labels, labels: Labels) -> Float:
    """Of the target, in [0, 1]."""
    # less the largest logit, or the exponential of a large one is infinite
    exponentials = np.exp(outputs - outputs.max(-1, keepdims=True))
    return _of_class(exponentials / exponentials.sum(-1, keepdims=True), targets)


def _accuracy(outputs: Float, targets: Labels, labels: Labels) -> Float:
    """1 where the largest logit is that of the true label, else 0."""
    return _decided_for(outputs, labels)


def _target_kept(outputs: Float, targets: Labels, labels: Labels) -> Float:
    """1 where the largest logit is that of the target, else 0."""
    return _decided_for(outputs, targets)


_QUANTITIES: Mapping[Quantity, Callable[[Float, Labels, Labels], Float]] = {
    "logit_difference": _logit_difference,
    "probability": _probability,
    "accuracy": _accuracy,
    "kept": _target_kept,
}


def _decided_for(outputs: Float, classes: Labels) -> Float:
    """1 where the largest logit is that of the class, else 0; NaN where a logit is."""
    decided = outputs.argmax(-1) == classes
    return np.where(np.isnan(outputs).any(-1), np.nan, decided)


def _of_class(outputs: Float, classes: Labels) -> Float:
    """``(..., sequence)``: of each sequence the output of its class."""
    columns = np.broadcast_to(classes[:, None], (*outputs.shape[:-1], 1))
    chosen: Float = np.take_along_axis(outputs, columns, -1)[..., 0]
    return chosen
