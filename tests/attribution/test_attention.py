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
from xaibench.nn.layers import WeightedSum
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


def test_attention_x_gradient_wants_a_pool_or_self_attention() -> None:
    view, inputs = view_of(toy.both())
    with pytest.raises(NotApplicable, match="expected a WeightedSum or a softmax of self-attent"):
        attention_x_gradient(view, inputs, TARGETS)


def test_attention_x_gradient_wants_one_pool() -> None:
    model = toy.AttentionPool(weights=(0, 1, 2, 3), values=(1, -1, 2, 0.5)).double()
    model.second = WeightedSum()
    view, inputs = view_of(model)
    with pytest.raises(NotApplicable, match="expected one WeightedSum in the model, got 2"):
        attention_x_gradient(view, inputs, TARGETS)


class Attending(toy.Toy):
    """Two layers of two heads: the first changes nothing but what the second attends to. The logits
    are the sum over heads, and over queries or of ``pooled_site``, of what the second gathers."""

    def __init__(self, *, whole: bool, pooled_site: int | None = None) -> None:
        super().__init__(torch.nn.Identity())
        self.whole, self.pooled_site = whole, pooled_site

    def forward(self, inputs: Tensor) -> Tensor:
        gathered = self.second(inputs)[0].sum((1, 3))
        read = gathered.sum(1) if self.pooled_site is None else gathered[:, self.pooled_site]
        return torch.stack([-read, read], 1)

    def second(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What the second layer gathers, its weights, and its values ``(N, head, S, 1)``."""
        worth = inputs.cumsum(1).sum(1)[:, None, :, None] * torch.tensor([0.3, 0.7]).view(2, 1, 1)
        worth = torch.softmax(worth @ worth.transpose(2, 3), -1) @ worth
        weights = torch.softmax(worth @ worth.transpose(2, 3), -1)
        values = inputs.sum(1)[:, None, :, None] - 0.4 * worth
        if not self.whole:
            return weights @ values, weights, values
        attend = torch.nn.functional.scaled_dot_product_attention
        return attend(worth, worth, values, scale=1.0), weights, values


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("pooled_site", [None, 2])
def test_attention_x_gradient_of_the_last_layer(whole: bool, pooled_site: int | None) -> None:
    model = Attending(whole=whole, pooled_site=pooled_site).double()
    view, inputs = view_of(model)
    answer = attention_x_gradient(view, inputs, TARGETS).detach().numpy()
    _, weights, values = (each.detach().numpy() for each in model.second(inputs))
    # Twice the logit of the target is explained, which is linear in the weights of two heads.
    sign = np.array([-1, 1, 1])[:, None]
    expected = sign * np.einsum("nhqk,nhk->nqk", weights, values[..., 0]).mean(1)
    if pooled_site is not None:
        expected = sign * np.einsum("nhk,nhk->nk", weights[:, :, 2], values[..., 0])
    np.testing.assert_allclose(answer, expected, rtol=1e-12)


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
