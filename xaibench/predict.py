"""The one place with batches, evaluation mode and inference mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from xaibench.shapes import Codes, Logits

ROWS = 512
"""Sequences in one forward pass; results do not depend on it beyond rounding."""


@contextmanager
def evaluating(model: Any) -> Iterator[None]:
    """Evaluation and inference mode; every submodule's own mode is put back afterwards."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        for module, training in modes:
            module.training = training


def logits(model: Any, codes: Codes, *, rows: int = ROWS) -> Logits:
    """Logits ``(sequence, class)`` of sequences ``(sequence, position)``, in float32."""
    with evaluating(model):
        parts = [
            model(model.encode(torch.from_numpy(codes[start : start + rows]))).numpy()
            for start in range(0, len(codes), rows)
        ]
    return np.concatenate(parts).astype(np.float32, copy=False)
