"""The attention of a model itself, to its sites."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from xaibench.errors import NotApplicable
from xaibench.nn.layers import WeightedSum
from xaibench.protocols import method

from .eager_attention import scaled_dot_product_attention


@method(signed=False)
def attention(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The model's pooling weights ``(N, S)``, not negative, sum 1; the same for every target."""
    with torch.no_grad():
        weights: Tensor = model.attention(inputs)
    return weights


@method()
def attention_x_gradient(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The weight of each site times the gradient of what is explained with respect to it, ``(N,
    S)``, signed (after *Serrano and Smith 2019*).

    Weights are those of the model's one pool (``xaibench.nn.layers.WeightedSum``), or of its last
    layer of self-attention: the mean over heads of what each site receives, from the site that the
    logits are read from, or averaged over all where there is none. NotApplicable for a model with
    several pools, and for one without a softmax over sites.
    """
    pools = [module for module in model.modules() if isinstance(module, WeightedSum)]
    if len(pools) > 1:
        raise NotApplicable(f"expected one WeightedSum in the model, got {len(pools)}")
    recording = _with_weights if pools else _with_self_attention
    weights, explained = recording(model, inputs)
    chosen = explained.gather(1, target.unsqueeze(1)).sum()
    product = weights.detach() * torch.autograd.grad(chosen, weights)[0]
    return product if pools else _received(model, product.mean(1))


def _with_weights(model: Any, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The weights ``(N, S)`` that the pool is given, on the graph, and the outputs of the model."""
    pool = next(module for module in model.modules() if isinstance(module, WeightedSum))
    weights: list[Tensor] = []
    handle = pool.register_forward_pre_hook(lambda module, arguments: weights.append(arguments[0]))
    try:
        explained: Tensor = model(inputs)
    finally:
        handle.remove()
    return weights[0], explained


def _with_self_attention(model: Any, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The weights ``(N, head, S, S)`` of the last layer, on the graph, and the outputs of the
    model."""
    with LastAttention() as recorded:
        explained: Tensor = model(inputs)
    if recorded.weights is None:
        raise NotApplicable("expected a WeightedSum or a softmax of self-attention, got neither")
    return recorded.weights, explained


class LastAttention(TorchFunctionMode):
    """In this context the last weights of self-attention are kept: what a softmax, or
    ``scaled_dot_product_attention``, made of ``(N, head, S, S)``."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: Tensor | None = None

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = getattr(function, "__name__", "")
        if name == "scaled_dot_product_attention":
            attended = scaled_dot_product_attention(*args, **(kwargs or {}))
            self._keep(attended.weights)
            return attended.output
        output = function(*args, **(kwargs or {}))
        if name == "softmax":
            self._keep(output)
        return output

    def _keep(self, weights: Tensor | None) -> None:
        is_square = weights is not None and weights.ndim == 4 and len({*weights.shape[2:]}) == 1
        if is_square and weights is not None and weights.requires_grad:
            self.weights = weights


@method(signed=False)
def last_layer_attention(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """What each site receives in the last layer of self-attention, ``(N, S)``: the mean over heads,
    from the site that the logits are read from (``[CLS]``), or the mean over all where there is
    none; not negative, sum 1; the same for every target."""
    with torch.no_grad():
        layers: Tensor = model.attentions(inputs)
    return _received(model, layers[:, -1].mean(1))


@method(signed=False)
def attention_rollout(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """Attention through all layers, ``(N, S)`` (*Abnar and Zuidema 2020*).

    With ``A_l`` the mean over the heads of layer ``l`` and the identity for the residual
    connection, it is ``(A_n + I) / 2 ... (A_1 + I) / 2``, of the site that the logits are read from
    (``[CLS]``), or averaged over the sites of the last layer. Not negative, sum 1.
    """
    with torch.no_grad():
        layers: Tensor = model.attentions(inputs)
    heads = layers.mean(2)
    steps = (heads + torch.eye(heads.shape[-1]).to(heads)) / 2
    rolled = steps[:, 0]  # layers nearer to the output from the left
    for layer in range(1, steps.shape[1]):
        rolled = steps[:, layer] @ rolled
    return _received(model, rolled)


def _received(model: Any, weights: Tensor) -> Tensor:
    """Of what each site pays to each ``(N, S, S)``, what each receives ``(N, S)``."""
    pooled: int | None = getattr(model, "pooled_site", None)
    return weights.mean(1) if pooled is None else weights[:, pooled]
