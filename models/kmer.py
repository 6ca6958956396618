"""Logistic regression on counts of k-mers: a baseline for networks."""

from itertools import product
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.errors import UsageError
from xaibench.nn.layers import one_hot

from .masking import NONE, Masking, checked_masking


class KmerCounts(nn.Module):
    """The share of positions at which each k-mer begins, standardised, then one linear layer.

    K-mers are counted by a convolution with their one-hot letters: fixed, so nothing is learnt
    there, but with a gradient. At a k-mer ``k`` letters match, and
    ``relu(matches - (k - 1))`` is 1 there and 0 elsewhere. Means and standard deviations are the
    running ones of batch normalisation. One strand, as it is read; a k-mer with an N is none.
    """

    any_strides = True

    def __init__(
        self,
        *,
        classes: int,
        length: int,
        k: Annotated[int, Field(ge=1, le=6)] = 5,
        masking: Masking = NONE,
    ) -> None:
        super().__init__()
        if length < k:
            raise UsageError(f"k: {k} is longer than the sequences ({length} nt); name a smaller k")
        self.masking = checked_masking(masking, self)
        self.match = _letters_matched(k)
        self.occurs = nn.ReLU()
        self.share = nn.AdaptiveAvgPool1d(1)
        self.flatten = nn.Flatten()
        self.standardise = nn.BatchNorm1d(4**k, eps=1e-8, affine=False)
        self.classify = nn.Linear(4**k, classes)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        shares = self.flatten(self.share(self.occurs(self.match(inputs))))
        logits: Tensor = self.classify(self.standardise(shares))
        return logits


def _letters_matched(k: int) -> nn.Conv1d:
    """``(N, 4, L)`` -> ``(N, 4^k, L - k + 1)``: of every k-mer, how many of its letters match at a
    position, less ``k - 1``; no parameters."""
    match = nn.Conv1d(4, 4**k, k)
    kmers = torch.tensor(list(product(range(4), repeat=k)), dtype=torch.uint8)
    fixed = {"weight": one_hot(kmers), "bias": torch.full((4**k,), 1.0 - k)}
    for name, values in fixed.items():
        delattr(match, name)  # a parameter would be trained, and re-initialised
        match.register_buffer(name, values)
    return match
