"""Values ``(seed, sequence)`` of which mean and variances are known."""

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def values(seed: float, sequence: float, noise: float, shape=(5, 40), random_state=0) -> Float:
    """Effects of the seed and of the sequence, and what is left, with these deviations."""
    generator = np.random.default_rng(random_state)
    return (
        generator.normal(0, seed, (shape[0], 1))
        + generator.normal(0, sequence, (1, shape[1]))
        + generator.normal(0, noise, shape)
    )


def generator() -> np.random.Generator:
    return np.random.default_rng(7)
