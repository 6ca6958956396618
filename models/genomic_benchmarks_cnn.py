"""The convolutional network that comes with genomic-benchmarks 1.0 (Gresova et al. 2023)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from xaibench.errors import UsageError
from xaibench.nn.layers import one_hot

from .masking import NONE, Masking, checked_masking

EMBEDDED = 100
FILTERS = (16, 8, 4)
KERNEL, POOL = 8, 2
HIDDEN = 512


class GenomicBenchmarksCNN(nn.Module):
    """Embedded bases, three convolutions with pooling, and two linear layers; ReLU only after the
    first convolution, as the package has it.

    The package takes the sigmoid of the only output ``z`` of a two-class network and trains it with
    a loss that takes it again, ``BCE(sigmoid(sigmoid(z)))``. Corrected, the network has one logit
    per class and the usual loss. With ``as_published`` it trains as published: while it trains, the
    logits are 0 and sigmoid(z), whose cross-entropy is that loss; else they are 0 and z, for the
    package reads sigmoid(z) as the probability. Data, batches and schedule are those of all models.

    N is a zero vector (in the package an embedding of its own), and no marks of beginning and end
    are put around a sequence.
    """

    def __init__(
        self, *, classes: int, length: int, as_published: bool = False, masking: Masking = NONE
    ) -> None:
        super().__init__()
        if as_published and classes != 2:
            raise UsageError(f"as_published: expected 2 classes, got {classes}")
        self.masking = checked_masking(masking, self)
        self.embed = nn.Conv1d(4, EMBEDDED, 1, bias=False)
        nn.init.normal_(self.embed.weight)  # as an embedding begins
        self.convolve = nn.Sequential(*_convolution_blocks(), nn.Flatten())
        features = FILTERS[-1] * _sites_after_pooling(length)
        outputs = 1 if as_published else classes
        self.classify = nn.Sequential(nn.Linear(features, HIDDEN), nn.Linear(HIDDEN, outputs))
        self.sigmoid = nn.Sigmoid() if as_published else None

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.classify(self.convolve(self.embed(inputs)))
        if self.sigmoid is None:
            return outputs
        other = self.sigmoid(outputs) if self.training else outputs
        return torch.cat([torch.zeros_like(other), other], dim=1)


def _convolution_blocks() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inward, outward in pairwise((EMBEDDED, *FILTERS)):
        activation = [nn.ReLU()] if inward == EMBEDDED else []
        layers += [nn.Conv1d(inward, outward, KERNEL), nn.BatchNorm1d(outward)]
        layers += [*activation, nn.MaxPool1d(POOL)]
    return layers


def _sites_after_pooling(length: int) -> int:
    """How many there are after the last pool; UsageError for none."""
    sites = length
    for _ in FILTERS:
        sites = (sites - KERNEL + 1) // POOL
    if sites < 1:
        raise UsageError(
            f"genomic_benchmarks_cnn: expected sequences of 57 nt or more, got {length}"
        )
    return sites
