"""How much a model's logits depend on the N that pad shorter sequences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaibench.dna.encoding import lengths
from xaibench.errors import ModelError
from xaibench.nn.inference import logits
from xaibench.shapes import Codes, Logits
from xaibench.values import evenly_spaced_rows

PADDED_SEQUENCES = 8
"""So many of the padded sequences are compared, from the shortest to the longest."""

ROUNDING_SHARE = 1e-4
"""A smaller change, as a share of the range of logits, is rounding: kernels differ by length."""


@dataclass(frozen=True, slots=True)
class Padding:
    """What changes when padding is removed from ``sequences``, each in a batch of its own.

    ``shortest`` and ``longest`` are their lengths, ``padded`` the length they are padded to.
    ``change`` is the largest change of a logit, ``span`` the range of all logits with padding, and
    ``flipped`` counts the sequences whose predicted class is another one without it; None where
    there are no classes.
    """

    sequences: int
    shortest: int
    longest: int
    padded: int
    change: float
    span: float
    flipped: int | None

    def __str__(self) -> str:
        where = f"{self.sequences} of {self.shortest} to {self.longest} nt, padded to {self.padded}"
        outputs, classified = "outputs", ""
        if self.flipped is not None:
            outputs = "logits"
            classified = f", and {self.flipped} of {self.sequences} are classified otherwise"
        return (
            f"sees padding: without it the {outputs} of shorter sequences ({where}) change by up "
            f"to {self.change:.2g} where all {outputs} span {self.span:.2g}{classified}; maps may "
            "score padding and its border"
        )


def padding_of(model: Any, codes: Codes) -> Padding | None:
    """What padding does to the logits of a model; None where all sequences are of one length,
    nothing changes beyond rounding, or the model takes no other length than the padded one."""
    true_lengths = lengths(codes)
    rows = _evenly_spaced(
        np.flatnonzero((true_lengths < codes.shape[1]) & (true_lengths > 0)), true_lengths
    )
    pairs = [
        (row, pair)
        for row in rows
        if (pair := _with_and_without(model, codes[row], int(true_lengths[row])))
    ]
    if not pairs:
        return None
    padded = np.concatenate([with_padding for _, (with_padding, _) in pairs])
    bare = np.concatenate([without for _, (_, without) in pairs])
    change, span = float(np.abs(padded - bare).max()), float(np.ptp(padded))
    if change <= ROUNDING_SHARE * max(span, float(np.abs(padded).max())):
        return None
    compared_lengths = true_lengths[[row for row, _ in pairs]]
    other = padded.argmax(axis=1) != bare.argmax(axis=1)
    flipped = int(other.sum()) if padded.shape[1] > 1 else None
    ends = int(compared_lengths.min()), int(compared_lengths.max())
    return Padding(len(pairs), *ends, codes.shape[1], change, span, flipped)


def _evenly_spaced(rows: NDArray[np.intp], true_lengths: NDArray[np.intp]) -> NDArray[np.intp]:
    """Some rows, evenly from the shortest sequence to the longest."""
    ordered = rows[np.argsort(true_lengths[rows], kind="stable")]
    places = evenly_spaced_rows(len(ordered), PADDED_SEQUENCES)
    return ordered[places]


def _with_and_without(
    model: Any, codes: NDArray[np.uint8], length: int
) -> tuple[Logits, Logits] | None:
    """Logits with and without padding; None where the model cannot take the bare sequence."""
    try:
        return logits(model, codes[None]), logits(model, codes[None, :length])
    except (ModelError, RuntimeError, ValueError):
        return None
