"""A small transformer encoder with a site for every base."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.errors import UsageError
from xaibench.nn.layers import MatrixProduct, WeightedSum, one_hot

from .masking import NONE, Masking, checked_masking
from .pooling import energies
from .trunk import trunk


class Transformer(nn.Module):
    """A convolution, layers of self-attention at full resolution, attention over positions.

    All sizes are our choice. The head is that of ``attngen`` and so is ``attention``, so that the
    same masking works. Layers are normalised before attention and network (pre-norm, Xiong et al.
    2020). Position enters by the convolution and by a penalty on distance (ALiBi, Press et al.
    2022), flatter from head to head, and so no position embedding has to be explained.
    """

    any_strides = True

    def __init__(
        self,
        *,
        classes: int,
        length: int,
        width: Annotated[int, Field(ge=1, le=10_000)] = 32,
        kernel: Annotated[int, Field(ge=1, le=10_000)] = 11,
        layers: Annotated[int, Field(ge=1, le=100)] = 2,
        heads: Annotated[int, Field(ge=1, le=1000)] = 2,
        hidden: Annotated[int, Field(ge=1, le=10_000)] = 64,
        attention_units: Annotated[int, Field(ge=1, le=10_000)] = 64,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.1,
        masking: Masking = NONE,
    ) -> None:
        super().__init__()
        if width % heads:
            raise UsageError(f"heads: expected a divisor of the width {width}, got {heads}")
        self.masking = checked_masking(masking, self)
        self.stem = trunk(length, (width,), (kernel,))
        self.layers = nn.Sequential(
            *(EncoderLayer(width, heads, hidden, dropout) for _ in range(layers))
        )
        self.normalise = nn.LayerNorm(width)
        self.energy = energies(width, attention_units)
        self.softmax = nn.Softmax(dim=1)
        self.attend = WeightedSum()
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(2 * width, classes)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def attention(self, inputs: Tensor) -> Tensor:
        """The pooling weight of each position ``(N, L)``; positive, sum 1."""
        return self._weights(self._features(inputs))

    def attentions(self, inputs: Tensor) -> Tensor:
        """Of each position to each, ``(N, layer, head, L, L)``; sums over the last axis are 1."""
        weights = [layer.weights(sites) for layer, sites in self._entered(inputs)]
        return torch.stack(weights, dim=1)

    def values(self, inputs: Tensor) -> Tensor:
        """What each position gives to each head, ``(N, layer, head, L, width / head)``."""
        values = [layer.values(sites) for layer, sites in self._entered(inputs)]
        return torch.stack(values, dim=1)

    def _entered(self, inputs: Tensor) -> Iterator[tuple[EncoderLayer, Tensor]]:
        """Each layer, and what enters it ``(N, L, width)``."""
        sites = self.stem(inputs).transpose(1, 2)
        for layer in self.layers:
            assert isinstance(layer, EncoderLayer)  # for the type checker
            yield layer, sites
            sites = layer(sites)

    def output_projections(self) -> list[nn.Module]:
        """What the outputs of the heads of each layer enter."""
        return [layer.gather for layer in self.layers if isinstance(layer, EncoderLayer)]

    def forward(self, inputs: Tensor) -> Tensor:
        features = self._features(inputs)
        attended = self.attend(self._weights(features), features)
        pooled = torch.cat([attended, self.mean(features).flatten(1)], dim=1)
        logits: Tensor = self.classify(self.dropout(pooled))
        return logits

    def _features(self, inputs: Tensor) -> Tensor:
        """``(N, width, L)``."""
        sites = self.layers(self.stem(inputs).transpose(1, 2))
        features: Tensor = self.normalise(sites).transpose(1, 2)
        return features

    def _weights(self, features: Tensor) -> Tensor:
        weights: Tensor = self.softmax(self.energy(features))
        return weights


class EncoderLayer(nn.Module):
    """Self-attention, then a network for each position by itself, each around a residual
    connection: ``x + attention(norm(x))``, then ``x + network(norm(x))``."""

    slopes: Tensor

    def __init__(self, width: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.match, self.softmax, self.mix = MatrixProduct(), nn.Softmax(dim=-1), MatrixProduct()
        self.gather = nn.Linear(width, width)
        self.before_network = nn.LayerNorm(width)
        self.network = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, width)
        )
        self.dropout = nn.Dropout(dropout)
        # ALiBi: a geometric series from head to head, the last 2^-8.
        slopes = 2.0 ** (-8 * torch.arange(1, heads + 1) / heads)
        self.register_buffer("slopes", slopes.reshape(heads, 1, 1), persistent=False)

    def forward(self, sites: Tensor) -> Tensor:
        """``(N, L, width)`` -> the same."""
        attended = self.attend(self.before_attention(sites)).transpose(1, 2).flatten(2)
        sites = sites + self.dropout(self.gather(attended))
        added: Tensor = sites + self.dropout(self.network(self.before_network(sites)))
        return added

    def attend(self, normalised: Tensor) -> Tensor:
        """The weighted sum of values at each position, ``(N, head, L, width / head)``."""
        queries, keys, values = self.project(normalised)
        mixed: Tensor = self.mix(self._attention_weights(queries, keys), values)
        return mixed

    def weights(self, sites: Tensor) -> Tensor:
        """Of each position to each, ``(N, head, L, L)``; sums over the last axis are 1."""
        queries, keys, _ = self.project(self.before_attention(sites))
        return self._attention_weights(queries, keys)

    def values(self, sites: Tensor) -> Tensor:
        """``(N, head, L, width / head)``."""
        return self.project(self.before_attention(sites))[2]

    def project(self, normalised: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values, each ``(N, head, L, width / head)``."""
        queries, keys, values = (
            layer(normalised).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        return queries, keys, values

    def distance_penalties(self, length: int, device: torch.device) -> Tensor:
        """``(head, L, L)``: the slope of the head times the distance between two positions."""
        position = torch.arange(length, device=device)
        penalties: Tensor = self.slopes * (position - position.unsqueeze(1)).abs()
        return penalties

    def _attention_weights(self, queries: Tensor, keys: Tensor) -> Tensor:
        """``softmax(q k / sqrt(width / head) - slope x distance)``, ``(N, head, L, L)``."""
        match = self.match(queries, keys.transpose(2, 3)) * queries.shape[3] ** -0.5
        penalties = self.distance_penalties(queries.shape[2], queries.device)
        weights: Tensor = self.softmax(match - penalties)
        return weights
