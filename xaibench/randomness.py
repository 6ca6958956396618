"""Random streams: each depends on a seed, a component and a sequence, and on nothing else."""

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from xaibench.shapes import Codes


def stream(seed: int, component: str, *parts: str | int | bytes) -> np.random.Generator:
    """The generator of one component (and sequence, and repeat): same arguments, same numbers.

    >>> bool(stream(0, "donor", b"ACGT").integers(4) == stream(0, "donor", b"ACGT").integers(4))
    True
    """
    parts_of_key = [str(seed), component, *map(str, parts)]
    digest = blake2b("\0".join(parts_of_key).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest, "little")))


def identity(codes: Codes) -> bytes:
    """Of one sequence ``(position,)``: a BLAKE2 hash of its codes, whatever padding follows."""
    known = np.flatnonzero(codes < 4)
    end = known[-1] + 1 if len(known) else 0
    return blake2b(codes[:end].tobytes(), digest_size=16).digest()


def streams(seed: int, component: str, codes: Codes) -> Iterator[np.random.Generator]:
    """One generator per sequence of ``(sequence, position)``."""
    return (stream(seed, component, identity(row)) for row in codes)
