"""DeepLIFT that is exact on the networks of DNA, and refuses what it has no rule for.

A sequence and its references pass the model together, as rows of one group. Every module that is
not linear runs off the graph, and its output has a backward pass of its own: the module's rule
(``deeplift_rules``), which has all rows at hand. One ordinary backward pass then chains the rules,
as the chain rule chains derivatives, and what reaches the input are multipliers.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils._pytree import tree_leaves, tree_map_only

from xaibench.errors import NotApplicable
from xaibench.nn.inference import batch_rows, most_rows
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .deeplift_functions import Functions
from .deeplift_rules import DEEPLIFT_RULES, LINEAR, DeepLiftRule
from .gradient import of_tokens
from .graph import depends_on_input, has_parts, nonlinear, on_the_way, operation
from .references import constant_reference, hypothetical
from .rules import BY_FUNCTIONS, ModuleCall, class_of, module_label, no_rule, outermost_labels
from .user_rules import LayerKey, UserRule, deeplift_by_user_rule, require_rules, user_rule

DeepLiftRules = Mapping[LayerKey, DeepLiftRule]


@method(completeness=1e-4)
def deeplift(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    references: Tensor | None = None,
    reference: Literal["shuffles", "uniform", "zero"] = "shuffles",
    rules: DeepLiftRules | None = None,
) -> Attribution:
    """DeepLIFT by the rescale rule, the mean over references (*Shrikumar et al. 2017*; *Lundberg
    and Lee 2017*).

    The references ``(N, K, C, S)`` are dinucleotide shuffles (DeepLIFT/SHAP); with ``uniform`` or
    ``zero`` it is the one that ``integrated_gradients`` starts from. ``contributions`` are the
    ``hypothetical`` scores at the observed base, so a zero column (N, padding) contributes nothing,
    nor does a base that all references have: shuffles keep the first and the last base of every
    stretch of known ones. Of tokens ``uniform`` is the model's own reference, and contributions are
    the multipliers times what differs from it; shuffles, which have other tokens at other places,
    do not apply. NotApplicable where a module has no rule.

    ``rules`` is no option of a plan: it is for layers of a user's own, from Python and from
    plug-ins that call this (docs/attribution.md). RuleError, with rule and layer, where one of them
    fails or does not keep the sum.
    """
    if reason := getattr(model, "jumps", ""):
        raise NotApplicable(
            f"deeplift: no slope leads from a reference to an output that jumps ({reason})"
        )
    inputs = inputs.detach()
    if reference != "shuffles":
        references = constant_reference(inputs, reference, model).unsqueeze(1)
    if references is None:
        raise NotApplicable(
            "deeplift: shuffled sequences have other tokens at other places; with reference: "
            "uniform it compares with the model's own reference"
        )
    multipliers, changes = rescale(model, inputs, target, references, rules)
    contributions = multipliers * (inputs.unsqueeze(1) - references)
    of_bases = None if of_tokens(model) else hypothetical(multipliers, references)
    return Attribution(
        contributions=contributions.mean(1) if of_bases is None else of_bases * inputs,
        hypothetical=of_bases,
        completeness_error=(contributions.sum((2, 3)) - changes).abs().amax(1),
        output_change=changes.square().mean(1).sqrt(),
    )


class Rescaled(NamedTuple):
    """``multipliers`` ``(N, K, C, S)`` and the ``changes`` ``(N, K)`` of the output from reference
    to input, which they account for: ``changes = sum(multipliers * (inputs - references))``."""

    multipliers: Tensor
    changes: Tensor


def rescale(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    references: Tensor,
    rules: DeepLiftRules | None = None,
) -> Rescaled:
    """Multipliers for every pair of an input ``(N, C, S)`` and one of its references.

    Where the two are the same before a module, its derivative at the input takes the place of the
    slope between them. An input is run once for all its references, if these are fewer than
    ``most_rows``.
    """
    rules = {} if rules is None else rules
    require_rules(rules, "deeplift")
    sequences, count, _, sites = references.shape
    step = max(1, batch_rows(sites, inputs.device) // (count + 1))
    most = max(1, most_rows(inputs.device) - 1)
    multipliers = torch.empty_like(references)
    changes = references.new_empty(sequences, count)
    for start in range(0, sequences, step):
        rows = slice(start, start + step)
        # Of very many references a few at a time, each with its sequence once more.
        for first in range(0, count, most):
            part = rows, slice(first, first + most)
            multipliers[part], changes[part] = _in_one_call(
                model, inputs[rows].detach(), target[rows], references[part], rules
            )
    return Rescaled(multipliers, changes)


def _in_one_call(
    model: Any, inputs: Tensor, target: Tensor, references: Tensor, rules: DeepLiftRules
) -> Rescaled:
    """The same of as many sequences and references as one call of the model takes."""
    groups = torch.cat([inputs.unsqueeze(1), references], dim=1)  # (N, 1 + K, C, S)
    shape = groups.shape[:2]
    rows = groups.flatten(0, 1).requires_grad_()
    with torch.enable_grad(), _by_rules(model, shape, rules):
        explained = model(rows).gather(1, target.repeat_interleave(shape[1]).unsqueeze(1))
        if isinstance(model, ExplainedView):
            model.without_rule |= _functions_without_rule(explained)
        # No rule passes multipliers from one row to another: each row of the gradient is its own.
        multipliers = torch.autograd.grad(explained.sum(), rows)[0].reshape(groups.shape)
    outputs = explained.detach().reshape(shape)
    return Rescaled(multipliers[:, 1:], outputs[:, :1] - outputs[:, 1:])


def _functions_without_rule(output: Tensor) -> set[str]:
    """The nonlinear operations on the way to ``output`` that no rule has replaced: what to blame
    where contributions do not add up."""
    plain = (each for each in nonlinear(output) if not isinstance(each, _ByRule._backward_cls))
    return {operation(node).lower() for node in plain}


@contextmanager
def _by_rules(model: Any, shape: tuple[int, ...], rules: DeepLiftRules) -> Iterator[None]:
    """In this context gradients pass the modules of a model by their rules; ``shape``
    ``(input, row)`` is how its rows are grouped."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    functions = Functions(shape, _ByRule.apply)
    with explainable(whole), ExitStack() as hooks:
        for handle in _hooks(whole, rules, functions):
            hooks.enter_context(handle)
        hooks.enter_context(functions)
        yield


def _hooks(whole: nn.Module, rules: DeepLiftRules, functions: Functions) -> Iterator[Any]:
    """Handles of the hooks, put in one after the other, that make every module one with a rule, one
    that is refused, or one whose gradient passes."""
    for path, module in on_the_way(whole, "deeplift"):
        rule = _rule_of(path, module, rules)
        if rule is not None:
            yield from _hook_rule(path, module, rule, functions)
        elif module is not whole and not _passes(module):
            refuse = partial(_refuse, path, functions)
            yield module.register_forward_pre_hook(refuse, with_kwargs=True)


def _rule_of(path: str, module: nn.Module, rules: DeepLiftRules) -> DeepLiftRule | None:
    """A user's rule before ours."""
    custom = user_rule(rules, module)
    if custom is None:
        return DEEPLIFT_RULES.get(class_of(module))
    return partial(deeplift_by_user_rule, UserRule(custom, "deeplift", path, module))


def _layers_without_rule(model: nn.Module) -> list[str]:
    """Path and class of the layers that are refused where what depends on the input meets them."""
    without = [
        (path, module)
        for path, module in on_the_way(model, "deeplift")
        if _rule_of(path, module, {}) is None and module is not model and not _passes(module)
    ]
    return outermost_labels(without)


deeplift.layers_without_rule = _layers_without_rule  # type: ignore[attr-defined]


_CONTAINERS = frozenset(
    {
        *(nn.Sequential, nn.ModuleList, nn.ModuleDict),
        *(nn.MultiheadAttention, nn.Transformer, nn.TransformerEncoder, nn.TransformerDecoder),
        *(nn.TransformerEncoderLayer, nn.TransformerDecoderLayer),
    }
)
"""Of torch's own modules that are made of others, those that compute nothing themselves, or by
functions that have a rule alone."""


def _passes(module: nn.Module) -> bool:
    """Whether backpropagation may pass as it is: containers, linear maps, and what is known to
    compute by functions, which have rules of their own."""
    kind = class_of(module)
    if kind in LINEAR:
        return not (isinstance(module, _BatchNorm) and module.running_mean is None)
    if kind.__module__.startswith(BY_FUNCTIONS):
        return True
    of_torch = kind.__module__.startswith("torch.nn.") and kind not in _CONTAINERS
    return has_parts(module) and not of_torch


def _refuse(
    path: str, functions: Functions, module: nn.Module, arguments: Any, keywords: Any
) -> None:
    """NotApplicable where something that depends on the input comes to a module without a rule."""
    if not functions.depth and any(map(depends_on_input, tree_leaves((arguments, keywords)))):
        raise no_rule("deeplift", path, module)


def _hook_rule(path: str, module: nn.Module, rule: DeepLiftRule, functions: Functions) -> list[Any]:
    """Run a module off the graph, and put its rule in the place of its gradient.

    A module may run more than once, and in place: then it rewrites what it was given, as it would
    without us, and the rule sees a copy. Parts of a module with a rule run as they are: the rule
    accounts for all of it, and calls ``forward`` itself with rows in other shapes.
    """
    signature, in_place = inspect.signature(module.forward), getattr(module, "inplace", False)
    running: list[tuple[Tensor, ...]] = []  # the arguments of calls that have not returned yet

    def before(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        functions.depth += 1
        if functions.depth > 1:
            running.append(())
            return None
        bound = signature.bind(*arguments, **keywords)
        tensors = [
            each for each in (*bound.args, *bound.kwargs.values()) if _is_differentiable(each)
        ]
        running.append(tuple(each.clone() if in_place else each for each in tensors))
        return tree_map_only(Tensor, Tensor.detach, (bound.args, bound.kwargs))

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        inputs = running.pop()
        if any(each.requires_grad for each in inputs):  # else it does not depend on the input
            output = _with_rule(path, module, rule, functions.shape, inputs, output)
        functions.depth -= 1  # not before: functions that the rule calls are its own
        return output

    before_it = module.register_forward_pre_hook(before, with_kwargs=True)
    return [before_it, module.register_forward_hook(after)]


def _is_differentiable(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point()


def _with_rule(
    path: str,
    module: nn.Module,
    rule: DeepLiftRule,
    shape: tuple[int, ...],
    inputs: tuple[Tensor, ...],
    output: Any,
) -> Any:
    """The output of a module, its first tensor with the backward pass of the rule; behind that may
    be places of maxima."""
    values, *places = output if isinstance(output, tuple) else (output,)
    if not _is_differentiable(values) or any(map(_is_differentiable, places)):
        raise NotApplicable(
            f"deeplift: {module_label(path, module)} gives more than the one tensor of a rule"
        )
    _require_rows(path, module, (*inputs, values), shape)
    ruled = _ByRule.apply(rule, module, shape, values, *inputs)  # type: ignore[no-untyped-call]
    return (ruled, *places) if places else ruled


def _require_rows(
    path: str, module: nn.Module, tensors: tuple[Tensor, ...], shape: tuple[int, ...]
) -> None:
    """NotApplicable where the first axis is not that of the sequences and their references."""
    rows = math.prod(shape)
    for tensor in tensors:
        if len(tensor) % rows:
            raise NotApplicable(
                f"deeplift: {path} ({type(module).__name__}) has {len(tensor)} rows for {rows} "
                "sequences and references; expected a multiple, with sites or heads behind"
            )


class _ByRule(torch.autograd.Function):
    """The output of a module, with the backward pass that a rule gives."""

    @staticmethod
    def forward(ctx: Any, rule: DeepLiftRule, module: Any, shape: Any, *tensors: Tensor) -> Tensor:
        """``tensors`` are output and inputs ``(input x row x site, ...)``."""
        output, *inputs = (each.detach().reshape(*shape, -1, *each.shape[1:]) for each in tensors)
        ctx.rule_backward = rule(ModuleCall(module, tuple(inputs), output))
        ctx.shape, ctx.input_shapes = output.shape, [each.shape for each in tensors[1:]]
        return tensors[0].detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        multipliers = ctx.rule_backward(gradient.reshape(ctx.shape))
        pairs = zip(multipliers, ctx.input_shapes, strict=True)
        return None, None, None, None, *(each.reshape(shape) for each, shape in pairs)
