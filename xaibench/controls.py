"""The attributions that every method must beat."""

import numpy as np
from numpy.typing import NDArray

from xaibench.randomness import identity, stream
from xaibench.values import Sequences

RANDOM = "random control"
"""The method's name of the control in records."""


def random_maps(sequences: Sequences, draws: int, data_seed: int) -> NDArray[np.float32]:
    """Uniform scores ``(draw, sequence, position)``: orders of equal cardinality, and random maps.

    They depend on the data seed alone, so every model, seed and operator meets the same ones.
    """
    rows = [
        stream(data_seed, RANDOM, identity(codes)).random((draws, len(codes)), dtype=np.float32)
        for codes in sequences.codes
    ]
    return np.stack(rows, axis=1)
