"""Rules for modules, which DeepLIFT and LRP go by: what one is given, and those of a user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrize import type_before_parametrizations

from xaibench.errors import NotApplicable, RuleError, described

Layer = type[nn.Module] | str
"""A class of modules, or the name of one: the class of a plug-in file is another object where a
second file imports it."""

AnyRule = TypeVar("AnyRule", bound=Callable[..., Any])


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


def require_rules(rules: Mapping[Layer, Any], method: str) -> None:
    """TypeError unless each is a function for a class of modules or the name of one."""
    for layer, rule in rules.items():
        is_layer = isinstance(layer, str) or (
            isinstance(layer, type) and issubclass(layer, nn.Module)
        )
        if not is_layer or not callable(rule):
            raise TypeError(
                f"{method}: expected rules of the form {{class or name of a module: function}}, "
                f"got {layer!r}: {rule!r}"
            )


def own_rule(rules: Mapping[Layer, AnyRule], module: nn.Module) -> AnyRule | None:
    """The user's rule for this very class, by the class or else by its name; no rule is inherited,
    since a subclass may compute something else."""
    kind = type_before_parametrizations(module)
    return rules.get(kind, rules.get(kind.__name__))


def label(path: str, module: Any) -> str:
    """What messages call a module."""
    return f"{path or 'the model'} ({type_before_parametrizations(module).__name__})"


def no_rule(method: str, path: str, module: nn.Module) -> NotApplicable:
    """The error of a module without a rule, which says how to give one."""
    kind = type_before_parametrizations(module).__name__
    return NotApplicable(
        f"{method} has no rule for {label(path, module)}; in a method of your own, "
        f"{method}(..., rules={{{kind!r}: ...}}) gives it one (docs/attribution.md)"
    )


class OwnRule:
    """A user's rule for one module, whose errors name both."""

    def __init__(self, rule: Callable[..., Any], method: str, path: str, module: Any) -> None:
        name = getattr(rule, "__name__", type(rule).__name__)
        self.rule = rule
        self.label = f"{method}: the rule {name} for {label(path, module)}"

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a user's function gives; its errors are RuleErrors, but NotApplicable stays."""
        try:
            return function(*arguments)
        except NotApplicable:
            raise
        except Exception as error:
            raise RuleError(f"{self.label} failed: {described(error)}") from error

    def require_shapes(self, tensors: Any, like: tuple[Tensor, ...]) -> None:
        """RuleError unless these are a tuple of tensors of the same shapes as others."""
        expected = [tuple(each.shape) for each in like]
        given = tensors if isinstance(tensors, tuple) else (tensors,)
        got = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in given]
        if not isinstance(tensors, tuple) or got != expected:
            got_text = got if isinstance(tensors, tuple) else f"no tuple: {got[0]}"
            raise RuleError(f"{self.label}: expected a tuple of tensors {expected}, got {got_text}")

    def require_sums(self, into: Tensor, out: Tensor, tolerance: Tensor) -> None:
        """RuleError where the sums ``(row,)`` at the inputs of a module and at its output differ
        by more."""
        wrong = ~((into - out).abs() <= tolerance)  # NaN is wrong too
        if wrong.any():
            row = int(wrong.nonzero()[0])
            raise RuleError(
                f"{self.label} does not keep the sum: expected contributions of the inputs of "
                f"{out[row]:.6g} in all, those of the output, got {into[row]:.6g}"
            )

    def require_relevance(self, terms: list[Tensor]) -> None:
        """RuleError unless the relevance of inputs and constants is that of the output, the last
        of the terms ``(sequence, ...)``."""
        *into, out = (each.sum(1) for each in terms)
        size = torch.stack([each.abs().sum(1) for each in terms]).sum(0)
        self.require_sums(torch.stack(into).sum(0), out, 1e-4 * size)
