"""The layers of a model, computed faster while it trains.

Weights, shapes and, to rounding, numbers are the same. Features ``(N, D, S)`` have channels last,
the memory order in which convolutions on a CPU are fastest. Torch has it for tensors of four axes
alone, so layers of one axis of sites run as layers of two, ``(N, D, 1, S)``. Attention is one fused
operation.

On one core that has avx512_bf16, a step of ``cnn`` takes 0.8 of its time in float32, and 0.45 in
bfloat16. The methods of modules are replaced (by attributes, which hide those of the class) for the
time of a training alone: outside of it a model is what its file says, for methods of attribution
that go by its modules.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.nn.layers import WeightedSum

from .transformer import EncoderLayer


@contextmanager
def faster(model: nn.Module) -> Iterator[None]:
    """Within this context the layers of a model that says ``any_strides = True`` are fast.

    A model may say so where it takes features ``(N, D, S)`` in any strides, so never calls ``view``
    on them. Another is left alone.
    """
    modules = model.modules() if getattr(model, "any_strides", False) else ()
    with ExitStack() as patched:
        for module in (each for each in modules if type(each) in _FASTER_METHODS):
            methods = _FASTER_METHODS[type(module)] if _is_plain(module) else {}
            for name, method in methods.items():
                setattr(module, name, partial(method, module))
                patched.callback(delattr, module, name)  # the one of its class shows again
        yield


def _is_plain(module: nn.Module) -> bool:
    """Whether a layer is of the kind that is rewritten: a convolution that pads with a number of
    zeros, a pool to one site."""
    if isinstance(module, nn.Conv1d):
        return module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return getattr(module, "output_size", 1) == 1


def _convolution(module: Any, inputs: Tensor) -> Tensor:
    """``(N, D, S)`` as a picture of height 1. Weights are rearranged at every call: the optimiser
    has them in their own order, and they are small beside the features."""
    return functional.conv2d(
        inputs.unsqueeze(2).contiguous(memory_format=torch.channels_last),
        module.weight.unsqueeze(2).contiguous(memory_format=torch.channels_last),
        module.bias,
        (1, *module.stride),
        (0, *module.padding),
        (1, *module.dilation),
        module.groups,
    ).squeeze(2)


def _batch_normalisation(module: Any, inputs: Tensor) -> Tensor:
    """As a picture too; that of ``(N, D)``, which has no sites, is the usual one."""
    if inputs.ndim == 2:
        return nn.BatchNorm1d.forward(module, inputs)
    return nn.BatchNorm2d.forward(module, inputs.unsqueeze(2)).squeeze(2)


def _max_over_sites(module: Any, inputs: Tensor) -> Tensor:
    """``(N, D, S)`` -> ``(N, D, 1)``."""
    return functional.adaptive_max_pool2d(inputs.unsqueeze(2), 1).squeeze(2)


def _mean_over_sites(module: Any, inputs: Tensor) -> Tensor:
    """``(N, D, S)`` -> ``(N, D, 1)`` as a sum, whose gradient is one number per feature that is
    expanded, where that of a pool is written out for every site."""
    return inputs.sum(2, keepdim=True) / inputs.shape[2]


def _weighted_sum(module: Any, weights: Tensor, features: Tensor) -> Tensor:
    """Weights ``(1, S)`` times features ``(S, D)`` in place of ``(D, S)`` times ``(S, 1)``, so that
    the gradient of the features has channels last too."""
    return torch.matmul(weights.unsqueeze(1), features.transpose(1, 2)).squeeze(1)


def _fused_attention(module: Any, normalised: Tensor) -> Tensor:
    """``EncoderLayer.attend`` in one operation; never in bfloat16, in which that is slower."""
    wide = torch.promote_types(normalised.dtype, torch.float32)
    queries, keys, values = (each.to(wide) for each in module.project(normalised))
    penalties = module.distance_penalties(normalised.shape[1], normalised.device)
    bias = -penalties.unsqueeze(0).to(wide)
    with torch.autocast(normalised.device.type, enabled=False):
        return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=bias)


_FASTER_METHODS: dict[type[nn.Module], dict[str, Callable[..., Any]]] = {
    nn.Conv1d: {"forward": _convolution},
    nn.BatchNorm1d: {
        "forward": _batch_normalisation,
        # BatchNorm2d.forward calls that of the module, which would refuse four axes.
        "_check_input_dim": lambda module, inputs: None,
    },
    nn.AdaptiveMaxPool1d: {"forward": _max_over_sites},
    nn.AdaptiveAvgPool1d: {"forward": _mean_over_sites},
    WeightedSum: {"forward": _weighted_sum},
    EncoderLayer: {"attend": _fused_attention},
}
