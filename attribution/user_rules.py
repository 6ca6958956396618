"""Rules of a user's own for DeepLIFT and LRP, checked whenever they are used.

Completeness of a whole explanation says that some rule is wrong, not which. So what goes into a
module by a user's rule is compared with what came out, at every call, and an error names the rule
and the layer. Our own rules are tested instead, and cost nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from xaibench.errors import NotApplicable, RuleError, described

from . import deeplift_rules, lrp_rules
from .rules import ModuleCall, class_of, module_label

LayerKey = type[nn.Module] | str
"""A class of modules, or the name of one: the class of a plug-in file is another object where a
second file imports it."""

AnyRule = TypeVar("AnyRule", bound=Callable[..., Any])

RULE_TOLERANCE = 1e-4
"""What a rule may miss of a sum, beside the sizes of its terms: what both methods promise."""

ROUNDINGS = 32
"""What differences of values that hardly change may be off, in roundings of the values."""


def require_rules(rules: Any, method: str) -> None:
    """TypeError unless each is a function for a class of modules or the name of one."""
    pairs = rules.items() if isinstance(rules, Mapping) else [("rules", rules)]
    for layer, rule in pairs:
        is_class = isinstance(layer, type) and issubclass(layer, nn.Module)
        if not (is_class or isinstance(layer, str)) or not callable(rule):
            raise TypeError(
                f"{method}: expected rules of the form {{class or name of a module: function}}, "
                f"got {layer!r}: {rule!r}"
            )


def user_rule(rules: Mapping[LayerKey, AnyRule], module: nn.Module) -> AnyRule | None:
    """The rule for this very class, by the class or else by its name; no rule is inherited, since a
    subclass may compute something else."""
    kind = class_of(module)
    return rules.get(kind, rules.get(kind.__name__))


class UserRule:
    """A user's rule for one module, whose errors name both."""

    def __init__(self, rule: Callable[..., Any], method: str, path: str, module: Any) -> None:
        name = getattr(rule, "__name__", type(rule).__name__)
        self.rule = rule
        self.label: str = f"{method}: the rule {name} for {module_label(path, module)}"

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
        answers = tensors if isinstance(tensors, tuple) else (tensors,)
        got = [tuple(t.shape) if isinstance(t, Tensor) else type(t).__name__ for t in answers]
        if not isinstance(tensors, tuple) or got != expected:
            got_text = got if isinstance(tensors, tuple) else f"no tuple: {got[0]}"
            raise RuleError(f"{self.label}: expected a tuple of tensors {expected}, got {got_text}")

    def require_sums(self, of_inputs: Tensor, of_output: Tensor, tolerance: Tensor) -> None:
        """RuleError where the sums ``(row,)`` at the inputs of a module and at its output differ
        by more."""
        wrong = ~((of_inputs - of_output).abs() <= tolerance)  # so that NaN is wrong too
        if wrong.any():
            row = int(wrong.nonzero()[0])
            raise RuleError(
                f"{self.label} does not keep the sum: expected contributions of the inputs of "
                f"{of_output[row]:.6g} in all, those of the output, got {of_inputs[row]:.6g}"
            )


# DeepLIFT


def deeplift_by_user_rule(user: UserRule, call: ModuleCall) -> deeplift_rules.Backward:
    """A user's rule, whose multipliers are checked whenever they are made."""
    backward = user.call(user.rule, call)

    def checked(multipliers: Tensor) -> tuple[Tensor, ...]:
        answer: tuple[Tensor, ...] = user.call(backward, multipliers)
        user.require_shapes(answer, call.inputs)
        _require_summation_to_delta(user, call, answer, multipliers)
        return answer

    return checked


def _require_summation_to_delta(
    user: UserRule, call: ModuleCall, of_inputs: tuple[Tensor, ...], of_output: Tensor
) -> None:
    """RuleError unless ``sum(m_in * delta_in) = sum(m_out * delta_out)`` for every row."""
    pairs = [*zip(of_inputs, call.inputs, strict=True), (of_output, call.output)]
    terms = [(m * (values[:, :1] - values)).flatten(2) for m, values in pairs]
    *into, out = (each.sum(2) for each in terms)
    size = torch.stack([each.abs().sum(2) for each in terms]).sum(0)
    # A difference of two values that are nearly equal is as far off as they are rounded.
    beside = torch.stack([(m * values).abs().flatten(2).sum(2) for m, values in pairs]).sum(0)
    tolerance = RULE_TOLERANCE * size + ROUNDINGS * torch.finfo(size.dtype).eps * beside
    user.require_sums(torch.stack(into).sum(0).flatten(), out.flatten(), tolerance.flatten())


# LRP


def lrp_by_user_rule(
    user: UserRule, propagation: lrp_rules.Propagation, call: ModuleCall
) -> Tensor:
    """The output, with the way back of a user's surrogate, checked whenever relevance passes."""
    if not call.output.requires_grad:
        return call.output  # it does not depend on the input
    for each in call.inputs:
        if each.requires_grad and (not each.ndim or len(each) != len(call.output)):
            raise NotApplicable(f"{user.label}: an input has another first axis than the output")
    tensors = (call.output, propagation.bias_unit, *call.inputs)
    answer: Tensor = _BySurrogate.apply(user, propagation, call.module, *tensors)  # type: ignore[no-untyped-call]
    return answer


class _BySurrogate(torch.autograd.Function):
    """A user's surrogate on a graph of its own, so that what it hands back can be checked."""

    @staticmethod
    def forward(
        ctx: Any,
        user: UserRule,
        propagation: lrp_rules.Propagation,
        module: Any,
        output: Tensor,
        *tensors: Tensor,
    ) -> Tensor:
        """``tensors`` are the bias unit and the inputs of the module."""
        # Clones: what works in place later must not rewrite what the surrogate needs.
        leaves = [each.detach().clone().requires_grad_(each.requires_grad) for each in tensors]
        bias_unit, *inputs = leaves
        call = ModuleCall(module, tuple(inputs), output.detach())
        with torch.enable_grad():
            surrogate = user.call(user.rule, replace(propagation, bias_unit=bias_unit), call)
        user.require_shapes((surrogate,), (output,))
        if not surrogate.requires_grad:
            raise RuleError(f"{user.label}: expected a surrogate that depends on the inputs")
        ctx.user, ctx.leaves, ctx.surrogate, ctx.output = user, leaves, surrogate, call.output
        return output.detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        leaves = [each for each in ctx.leaves if each.requires_grad]
        gradients = torch.autograd.grad(
            ctx.surrogate, leaves, gradient, retain_graph=True, materialize_grads=True
        )
        inputs = list(zip(leaves, gradients, strict=True))
        _require_conservation(ctx.user, inputs, ctx.output, gradient)
        remaining = iter(gradients)
        of_tensors = (next(remaining) if each.requires_grad else None for each in ctx.leaves)
        return None, None, None, None, *of_tensors


def _require_conservation(
    user: UserRule, inputs: list[tuple[Tensor, Tensor]], output: Tensor, gradient: Tensor
) -> None:
    """RuleError unless the relevance of inputs and bias unit, each value x gradient, sums to that
    of the output for every sequence."""
    pairs = [*inputs, (output, gradient)]
    terms = [(values * each).detach().reshape(len(each), -1) for values, each in pairs]
    *into, out = (each.sum(1) for each in terms)
    size = torch.stack([each.abs().sum(1) for each in terms]).sum(0)
    user.require_sums(torch.stack(into).sum(0), out, RULE_TOLERANCE * size)
