"""A model is the same after it was explained: what is restored, and what is rejected.

Three parts of a model can change and are handled apart: its state of use (modes, hooks, gradients:
``left_as_found`` restores them), the precision of its tensors (``in_single_precision``), and its
weights, buffers and submodules, which no method may touch (``unchanged`` restores them *and*
raises, since an explanation of a changed model is one of another model).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

_HOOKS = (
    "_forward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs",
    "_backward_hooks",
    "_backward_pre_hooks",
)


@contextmanager
def left_as_found(model: nn.Module) -> Iterator[None]:
    """Restore the mode of every module, its hooks, and each parameter's gradient and
    ``requires_grad``, also on an error. Weights are not copied."""
    modes = [(module, module.training) for module in model.modules()]
    hooks = [
        (module, type(module), vars(module)[name], dict(vars(module)[name]))
        for module in model.modules()
        for name in _HOOKS
    ]
    gradients = [(p, p.requires_grad, p.grad) for p in model.parameters()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
        for module, kind, registered, before in hooks:
            if type(module) is kind:  # a lazy module drops its hooks when it becomes another
                registered.clear()
                registered.update(before)
        for parameter, wants_gradient, gradient in gradients:
            parameter.requires_grad_(wants_gradient)
            parameter.grad = gradient


@contextmanager
def explainable(model: nn.Module) -> Iterator[None]:
    """Within, the model is in eval mode and gradients are those of inputs, not of weights."""
    with left_as_found(model):
        model.eval().requires_grad_(False)
        for parameter in model.parameters():
            parameter.grad = None  # no pass may add to a gradient that the caller still uses
        yield


@contextmanager
def in_single_precision(model: nn.Module) -> Iterator[None]:
    """Within, weights and buffers of less than 32 bits are float32, which holds the same values;
    afterwards they are the tensors that they were.

    Half precision keeps 8 or 11 bits: sums of contributions could miss by what they explain.
    """
    state = [*model.parameters(), *model.buffers()]
    narrow = [(tensor, tensor.data) for tensor in state if is_narrow(tensor.dtype)]
    for tensor, data in narrow:
        tensor.data = data.float()
    try:
        yield
    finally:
        for tensor, data in narrow:
            tensor.data = data


def is_narrow(dtype: torch.dtype) -> bool:
    """Whether numbers have less than 32 bits, as in half precision."""
    return dtype.is_floating_point and torch.finfo(dtype).bits < 32


def narrow_of(model: nn.Module) -> str:
    """The narrow types of weights and buffers, for a message; empty where there are none."""
    state = [*model.parameters(), *model.buffers()]
    narrow = {
        str(tensor.dtype).removeprefix("torch.") for tensor in state if is_narrow(tensor.dtype)
    }
    return " and ".join(sorted(narrow))


@contextmanager
def unchanged(model: nn.Module, name: str) -> Iterator[None]:
    """ValueError where a method changed weights or buffers (they are put back, also on an error),
    left a module in training mode, a hook behind, or a parameter that wants a gradient."""
    state = {**dict(model.named_parameters()), **dict(model.named_buffers())}
    before = {key: (tensor.data, tensor.detach().clone()) for key, tensor in state.items()}
    # a scripted module keeps its parts where they cannot be exchanged
    modules = [each for each in model.modules() if not isinstance(each, torch.jit.ScriptModule)]
    parts = [(vars(m)[name], dict(vars(m)[name])) for m in modules for name in _PARTS]
    hooks = _count_hooks(model)
    swapped, changed = False, []
    try:
        yield
    finally:
        swapped = any(now[key] is not part for now, were in parts for key, part in were.items())
        for now, were in parts:
            now.update(were)
        changed = [key for key in before if _was_changed(state[key], *before[key])]
        for key in changed:
            state[key].data, values = before[key]
            state[key].data.copy_(values)
    if swapped:
        raise ValueError(f"{name} put other parts into the model")
    if changed:
        raise ValueError(f"{name} changed the model's weights or buffers: {changed[0]}")
    if any(module.training for module in model.modules()):
        raise ValueError(f"{name} left the model in training mode")
    if _count_hooks(model) != hooks:
        raise ValueError(f"{name} left hooks on the model")
    if any(parameter.requires_grad for parameter in model.parameters()):
        raise ValueError(f"{name} left parameters of the model that want gradients")


_PARTS = ("_modules", "_parameters", "_buffers")


def _was_changed(tensor: Tensor, data: Tensor, values: Tensor) -> bool:
    """Whether a tensor has other memory, another type or other values than it had."""
    same = tensor.data_ptr() == data.data_ptr() and tensor.dtype == values.dtype
    return not same or not torch.equal(tensor.detach(), values)


def _count_hooks(model: nn.Module) -> int:
    return sum(len(vars(module)[name]) for module in model.modules() for name in _HOOKS)
