"""Which positions of a long sequence are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def drawn_window(example: Mapping[str, Any], width: int) -> tuple[int, int]:
    """The positions drawn, ``(start, end)``: around the first motif, else where most scores are."""
    length = len(example["letters"])
    width = min(width, length)
    if example["motif"]:
        start, end = example["motif"][0]
        first = (start + end - width) // 2
    else:
        first = _richest(example, width)
    first = min(max(first, 0), length - width)
    return first, first + width


def _richest(example: Mapping[str, Any], width: int) -> int:
    """Where the window starts that holds most of the size of all scores, maps counting equally."""
    total = np.zeros(len(example["letters"]))
    for by_method in example["scores"].values():
        for scores in by_method.values():
            size = np.nan_to_num(np.abs(np.asarray(scores, dtype=float)))
            total[: len(size)] += size / size.sum() if size.any() else 0
    held = np.convolve(total, np.ones(width), mode="valid")
    return int(held.argmax())
