"""Whether a gradient of what is explained reaches the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from xaibench.nn.checks.outputs import forward_logits
from xaibench.nn.outputs import explained_outputs
from xaibench.nn.restore import explainable, in_single_precision
from xaibench.nn.sites import commonest
from xaibench.nn.view import encoded
from xaibench.plugins.fence import fenced
from xaibench.shapes import Codes, Labels

Kind = Literal["none", "not finite", "zero", "some"]


@dataclass(frozen=True, slots=True)
class InputGradient:
    """``kind`` of all; ``largest`` component, and ``zeros``, the share of sequences that have
    none but zeros; ``reason`` in torch's words where there is none."""

    kind: Kind
    largest: float = 0.0
    zeros: float = 1.0
    reason: str = ""


def input_gradient(model: Any, codes: Codes, targets: Labels) -> InputGradient:
    """The gradient of what is explained of each sequence's target with respect to its one-hot."""
    with fenced(), explainable(model), in_single_precision(model), torch.enable_grad():
        rows = commonest(model, codes)
        codes, targets = codes[rows], targets[rows]
        inputs = encoded(model, codes).requires_grad_()
        explained = explained_outputs(forward_logits(model, inputs, len(codes)))
        target = torch.from_numpy(targets).to(explained.device)
        chosen = explained.gather(1, target[:, None]).sum()
        try:
            (gradient,) = torch.autograd.grad(chosen, inputs, allow_unused=True)
        except RuntimeError as error:
            return InputGradient("none", reason=" ".join(str(error).split())[:120])
    return InputGradient("none") if gradient is None else _described(gradient)


def _described(gradient: Tensor) -> InputGradient:
    if not torch.isfinite(gradient).all():
        return InputGradient("not finite")
    per_sequence = gradient.flatten(1).abs().amax(1)
    zeros = float((per_sequence == 0).float().mean())
    kind: Kind = "zero" if zeros == 1 else "some"
    return InputGradient(kind, float(per_sequence.max()), zeros)
