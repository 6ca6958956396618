"""Layer-wise relevance propagation (LRP) through convolutional networks.

The relevance of a tensor is the tensor times its gradient, where a module's output is given another
way back: every rule here returns the output that the module gave, to the bit, made of its inputs in
such a manner that the gradient hands relevance on by the rule. Sums, concatenations and pooling
need no rule: the gradient already splits them in proportion. Modules may be reused or in place, and
linear maps be functions that are called outside of modules.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import SimpleNamespace
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakTensorKeyDictionary

from xaibench.errors import NotApplicable
from xaibench.nn.inference import in_calls
from xaibench.nn.layers import MatrixProduct, WeightedSum
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .deeplift import ELEMENTWISE
from .graph import Spans, has_parts, on_the_way
from .linear_maps import LinearMap, convolution, dense, of_call, unruled, without_rule


@method(completeness=1e-4)
def lrp(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    rule: Literal["epsilon", "gamma", "z_plus"] = "epsilon",
    epsilon: Annotated[float, Field(ge=0)] = 1e-6,
    gamma: Annotated[float, Field(ge=0)] = 0.25,
) -> Attribution:
    """Relevance ``(N, C, S)`` of the input, handed back from what is explained by one rule in every
    linear map (*Bach et al. 2015*; *Montavon et al. 2019*); zero where the base is unknown.

    An output of a linear map hands its relevance to its addends, weight x activation and the bias,
    in proportion to them: as they are (``epsilon``; with ``epsilon`` 0, ReLU and max pooling this
    is the uncorrected gradient x input), with those of the output's own sign times 1 + ``gamma``
    (``gamma``; so generalised to negative outputs by *Andéol et al. 2021*), or to those of its own
    sign alone (``z_plus``). ``epsilon`` is added to the size of every denominator.

    Our choices: batch normalisation is part of the linear map before it, and where there is none, a
    linear map itself. The difference of two logits is part of a last ``Linear``, so that what
    speaks for both classes cancels before a rule looks at signs. An elementwise activation hands on
    all but what it is at 0; the site that wins a maximum takes all. Weights of attention pooling
    are constants (*Ali et al. 2022*).

    What biases, ``epsilon`` and activations at 0 take is absorbed. ``completeness_error`` is what
    is then missing, ``|relevance + absorbed - explained|``; ``output_change`` is ``|explained|``.
    NotApplicable where relevance reaches a module without a rule, or under ``gamma`` and ``z_plus``
    a linear map outside of modules that is no ``conv1d``, ``conv2d``, ``linear``, ``batch_norm`` or
    product with a matrix of weights.
    """
    along, against = {"epsilon": (1, 1), "gamma": (1 + gamma, 1), "z_plus": (1, 0)}[rule]
    parts = [
        _relevance(model, of_inputs, of_target, along, against, epsilon)
        for of_inputs, of_target in in_calls(inputs, target)
    ]
    relevance, absorbed, explained = map(torch.cat, zip(*parts, strict=True))
    return Attribution(
        contributions=relevance,
        completeness_error=(relevance.sum((1, 2)) + absorbed - explained).abs(),
        output_change=explained.abs(),
    )


def _relevance(
    model: Any, inputs: Tensor, target: Tensor, along: float, against: float, epsilon: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Of the inputs; what was absorbed ``(N,)``; what is explained ``(N,)``."""
    inputs = inputs.detach().requires_grad_()
    absorber = inputs.new_ones(len(inputs)).requires_grad_()
    propagation = Propagation(along, against, epsilon, absorber)
    with _propagating(model, propagation):
        explained: Tensor = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
    _refuse_what_is_outside(propagation, explained)
    if isinstance(model, ExplainedView):
        model.without_rule |= without_rule(explained, propagation.ruled)
    gradient, absorbed = torch.autograd.grad(explained.sum(), (inputs, absorber), allow_unused=True)
    if gradient is None:
        raise NotApplicable("lrp needs a gradient, and the model gives none")
    absorbed = torch.zeros_like(absorber) if absorbed is None else absorbed
    return inputs.detach() * gradient, absorbed, explained.detach()


@dataclass(frozen=True, slots=True)
class Propagation:
    """How relevance passes one call of the model.

    Addends of an output's own sign count ``along`` times, the others ``against`` times. The
    ``absorber``, a 1 for each sequence, is an input like the others that all constants are
    multiplied by, so its relevance is what they absorb. ``maps`` has the linear map that an output
    came from; ``ruled`` is what runs in modules, or under a rule.
    """

    along: float
    against: float
    epsilon: float
    absorber: Tensor
    maps: Any = field(default_factory=WeakTensorKeyDictionary)
    ruled: Spans = field(default_factory=Spans)

    def constant(self, like: Tensor) -> Tensor:
        """The absorber, to be multiplied by one like this."""
        return self.absorber.reshape(-1, *[1] * (like.ndim - 1))


Rule = Callable[[Propagation, Any, list[Tensor], Tensor], Tensor]
"""The output of a module, given its arguments and its output, with another way back."""


def linear(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """Outputs on the last axis."""
    return _remembered(propagation, output, dense(arguments[0], module.weight, module.bias))


def convolve(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """Outputs on axis 1, at every site."""

    def apply(inputs: Tensor, weight: Tensor) -> Tensor:
        outputs: Tensor = module._conv_forward(inputs, weight, None)
        return outputs

    step = convolution(arguments[0], module.weight, module.bias, apply)
    return _remembered(propagation, output, step)


def batch_normalisation(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """One linear map with the one before it; the way back leads round that one's output."""
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight
    shift = -scale * module.running_mean
    shift = shift if module.bias is None else shift + module.bias
    shape = [-1, *[1] * (output.ndim - 2)]
    step = _map_of(propagation, arguments[0])
    if step is None:
        ones = torch.ones_like(scale).reshape(shape)
        step = LinearMap(arguments[0], ones, torch.zeros_like(ones), torch.mul)
    weight = step.weight * scale.reshape(-1, *[1] * (step.weight.ndim - 1))
    bias = step.bias * scale.reshape(shape) + shift.reshape(shape)
    return _remembered(propagation, output, replace(step, weight=weight, bias=bias))


def activation(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """Every unit hands on what it has, but for what it is at 0, which is a constant.

    Where it (nearly) is at 0, relevance passes by the gradient: 0/0.
    """
    before = arguments[0]
    at_zero = module.forward(torch.zeros_like(before))
    apart = before.abs() > (1e-10 if before.dtype == torch.float64 else 1e-6)
    slope = (output - at_zero) / before.where(apart, 1)
    way_back = torch.where(apart, before * slope.detach(), output)
    return _same(output, way_back + at_zero * propagation.constant(output))


def weighted_sum(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """All relevance goes to the features, the second factor, in proportion to weight x feature."""
    weights, features = arguments
    summed: Tensor = module.forward(weights.detach(), features)
    return summed


def layer_norm(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """A linear map, since what it divides by is taken to be constant (*Ali et al. 2022*); the
    addends of a feature are itself and the mean, as they are."""
    (before,) = arguments
    axes = tuple(range(-len(module.normalized_shape), 0))
    centred = before - before.mean(axes, keepdim=True)
    variance = centred.detach().square().mean(axes, keepdim=True)
    weight = 1 if module.weight is None else module.weight
    bias = 0 if module.bias is None else module.bias
    scaled = centred * (variance + module.eps).rsqrt() * weight
    return _same(output, scaled + bias * propagation.constant(output))


def rms_norm(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """A scale for each feature, since what it divides by is taken to be constant."""
    (before,) = arguments
    axes = tuple(range(-len(module.normalized_shape), 0))
    epsilon = torch.finfo(before.dtype).eps if module.eps is None else module.eps
    squares = before.detach().square().mean(axes, keepdim=True)
    weight = 1 if module.weight is None else module.weight
    return _same(output, before * (squares + epsilon).rsqrt() * weight)


class _Given(NamedTuple):
    """A linear map and what it gave, to tell whether that is still so."""

    step: LinearMap
    output: Tensor
    version: int


def _remembered(propagation: Propagation, output: Tensor, step: LinearMap) -> Tensor:
    """What the map hands on; another map may be taken together with it, if that scales the same
    axis."""
    if not step.outputs_on_axis_1:
        return _hand_on(propagation, step, output)
    # A copy: what works in place may rewrite the inputs before the other map is there.
    step = replace(step, inputs=step.inputs.clone())
    ruled = _hand_on(propagation, step, output)
    propagation.maps[ruled] = _Given(step, output.detach(), ruled._version)
    return ruled


def _map_of(propagation: Propagation, output: Tensor) -> LinearMap | None:
    """The linear map that gave these very values: where something worked in place since, none."""
    given = propagation.maps.get(output)
    if given is None or given.version != output._version:
        return None
    # ``tensor.data`` is changed without a new version.
    return given.step if torch.equal(given.output, output.detach()) else None


def _hand_on(propagation: Propagation, step: LinearMap, output: Tensor) -> Tensor:
    """The output of a linear map: its addends as the rule counts them, times what makes them the
    output again, which is constant. An output of exactly 0 hands on nothing."""
    output = output.detach()
    sign = torch.where(output >= 0, torch.ones_like(output), -1)
    total = _counted(propagation, step, output)
    total = total + propagation.epsilon * sign * propagation.constant(output)
    share = torch.where(total != 0, output / total, 0).detach()
    return _same(output, total * share)


def _counted(propagation: Propagation, step: LinearMap, output: Tensor) -> Tensor:
    """The sum of the addends of every output, each counted by its sign."""
    along, against = propagation.along, propagation.against
    constant = propagation.constant(output)
    if along == against:
        return _same(output, step.apply(step.inputs, step.weight) + step.bias * constant)
    not_negative = step.inputs.where(step.inputs >= 0, 0)
    negative = step.inputs.where(step.inputs < 0, 0)

    def counted(of_positive: float, of_negative: float) -> Tensor:
        """Where positive and negative addends count so many times."""
        weight = _by_sign(step.weight, of_positive, of_negative)
        summed = step.apply(not_negative, weight)
        summed = summed + _by_sign(step.bias, of_positive, of_negative) * constant
        if bool(negative.any()):
            summed = summed + step.apply(negative, _by_sign(step.weight, of_negative, of_positive))
        return summed

    return torch.where(output >= 0, counted(along, against), counted(against, along))


def _by_sign(values: Tensor, of_positive: float, of_negative: float) -> Tensor:
    return of_positive * values.clamp(min=0) + of_negative * values.clamp(max=0)


def _same(values: Tensor, way_back: Tensor) -> Tensor:
    """The values to the bit, with the gradient of what they are nearly equal to."""
    return values.detach() + (way_back - way_back.detach())


RULES: dict[type[nn.Module], Rule] = {
    **dict.fromkeys(ELEMENTWISE, activation),
    nn.Linear: linear,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d), convolve),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), batch_normalisation),
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    WeightedSum: weighted_sum,
    MatrixProduct: weighted_sum,
}

PASSES: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.MaxPool1d, nn.AdaptiveMaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
        *(nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
        *(nn.ZeroPad1d, nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
        *(nn.Identity, nn.Flatten, nn.Unflatten),
        *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    }
)
"""Where the gradient already hands relevance on in proportion, in eval mode."""


@contextmanager
def _propagating(model: Any, propagation: Propagation) -> Iterator[None]:
    """In here the gradients of the model are those of the rules."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    handles = []
    with explainable(whole):
        for path, module in on_the_way(whole, "lrp"):
            handles += _hook(module, path, propagation)
        handles.append(whole.register_forward_hook(_difference(propagation)))
        try:
            with _Functions(propagation):
                yield
        finally:
            for handle in handles:
                handle.remove()


def _hook(module: nn.Module, path: str, propagation: Propagation) -> list[Any]:
    kind = type_before_parametrizations(module)
    rule = None if _uses_batch_statistics(module) else RULES.get(kind)
    if rule is None and (kind in PASSES or _is_container(module, path)):
        return []
    before: list[Tensor] = []
    in_place = getattr(module, "inplace", False)

    def keep(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        propagation.ruled.enter()
        before[:] = (
            inspect.signature(module.forward).bind(*arguments, **keywords).arguments.values()
        )
        return ((before[0].clone(),), {}) if in_place else None

    def rewrite(module: nn.Module, arguments: Any, output: Any) -> Any:
        ruled = _by_rule(module, output)
        if in_place:  # whoever has the tensor that is rewritten gets the rule's way back too
            ruled = before[0].copy_(ruled)
        propagation.ruled.leave()
        return ruled

    def _by_rule(module: nn.Module, output: Any) -> Any:
        name = f"{path or 'the model'} ({kind.__name__})"
        if rule is None:
            return _refusing(propagation, output, f"lrp has no rule for {name}")
        rows, sequences = len(output), len(propagation.absorber)
        if rows != sequences:
            return _refusing(
                propagation, output, f"lrp: {name} gives {rows} rows for {sequences} sequences"
            )
        return rule(propagation, module, before, output)

    before_it = module.register_forward_pre_hook(keep, with_kwargs=True)
    return [before_it, module.register_forward_hook(rewrite)]


class _Functions(TorchFunctionMode):
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
        rule = None if propagation.ruled.depth else _rule_of_call(function, args, kwargs)
        if rule is None or len(output) != len(propagation.absorber):
            return output
        propagation.ruled.enter()
        ruled = rule(propagation, output)
        propagation.ruled.leave()
        return ruled


def _rule_of_call(
    function: Any, arguments: tuple[Any, ...], keywords: dict[str, Any]
) -> Callable[[Propagation, Tensor], Tensor] | None:
    if function is not functional.batch_norm:
        step = of_call(function, arguments, keywords)
        return None if step is None else partial(_remembered, step=step)
    given = inspect.signature(functional.batch_norm).bind(*arguments, **keywords)
    given.apply_defaults()
    module = SimpleNamespace(**given.arguments)
    if module.training or module.running_mean is None or not module.input.requires_grad:
        return None
    return lambda propagation, output: batch_normalisation(
        propagation, module, [module.input], output
    )


def _refuse_what_is_outside(propagation: Propagation, explained: Tensor) -> None:
    """NotApplicable where a linear map that no rule has seen would get the gradient."""
    if propagation.along == propagation.against:
        return  # the gradient is the rule
    names = unruled(explained, propagation.ruled)
    if names:
        raise NotApplicable(
            f"lrp: only rule epsilon has a meaning for what is called outside of modules here: "
            f"{', '.join(names)}; make it a module (nn.Conv1d, nn.Linear, MatrixProduct)"
        )


def _uses_batch_statistics(module: nn.Module) -> bool:
    return isinstance(module, _BatchNorm) and module.running_mean is None


def _is_container(module: nn.Module, path: str) -> bool:
    """Whether all that a module computes, it computes by others; the model itself is taken to."""
    owns_parameters = any(True for _ in module.parameters(recurse=False))
    return not owns_parameters and (not path or has_parts(module))


def _refusing(propagation: Propagation, output: Any, message: str) -> Any:
    """The output; NotApplicable once relevance comes back to it."""
    if not isinstance(output, Tensor):
        raise NotApplicable(message)
    # Taken together with a map behind it, the last map in here would be handed relevance past us.
    propagation.maps.pop(output, None)

    def refuse(gradient: Tensor) -> None:
        raise NotApplicable(message)

    if output.requires_grad:
        output.register_hook(refuse)  # type: ignore[no-untyped-call]
    return output


def _difference(propagation: Propagation) -> Callable[..., Tensor | None]:
    """A hook on the classifier: two logits whose difference, which the view takes, is one output of
    the ``Linear`` that they come from."""

    def rewrite(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor | None:
        step = _map_of(propagation, logits)
        if step is None or step.apply is not functional.linear or logits.shape[1] != 2:
            return None
        propagation.ruled.enter()
        weight, bias = (each - each.flip(0) for each in (step.weight, step.bias))
        step = replace(step, weight=weight, bias=bias)
        # Each logit has half: the rules are odd, and so the other's half comes with a minus.
        halves = _hand_on(propagation, step, logits - logits.flip(1)) / 2
        ruled = _same(logits, halves)
        propagation.ruled.leave()
        return ruled

    return rewrite
