"""The attention of a model itself, to its sites."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from xaibench.errors import NotApplicable
from xaibench.nn.layers import WeightedSum
from xaibench.protocols import method


@method(signed=False)
def attention(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The model's pooling weights ``(N, S)``, not negative, sum 1; the same for every target."""
    with torch.no_grad():
        weights: Tensor = model.attention(inputs)
    return weights


@method()
def attention_x_gradient(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The pooling weight of each site times the gradient of what is explained with respect to it,
    ``(N, S)``, signed (after *Serrano and Smith 2019*).

    NotApplicable for a model that does not pool by ``xaibench.nn.layers.WeightedSum``, or more than
    once.
    """
    pools = [module for module in model.modules() if isinstance(module, WeightedSum)]
    if len(pools) != 1:
        raise NotApplicable(f"expected one WeightedSum in the model, got {len(pools)}")
    weights, explained = _with_weights(model, pools[0], inputs)
    chosen = explained.gather(1, target.unsqueeze(1)).sum()
    return weights.detach() * torch.autograd.grad(chosen, weights)[0]


def _with_weights(model: Any, pool: nn.Module, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The weights ``(N, S)`` that a pool is given, on the graph, and the outputs of the model."""
    weights: list[Tensor] = []
    handle = pool.register_forward_pre_hook(lambda module, arguments: weights.append(arguments[0]))
    try:
        explained: Tensor = model(inputs)
    finally:
        handle.remove()
    return weights[0], explained


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
