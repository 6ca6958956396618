"""A conventional convolutional classifier: the baseline."""

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from xaibench.nn.layers import one_hot

from .masking import NONE, Masking, checked_masking
from .trunk import PerConvolution, trunk


class CNN(nn.Module):
    """Convolutions, then the maximum and the mean of every feature, then one linear layer."""

    any_strides = True

    def __init__(
        self,
        *,
        classes: int,
        length: int,
        filters: PerConvolution = (32, 64, 64),
        kernels: PerConvolution = (11, 7, 5),
        dropout: Annotated[float, Field(ge=0, lt=1)] = 0.3,
        masking: Masking = NONE,
    ) -> None:
        super().__init__()
        self.masking = checked_masking(masking, self)
        self.trunk = trunk(length, filters, kernels)
        self.maximum = nn.AdaptiveMaxPool1d(1)
        self.mean = nn.AdaptiveAvgPool1d(1)
        self.dropout = nn.Dropout(dropout)
        self.classify = nn.Linear(2 * filters[-1], classes)

    def encode(self, codes: Tensor) -> Tensor:
        return one_hot(codes)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.trunk(inputs)
        pooled = torch.cat([self.maximum(features), self.mean(features)], dim=1).flatten(1)
        logits: Tensor = self.classify(self.dropout(pooled))
        return logits
