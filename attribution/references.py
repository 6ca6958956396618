"""What a sequence is compared with, and what each base would contribute in that comparison."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

ConstantReference = Literal["uniform", "zero"]


def constant_reference(inputs: Tensor, kind: ConstantReference, model: Any = None) -> Tensor:
    """A reference that is no sequence ``(N, C, S)``: the same share of every base (``uniform``), or
    nothing (``zero``). What is unknown in the inputs is zero in both. Of a ``model`` that has
    tokens, ``uniform`` is what it says itself."""
    if kind == "zero":
        return torch.zeros_like(inputs)
    if getattr(model, "has_tokens", False):
        reference: Tensor = model.reference(inputs)
        return reference
    known = inputs.sum(1, keepdim=True)  # 1, and 0 where the base is unknown
    return (known / inputs.shape[1]).expand_as(inputs)


def hypothetical(multipliers: Tensor, references: Tensor) -> Tensor:
    """``(N, K, C, S)`` -> ``(N, C, S)``: what each base ``b`` would contribute at each position,
    ``mean over references r of (m_b - sum_c m_c r_c)``, its multiplier less that of the reference's
    own base.

    At the observed base they sum to the change of the output, ``sum m (x - r)``, as long as columns
    of references sum to what those of the input do; from ``zero`` they are the multipliers.
    """
    return (multipliers - (multipliers * references).sum(2, keepdim=True)).mean(1)
