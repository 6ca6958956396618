"""Whether a gradient reaches the input, on models whose gradient is known."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.nn.checks.gradients import input_gradient
from xaibench.nn.layers import one_hot

CODES = np.array([[0, 1, 2, 0, 3], [3, 3, 2, 1, 1]], np.uint8)  # two A, none
TARGETS = np.array([1, 1])


class Of(nn.Module):
    """Logits (0, what a function makes of the one-hot)."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        logit = self.function(inputs)
        return torch.stack([torch.zeros_like(logit), logit], 1)


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: 3 * x[:, 0].sum(1), "some"),
        (lambda x: x.detach()[:, 0].sum(1), "none"),
        (lambda x: x.argmax(1).sum(1).float(), "none"),
        (lambda x: 0 * x[:, 0].sum(1), "zero"),
        (lambda x: (x[:, 0].sum(1) - 9).relu(), "zero"),
        (lambda x: x[:, 0].sqrt().sum(1), "not finite"),
    ],
)
def test_the_kind_of_a_gradient(function, kind):
    assert input_gradient(Of(function), CODES, TARGETS).kind == kind


def test_the_largest_component_and_the_sequences_without_any():
    gradient = input_gradient(Of(lambda x: 3 * (x[:, 0].sum(1) - 1).relu()), CODES, TARGETS)
    assert (gradient.largest, gradient.zeros) == (3.0, 0.5)
