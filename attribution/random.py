"""Random scores: what every method must beat."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaibench.protocols import method


@method(signed=False)
def random(
    model: Any, inputs: Tensor, target: Tensor, *, generators: list[np.random.Generator]
) -> Tensor:
    """Uniform on [0, 1) for every site ``(N, S)``, each sequence by its own generator."""
    sites = inputs.shape[2]
    return torch.from_numpy(np.stack([generator.random(sites) for generator in generators]))
