"""How the learning rate changes, a step per batch."""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

Schedule = Literal["one_cycle", "linear", "constant"]

_WARM_UP: dict[Schedule, float] = {"one_cycle": 0.1, "linear": 0.1, "constant": 0.0}


def scheduled(
    optimiser: Optimizer, schedule: Schedule, steps: int, warm_up: float | None = None
) -> LRScheduler:
    """The rate rises in the share ``warm_up`` of all steps (None: a tenth, but none where it is
    ``constant``) and then falls along a cosine (``one_cycle``), falls linearly to 0, or stays."""
    share = _WARM_UP[schedule] if warm_up is None else warm_up
    if schedule != "one_cycle":
        factor = partial(_factor, steps=steps, rising=round(share * steps), falls=schedule)
        return LambdaLR(optimiser, factor)
    # OneCycleLR cannot rise within one step: of few it takes as many as leave it two
    fewest = int(1 / share) + 1 if share else 1
    (rate,) = {group["lr"] for group in optimiser.param_groups}
    return OneCycleLR(optimiser, rate, max(steps, fewest), pct_start=share)


def _factor(step: int, *, steps: int, rising: int, falls: str) -> float:
    """Of the highest rate, at a step counted from 0.

    >>> [_factor(step, steps=6, rising=2, falls="linear") for step in range(7)]
    [0.5, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]
    """
    if step < rising:
        return (step + 1) / rising
    return max(steps - step, 0) / (steps - rising) if falls == "linear" else 1.0
