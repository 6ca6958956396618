"""The layers of a model, computed faster while it trains.

Weights, shapes and, to rounding, numbers are the same. Features have channels last, the order in
which convolutions on a CPU are fastest; attention is one fused operation. On one core that has
avx512_bf16, a step of ``cnn`` takes 0.8 of its time in float32, and 0.45 in bfloat16. Outside of
training a model is what its file says, for methods that look at its modules.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.nn.layers import WeightedSum

from .transformer import Layer

LAST = torch.channels_last


@contextmanager
def faster(model: nn.Module) -> Iterator[None]:
    """In here the layers of a model that says ``any_strides = True`` are fast.

    A model may say so where it takes features ``(N, D, S)`` in any strides, so never calls ``view``
    on them. Another is left alone.
    """
    patched = []
    try:
        for module in model.modules() if getattr(model, "any_strides", False) else ():
            for name, method in _METHODS.get(type(module), {}).items():
                if _is_plain(module):
                    setattr(module, name, partial(method, module))
                    patched.append((module, name))
        yield
    finally:
        for module, name in patched:
            delattr(module, name)  # the one of its class shows again


def _is_plain(module: nn.Module) -> bool:
    """Whether a convolution pads with so many zeros, and a pool has one site."""
    if isinstance(module, nn.Conv1d):
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return getattr(module, "output_size", 1) == 1


def _convolution(module: Any, inputs: Tensor) -> Tensor:
    return functional.conv2d(
        inputs.unsqueeze(2).contiguous(memory_format=LAST),
        module.weight.unsqueeze(2).contiguous(memory_format=LAST),
        module.bias,
        (1, *module.stride),
        (0, *module.padding),
        (1, *module.dilation),
        module.groups,
    ).squeeze(2)


def _batch_normalisation(module: Any, inputs: Tensor) -> Tensor:
    """Of features alone, ``(N, D)``, as ever."""
    if inputs.ndim == 2:
        return nn.BatchNorm1d.forward(module, inputs)
    return nn.BatchNorm2d.forward(module, inputs.unsqueeze(2)).squeeze(2)


def _maximum(module: Any, inputs: Tensor) -> Tensor:
    return functional.adaptive_max_pool2d(inputs.unsqueeze(2), 1).squeeze(2)


def _mean(module: Any, inputs: Tensor) -> Tensor:
    """A sum, whose gradient is not written out for every site."""
    return inputs.sum(2, keepdim=True) / inputs.shape[2]


def _weighted_sum(module: Any, weights: Tensor, features: Tensor) -> Tensor:
    """Turned round, so that the gradient of the features has channels last too."""
    return torch.matmul(weights.unsqueeze(1), features.transpose(1, 2)).squeeze(1)


def _attended(module: Any, seen: Tensor) -> Tensor:
    """Never in bfloat16, in which the fused operation is slower."""
    wide = torch.promote_types(seen.dtype, torch.float32)
    queries, keys, values = (each.to(wide) for each in module.projected(seen))
    bias = -module.penalties(seen).unsqueeze(0).to(wide)
    with torch.autocast(seen.device.type, enabled=False):
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)


_METHODS: dict[type[nn.Module], dict[str, Callable[..., Any]]] = {
    nn.Conv1d: {"forward": _convolution},
    nn.BatchNorm1d: {
        "forward": _batch_normalisation,
        "_check_input_dim": lambda module, inputs: None,
    },
    nn.AdaptiveMaxPool1d: {"forward": _maximum},
    nn.AdaptiveAvgPool1d: {"forward": _mean},
    WeightedSum: {"forward": _weighted_sum},
    Layer: {"attended": _attended},
}
