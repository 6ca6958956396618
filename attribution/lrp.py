"""Layer-wise relevance propagation (LRP) through convolutional networks.

The relevance of a tensor is the tensor times its gradient, where a module's output is replaced by a
*surrogate* (``lrp_rules``): the same values, made of the inputs in such a manner that one ordinary
backward pass hands relevance on by the rule. Modules may be reused or in place, and linear maps be
functions that are called outside of modules.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.overrides import TorchFunctionMode

from xaibench.errors import NotApplicable
from xaibench.nn.inference import in_calls
from xaibench.nn.outputs import explained_outputs
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .graph import depends_on_input, has_parts, on_the_way
from .linear_maps import of_call, unruled, without_rule
from .lrp_rules import (
    LRP_RULES,
    PROPORTIONAL,
    LrpRule,
    Propagation,
    batch_normalisation,
    linear_map_of,
    redistribute,
    straight_through,
    surrogate_of_map,
)
from .rules import ModuleCall, class_of, module_label, no_rule, outermost_labels
from .user_rules import LayerKey, UserRule, lrp_by_user_rule, require_rules, user_rule

LrpRules = Mapping[LayerKey, LrpRule]


@method(completeness=1e-4)
def lrp(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    rule: Literal["epsilon", "gamma", "z_plus"] = "epsilon",
    epsilon: Annotated[float, Field(ge=0)] = 1e-6,
    gamma: Annotated[float, Field(ge=0)] = 0.25,
    rules: LrpRules | None = None,
) -> Attribution:
    """Relevance ``(N, C, S)`` of the input, handed back from what is explained by one rule in every
    linear map (*Bach et al. 2015*; *Montavon et al. 2019*); zero where the base is unknown.

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
        hooks.enter_context(_LinearFunctions(propagation))
        yield


def _hooks(whole: nn.Module, propagation: Propagation, rules: LrpRules) -> Iterator[Any]:
    """Handles of the hooks, put in one after the other, that make every module one with a rule, one
    that is refused, or one whose gradient passes."""
    running: list[nn.Module] = []  # the modules with a rule that have not returned yet
    for path, module in on_the_way(whole, "lrp"):
        rule = _rule_of(path, module, rules)
        if rule is not None:
            yield from _hook_rule(path, module, rule, propagation, running)
        elif not _passes(path, module):
            yield from _hook_refusal(path, module, propagation, running)


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


def _hook_rule(
    path: str, module: nn.Module, rule: LrpRule, propagation: Propagation, running: list[nn.Module]
) -> list[Any]:
    """Put a rule's surrogate in the place of a module's output; parts of it run as they are."""
    signature, in_place = inspect.signature(module.forward), getattr(module, "inplace", False)
    inputs: list[tuple[Tensor, ...]] = []

    def before(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        propagation.ruled.enter()
        running.append(module)
        if len(running) > 1:
            return None
        bound = signature.bind(*arguments, **keywords)
        tensors = [each for each in bound.arguments.values() if isinstance(each, Tensor)]
        inputs.append(tuple(tensors))
        # In place it rewrites a copy: the rule needs what came in.
        return ((tensors[0].clone(),), {}) if in_place else None

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        if len(running) == 1:
            call = ModuleCall(module, inputs.pop(), output)
            output = _with_surrogate(path, rule, propagation, call)
            if in_place:  # whoever has the tensor that is rewritten gets the way back too
                output = call.inputs[0].copy_(output)
        running.pop()
        propagation.ruled.leave()
        return output

    before_it = module.register_forward_pre_hook(before, with_kwargs=True)
    return [before_it, module.register_forward_hook(after)]


def _with_surrogate(path: str, rule: LrpRule, propagation: Propagation, call: ModuleCall) -> Tensor:
    """The surrogate of a module's output; one that is refused where a row is no sequence."""
    output, sequences = call.output, len(propagation.bias_unit)
    name = module_label(path, call.module)
    if not isinstance(output, Tensor):
        raise NotApplicable(f"lrp: {name} gives more than the one tensor of a rule")
    if len(output) != sequences:
        message = f"lrp: {name} gives {len(output)} rows for {sequences} sequences"
        refused: Tensor = _refused(propagation, output, NotApplicable(message))
        return refused
    surrogate: Tensor = rule(propagation, call)
    return surrogate


def _hook_refusal(
    path: str, module: nn.Module, propagation: Propagation, running: list[nn.Module]
) -> list[Any]:
    """Refuse what a module without a rule gives, once relevance comes back to it."""

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        propagation.ruled.leave()
        return output if running else _refused(propagation, output, no_rule("lrp", path, module))

    enter = module.register_forward_pre_hook(lambda *call: propagation.ruled.enter())
    return [enter, module.register_forward_hook(after)]


def _refused(propagation: Propagation, output: Any, error: NotApplicable) -> Any:
    """The output; the error is raised once relevance comes back to it, at once where the output is
    no tensor, which cannot tell."""
    if not isinstance(output, Tensor):
        raise error
    # Taken together with a map behind it, a last map inside would be handed relevance past this.
    propagation.maps.pop(output, None)

    def refuse(gradient: Tensor) -> None:
        raise error

    if output.requires_grad:
        output.register_hook(refuse)  # type: ignore[no-untyped-call]
    return output


class _LinearFunctions(TorchFunctionMode):
    """Linear maps outside of modules have the rule of those inside."""

    def __init__(self, propagation: Propagation) -> None:
        super().__init__()
        self.propagation = propagation

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        output = function(*args, **kwargs)
        propagation = self.propagation
        rule = None if propagation.ruled.depth else _rule_of_function(function, args, kwargs)
        if rule is None or len(output) != len(propagation.bias_unit):
            return output  # a row that is no sequence: ``_refuse_linear_maps_outside`` sees it
        propagation.ruled.enter()
        surrogate = rule(propagation, output)
        propagation.ruled.leave()
        return surrogate


_BATCH_NORM = inspect.signature(functional.batch_norm)


def _rule_of_function(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[[Propagation, Tensor], Tensor] | None:
    """``(propagation, output) -> surrogate`` of a call of a linear map; None for any other."""
    if function is not functional.batch_norm:
        linear_map = of_call(function, arguments, keywords)
        return None if linear_map is None else partial(surrogate_of_map, linear_map=linear_map)
    bound = _BATCH_NORM.bind(*arguments, **keywords)
    bound.apply_defaults()
    module = SimpleNamespace(**bound.arguments)
    if module.training or module.running_mean is None or not depends_on_input(module.input):
        return None
    return lambda propagation, output: batch_normalisation(
        propagation, ModuleCall(module, (module.input,), output)
    )


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
