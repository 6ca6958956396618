"""A device that no machine has to have: tensors of the CPU that say they are on ``cuda:0``.

In ``Elsewhere`` what is sent there answers like a tensor on a GPU: it does not mix with tensors of
the CPU and has no ``numpy``. All numbers are those of the CPU. ``sent`` counts tensors that are
sent there by type, those of them from pinned memory, and codes that are sent to the CPU in place of
it (``stayed``). The device has a generator of its own and
``FREE`` bytes of memory.
"""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

DEVICE = torch.device("cuda:0")

FREE = 2**31
"""Bytes."""


class There(Tensor):
    """A tensor on the device."""


class Pinned(Tensor):
    """A tensor of the CPU in pinned memory."""


def _module_of_the_device() -> dict[str, Any]:
    """What ``torch.cuda`` says where there is the device."""
    generator = torch.Generator()

    def set_state(state: Tensor, device: Any = None) -> None:
        generator.set_state(state)

    return {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 1,
        "get_device_name": lambda device: "Pretended",
        "mem_get_info": lambda device: (FREE, 2 * FREE),
        "empty_cache": lambda: None,
        "get_rng_state": lambda device=None: generator.get_state(),
        "get_rng_state_all": lambda: [generator.get_state()],
        "set_rng_state": set_state,
        "manual_seed_all": lambda seed: generator.manual_seed(seed),
    }


class Elsewhere(TorchFunctionMode):
    """In here there is such a device."""

    sent: Counter[str]

    def __enter__(self) -> Elsewhere:
        self.sent = Counter()
        self._patched = ExitStack()
        for name, answer in _module_of_the_device().items():
            self._patched.enter_context(patch.object(torch.cuda, name, answer))
        # a parameter that was sent there is a new one: assigned to the old, it would not say so
        torch.__future__.set_overwrite_module_params_on_conversion(True)
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        torch.__future__.set_overwrite_module_params_on_conversion(False)
        self._patched.close()

    def __torch_function__(self, function: Any, types: Any, given: Any = (), named: Any = None):
        with torch._C.DisableTorchFunctionSubclass():
            if function is Tensor.pin_memory:
                return given[0].as_subclass(Pinned)
            if function is Tensor.__deepcopy__ and isinstance(given[0], There):
                return _copied(*given)
            if function is Tensor.to and not isinstance(given[0], There):
                self._note(given, named or {})
            return _computed(function, given, named or {})

    def _note(self, given: Any, named: dict[str, Any]) -> None:
        if not given[0].numel():
            return
        if _wanted(Tensor.to, given, named) != DEVICE.type:
            self.sent["stayed"] += given[0].dtype == torch.uint8
            return
        self.sent[str(given[0].dtype).removeprefix("torch.")] += 1
        self.sent["pinned"] += isinstance(given[0], Pinned)


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


def _copied(tensor: Tensor, memo: dict[int, Any]) -> Tensor:
    """A subclass of tensors has no deep copy of its own."""
    copy = tensor.detach().as_subclass(Tensor).clone().as_subclass(There)
    copy.requires_grad_(tensor.requires_grad)
    copy._is_param = getattr(tensor, "_is_param", False)
    memo[id(tensor)] = copy
    return copy


_MIXING = (Tensor.copy_, torch._has_compatible_shallow_copy_type)


def _wanted(function: Any, given: Any, named: dict[str, Any]) -> str | None:
    """The type of the device that a call names."""
    if function is Tensor.cpu:
        return "cpu"
    if function is Tensor.to:
        for each in [*given[1:], *named.values()]:
            if isinstance(each, Tensor):  # as another tensor is
                return DEVICE.type if isinstance(each, There) else "cpu"
            if isinstance(each, torch.device | str):
                return torch.device(each).type
    device = named.get("device")
    return None if device is None else torch.device(device).type


def _refuse_to_mix(function: Any, every: Any) -> None:
    """A number alone may come from anywhere, as it may for a GPU."""
    tensors = [each for each in tree_leaves(every) if isinstance(each, Tensor) and each.ndim]
    if len({isinstance(each, There) for each in tensors}) == 2:
        raise RuntimeError(f"{function}: wanted all tensors on the same device")


def _here(each: Any) -> Any:
    """A call of the device as one of the CPU."""
    named = isinstance(each, str) and each.partition(":")[0] == DEVICE.type
    if named or isinstance(each, torch.device):
        return torch.device("cpu")
    return each.as_subclass(Tensor) if isinstance(each, There | Pinned) else each


def _put(each: Any, there: bool) -> Any:
    if not isinstance(each, Tensor) or isinstance(each, There) == there:
        return each
    return each.as_subclass(There if there else Tensor)
