"""Codes of many sequences: those of a dataset too large for memory are in a file without a name.

Small ones are in memory, as ever (``storage.arrays``).
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import fill_codes, longest
from xaibench.shapes import Codes
from xaibench.storage import arrays
from xaibench.values import Sequences, consecutive


def read_codes(letters: Sequence[str], name: Callable[[int], str]) -> Codes:
    """As ``dna.encoding.to_codes``."""
    codes: Codes = arrays.scratch((len(letters), longest(letters, name)), np.uint8)
    for part in arrays.parts(*codes.shape):
        fill_codes(codes[part], letters[part], partial(_name_behind, name, part.start))
        arrays.release(codes)
    return codes


def _name_behind(name: Callable[[int], str], start: int, row: int) -> str:
    return name(start + row)


def sequences_at(sequences: Sequences, rows: NDArray[np.intp]) -> Sequences:
    """``sequences.take(rows)``."""
    shape = len(rows), sequences.codes.shape[1]
    if consecutive(rows) is not None:
        return sequences.take(rows)  # views of what is there
    codes: Codes = arrays.scratch(shape, np.uint8)
    for part in arrays.parts(*codes.shape):
        codes[part] = sequences.codes[rows[part]]
        arrays.release(codes, sequences.codes)
    without = replace(sequences, codes=np.empty((len(sequences), 0), np.uint8))
    return replace(without.take(rows), codes=codes)
