"""Which positions of a long sequence are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def drawn_window(example: Mapping[str, Any], width: int) -> tuple[int, int]:
    """The positions drawn, ``(start, end)``: around the first motif, else where most scores are."""
    length = len(example["letters"])
    width = min(width, length)
    if example["motif"]:
        start, end = example["motif"][0]
        first = (start + end - width) // 2
    else:
        first = fullest_window(_sizes(example), width)
    first = min(max(first, 0), length - width)
    return first, first + width


def fullest_window(sizes: NDArray[np.float64], width: int) -> int:
    """Where the window of so many positions starts that holds most of these sizes.

    >>> fullest_window(np.array([0.0, 3.0, 1.0, 2.0, 0.0]), 2)
    1
    """
    return int(np.convolve(sizes, np.ones(width), mode="valid").argmax())


def _sizes(example: Mapping[str, Any]) -> NDArray[np.float64]:
    """The size of all scores of each position, maps counting equally."""
    total = np.zeros(len(example["letters"]))
    for by_method in example["scores"].values():
        for scores in by_method.values():
            size = np.nan_to_num(np.abs(np.asarray(scores, dtype=float)))
            total[: len(size)] += size / size.sum() if size.any() else 0
    return total
