"""How the learning rate changes, a step per batch."""

from __future__ import annotations

from functools import partial

import torch


def linear_schedule(
    optimiser: torch.optim.Optimizer, steps: int, warm_up: float
) -> torch.optim.lr_scheduler.LRScheduler:
    """The rate rises in the share ``warm_up`` of all steps and then falls to 0, both linearly
    (Devlin et al. 2019)."""
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, partial(_linear_factor, steps=steps, rising=round(warm_up * steps))
    )


def _linear_factor(step: int, *, steps: int, rising: int) -> float:
    """Of the highest rate, at a step counted from 0.

    >>> [_linear_factor(step, steps=6, rising=2) for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < rising:
        return (step + 1) / rising
    return max(steps - step, 0) / max(steps - rising, 1)
