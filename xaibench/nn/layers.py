"""Modules and tensors that models and attribution must both know."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def one_hot(codes: Tensor) -> Tensor:
    """``(N, L)`` uint8 codes -> ``(N, 4, L)`` float32; N and padding (4) are zero columns.

    >>> one_hot(torch.tensor([[2, 4]], dtype=torch.uint8))[0].T
    tensor([[0., 0., 1., 0.],
            [0., 0., 0., 0.]])
    """
    bases = torch.arange(4, dtype=codes.dtype, device=codes.device)
    return (codes.unsqueeze(1) == bases[:, None]).float()


class WeightedSum(nn.Module):
    """The weighted sum of features over sites: the product of attention pooling.

    A module of its own because attribution has a rule for it: in a bare multiplication, DeepLIFT
    cannot see that both factors depend on the input.
    """

    def forward(self, weights: Tensor, features: Tensor) -> Tensor:
        """Weights ``(N, S)`` and features ``(N, D, S)`` -> ``(N, D)``."""
        return torch.matmul(features, weights.unsqueeze(2)).squeeze(2)


class MatrixProduct(nn.Module):
    """The product of two matrices that both depend on the input: queries and keys, weights and
    values. A module of its own for the reason that ``WeightedSum`` is one."""

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """``(..., A, B)`` and ``(..., B, C)`` -> ``(..., A, C)``."""
        return torch.matmul(first, second)
