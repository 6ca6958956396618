"""AttnGen (Shabani Nia and Karkehabadi 2026): attention that decides what training may ignore.

The paper gives no architecture, loss or schedule. Ours: additive attention over the shared trunk at
full resolution, used in the forward pass; cross-entropy on the masked sequence alone; positions
scored by a no-gradient evaluation pass on the intact one.
"""

from typing import Annotated, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.nn.layers import WeightedSum, one_hot

from .masking import LOW_ATTENTION, Masking, checked_masking
from .pooling import energies
from .trunk import PerConvolution, trunk


class AttnGen(nn.Module):
    """Convolutions, attention over positions, and masking of the least attended ones in training.

    ``attention_as`` says what attention is for. As "pooling", the classifier is given the attended
    features beside their mean. A "scorer" has no part in the classification: the classifier is that
    of ``cnn``, and a head of the scorer's own learns beside it to classify by the attended
    features; its gradient stops before the trunk. What trains a scorer is our choice.

    ``masking: none`` trains the same network without masking.
    """

    any_strides = True

    def __init__(
        self,
        *,
        classes: int,
        length: int,
        filters: PerConvolution = (32, 64, 64),
        kernels: PerConvolution = (11, 7, 5),
        attention_units: Annotated[int, Field(ge=1, le=10_000)] = 64,
        attention_as: Literal["pooling", "scorer"] = "pooling",
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        masking: Masking = LOW_ATTENTION,
    ) -> None:
        super().__init__()
        self.masking = checked_masking(masking, self)
        self.trunk = trunk(length, filters, kernels)
        self.energy = energies(filters[-1], attention_units)
        self.softmax = nn.Softmax(dim=1)
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(2 * filters[-1], classes)
        self.attention_as = attention_as
        if attention_as == "pooling":
            self.attend = WeightedSum()
        else:
            self.maximum = nn.AdaptiveMaxPool1d(1)
            self.score = nn.Linear(filters[-1], classes)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def attention(self, inputs: Tensor) -> Tensor:
        """The weight of each position ``(N, L)``; positive, sum 1."""
        return self._weights(self.trunk(inputs))

    def forward(self, inputs: Tensor) -> Tensor:
        return self._classified(self.trunk(inputs))

    def training_logits(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """The logits that the loss is of: those of ``forward``, and of a scorer its own."""
        features = self.trunk(inputs)
        logits = self._classified(features)
        if self.attention_as == "pooling":
            return (logits,)
        fixed = features.detach()  # the scorer learns to read the trunk, and does not change it
        return logits, self.score(torch.einsum("nl,ndl->nd", self._weights(fixed), fixed))

    def _weights(self, features: Tensor) -> Tensor:
        weights: Tensor = self.softmax(self.energy(features))
        return weights

    def _classified(self, features: Tensor) -> Tensor:
        """``(N, D, L)`` -> logits ``(N, class)``."""
        if self.attention_as == "pooling":
            summary = self.attend(self._weights(features), features)
        else:
            summary = self.maximum(features).flatten(1)
        pooled = torch.cat([summary, self.mean(features).flatten(1)], dim=1)
        logits: Tensor = self.classify(self.dropout(pooled))
        return logits
