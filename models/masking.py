"""Which positions are hidden from a model while it trains."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Mask


@dataclass(frozen=True, slots=True)
class Masking:
    """Progressive masking of the positions with the lowest attention.

    No position is masked for ``warm_up`` epochs; then the share of masked positions rises linearly
    over ``ramp`` epochs to ``ratio`` and stays there. AttnGen's paper says "progressively" and
    "10-20 %" and leaves the schedule open: this one is our choice.
    """

    ratio: float
    warm_up: int
    ramp: int

    def ratio_at(self, epoch: int) -> float:
        """The share of valid positions masked in an epoch, counted from 0.

        >>> [Masking(ratio=0.2, warm_up=2, ramp=4).ratio_at(epoch) for epoch in range(7)]
        [0.0, 0.0, 0.05, 0.1, 0.15, 0.2, 0.2]
        """
        risen = min(max(epoch + 1 - self.warm_up, 0) / max(self.ramp, 1), 1.0)
        return round(self.ratio * risen, 12)


def lowest(
    weights: NDArray[np.float32], valid: Mask, ratio: float, generator: np.random.Generator
) -> Mask:
    """``(sequence, position)``: True on the ``ratio`` of valid positions with the lowest weight.

    Their number is rounded half up for each sequence; ties are broken at random.
    """
    counts = np.floor(ratio * valid.sum(axis=1) + 0.5)
    hidden = np.where(valid, weights, np.inf)
    order = np.lexsort((generator.random(hidden.shape), hidden), axis=1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(order.shape[1])[None], axis=1)
    masked: Mask = ranks < counts[:, None]
    return masked
