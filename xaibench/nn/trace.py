"""The modules and functions of a forward pass, for a message."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from xaibench.shapes import Codes

from .restore import explainable, in_single_precision
from .view import encoded


def parts_of(model: Any, codes: Codes) -> str:
    """The leaf modules of a forward pass, and the functions that it calls outside of them, which
    rules for modules cannot see."""
    calls = _Calls()
    leaves = [module for module in model.modules() if not any(module.children())]
    with explainable(model), in_single_precision(model), torch.no_grad():
        for leaf in leaves:
            if leaf is not model:
                leaf.register_forward_pre_hook(calls.enter)
                leaf.register_forward_hook(calls.leave)
        inputs = encoded(model, codes)
        with calls:
            model(inputs)
    modules, functions = _counted_names(calls.modules), _counted_names(calls.outside)
    return f"Modules: {modules}; functions outside of them: {functions}."


class _Calls(TorchFunctionMode):
    """Counts leaf modules, and the torch functions called while none of them runs."""

    def __init__(self) -> None:
        super().__init__()
        self.modules: Counter[str] = Counter()
        self.outside: Counter[str] = Counter()
        self._depth = 0

    def enter(self, module: nn.Module, arguments: Any) -> None:
        self._depth += 1
        self.modules[type(module).__name__] += 1

    def leave(self, module: nn.Module, arguments: Any, output: Any) -> None:
        self._depth -= 1

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if not self._depth and function.__name__ != "__get__":
            self.outside[function.__name__] += 1
        return function(*args, **(kwargs or {}))


def _counted_names(counts: Counter[str]) -> str:
    return ", ".join(f"{name} x {count}" for name, count in counts.items()) or "none"
