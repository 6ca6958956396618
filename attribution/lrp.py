"""Layer-wise relevance propagation (LRP) through convolutional networks.

The relevance of a tensor is the tensor times its gradient, where a module's output is given another
way back: every rule here returns the output that the module gave, to the bit, made of its inputs in
such a manner that the gradient hands relevance on by the rule. Sums, concatenations and pooling
need no rule: the gradient already splits them in proportion. Modules may be reused or in place.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.utils.weak import WeakTensorKeyDictionary

from xaibench.errors import NotApplicable
from xaibench.layers import MatrixProduct, WeightedSum
from xaibench.predict import in_calls
from xaibench.protocols import method
from xaibench.values import Attribution
from xaibench.view import ExplainedView

from .deeplift import ELEMENTWISE


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
    NotApplicable where relevance reaches a module without a rule.
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
    maps = WeakTensorKeyDictionary()
    with _propagating(model, Propagation(along, against, epsilon, absorber, maps)):
        explained: Tensor = model(inputs).gather(1, target.unsqueeze(1))[:, 0]
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
    came from.
    """

    along: float
    against: float
    epsilon: float
    absorber: Tensor
    maps: Any

    def constant(self, like: Tensor) -> Tensor:
        """The absorber, to be multiplied by one like this."""
        return self.absorber.reshape(-1, *[1] * (like.ndim - 1))


@dataclass(frozen=True, slots=True)
class LinearMap:
    """``apply(inputs, weight) + bias``; outputs are the first axis of ``weight``, and ``bias`` has
    the axes of an output without the batch's."""

    inputs: Tensor
    weight: Tensor
    bias: Tensor
    apply: Callable[[Tensor, Tensor], Tensor]


Rule = Callable[[Propagation, Any, list[Tensor], Tensor], Tensor]
"""The output of a module, given its arguments and its output, with another way back."""


def linear(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """Outputs on the last axis."""
    step = LinearMap(arguments[0], module.weight, _bias(module), functional.linear)
    if output.ndim == 2:
        return _remembered(propagation, step, output)
    return _hand_on(propagation, step, output)  # batch normalisation would scale another axis


def convolution(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """Outputs on axis 1, at every site."""

    def apply(inputs: Tensor, weight: Tensor) -> Tensor:
        outputs: Tensor = module._conv_forward(inputs, weight, None)
        return outputs

    step = LinearMap(arguments[0], module.weight, _bias(module).unsqueeze(1), apply)
    return _remembered(propagation, step, output)


def batch_normalisation(
    propagation: Propagation, module: Any, arguments: list[Tensor], output: Tensor
) -> Tensor:
    """One linear map with the one before it; the way back leads round that one's output."""
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight
    shift = -scale * module.running_mean
    shift = shift if module.bias is None else shift + module.bias
    shape = [-1, *[1] * (output.ndim - 2)]
    step = propagation.maps.get(arguments[0])
    if step is None:
        ones = torch.ones_like(scale).reshape(shape)
        step = LinearMap(arguments[0], ones, torch.zeros_like(ones), torch.mul)
    weight = step.weight * scale.reshape(-1, *[1] * (step.weight.ndim - 1))
    bias = step.bias * scale.reshape(shape) + shift.reshape(shape)
    return _remembered(propagation, replace(step, weight=weight, bias=bias), output)


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


def _bias(module: Any) -> Tensor:
    bias: Tensor | None = module.bias
    return torch.zeros_like(module.weight.flatten(1)[:, 0]) if bias is None else bias


def _remembered(propagation: Propagation, step: LinearMap, output: Tensor) -> Tensor:
    """What the map hands on, for another map to be taken together with it."""
    ruled = _hand_on(propagation, step, output)
    propagation.maps[ruled] = step
    return ruled


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
    nn.Conv1d: convolution,
    nn.BatchNorm1d: batch_normalisation,
    nn.LayerNorm: layer_norm,
    WeightedSum: weighted_sum,
    MatrixProduct: weighted_sum,
}

PASSES: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.MaxPool1d, nn.AdaptiveMaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
        *(nn.ZeroPad1d, nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.AlphaDropout),
    }
)
"""Where the gradient already hands relevance on in proportion, in eval mode."""


@contextmanager
def _propagating(model: Any, propagation: Propagation) -> Iterator[None]:
    """In here the gradients of the model are those of the rules."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    handles = []
    try:
        for path, module in whole.named_modules():
            handles += _hook(module, path, propagation)
        handles.append(whole.register_forward_hook(_difference(propagation)))
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

    def keep(module: nn.Module, arguments: Any, keywords: Any) -> None:
        given = inspect.signature(module.forward).bind(*arguments, **keywords).arguments.values()
        before[:] = [each.clone() for each in given] if getattr(module, "inplace", False) else given

    def rewrite(module: nn.Module, arguments: Any, output: Any) -> Any:
        name = f"{path or 'the model'} ({kind.__name__})"
        if rule is None:
            return _refusing(output, f"lrp has no rule for {name}")
        rows, sequences = len(output), len(propagation.absorber)
        if rows != sequences:
            return _refusing(output, f"lrp: {name} gives {rows} rows for {sequences} sequences")
        return rule(propagation, module, before, output)

    before_it = module.register_forward_pre_hook(keep, with_kwargs=True)
    return [before_it, module.register_forward_hook(rewrite)]


def _uses_batch_statistics(module: nn.Module) -> bool:
    return isinstance(module, nn.BatchNorm1d) and module.running_mean is None


def _is_container(module: nn.Module, path: str) -> bool:
    """Whether all that a module computes, it computes by others; the model itself is taken to."""
    owns_parameters = any(True for _ in module.parameters(recurse=False))
    return not owns_parameters and (not path or any(module.children()))


def _refusing(output: Any, message: str) -> Any:
    """The output; NotApplicable once relevance comes back to it."""
    if not isinstance(output, Tensor):
        raise NotApplicable(message)

    def refuse(gradient: Tensor) -> None:
        raise NotApplicable(message)

    if output.requires_grad:
        output.register_hook(refuse)  # type: ignore[no-untyped-call]
    return output


def _difference(propagation: Propagation) -> Callable[..., Tensor | None]:
    """A hook on the classifier: two logits whose difference, which the view takes, is one output of
    the ``Linear`` that they come from."""

    def rewrite(module: nn.Module, arguments: Any, logits: Tensor) -> Tensor | None:
        step = propagation.maps.get(logits)
        if step is None or step.apply is not functional.linear or logits.shape[1] != 2:
            return None
        weight, bias = (each - each.flip(0) for each in (step.weight, step.bias))
        step = replace(step, weight=weight, bias=bias)
        # Each logit has half: the rules are odd, and so the other's half comes with a minus.
        return _same(logits, _hand_on(propagation, step, logits - logits.flip(1)) / 2)

    return rewrite
