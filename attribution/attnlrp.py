"""AttnLRP and CP-LRP through any network, and the relevance of its layers and heads.

One pass forward, in which each operation gets the gradient of its rule (``attnlrp_rules``), and one
pass back. What has no rule, and a gradient does not hand on either, is in the autograd graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.graph import Node

from xaibench.errors import NotApplicable
from xaibench.nn.inference import in_calls
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.values import Attribution

from .attnlrp_gradients import Proportional
from .attnlrp_rules import Operations
from .graph import current_number, depends_on_input, on_the_way, operation
from .linear_maps import unproportional
from .lrp_hooks import hook_rule
from .lrp_rules import LrpRule, Propagation
from .rules import class_of, module_label
from .user_rules import ROUNDINGS, LayerKey, UserRule, lrp_by_user_rule, user_rule


def lrp_by_operation(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    rules: Mapping[LayerKey, LrpRule],
    *,
    constant_attention: bool,
) -> Attribution:
    """Relevance ``(N, C, S)`` of the input by AttnLRP, with ``constant_attention`` by CP-LRP.

    ``completeness_error`` is what relevance and what constants absorbed miss of what is explained,
    beyond rounding. Where sites stand on the first axis somewhere, what constants take of one
    sequence cannot be told from that of another, and only the sum of a pass is right: then the
    sequence that misses most is asked alone, where the two are one, and the others miss no more
    than all together.
    """

    def explained(inputs: Tensor, target: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        made = _passed(model, inputs, target, rules, constant_attention=constant_attention)
        return _relevance(made)

    parts = []
    for of_inputs, of_target in in_calls(inputs, target):
        relevance, missed, rounding, change = explained(of_inputs, of_target)
        error = (missed.abs() - rounding).clamp(min=0)
        if error.any():
            worst = int(error.argmax())
            row = slice(worst, worst + 1)
            _, alone, of_alone, _ = explained(of_inputs[row], of_target[row])
            error = error.minimum((missed.sum().abs() - rounding).clamp(min=0))
            error[row] = (alone.abs() - of_alone).clamp(min=0)
        parts.append((relevance, error, change))
    relevance, error, change = map(torch.cat, zip(*parts, strict=True))
    return Attribution(contributions=relevance, completeness_error=error, output_change=change)


def _relevance(passed: _Passed) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Relevance, what its sum misses ``(N,)``, how much of that rounding may be, and the size of
    what is explained."""
    inputs, explained, bias_unit = passed.inputs, passed.explained, passed.bias_unit
    gradient, of_rules = torch.autograd.grad(
        explained.sum(), (inputs, bias_unit), allow_unused=True
    )
    if gradient is None:
        raise NotApplicable("lrp needs a gradient, and the model gives none")
    relevance = inputs.detach() * gradient
    absorbed = passed.operations.absorbed
    missed = relevance.sum((1, 2)) + absorbed.relevance - explained.detach()
    missed = missed if of_rules is None else missed + of_rules
    size = relevance.abs().sum((1, 2)) + absorbed.size + explained.detach().abs()
    # AttnLRP adds up relevances that may be much larger than what is explained.
    rounding = ROUNDINGS * torch.finfo(size.dtype).eps * size
    return relevance, missed, rounding, explained.detach().abs()


class _Recorded(NamedTuple):
    """What a module gave, and the heads of attention inside of it, each time it ran."""

    outputs: list[Tensor]
    heads: list[Tensor]


class _Passed(NamedTuple):
    """One pass forward, with the graph of its rules."""

    inputs: Tensor
    bias_unit: Tensor
    explained: Tensor
    operations: Operations
    layers: dict[str, _Recorded]


def _passed(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    rules: Mapping[LayerKey, LrpRule],
    *,
    constant_attention: bool,
    layers: Sequence[str] = (),
) -> _Passed:
    """A pass of the model under the rules.

    NotApplicable where relevance would meet an operation without a rule: which, and where.
    """
    inputs = inputs.detach().requires_grad_()
    bias_unit = inputs.new_ones(len(inputs)).requires_grad_()
    propagation = Propagation(1, 1, 0.0, bias_unit)
    operations = Operations(propagation, constant_attention=constant_attention)
    whole = model.classifier if isinstance(model, ExplainedView) else model
    with explainable(whole), _module_rules(whole, operations, rules):
        with _recording(whole, layers, operations) as recorded, operations:
            explained: Tensor = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
        if unproportional(explained, propagation.ruled):
            with _spans_of_modules(whole) as spans, operations:
                explained = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
            raise _refusal(unproportional(explained, propagation.ruled), spans)
    return _Passed(inputs, bias_unit, explained, operations, recorded)


# Rules for modules


@contextmanager
def _module_rules(
    whole: nn.Module, operations: Operations, rules: Mapping[LayerKey, LrpRule]
) -> Iterator[None]:
    """In this context modules have rules of a user's own, and activations written out that of one
    function."""
    running: list[nn.Module] = []
    with ExitStack() as hooks:
        for path, module in on_the_way(whole, "lrp"):
            for handle in _hooked(path, module, operations, rules, running):
                hooks.enter_context(handle)
        yield


def _hooked(
    path: str,
    module: nn.Module,
    operations: Operations,
    rules: Mapping[LayerKey, LrpRule],
    running: list[nn.Module],
) -> list[Any]:
    custom = user_rule(rules, module)
    if custom is not None:
        rule = partial(lrp_by_user_rule, UserRule(custom, "lrp", path, module))
        return hook_rule(path, module, rule, operations.propagation, running)
    return _hook_activation(module, operations) if class_of(module).__name__ in WRITTEN_OUT else []


def _hook_activation(module: nn.Module, operations: Operations) -> list[Any]:
    """Put the function that a module computes in the place of its operations."""

    def leave(module: nn.Module, arguments: Any, output: Any) -> Tensor:
        (values,) = arguments
        if depends_on_input(values):
            output = Proportional.apply(module.forward, operations.absorbed, values)  # type: ignore[no-untyped-call]
        operations.propagation.ruled.leave()
        answer: Tensor = output
        return answer

    enter = module.register_forward_pre_hook(lambda *call: operations.propagation.ruled.enter())
    return [enter, module.register_forward_hook(leave)]


WRITTEN_OUT = frozenset(
    {
        *("NewGELUActivation", "FastGELUActivation", "QuickGELUActivation", "GELUActivation"),
        *("AccurateGELUActivation", "PytorchGELUTanh", "GELUTanh", "SiLUActivation"),
        *("MishActivation", "LaplaceActivation", "ReLUSquaredActivation", "ClippedGELUActivation"),
    }
)
"""Classes of transformers that write one elementwise function as several operations. It has one
rule, that of the function."""


# What has no rule


@contextmanager
def _spans_of_modules(whole: nn.Module) -> Iterator[list[tuple[int, int, str]]]:
    """In this context each run of a module leaves the numbers of the operations that it recorded,
    from start to end, and its label; parts before the whole."""
    spans: list[tuple[int, int, str]] = []
    starts: list[int] = []
    with ExitStack() as hooks:
        for path, module in on_the_way(whole, "lrp"):
            label = module_label(path, module)

            def leave(*call: Any, label: str = label) -> None:
                spans.append((starts.pop(), current_number(), label))

            enter = module.register_forward_pre_hook(lambda *call: starts.append(current_number()))
            hooks.enter_context(enter)
            hooks.enter_context(module.register_forward_hook(leave))
        yield spans


def _refusal(without_rule: list[Node], spans: list[tuple[int, int, str]]) -> NotApplicable:
    """The error that names the operations, and the innermost module of each."""
    names = set()
    for node in without_rule:
        number, name = node._sequence_nr(), operation(node).lower()
        inside = (label for start, end, label in spans if start <= number < end)
        names.add(f"{name} in {next(inside, 'the model')}")
    return NotApplicable(
        f"lrp: attnlrp and cp_lrp have no rule for {', '.join(sorted(names))}; write it in "
        "operations that have one, or give its module one by rules= (docs/attribution.md)"
    )


# Layers and heads


@contextmanager
def _recording(
    whole: nn.Module, paths: Sequence[str], operations: Operations
) -> Iterator[dict[str, _Recorded]]:
    """In this context the modules of these paths leave what they give.

    ValueError for a path that the model does not have.
    """
    modules = dict(whole.named_modules())
    recorded = {path: _Recorded([], []) for path in paths}
    with ExitStack() as hooks:
        for path in paths:
            if path not in modules:
                known = ", ".join(name for name in modules if name)
                raise ValueError(f"layers: the model has no {path!r}; it has {known}")
            for handle in _record(modules[path], recorded[path], operations):
                hooks.enter_context(handle)
        yield recorded


def _record(module: nn.Module, recorded: _Recorded, operations: Operations) -> list[Any]:
    before: list[int] = []

    def enter(module: nn.Module, arguments: Any) -> None:
        before.append(len(operations.heads))

    def leave(module: nn.Module, arguments: Any, output: Any) -> Any:
        recorded.heads.extend(operations.heads[before.pop() :])
        several = isinstance(output, tuple)
        first = output[0] if several else output
        # Two copies: the gradient of the first is that which comes to the module, and what works in
        # place later rewrites the second.
        copy = first.clone()
        recorded.outputs.append(copy)
        return (copy.clone(), *output[1:]) if several else copy.clone()

    return [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]


def layer_relevance(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    layers: Sequence[str],
    *,
    rule: Literal["attnlrp", "cp_lrp"] = "attnlrp",
    rules: Mapping[LayerKey, LrpRule] | None = None,
) -> dict[str, Tensor]:
    """The relevance of what modules give, by their paths: of each the shape of its output, or of
    the first of several.

    ValueError for a path that the model does not have, or that does not run exactly once.
    """
    held = rule == "cp_lrp"
    passed = _passed(model, inputs, target, rules or {}, constant_attention=held, layers=layers)
    return _relevance_of(passed, {p: each.outputs for p, each in passed.layers.items()}, "run")


def head_relevance(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    layers: Sequence[str],
    *,
    rule: Literal["attnlrp", "cp_lrp"] = "attnlrp",
    rules: Mapping[LayerKey, LrpRule] | None = None,
) -> dict[str, Tensor]:
    """The relevance ``(N, head, query, feature)`` of what the heads of attention take from their
    values, by the paths of modules with one attention: ``nn.MultiheadAttention``, or a call of
    ``scaled_dot_product_attention``. The sum over the last two axes is that of each head.

    Attention in a model's own products is a layer like any other (``layer_relevance``). ValueError
    for a path that the model does not have, or with none or several attentions.
    """
    held = rule == "cp_lrp"
    passed = _passed(model, inputs, target, rules or {}, constant_attention=held, layers=layers)
    heads = {path: each.heads for path, each in passed.layers.items()}
    return _relevance_of(passed, heads, "compute attention")


def _relevance_of(
    passed: _Passed, tensors: dict[str, list[Tensor]], verb: str
) -> dict[str, Tensor]:
    for path, each in tensors.items():
        if len(each) != 1:
            raise ValueError(f"layers: expected {path!r} to {verb} once, got {len(each)} times")
    values = [each for (each,) in tensors.values()]
    gradients = torch.autograd.grad(
        passed.explained.sum(), values, allow_unused=True, materialize_grads=True
    )
    relevance = (value.detach() * each for value, each in zip(values, gradients, strict=True))
    return dict(zip(tensors, relevance, strict=True))


def entering_by_operation(
    model: Any, inputs: Tensor, target: Tensor, modules: Sequence[nn.Module]
) -> list[tuple[Tensor, Tensor]]:
    """What enters each of these modules, and its gradient under the rules of AttnLRP: their product
    is its relevance.

    NotApplicable where a module does not run exactly once.
    """
    entered: list[list[Tensor]] = [[] for _ in modules]
    with ExitStack() as hooks:
        for module, given in zip(modules, entered, strict=True):
            hooks.enter_context(module.register_forward_pre_hook(partial(_keep_a_copy, given)))
        passed = _passed(model, inputs, target, {}, constant_attention=False)
    for module, given in zip(modules, entered, strict=True):
        if len(given) != 1:
            kind = type(module).__name__
            raise NotApplicable(f"expected each {kind} of a layer to run once, got {len(given)}")
    values = [value for (value,) in entered]
    gradients = torch.autograd.grad(passed.explained.sum(), values)
    return [(value.detach(), each) for value, each in zip(values, gradients, strict=True)]


def _keep_a_copy(given: list[Tensor], module: nn.Module, arguments: Any) -> Any:
    """The gradient of the copy is that of what enters this module alone."""
    copy = arguments[0].clone()
    given.append(copy)
    return (copy, *arguments[1:])
