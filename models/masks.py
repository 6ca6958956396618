"""The masks of a training, kept in its history and read back from it."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from xaibench.shapes import Codes, Mask

KEY = "masks"
"""Where a row of the history has them."""

SEQUENCES = 100
"""Of so many train sequences, the first, masks are kept."""


def written(masked: Mask) -> dict[str, str]:
    """A mask ``(sequence, position)`` as a row of the history holds it; nothing where none is
    masked. The text is base64 of the bits of each sequence, the first position highest, filled up
    to whole bytes."""
    if not masked.any():
        return {}
    return {KEY: b64encode(np.packbits(masked, axis=1).tobytes()).decode()}


def read(history: Sequence[Mapping[str, Any]], codes: Codes) -> Mask:
    """``(epoch, sequence, position)``: True where a training hid a position of its first sequences.

    ``history`` is that of ``supervised``, as it is in the ``card.json`` beside the kept weights;
    ``codes`` ``(sequence, position)`` are the train sequences, in their order. Masks are in a
    sequence's own direction, also where the model saw its other strand. A sequence has none in an
    epoch that did not mask or that it sat out, and in a history from before masks were kept.
    ValueError where the text is not as long as masks of these sequences are.

    >>> codes = np.zeros((2, 9), np.uint8)
    >>> read([{"epoch": 1}, {"epoch": 2, "masks": "gIBAAA=="}], codes).nonzero()
    (array([1, 1, 1]), array([0, 0, 1]), array([0, 8, 1]))
    """
    shape = codes[:SEQUENCES].shape
    masked = np.zeros((len(history), *shape), np.bool_)
    for epoch, row in enumerate(history):
        if KEY in row:
            masked[epoch] = _unpacked(row[KEY], shape)
    return masked


def _unpacked(text: str, shape: tuple[int, ...]) -> Mask:
    sequences, positions = shape
    held, wanted = np.frombuffer(b64decode(text), np.uint8), sequences * -(-positions // 8)
    if len(held) != wanted:
        raise ValueError(
            f"history: wanted masks of {sequences} sequences of {positions} nt, {wanted} bytes, "
            f"got {len(held)}"
        )
    bits = np.unpackbits(held.reshape(sequences, -1), axis=1, count=positions)
    return bits.astype(np.bool_)
