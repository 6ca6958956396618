"""Scores by place in the sequence alone: what peaks that are centred give away."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaibench.protocols import method


@method(signed=False, of_nucleotides=True)
def position_prior(model: Any, inputs: Tensor, target: Tensor, *, valid: Tensor) -> Tensor:
    """``1 - |position - middle| / reach``, ``(N, L)``: 1 in the middle of the known positions, and
    falling linearly to 0 one position outside of them.

    What a method gains over this it did not gain by pointing at the centre, where peaks are called.
    """
    positions = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    first = valid.int().argmax(1, keepdim=True)
    last = valid.shape[1] - 1 - valid.flip(1).int().argmax(1, keepdim=True)
    middle, reach = (first + last) / 2, (last - first) / 2 + 1
    return torch.where(valid, 1 - (positions - middle).abs() / reach, 0)
