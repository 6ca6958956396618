"""More toys than the package ships, for what only tests need.

``MODELS`` is the table for tests of the form "every method on every model": each entry makes a
model of two classes for sequences of ``LENGTH`` bases, always with the same weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from xaibench.testing import toy_models
from xaibench.testing.toy_models import (
    LENGTH,
    AttentionPool,
    Toy,
    both,
    constant,
    linear,
    motif_count,
    network,
    random_references,
    saturating,
    sequences,
)

__all__ = [
    "LENGTH",
    "MODELS",
    "AttentionPool",
    "Toy",
    "both",
    "constant",
    "linear",
    "motif_count",
    "network",
    "random_references",
    "saturating",
    "sequences",
]


class Reused(Toy):
    """One ReLU, called three times; the sum around it is a residual connection."""

    def __init__(self, *, inplace: bool = False) -> None:
        super().__init__(nn.ReLU(inplace=inplace))
        self.first, self.second = nn.Conv1d(4, 6, 5, padding=2), nn.Conv1d(6, 6, 3, padding=1)
        self.hidden, self.classify = nn.Linear(6 * LENGTH, 9), nn.Linear(9, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.body(self.first(inputs))
        features = features + self.body(self.second(features))
        logits: Tensor = self.classify(self.body(self.hidden(features.flatten(1))))
        return logits


class Residual(Toy):
    """Sums around activations: of what stands before one, and into what comes out of one."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU())
        self.first, self.second = nn.Conv1d(4, 6, 5, padding=2), nn.Conv1d(6, 6, 3, padding=1)
        self.gelu, self.classify = nn.GELU(), nn.Linear(6 * LENGTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.first(inputs)
        features = self.second(features + self.body(features))
        added = self.gelu(features)
        added += features
        logits: Tensor = self.classify(added.flatten(1))
        return logits


class Aliased(Toy):
    """ReLU in place rewrites the features that are added to what it gives."""

    def __init__(self) -> None:
        super().__init__(nn.ReLU(inplace=True))
        self.first, self.classify = nn.Conv1d(4, 6, 5, padding=2), nn.Linear(6 * LENGTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.first(inputs)
        logits: Tensor = self.classify((self.body(features) + features).flatten(1))
        return logits


class Functional(Toy):
    """ReLU as a function, which no rule for modules can see."""

    def __init__(self) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.classify = nn.Linear(6 * LENGTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(torch.relu(self.body(inputs)).flatten(1))
        return logits


def _convolution(*layers: nn.Module) -> list[nn.Module]:
    return [nn.Conv1d(4, 6, 5, padding=2), *layers]


MODELS: dict[str, Callable[[], Any]] = {
    **{name: model for name, model in toy_models.MODELS.items() if name != "linear"},
    "overlapping max pool": lambda: network(
        *_convolution(nn.ReLU(), nn.MaxPool1d(5, stride=2, padding=1), nn.Conv1d(6, 8, 3)),
        *(nn.ReLU(inplace=True), nn.MaxPool1d(3, stride=1, ceil_mode=True)),
    ),
    "adaptive max pool": lambda: network(
        *_convolution(nn.ReLU(), nn.AdaptiveMaxPool1d(3), nn.Conv1d(6, 8, 2), nn.ReLU()),
        nn.AdaptiveMaxPool1d(1),
    ),
    "tanh, gelu, average pool": lambda: network(
        *_convolution(nn.Tanh(), nn.AvgPool1d(2), nn.Conv1d(6, 8, 3), nn.GELU()),
        *(nn.AdaptiveAvgPool1d(2), nn.Flatten(), nn.Linear(16, 5), nn.SiLU()),
    ),
    "softmax over channels": lambda: network(*_convolution(nn.Softmax(dim=1), nn.Softplus())),
    "reused relu": lambda: _reseeded(Reused()),
    "residual": lambda: _reseeded(Residual()),
    "reused relu in place": lambda: _reseeded(Reused(inplace=True)),
}


def _reseeded(model: Toy) -> Toy:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for module in model.modules():
            if isinstance(module, (nn.Conv1d, nn.Linear)):
                module.reset_parameters()
    return model
