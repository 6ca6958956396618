"""What a replaced position takes its base from: ``(codes, generator) -> donor``, for one sequence.

Replacing positions means taking the donor's base there, so every edit is one of whole nucleotides
and every curve ends at the donor itself.
"""

import numpy as np

from xaibench.shapes import Codes
from xaibench.values import N


def n(codes: Codes, generator: np.random.Generator) -> Codes:
    """Unknown bases: the information is gone, and the model sees what no genome contains."""
    return np.full_like(codes, N)


def uniform(codes: Codes, generator: np.random.Generator) -> Codes:
    """A uniformly random base, which is the sequence's own one time in four."""
    return generator.integers(4, size=codes.shape).astype(codes.dtype)
