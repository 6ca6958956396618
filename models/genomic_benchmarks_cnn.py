"""The convolutional network that comes with genomic-benchmarks 1.0 (Gresova et al. 2023)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from xaibench.errors import UsageError
from xaibench.nn.layers import one_hot

from .masking import NONE, Masking, suited

EMBEDDED = 100
FILTERS = (16, 8, 4)
KERNEL, POOL = 8, 2
HIDDEN = 512


class GenomicBenchmarksCNN(nn.Module):
    """Embedded bases, three convolutions with pooling, and two linear layers; ReLU only after the
    first convolution, as the package has it.

    The package squashes the only output of a two-class network by a sigmoid and trains it with a
    loss that squashes it again. Mended, the network has a logit a class and the usual loss. With
    ``as_published`` it trains as published: while it trains, the logits are 0 and sigmoid(z), whose
    cross-entropy is that loss; else they are 0 and z, for the package reads sigmoid(z) as the
    probability. It trains with the data, batches and schedule of all models here.

    N is a zero vector (in the package an embedding of its own), and no marks of beginning and end
    are put around a sequence.
    """

    def __init__(
        self, *, classes: int, length: int, as_published: bool = False, masking: Masking = NONE
    ) -> None:
        super().__init__()
        if as_published and classes != 2:
            raise UsageError(f"as_published: squashed twice are two classes, got {classes}")
        self.masking = suited(masking, self)
        self.embed = nn.Conv1d(4, EMBEDDED, 1, bias=False)
        nn.init.normal_(self.embed.weight)  # as an embedding begins
        self.convolve = nn.Sequential(*_blocks(), nn.Flatten())
        outputs = 1 if as_published else classes
        self.classify = nn.Sequential(
            nn.Linear(FILTERS[-1] * _sites(length), HIDDEN), nn.Linear(HIDDEN, outputs)
        )
        self.squash = nn.Sigmoid() if as_published else None

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.classify(self.convolve(self.embed(inputs)))
        if self.squash is None:
            return outputs
        other = self.squash(outputs) if self.training else outputs
        return torch.cat([torch.zeros_like(other), other], dim=1)


def _blocks() -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inward, outward in pairwise((EMBEDDED, *FILTERS)):
        activation = [nn.ReLU()] if inward == EMBEDDED else []
        layers += [nn.Conv1d(inward, outward, KERNEL), nn.BatchNorm1d(outward)]
        layers += [*activation, nn.MaxPool1d(POOL)]
    return layers


def _sites(length: int) -> int:
    """How many are left after the last pool; UsageError for none."""
    sites = length
    for _ in FILTERS:
        sites = (sites - KERNEL + 1) // POOL
    if sites < 1:
        raise UsageError(f"genomic_benchmarks_cnn: wanted sequences of 57 nt or more, got {length}")
    return sites
