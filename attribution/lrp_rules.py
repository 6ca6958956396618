"""The rules of LRP: how relevance passes a module.

Relevance ``R_j`` of an output ``y_j = sum_i z_ij`` goes to the addends ``z_ij`` (weight x input,
and the bias) in proportion to them, as a rule counts them (*Bach et al. 2015*):

    R_i = sum_j  c_ij z_ij / (sum_i c_ij z_ij + epsilon sign(y_j))  R_j

with ``c_ij`` by the sign of the addend beside that of the output (``Propagation``).

Here ``R`` is always a tensor times its gradient. A rule gives a *surrogate* for the output: equal
to it in value, made of the inputs in such a manner that input x gradient is ``R_i``. For the
formula above that is ``s_j = (sum_i c_ij z_ij) k_j`` where ``k_j`` makes it ``y_j`` again and is
held constant: the gradient that comes back is ``R_j / y_j``, so input ``i`` gets
``x_i (ds_j / dx_i) R_j / y_j = c_ij z_ij k_j R_j / y_j``, which is the formula.

``straight_through`` keeps the output to the bit. Where outputs are proportional to inputs, as in
sums, concatenations and pooling, the gradient is the rule.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from xaibench.nn.layers import MatrixProduct, WeightedSum

from .deeplift_rules import ELEMENTWISE
from .graph import Spans
from .linear_maps import LinearMap, convolution, dense
from .rules import ModuleCall


@dataclass(frozen=True, slots=True)
class Propagation:
    """How relevance passes one call of the model.

    Addends of an output's own sign count ``along`` times, the others ``against`` times:

        LRP-epsilon   1          1   Bach et al. 2015; with epsilon 0, LRP-0
        LRP-gamma     1 + gamma  1   Montavon et al. 2019; Andéol et al. 2021 for outputs below 0
        LRP-z+        1          0   Montavon et al. 2017; alpha-beta with alpha 1, beta 0

    ``epsilon`` is added to the size of every denominator. ``bias_unit`` ``(N,)`` is a 1 for each
    sequence, an input like the others: every constant that is added is multiplied by it, so that
    its relevance is what biases absorb. ``maps`` has the linear map that an output came from;
    ``ruled`` is what runs in modules, or under a rule.
    """

    along: float
    against: float
    epsilon: float
    bias_unit: Tensor
    maps: Any = field(default_factory=WeakTensorKeyDictionary)
    ruled: Spans = field(default_factory=Spans)

    def bias_unit_for(self, output: Tensor) -> Tensor:
        """The bias unit ``(N, 1, ...)``, to be multiplied by constants of an output."""
        return self.bias_unit.reshape(-1, *[1] * (output.ndim - 1))


LrpRule = Callable[[Propagation, ModuleCall], Tensor]
"""The surrogate of a module's output."""


def straight_through(values: Tensor, surrogate: Tensor) -> Tensor:
    """The values to the bit, with the gradient of a surrogate that is nearly equal to them (a
    straight-through estimator, *Bengio et al. 2013*)."""
    return values.detach() + (surrogate - surrogate.detach())


# Linear maps


def linear_layer(propagation: Propagation, call: ModuleCall) -> Tensor:
    """``nn.Linear``: outputs on the last axis."""
    (inputs,) = call.inputs
    linear_map = dense(inputs, call.module.weight, call.module.bias)
    return surrogate_of_map(propagation, call.output, linear_map)


def convolution_layer(propagation: Propagation, call: ModuleCall) -> Tensor:
    """Convolutions: outputs on axis 1, at every site."""
    (inputs,), module = call.inputs, call.module

    def apply(inputs: Tensor, weight: Tensor) -> Tensor:
        outputs: Tensor = module._conv_forward(inputs, weight, None)
        return outputs

    linear_map = convolution(inputs, module.weight, module.bias, apply)
    return surrogate_of_map(propagation, call.output, linear_map)


def batch_normalisation(propagation: Propagation, call: ModuleCall) -> Tensor:
    """One linear map with the one before it, whose weights it scales and whose bias it moves;
    relevance passes that one by. A map of its own where there is none.

    Taken apart, a rule that looks at signs would see one input and one constant beside it, and z+
    would hand nothing back where a positive input became a negative output.
    """
    (inputs,), module, output = call.inputs, call.module, call.output
    scale = (module.running_var + module.eps).rsqrt()
    scale = scale if module.weight is None else scale * module.weight
    shift = -scale * module.running_mean
    shift = shift if module.bias is None else shift + module.bias
    shape = [-1, *[1] * (output.ndim - 2)]
    linear_map = linear_map_of(propagation, inputs)
    if linear_map is None:
        ones = torch.ones_like(scale).reshape(shape)
        linear_map = LinearMap(inputs, ones, torch.zeros_like(ones), torch.mul)
    weight = linear_map.weight * scale.reshape(-1, *[1] * (linear_map.weight.ndim - 1))
    bias = linear_map.bias * scale.reshape(shape) + shift.reshape(shape)
    return surrogate_of_map(propagation, output, replace(linear_map, weight=weight, bias=bias))


class _MapAndOutput(NamedTuple):
    """A linear map and what it gave, to tell whether that is still so."""

    linear_map: LinearMap
    output: Tensor
    version: int


def surrogate_of_map(propagation: Propagation, output: Tensor, linear_map: LinearMap) -> Tensor:
    """The surrogate of a linear map; another map may be taken together with it, if that scales the
    same axis."""
    if not linear_map.outputs_on_axis_1:
        return redistribute(propagation, linear_map, output)
    # A copy: what works in place may rewrite the inputs before the map behind it is called.
    linear_map = replace(linear_map, inputs=linear_map.inputs.clone())
    surrogate = redistribute(propagation, linear_map, output)
    propagation.maps[surrogate] = _MapAndOutput(linear_map, output.detach(), surrogate._version)
    return surrogate


def linear_map_of(propagation: Propagation, output: Tensor) -> LinearMap | None:
    """The linear map that gave these very values: where something worked in place since, none."""
    known = propagation.maps.get(output)
    if known is None or known.version != output._version:
        return None
    # ``tensor.data`` is changed without a new version.
    return known.linear_map if torch.equal(known.output, output.detach()) else None


def redistribute(propagation: Propagation, linear_map: LinearMap, output: Tensor) -> Tensor:
    """``s_j = (sum_i c_ij z_ij + epsilon sign(y_j)) k_j`` with ``k_j`` constant; an output of
    exactly 0 hands on nothing. The bias unit holds the epsilon, which absorbs its share."""
    output = output.detach()
    sign = torch.where(output >= 0, torch.ones_like(output), -1)
    total = _weighted_addends(propagation, linear_map, output)
    total = total + propagation.epsilon * sign * propagation.bias_unit_for(output)
    # ``k_j``: 1 for LRP-0; elsewhere what the rule changes in the sum is undone, held constant.
    factor = torch.where(total != 0, output / total, 0).detach()
    return straight_through(output, total * factor)


def _weighted_addends(propagation: Propagation, linear_map: LinearMap, output: Tensor) -> Tensor:
    """``sum_i c_ij z_ij`` of every output, its bias among the addends.

    An addend weight x input is positive where both have one sign. So inputs are split by sign:
    with positive ones, positive weights make the positive addends, with negative ones the negative
    weights do. Behind a ReLU there are none below 0, and their pass is saved.
    """
    along, against = propagation.along, propagation.against
    inputs, weight, bias = linear_map.inputs, linear_map.weight, linear_map.bias
    bias_unit = propagation.bias_unit_for(output)
    if along == against:
        return straight_through(output, linear_map.apply(inputs, weight) + bias * bias_unit)
    not_negative, negative = inputs.where(inputs >= 0, 0), inputs.where(inputs < 0, 0)

    def total(of_positive: float, of_negative: float) -> Tensor:
        """Where positive and negative addends count so many times."""
        summed = linear_map.apply(not_negative, _by_sign(weight, of_positive, of_negative))
        summed = summed + _by_sign(bias, of_positive, of_negative) * bias_unit
        if bool(negative.any()):
            of_negative_inputs = _by_sign(weight, of_negative, of_positive)
            summed = summed + linear_map.apply(negative, of_negative_inputs)
        return summed

    # Of a negative output the negative addends are those of its own sign.
    return torch.where(output >= 0, total(along, against), total(against, along))


def _by_sign(values: Tensor, of_positive: float, of_negative: float) -> Tensor:
    return of_positive * values.clamp(min=0) + of_negative * values.clamp(max=0)


# What is not linear


def activation(propagation: Propagation, call: ModuleCall) -> Tensor:
    """An elementwise function: every unit hands on all it has (``R_in = R_out``), but for what it
    is at 0, a constant, which the bias unit absorbs: ``s = x k + f(0)``, ``k = (f(x) - f(0)) / x``.

    Where the input (nearly) is 0, ``k`` is 0/0 and relevance passes by the gradient.
    """
    (inputs,), output = call.inputs, call.output
    at_zero = call.module.forward(torch.zeros_like(inputs))
    apart = inputs.abs() > (1e-10 if inputs.dtype == torch.float64 else 1e-6)
    factor = (output - at_zero) / inputs.where(apart, 1)
    surrogate = torch.where(apart, inputs * factor.detach(), output)
    return straight_through(output, surrogate + at_zero * propagation.bias_unit_for(output))


def weighted_sum(propagation: Propagation, call: ModuleCall) -> Tensor:
    """A product of two factors: all relevance goes to the second, the features, in proportion to
    weight x feature; the weights are held constant (*Ali et al. 2022*)."""
    weights, features = call.inputs
    summed: Tensor = call.module.forward(weights.detach(), features)
    return summed


def layer_norm(propagation: Propagation, call: ModuleCall) -> Tensor:
    """A linear map, since the deviation that it divides by is held constant (*Ali et al. 2022*);
    the addends of a feature are itself and the mean, as they are (LRP-0)."""
    (inputs,), module, output = call.inputs, call.module, call.output
    axes = tuple(range(-len(module.normalized_shape), 0))
    centred = inputs - inputs.mean(axes, keepdim=True)
    variance = centred.detach().square().mean(axes, keepdim=True)
    weight = 1 if module.weight is None else module.weight
    bias = 0 if module.bias is None else module.bias
    scaled = centred * (variance + module.eps).rsqrt() * weight
    return straight_through(output, scaled + bias * propagation.bias_unit_for(output))


def rms_norm(propagation: Propagation, call: ModuleCall) -> Tensor:
    """A scale for each feature, since what it divides by is held constant."""
    (inputs,), module = call.inputs, call.module
    axes = tuple(range(-len(module.normalized_shape), 0))
    epsilon = torch.finfo(inputs.dtype).eps if module.eps is None else module.eps
    squares = inputs.detach().square().mean(axes, keepdim=True)
    weight = 1 if module.weight is None else module.weight
    return straight_through(call.output, inputs * (squares + epsilon).rsqrt() * weight)


LRP_RULES: dict[type[nn.Module], LrpRule] = {
    **dict.fromkeys(ELEMENTWISE, activation),
    nn.Linear: linear_layer,
    **dict.fromkeys((nn.Conv1d, nn.Conv2d), convolution_layer),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), batch_normalisation),
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    WeightedSum: weighted_sum,
    MatrixProduct: weighted_sum,
}

PROPORTIONAL: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.MaxPool1d, nn.AdaptiveMaxPool1d, nn.AvgPool1d, nn.AdaptiveAvgPool1d),
        *(nn.MaxPool2d, nn.AdaptiveMaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
        *(nn.ZeroPad1d, nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
        *(nn.Identity, nn.Flatten, nn.Unflatten),
        nn.Embedding,  # of numbers, which have no relevance
        *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    }
)
"""Where the gradient already hands relevance on in proportion, in eval mode."""
