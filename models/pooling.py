"""The attention over positions that `attngen` and `transformer` share."""

from torch import nn


def energies(features: int, units: int) -> nn.Sequential:
    """Additive attention (Bahdanau et al. 2015), ``(N, features, L)`` -> ``(N, L)``; a softmax over
    positions makes weights of them."""
    return nn.Sequential(
        nn.Conv1d(features, units, 1),
        nn.Tanh(),
        nn.Conv1d(units, 1, 1, bias=False),
        nn.Flatten(),
    )
