"""The weights that a model itself gives its sites."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xaibench.protocols import method


@method(signed=False)
def attention(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The model's attention ``(N, S)``, not negative, sum 1; the same for every target."""
    with torch.no_grad():
        weights: Tensor = model.attention(inputs)
    return weights
