"""What a rule for a module is given, under DeepLIFT and LRP, and the error where there is none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

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
    """The class that a module was written as: computed weights (weight norm) give it another."""
    kind: type[nn.Module] = type_before_parametrizations(module)
    return kind


def no_rule(method: str, path: str, module: nn.Module) -> NotApplicable:
    """The error of a module without a rule, which says how to give one."""
    return NotApplicable(
        f"{method} has no rule for {module_label(path, module)}; in a method of your own, "
        f"{method}(..., rules={{{class_of(module).__name__!r}: ...}}) gives it one "
        "(docs/attribution.md)"
    )
