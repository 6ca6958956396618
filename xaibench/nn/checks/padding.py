"""How much of what a model says hangs on the N that fill shorter sequences up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import lengths
from xaibench.errors import ModelError
from xaibench.nn.inference import logits
from xaibench.shapes import Codes, Logits

SEQUENCES = 8
"""So many of the padded sequences are looked at, from the shortest to the longest."""

ROUNDING = 1e-4
"""A smaller change, as a share of what the logits span, is rounding: kernels differ by length."""


@dataclass(frozen=True, slots=True)
class Padding:
    """What changes when padding is taken away from ``sequences``, each asked alone.

    ``shortest`` and ``longest`` are their lengths, ``padded`` what they are filled up to.
    ``change`` is the largest change of a logit, ``span`` the range of all logits with padding, and
    ``flipped`` counts the sequences whose predicted class is another one without it.
    """

    sequences: int
    shortest: int
    longest: int
    padded: int
    change: float
    span: float
    flipped: int

    def __str__(self) -> str:
        where = f"{self.sequences} of {self.shortest} to {self.longest} nt, padded to {self.padded}"
        return (
            f"sees padding: without it the logits of shorter sequences ({where}) change by up to "
            f"{self.change:.2g} where all logits span {self.span:.2g}, and {self.flipped} of "
            f"{self.sequences} are classified otherwise; maps may score padding and its border"
        )


def padding_of(model: Any, codes: Codes) -> Padding | None:
    """What padding does to the logits of a model; None where all sequences are of one length,
    nothing changes beyond rounding, or the model takes no other length than the padded one."""
    found = lengths(codes)
    rows = _spaced(np.flatnonzero((found < codes.shape[1]) & (found > 0)), found)
    pairs = [(row, pair) for row in rows if (pair := _pair(model, codes[row], int(found[row])))]
    if not pairs:
        return None
    padded = np.concatenate([with_padding for _, (with_padding, _) in pairs])
    bare = np.concatenate([without for _, (_, without) in pairs])
    change, span = float(np.abs(padded - bare).max()), float(np.ptp(padded))
    if change <= ROUNDING * max(span, float(np.abs(padded).max())):
        return None
    asked = found[[row for row, _ in pairs]]
    flipped = int((padded.argmax(axis=1) != bare.argmax(axis=1)).sum())
    ends = int(asked.min()), int(asked.max())
    return Padding(len(pairs), *ends, codes.shape[1], change, span, flipped)


def _spaced(rows: NDArray[np.intp], found: NDArray[np.intp]) -> NDArray[np.intp]:
    """Some rows, evenly from the shortest sequence to the longest."""
    ordered = rows[np.argsort(found[rows], kind="stable")]
    places = np.linspace(0, len(ordered) - 1, min(SEQUENCES, len(ordered))).astype(np.intp)
    return ordered[places]


def _pair(model: Any, codes: NDArray[np.uint8], length: int) -> tuple[Logits, Logits] | None:
    """Logits with and without padding; None where the model cannot take the bare sequence."""
    try:
        return logits(model, codes[None]), logits(model, codes[None, :length])
    except (ModelError, RuntimeError, ValueError):
        return None
