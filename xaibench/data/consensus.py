"""Motifs as strings: bases and IUPAC codes of ambiguity, searched for letter by letter."""

import re
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Codes
from xaibench.values import N

_BASES_OF = {
    **{"A": "A", "C": "C", "G": "G", "T": "T", "U": "T"},
    **{"R": "AG", "Y": "CT", "S": "CG", "W": "AT", "K": "GT", "M": "AC"},
    **{"B": "CGT", "D": "AGT", "H": "ACT", "V": "ACG", "N": "ACGT"},
}
"""Cornish-Bowden (1985)."""

FEWEST_LETTERS = 5
"""Shorter words may be names: JASPAR2024 has MYCN, RARA and SRY, but none of five such letters."""


class Consensus(NamedTuple):
    """A motif that a window matches where each of its bases is one that the letter stands for."""

    letters: str

    @property
    def p_value(self) -> float:
        """The probability that a window of uniform bases matches, on one strand."""
        return prod(len(_BASES_OF[letter]) / 4 for letter in self.letters)


def is_consensus(word: str) -> bool:
    """Whether a word is a motif in letters, five or more, in upper case.

    >>> is_consensus("CGACCGAACTCC"), is_consensus("TGASTCA"), is_consensus("GATA1")
    (True, True, False)
    """
    return re.fullmatch(rf"[{''.join(_BASES_OF)}]{{{FEWEST_LETTERS},}}", word) is not None


def matching_windows(codes: Codes, motif: Consensus) -> NDArray[np.bool_]:
    """``(sequence, window)``: whether the window matches on either strand; one with an unknown base
    does not. No window where a sequence is shorter than the motif."""
    forward = _allowed(motif.letters)
    # columns and bases in reverse: A and T, C and G are apart by 3
    backward = np.pad(forward[::-1, 3::-1], ((0, 0), (0, 1)))
    return _matches(codes, forward) | _matches(codes, backward)


def _allowed(letters: str) -> NDArray[np.bool_]:
    """``(column, code)``: whether the base may stand there; never N."""
    allowed = np.zeros((len(letters), N + 1), np.bool_)
    for column, letter in enumerate(letters):
        allowed[column, ["ACGT".index(base) for base in _BASES_OF[letter]]] = True
    return allowed


def _matches(codes: Codes, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
    windows = max(codes.shape[1] - len(allowed) + 1, 0)
    matches = np.ones((len(codes), windows), np.bool_)
    for column, bases in enumerate(allowed):
        matches &= bases[codes[:, column : column + windows]]
    return matches
