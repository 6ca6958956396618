"""What a rule is given, for a module or for a function, under DeepLIFT and LRP, and the error where
there is none."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.utils._pytree import tree_map_only

from xaibench.errors import NotApplicable


@dataclass(frozen=True, slots=True)
class ModuleCall:
    """One call of a module: its tensor arguments in the order of its signature, and its output,
    off the graph under DeepLIFT, on it under LRP.

    Under DeepLIFT each has the axes ``(input, row, site, ...)``: row 0 is a sequence, the others
    are its references, and what a model folds into the batch axis (sites, heads) is behind them,
    else there is one site. Under LRP they have the shapes that the module knows.
    """

    module: Any
    inputs: tuple[Tensor, ...]
    output: Tensor


@dataclass(frozen=True, slots=True)
class OperationCall:
    """One call of a function or of a method of tensors."""

    function: Any
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]

    def run(self) -> Any:
        return self.function(*self.arguments, **self.keywords)

    def argument(self, place: int, name: str, default: Any = None) -> Any:
        """By place or by name."""
        if place < len(self.arguments):
            return self.arguments[place]
        return self.keywords.get(name, default)

    def tensors(self) -> list[Tensor]:
        """All that it is given, also in lists."""
        tensors: list[Tensor] = []
        for each in (*self.arguments, *self.keywords.values()):
            if isinstance(each, Tensor):
                tensors.append(each)
            elif isinstance(each, list | tuple):
                tensors += [part for part in each if isinstance(part, Tensor)]
        return tensors

    def changed(self, change: Callable[[Tensor], Any]) -> OperationCall:
        """The same call of other tensors."""
        given = (self.arguments, self.keywords)
        arguments, keywords = tree_map_only(Tensor, change, given)
        return replace(self, arguments=arguments, keywords=keywords)


def out_of_place(function: Any) -> Any:
    """The function that gives what this one writes into its argument."""
    name = function.__name__
    if name.endswith("__"):
        return getattr(Tensor, f"__{name[3:]}") if name.startswith("__i") else function
    if not name.endswith("_"):
        return function
    homes = (torch, functional, Tensor)
    return next(getattr(home, name[:-1]) for home in homes if hasattr(home, name[:-1]))


def without(keywords: dict[str, Any], *names: str) -> dict[str, Any]:
    """Keywords but for those of these names."""
    return {name: each for name, each in keywords.items() if name not in names}


def of_one_input(call: OperationCall) -> tuple[Tensor, Callable[[Tensor], Tensor], bool]:
    """The first argument of a call, the call as a function of it that works on no argument in
    place, and whether the call does."""
    function = out_of_place(call.function)
    if getattr(function, "__module__", "") == "torch.nn.functional":
        bound = signature(function).bind(*call.arguments, **call.keywords)
        bound.apply_defaults()
        keywords = bound.arguments
        values = keywords.pop(next(iter(keywords)))
        in_place = bool(keywords.get("inplace"))
        keywords.update({"inplace": False} if in_place else {})
        return values, lambda values: function(values, **keywords), in_place
    values, *others = call.arguments or (call.keywords["input"],)
    keywords = without(call.keywords, "input")
    in_place = function is not call.function
    return values, lambda values: function(values, *others, **keywords), in_place


signature = cache(inspect.signature)


def module_label(path: str, module: Any) -> str:
    """What messages call a module: its path in the model and its class."""
    return f"{path or 'the model'} ({class_of(module).__name__})"


def outermost_labels(modules: Iterable[tuple[str, Any]]) -> list[str]:
    """The labels of modules with their paths, without those that are part of one before them."""
    labels: list[str] = []
    inside: tuple[str, ...] = ()
    for path, module in modules:
        if not path.startswith(inside):
            labels.append(module_label(path, module))
            inside = (*inside, f"{path}.")
    return labels


def class_of(module: nn.Module) -> type[nn.Module]:
    """The class that a module was written as: computed weights (weight norm) give it another, and
    torch's attention has a class of its own for a linear layer."""
    kind: type[nn.Module] = type_before_parametrizations(module)
    return nn.Linear if kind is NonDynamicallyQuantizableLinear else kind


def no_rule(method: str, path: str, module: nn.Module) -> NotApplicable:
    """The error of a module without a rule, which says how to give one."""
    kind = class_of(module)
    known = kind in BY_OPERATION or kind.__module__.startswith(BY_FUNCTIONS)
    by_operation = method == "lrp" and known
    another = ", or take rule: attnlrp or cp_lrp, which have rules for its operations"
    return NotApplicable(
        f"{method} has no rule for {module_label(path, module)}; in a method of your own, "
        f"{method}(..., rules={{{class_of(module).__name__!r}: ...}}) gives it one "
        f"(docs/attribution.md){another if by_operation else ''}"
    )


BY_FUNCTIONS = "transformers."
"""The package whose modules are written in functions, activations and normalisation among them:
what has rules for functions needs none for them."""

BY_OPERATION = (nn.MultiheadAttention, nn.Softmax, nn.LogSoftmax, nn.GLU, nn.GroupNorm)
"""What AttnLRP and CP-LRP explain, and LRP by a rule for linear maps does not."""
