"""A device that no machine has to have: tensors of the CPU that say they are on ``cuda:0``.

In ``Elsewhere`` what is sent there answers like a tensor on a GPU: it does not mix with tensors of
the CPU and has no ``numpy``. All numbers are those of the CPU.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda:0")


class There(Tensor):
    """A tensor on the device."""


class Elsewhere(TorchFunctionMode):
    """In here there is such a device."""

    def __enter__(self) -> Elsewhere:
        # a parameter that was sent there is a new one: assigned to the old, it would not say so
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.__future__.set_overwrite_module_params_on_conversion(False)

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None):
        with torch._C.DisableTorchFunctionSubclass():
            return _computed(function, given, named or {})


def _computed(function: Any, given: Any, named: dict[str, Any]) -> Any:
    there = any(isinstance(each, There) for each in tree_leaves((given, named)))
    if function == Tensor.device.__get__ and there:
        return DEVICE
    if function is Tensor.numpy and there:
        raise TypeError(f"can't convert {DEVICE} device type tensor to numpy")
    wanted = _wanted(function, given, named)
    if wanted is None and function not in _MIXING:
        _refuse_to_mix(function, (given, named))
    if wanted is not None:
        given, named = tree_map(_here, (given, named))
        there = wanted == DEVICE.type
    return tree_map(lambda each: _put(each, there), function(*given, **named))


_MIXING = (Tensor.copy_, torch._has_compatible_shallow_copy_type)


def _wanted(function: Any, given: Any, named: dict[str, Any]) -> str | None:
    """The type of the device that a call names."""
    if function is Tensor.cpu:
        return "cpu"
    every = [*given, *named.values()]
    if function is Tensor.to or "device" in named:
        for each in every:
            if isinstance(each, torch.device) or isinstance(each, str):
                return torch.device(each).type
    return None


def _refuse_to_mix(function: Any, every: Any) -> None:
    """A number alone may come from anywhere, as it may for a GPU."""
    tensors = [each for each in tree_leaves(every) if isinstance(each, Tensor) and each.ndim]
    if len({isinstance(each, There) for each in tensors}) == 2:
        raise RuntimeError(f"{function}: wanted all tensors on the same device")


def _here(each: Any) -> Any:
    named = isinstance(each, torch.device) or (isinstance(each, str) and each == DEVICE.type)
    return torch.device("cpu") if named else each


def _put(each: Any, there: bool) -> Any:
    if not isinstance(each, Tensor) or isinstance(each, There) == there:
        return each
    return each.as_subclass(There if there else Tensor)
