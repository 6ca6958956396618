"""The masks of a training, saved in its history and read back from it."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xaibench.shapes import Codes, Mask

COLUMN = "masks"
"""The column of the history that has them."""

RECORDED = 100
"""Masks are saved of so many train sequences, the first."""


def as_columns(masked: Mask) -> dict[str, str]:
    """A mask ``(sequence, position)`` as a row of the history holds it; no column where nothing is
    masked. The text is base64 of the bits of each sequence, the first position highest, filled up
    to whole bytes."""
    if not masked.any():
        return {}
    return {COLUMN: b64encode(np.packbits(masked, axis=1).tobytes()).decode()}


def read_masks(history: Sequence[Mapping[str, Any]], codes: Codes) -> Mask:
    """``(epoch, sequence, position)``: True where a training hid a position of its first sequences.

    ``history`` is that of ``supervised``, as it is in the ``card.json`` beside the saved weights;
    ``codes`` ``(sequence, position)`` are the train sequences, in their order. Masks are in a
    sequence's own direction, also where the model saw its other strand. A sequence has none in an
    epoch that did not mask or that dropped it, and in a history from before masks were saved.
    ValueError where the text is not as long as masks of these sequences are.

    >>> codes = np.zeros((2, 9), np.uint8)
    >>> read_masks([{"epoch": 1}, {"epoch": 2, "masks": "gIBAAA=="}], codes).nonzero()
    (array([1, 1, 1]), array([0, 0, 1]), array([0, 8, 1]))
    """
    shape = codes[:RECORDED].shape
    masked = np.zeros((len(history), *shape), np.bool_)
    for epoch, row in enumerate(history):
        if COLUMN in row:
            masked[epoch] = _mask_of_text(row[COLUMN], shape)
    return masked


def _mask_of_text(text: str, shape: tuple[int, ...]) -> Mask:
    """The mask of one epoch, of a shape ``(sequence, position)``."""
    sequences, positions = shape
    packed, expected = np.frombuffer(b64decode(text), np.uint8), sequences * -(-positions // 8)
    if len(packed) != expected:
        raise ValueError(
            f"history: expected masks of {sequences} sequences of {positions} nt, {expected} "
            f"bytes, got {len(packed)}"
        )
    bits = np.unpackbits(packed.reshape(sequences, -1), axis=1, count=positions)
    return bits.astype(np.bool_)
