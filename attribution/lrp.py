"""Layer-wise relevance propagation (LRP) through convolutional networks.

The relevance of a tensor is the tensor times its gradient, where a module's output is replaced by a
*surrogate* (``lrp_rules``): the same values, made of the inputs in such a manner that one ordinary
backward pass hands relevance on by the rule. Modules may be reused or in place, and linear maps be
functions that are called outside of modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from xaibench.errors import NotApplicable
from xaibench.nn.inference import in_calls
from xaibench.nn.outputs import explained_outputs
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .attnlrp import entering_by_operation, lrp_by_operation
from .graph import has_parts, on_the_way
from .linear_maps import unruled, without_rule
from .lrp_hooks import LinearFunctions, hook_refusal, hook_rule
from .lrp_rules import (
    LRP_RULES,
    PROPORTIONAL,
    LrpRule,
    Propagation,
    linear_map_of,
    redistribute,
    straight_through,
)
from .rules import class_of, outermost_labels
from .user_rules import LayerKey, UserRule, lrp_by_user_rule, require_rules, user_rule

LrpRules = Mapping[LayerKey, LrpRule]


@method(completeness=1e-4)
def lrp(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    rule: Literal["epsilon", "gamma", "z_plus", "attnlrp", "cp_lrp"] = "epsilon",
    epsilon: Annotated[float, Field(ge=0)] = 1e-6,
    gamma: Annotated[float, Field(ge=0)] = 0.25,
    rules: LrpRules | None = None,
) -> Attribution:
    """Relevance ``(N, C, S)`` of the input, handed back from what is explained by one rule in every
    linear map (*Bach et al. 2015*; *Montavon et al. 2019*); zero where the base is unknown. For
    networks with attention, ``attnlrp`` and ``cp_lrp`` have a rule for every operation
    (``attnlrp_rules``; *Achtibat et al. 2024*, *Ali et al. 2022*) and take no further option.

    An output ``y_j = sum_i z_ij`` of a linear map hands its relevance to its addends, weight x
    activation and the bias, ``R_i = sum_j R_j c_ij z_ij / sum_i c_ij z_ij``: in proportion to them
    as they are (``epsilon``; with ``epsilon`` 0, ReLU and max pooling this is the uncorrected
    gradient x input), with those of the output's own sign times 1 + ``gamma`` (``gamma``; so
    generalised to negative outputs by *Andéol et al. 2021*), or to those of its own sign alone
    (``z_plus``). ``epsilon`` is added to the size of every denominator.

    Our choices: batch normalisation is part of the linear map before it, and where there is none, a
    linear map itself. The target's logit minus the mean of the others is part of a last ``Linear``,
    so that what speaks for all classes cancels before a rule looks at signs. An elementwise
    activation hands on all but what it is at 0; the site that wins a maximum takes all. Weights of
    attention pooling are constants (*Ali et al. 2022*).

    What biases, ``epsilon`` and activations at 0 take is absorbed. ``completeness_error`` is what
    is then missing, ``|relevance + absorbed - explained|``; ``output_change`` is ``|explained|``.
    NotApplicable where relevance reaches a module without a rule, or, under all but an ``epsilon``
    of 1e-6 or less, a linear map outside of modules that is no ``conv1d``, ``conv2d``, ``linear``,
    ``batch_norm`` or product with a matrix of weights.

    ``rules`` is no option of a plan: it is for layers of a user's own, from Python and from
    plug-ins that call this (docs/attribution.md). RuleError, with rule and layer, where one of them
    fails or does not keep the sum.
    """
    rules = {} if rules is None else rules
    require_rules(rules, "lrp")
    if rule in ("attnlrp", "cp_lrp"):
        return lrp_by_operation(model, inputs, target, rules, constant_attention=rule == "cp_lrp")
    along, against = {"epsilon": (1, 1), "gamma": (1 + gamma, 1), "z_plus": (1, 0)}[rule]
    with_bias_unit = partial(Propagation, along, against, epsilon)
    parts = [
        _relevance(model, with_bias_unit, rules, of_inputs, of_target)
        for of_inputs, of_target in in_calls(inputs, target)
    ]
    relevance, absorbed, explained = map(torch.cat, zip(*parts, strict=True))
    return Attribution(
        contributions=relevance,
        completeness_error=(relevance.sum((1, 2)) + absorbed - explained).abs(),
        output_change=explained.abs(),
    )


def _relevance(
    model: Any,
    with_bias_unit: Callable[[Tensor], Propagation],
    rules: LrpRules,
    inputs: Tensor,
    target: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Relevance of the inputs ``(N, C, S)``; what was absorbed ``(N,)``; what is explained
    ``(N,)``."""
    inputs = inputs.detach().requires_grad_()
    bias_unit = inputs.new_ones(len(inputs)).requires_grad_()
    propagation = with_bias_unit(bias_unit)
    # One pass forward, one back: the gradient of what is explained runs through the surrogates.
    with _propagating(model, propagation, rules, target):
        explained: Tensor = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
    _refuse_linear_maps_outside(propagation, explained)
    if isinstance(model, ExplainedView):
        model.without_rule |= without_rule(explained, propagation.ruled)
    gradient, absorbed = torch.autograd.grad(
        explained.sum(), (inputs, bias_unit), allow_unused=True
    )
    if gradient is None:  # no input reaches the output
        raise NotApplicable("lrp needs a gradient, and the model gives none")
    # Relevance is value x gradient, and the value of the bias unit is 1.
    absorbed = torch.zeros_like(bias_unit) if absorbed is None else absorbed
    return inputs.detach() * gradient, absorbed, explained.detach()


@contextmanager
def _propagating(
    model: Any, propagation: Propagation, rules: LrpRules, target: Tensor
) -> Iterator[None]:
    """In this context the gradients of the model are those of the surrogates."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    with explainable(whole), ExitStack() as hooks:
        for handle in _hooks(whole, propagation, rules):
            hooks.enter_context(handle)
        if whole is not model:
            hook = _from_what_is_explained(propagation, target)
            hooks.enter_context(whole.register_forward_hook(hook))
        hooks.enter_context(LinearFunctions(propagation))
        yield


def _hooks(whole: nn.Module, propagation: Propagation, rules: LrpRules) -> Iterator[Any]:
    """Handles of the hooks, put in one after the other, that make every module one with a rule, one
    that is refused, or one whose gradient passes."""
    running: list[nn.Module] = []  # the modules with a rule that have not returned yet
    for path, module in on_the_way(whole, "lrp"):
        rule = _rule_of(path, module, rules)
        if rule is not None:
            yield from hook_rule(path, module, rule, propagation, running)
        elif not _passes(path, module):
            yield from hook_refusal(path, module, propagation, running)


def _rule_of(path: str, module: nn.Module, rules: LrpRules) -> LrpRule | None:
    """A user's rule before ours."""
    custom = user_rule(rules, module)
    if custom is not None:
        return partial(lrp_by_user_rule, UserRule(custom, "lrp", path, module))
    # Statistics of the batch would make sequences depend on each other.
    uses_batch = isinstance(module, _BatchNorm) and module.running_mean is None
    return None if uses_batch else LRP_RULES.get(class_of(module))


def _passes(path: str, module: nn.Module) -> bool:
    """Whether the gradient may pass as it is: where outputs are proportional to inputs, and where
    all that a module computes, it computes by others; the model itself is taken to."""
    if class_of(module) in PROPORTIONAL:
        return True
    owns_parameters = any(True for _ in module.parameters(recurse=False))
    return not owns_parameters and (not path or has_parts(module))


def _layers_without_rule(model: nn.Module) -> list[str]:
    """Path and class of the layers that are refused where relevance meets them."""
    without = [
        (path, module)
        for path, module in on_the_way(model, "lrp")
        if _rule_of(path, module, {}) is None and not _passes(path, module)
    ]
    return outermost_labels(without)


lrp.layers_without_rule = _layers_without_rule  # type: ignore[attr-defined]
lrp.entering = entering_by_operation  # type: ignore[attr-defined]


def _refuse_linear_maps_outside(propagation: Propagation, explained: Tensor) -> None:
    """NotApplicable where a linear map without a rule would get the gradient."""
    even = propagation.along == propagation.against
    if even and propagation.epsilon <= _STABILISER:
        return  # the gradient is the rule
    names = unruled(explained, propagation.ruled)
    if names:
        raise NotApplicable(
            f"lrp: only rule epsilon, of {_STABILISER:g} at most, has a meaning for what is called "
            f"outside of modules: {', '.join(names)}; make it a module (nn.Conv1d, nn.Linear, "
            "MatrixProduct)"
        )


_STABILISER = 1e-6
"""An ``epsilon`` of this size, the default, keeps denominators from 0 and changes nothing else; a
larger one takes a share of the relevance that the gradient knows nothing of."""


def _from_what_is_explained(
    propagation: Propagation, target: Tensor
) -> Callable[..., Tensor | None]:
    """A hook on the classifier: logits of a ``Linear`` for which what is explained, taken by the
    view, is one output of that ``Linear``: ``d_c = (w_c - mean of the others) x + b_c - ...``.

    With the rule, ``d_t`` of the target has the surrogate ``s_t``. Its logit gets half of it and
    the others lose as much: what is explained of the target is then ``s_t / 2 + s_t / 2``.
    """

    def rewrite(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor | None:
        linear_map = linear_map_of(propagation, logits)
        if linear_map is None or linear_map.apply is not functional.linear or logits.shape[1] < 2:
            return None
        propagation.ruled.enter()
        weight, bias = (
            explained_outputs(each, dim=0) for each in (linear_map.weight, linear_map.bias)
        )
        linear_map = replace(linear_map, weight=weight, bias=bias)
        surrogates = redistribute(propagation, linear_map, explained_outputs(logits))
        half = surrogates.gather(1, target.unsqueeze(1)) / 2
        is_target = functional.one_hot(target, logits.shape[1]).bool()
        surrogate = straight_through(logits, torch.where(is_target, half, -half))
        propagation.ruled.leave()
        return surrogate

    return rewrite
