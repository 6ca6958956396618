"""How much the output of a model changes with what a reader takes it not to depend on: a single N,
the strand, the other letters' channels."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import numpy as np
import torch

from xaibench.dna.encoding import reverse_complement
from xaibench.nn.inference import logits
from xaibench.nn.outputs import explained_outputs
from xaibench.shapes import Codes, Labels, Logits
from xaibench.values import N

SMALLEST_CHANGE = 1e-5
"""A smaller change, as a share of the largest output, is rounding."""


@dataclass(frozen=True, slots=True)
class OutputChange:
    """The largest change of what is explained, beside the range that it has on all sequences and
    its largest size."""

    change: float
    span: float
    largest: float

    @property
    def is_rounding(self) -> bool:
        return self.change <= SMALLEST_CHANGE * self.largest


def by_n(model: Any, codes: Codes) -> OutputChange:
    """With an N in place of the base in the middle of every sequence."""
    changed = codes.copy()
    changed[:, codes.shape[1] // 2] = N
    return _between(logits(model, codes), logits(model, changed))


def by_strand(model: Any, codes: Codes) -> OutputChange:
    """With every sequence reverse-complemented."""
    return _between(logits(model, codes), logits(model, reverse_complement(codes)))


def _between(one: Logits, other: Logits) -> OutputChange:
    before, after = (explained_outputs(torch.from_numpy(each)).numpy() for each in (one, other))
    change = float(np.abs(after - before).max(initial=0))
    return OutputChange(change, float(np.ptp(before)), float(np.abs(before).max(initial=0)))


@dataclass(frozen=True, slots=True)
class ChannelOrder:
    """Accuracy on labelled sequences: as the channels are, that of the majority class, and the best
    by another order of the channels, as an ``alphabet`` for a network called with A, C, G, T."""

    sequences: int
    accuracy: float
    majority: float
    best_alphabet: str
    best_accuracy: float

    @property
    def is_wrong(self) -> bool:
        """Whether another of the 23 orders is better by a tenth and by four standard errors of the
        difference, as if the two were of different sequences."""
        both = (self.accuracy, self.best_accuracy)
        variance = sum(each * (1 - each) for each in both) / self.sequences
        return self.best_accuracy - self.accuracy > max(0.1, 4 * float(np.sqrt(variance)))

    @property
    def is_above_majority(self) -> bool:
        """By two standard errors."""
        error = np.sqrt(self.majority * (1 - self.majority) / self.sequences)
        return bool(self.accuracy > self.majority + 2 * error)


def by_channel_order(model: Any, codes: Codes, labels: Labels) -> ChannelOrder:
    """The accuracy with the channels of the four bases in each order.

    A network that has C and G exchanged is right on sequences with C and G exchanged.
    """
    accuracies = {
        alphabet: float(np.mean(logits(model, exchanged).argmax(1) == labels))
        for alphabet, exchanged in _by_alphabet(codes)
    }
    accuracy = accuracies.pop("ACGT")
    best = max(accuracies, key=lambda alphabet: accuracies[alphabet])
    majority = float(np.bincount(labels).max() / len(labels))
    return ChannelOrder(len(labels), accuracy, majority, best, accuracies[best])


def _by_alphabet(codes: Codes) -> Iterator[tuple[str, Codes]]:
    """Every order of the letters, and the sequences whose bases stand in its channels."""
    for letters in permutations("ACGT"):
        channel = np.array([*(letters.index(base) for base in "ACGT"), N], np.uint8)
        yield "".join(letters), channel[codes]
