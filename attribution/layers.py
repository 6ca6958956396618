"""Methods that look at one layer of a model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import NotApplicable
from xaibench.nn.inference import in_calls
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method


@method(signed=False)
def grad_cam(
    model: Any, inputs: Tensor, target: Tensor, *, valid: Tensor, layer: str | None = None
) -> Tensor:
    """``relu(sum_c w_c a_c)`` over a layer's channels ``a_c``, ``w_c`` the mean gradient of channel
    ``c`` over sites; ``(N, L)``, in [0, inf) (*Selvaraju et al. 2017*); zero where the base is
    unknown.

    ``layer`` is the path of a module in the classifier whose output is ``(N, channel, site)``. Our
    choices: the default is the last ``Conv1d`` that sees more than one site (where there is none,
    the last at all), in the order in which the model registers them, and what it gives is taken as
    it is, before normalisation and activation; the sites are spread evenly over the sequence by
    linear interpolation, and are left alone where there is one for each position.

    ValueError for a layer that the model does not have, does not run exactly once or that has
    another output. NotApplicable where none is named and there is no ``Conv1d`` or it does not run
    exactly once, and where the mean gradient of every channel is rounding, as it is before a
    normalisation or a softmax over sites.
    """
    path, module = _layer_of(model, layer)
    parts = [
        _grad_cam_at(model, (path, module), of_inputs, of_target, is_named=layer is not None)
        for of_inputs, of_target in in_calls(inputs, target)
    ]
    return _interpolated(torch.cat(parts), valid.shape[1]) * valid.to(inputs.device)


def _layer_of(model: Any, path: str | None) -> tuple[str, nn.Module]:
    """The path and the module of the layer that is explained."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    modules: dict[str, nn.Module] = {name: each for name, each in whole.named_modules() if name}
    if path is None:
        return _last_convolution(modules)
    if path not in modules:
        known = ", ".join(f"{name} ({type(each).__name__})" for name, each in modules.items())
        raise ValueError(f"layer: the model has no {path!r}; it has {known}")
    return path, modules[path]


def _last_convolution(modules: dict[str, nn.Module]) -> tuple[str, nn.Module]:
    convolutions = {name: each for name, each in modules.items() if isinstance(each, nn.Conv1d)}
    if not convolutions:
        raise NotApplicable("the model has no Conv1d; name a layer")
    wide = [name for name, each in convolutions.items() if each.kernel_size[0] > 1]
    path = (wide or list(convolutions))[-1]  # one of width 1 mixes channels, not sites
    return path, modules[path]


def _grad_cam_at(
    model: Any, layer: tuple[str, nn.Module], inputs: Tensor, target: Tensor, *, is_named: bool
) -> Tensor:
    """Grad-CAM ``(N, site)`` at the sites of the layer.

    NotApplicable where the weights are rounding: behind a layer whose channels are centred over
    sites (a normalisation, a softmax), the gradients of a channel sum to exactly 0, and the mean
    that a computer finds is noise, which the map would show as if it were something.
    """
    path, module = layer
    with _outputs_of(module) as outputs:
        explained = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
    if len(outputs) != 1:
        ran = f"layer: expected one that runs once, {path!r} ran {len(outputs)} times"
        raise ValueError(ran) if is_named else NotApplicable(f"{ran}; name another layer")
    features = outputs[0]
    if not isinstance(features, Tensor) or features.ndim != 3 or len(features) != len(inputs):
        shape = tuple(features.shape) if isinstance(features, Tensor) else type(features).__name__
        expected = f"an output ({len(inputs)}, channel, site)"
        raise ValueError(f"layer: expected {expected}, that of {path!r} is {shape}")
    (gradient,) = torch.autograd.grad(
        explained.sum(), features, materialize_grads=True, retain_graph=True
    )  # the graph is needed again where noise is looked for
    if _sums_to_zero(gradient) or _is_noise(gradient, explained, features):
        raise NotApplicable(
            f"the gradient of layer {path} sums to 0 over sites in every channel, as before a "
            "normalisation or a softmax over sites: its weights are rounding; name another layer"
        )
    return (gradient.mean(2, keepdim=True) * features.detach()).sum(1).relu()


def _sums_to_zero(gradient: Tensor) -> bool:
    """Whether a sequence has a gradient ``(N, channel, site)``, and its mean is nothing but
    rounding in every channel: ``|mean| <= limit * mean of |.|``.

    Independent values leave a mean of 1 / sqrt(sites) of their size or more in some channel, far
    above the limit.
    """
    exact = gradient.cpu().double()  # not every device has float64
    mean, size = exact.mean(2).abs(), exact.abs().mean(2)
    limit = min(_ROUNDINGS_OF_A_MEAN * torch.finfo(gradient.dtype).eps, _LARGEST_ROUNDING)
    of_rounding = (mean <= limit * size).all(1)
    return bool((of_rounding & (size > 0).any(1)).any())


_ROUNDINGS_OF_A_MEAN = 500
"""Statistics of sites far from 0 lose digits: measured, 200 roundings at 50 standard deviations."""

_LARGEST_ROUNDING = 1e-3


def _is_noise(gradient: Tensor, explained: Tensor, features: Tensor) -> bool:
    """Whether a sequence's weights are nothing but rounding, as before a mean of normalised sites,
    which is constant.

    Three times the output has three times the gradient, but other roundings: weights that are more
    than 1 % different are noise. The second pass is made only where it may matter: where a channel
    that changes by its own size changes the output by little more than rounding.
    """
    weights = gradient.mean(2)
    effect = gradient.shape[2] * (weights.abs() * features.detach().abs().amax(2)).amax(1)
    rounding = torch.finfo(gradient.dtype).eps * explained.detach().abs()
    if not ((effect > 0) & (effect <= _SUSPICIOUS * rounding)).any():
        return False
    (thrice,) = torch.autograd.grad(3 * explained.sum(), features, materialize_grads=True)
    difference = (thrice.mean(2) / 3 - weights).abs().amax(1)
    return bool((difference > 0.01 * weights.abs().amax(1)).any())


_SUSPICIOUS = 1e4


@contextmanager
def _outputs_of(module: nn.Module) -> Iterator[list[Any]]:
    """What the module gives, each time it runs within this context."""
    outputs: list[Any] = []

    def record(module: nn.Module, arguments: Any, output: Any) -> Any:
        outputs.append(output)
        return output.clone() if isinstance(output, Tensor) else output  # for what works in place

    handle = module.register_forward_hook(record)
    try:
        yield outputs
    finally:
        handle.remove()


def _interpolated(scores: Tensor, length: int) -> Tensor:
    """``(N, site)`` -> ``(N, length)``."""
    if scores.shape[1] == length:
        return scores
    return functional.interpolate(scores.unsqueeze(1), length, mode="linear").squeeze(1)
