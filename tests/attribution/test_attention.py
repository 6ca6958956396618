"""Attention as an explanation, on a model whose weights are known."""

from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor

from xaibench.attribution.attention import (
    attention_rollout,
    attention_x_gradient,
    last_layer_attention,
)
from xaibench.errors import NotApplicable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import HasAttentions

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])


class Layered(toy.Toy):
    """Three layers of two heads whose weights depend on the bases."""

    def __init__(self) -> None:
        super().__init__(torch.nn.Flatten())

    def attentions(self, inputs: Tensor) -> Tensor:
        worth = inputs.cumsum(1).sum(1)  # a different number for each base
        energies = torch.stack([worth.unsqueeze(2) * worth.unsqueeze(1) * s for s in range(6)], 1)
        return torch.softmax(energies, -1).unflatten(1, (3, 2))


def view_of(model: Any) -> tuple[ExplainedView, Tensor]:
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    return ExplainedView(model), inputs


def test_attention_x_gradient_of_attention_pooling_is_weight_times_value() -> None:
    model = toy.AttentionPool(weights=(0, 1, 2, 3), values=(1, -1, 2, 0.5)).double()
    view, inputs = view_of(model)
    answer = attention_x_gradient(view, inputs, TARGETS)
    value = torch.tensor([1, -1, 2, 0.5, 0])[torch.from_numpy(CODES).long()].double()
    sign = torch.tensor([-1, 1, 1]).unsqueeze(1)
    expected = model.attention(inputs).detach() * sign * value
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_attention_x_gradient_wants_one_pool() -> None:
    view, inputs = view_of(toy.both())
    with pytest.raises(NotApplicable, match="expected one WeightedSum in the model, got 0"):
        attention_x_gradient(view, inputs, TARGETS)


def test_last_layer_attention_is_what_a_site_receives_in_the_last_layer() -> None:
    model = Layered().double()
    assert isinstance(model, HasAttentions)
    view, inputs = view_of(model)
    layers = model.attentions(inputs).detach().numpy()
    answer = last_layer_attention(view, inputs, TARGETS)
    assert view.forwards == len(CODES)
    expected = np.zeros(CODES.shape)
    for head in range(2):
        for query in range(toy.LENGTH):
            expected += layers[:, 2, head, query] / (2 * toy.LENGTH)
    np.testing.assert_allclose(answer, expected, rtol=1e-12)


def test_rollout_multiplies_the_layers_with_half_an_identity_each() -> None:
    model = Layered().double()
    view, inputs = view_of(model)
    answer = attention_rollout(view, inputs, TARGETS)
    for row, layers in enumerate(model.attentions(inputs).detach().numpy()):
        rolled = np.eye(toy.LENGTH)
        for layer in layers:
            rolled = (layer.mean(0) / 2 + np.eye(toy.LENGTH) / 2) @ rolled
        np.testing.assert_allclose(answer[row], rolled.mean(0), rtol=1e-12)
    np.testing.assert_allclose(answer.sum(1), 1, rtol=1e-12)
