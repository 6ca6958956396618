"""How much of what is explained passes each head, by AttnLRP."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xaibench.errors import NotApplicable
from xaibench.nn.heads import head_values, heads_apart, output_projections
from xaibench.nn.inference import device_of, explained_rows
from xaibench.nn.restore import explainable
from xaibench.nn.sites import buckets
from xaibench.nn.view import ExplainedView, encoded
from xaibench.plugins.fence import fenced
from xaibench.plugins.registry import load
from xaibench.protocols import entering
from xaibench.shapes import Codes, Float


class HeadOutputs(NamedTuple):
    """What the heads put out and its gradient under the rules of AttnLRP, each ``(N, layer, head,
    S, width)``: their product is its relevance for the predicted class."""

    values: Tensor
    gradients: Tensor


def relevance_of_heads(model: Any, codes: Codes, *, heads: int) -> Float:
    """``(N, layer, head)``: the relevance of what each head puts out, for the class that the model
    predicts of the sequence, in its logits; positive where it speaks for it.

    NotApplicable where the model does not say what its heads put out, or calls an operation that
    AttnLRP has no rule for.
    """
    by_sites = buckets(model, codes)
    ordered = by_sites.sorted(codes)
    rows = explained_rows(codes.shape[1], device_of(model))
    parts = [
        _summed(head_outputs(model, encoded(model, ordered[batch]), heads=heads))
        for batch in by_sites.batches(slice(0, len(codes)), rows)
    ]
    relevance: Float = by_sites.restored(np.concatenate(parts))
    return relevance


def _summed(outputs: HeadOutputs) -> NDArray[np.float64]:
    relevance = (outputs.values * outputs.gradients).double().sum((3, 4))
    summed: NDArray[np.float64] = relevance.numpy(force=True)
    return summed


def relevance_of_sites(model: Any, inputs: Tensor, weights: Tensor) -> Tensor:
    """``(N, layer, head, S)``: how much of a head's relevance comes from each site; ``weights``
    ``(N, layer, head, S, S)`` is the attention.

    A head puts out ``z_i = sum_j a_ij v_j``, so with ``g_i`` the gradient of ``z_i`` under the
    rules, site ``j`` has ``sum_i a_ij v_j g_i``; over sites these sum to the relevance of the head.
    """
    outputs = head_outputs(model, inputs, heads=weights.shape[2])
    received = weights.transpose(3, 4) @ outputs.gradients
    relevance: Tensor = (received * head_values(model, inputs)).sum(4)
    return relevance


def head_outputs(model: Any, inputs: Tensor, *, heads: int) -> HeadOutputs:
    """Of inputs ``(N, C, S)``; ``heads`` is how many stand side by side."""
    view, method = ExplainedView(model), load("attribution", "lrp").call
    with fenced(), explainable(model):
        with torch.no_grad():
            target = view(inputs).argmax(1)
        layers = entering(method, view, inputs, target, output_projections(model))
    if any(len(values) != len(inputs) for values, _ in layers):
        raise NotApplicable("the model passes a sequence in parts, as in windows, to its heads")
    values, gradients = (
        torch.stack([heads_apart(each, heads).transpose(1, 2) for each in several], dim=1)
        for several in zip(*layers, strict=True)
    )
    return HeadOutputs(values, gradients)
