"""The convolutional trunk that `cnn` and `attngen` share; they differ in the head alone."""

from itertools import pairwise
from typing import Annotated

from pydantic import Field
from torch import nn

from xaibench.errors import UsageError

PerConvolution = Annotated[
    tuple[Annotated[int, Field(ge=1, le=10_000)], ...], Field(min_length=1, max_length=100)
]
"""One number for each convolution, at least one."""


def trunk(length: int, filters: tuple[int, ...], kernels: tuple[int, ...]) -> nn.Sequential:
    """Convolutions at full resolution, ``(N, 4, L)`` -> ``(N, filters[-1], L)``.

    Each is followed by batch normalisation and ReLU; odd kernels and zero padding keep every
    feature on its position. Widths 32, 64, 64 and kernels 11, 7, 5 are our choice.
    """
    if len(filters) != len(kernels):
        raise UsageError(f"filters and kernels: expected equally many, got {filters} and {kernels}")
    if any(kernel % 2 == 0 or kernel < 1 for kernel in kernels):
        raise UsageError(f"kernels: expected odd widths, got {kernels}")
    if length < max(kernels):
        raise UsageError(
            f"kernels: the widest of {kernels} is longer than the sequences ({length} nt); name "
            "narrower ones"
        )
    layers: list[nn.Module] = []
    for (inward, outward), kernel in zip(pairwise((4, *filters)), kernels, strict=True):
        layers += [
            nn.Conv1d(inward, outward, kernel, padding=kernel // 2),
            nn.BatchNorm1d(outward),
            nn.ReLU(),
        ]
    return nn.Sequential(*layers)
