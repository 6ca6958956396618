"""AttnGen (Shabani Nia and Karkehabadi 2026): attention that decides what training may ignore.

The paper gives no architecture, loss or schedule. Ours: additive attention (Bahdanau et al. 2015)
over the shared trunk at full resolution, used in the forward pass; cross-entropy on the masked
sequence alone; positions scored by a no-gradient evaluation pass on the intact one.
"""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.layers import WeightedSum, one_hot

from .masking import Masking
from .trunk import Sizes, trunk


class AttnGen(nn.Module):
    """Convolutions, attention over positions, and masking of the least attended ones in training.

    ``mask_ratio`` is the share of positions masked in the end; 0 trains the same network without
    masking.
    """

    def __init__(
        self,
        *,
        classes: int,
        length: int,
        filters: Sizes = (32, 64, 64),
        kernels: Sizes = (11, 7, 5),
        attention_units: Annotated[int, Field(ge=1)] = 64,
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        mask_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.15,
        warm_up: Annotated[int, Field(ge=0)] = 2,
        ramp: Annotated[int, Field(ge=1)] = 5,
    ) -> None:
        super().__init__()
        self.masking = Masking(mask_ratio, warm_up, ramp)
        self.trunk = trunk(length, filters, kernels)
        self.energy = nn.Sequential(
            nn.Conv1d(filters[-1], attention_units, 1),
            nn.Tanh(),
            nn.Conv1d(attention_units, 1, 1, bias=False),
            nn.Flatten(),
        )
        self.softmax = nn.Softmax(dim=1)
        self.attend = WeightedSum()
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(2 * filters[-1], classes)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def attention(self, inputs: Tensor) -> Tensor:
        """The weight of each position ``(N, L)``; positive, sum 1."""
        weights: Tensor = self.softmax(self.energy(self.trunk(inputs)))
        return weights

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.trunk(inputs)
        attended = self.attend(self.softmax(self.energy(features)), features)
        pooled = torch.cat([attended, self.mean(features).flatten(1)], dim=1)
        logits: Tensor = self.classify(self.dropout(pooled))
        return logits
