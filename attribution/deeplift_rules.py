"""The rules of DeepLIFT: how a multiplier passes a module.

Write ``x`` for what a module is given for a sequence, ``r`` for a reference, ``delta_in = x - r``,
and ``delta_out = f(x) - f(r)`` for what it gives. A multiplier is a contribution over a difference.
From ``m_out``, those of the module's output for what is explained, a rule makes ``m_in``, those of
its inputs, so that for every pair of a sequence and a reference

    sum(m_in * delta_in) = sum(m_out * delta_out)

(summation to delta; *Shrikumar et al. 2017*). It holds from module to module, so the contributions
at the input sum to the change of the output. ``m_in = m_out * d f / d x`` does that for linear maps
alone, and every rule here is another slope in the place of the derivative.

A sequence and its references are rows of one tensor (``ModuleCall``), row 0 the sequence. There
``delta_in`` is 0 and any multiplier keeps the sum: nobody reads that row.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import NotApplicable
from xaibench.nn.layers import MatrixProduct, WeightedSum

from .rules import ModuleCall

Backward = Callable[[Tensor], tuple[Tensor, ...]]
"""The multipliers of a module's output -> those of its inputs, in the shapes of ``ModuleCall``."""

DeepLiftRule = Callable[[ModuleCall], Backward]


# Elementwise functions


def secant(call: ModuleCall) -> Backward:
    """The rescale rule of an elementwise function: ``m_in = m_out * delta_out / delta_in``, the
    slope of the line through both points; where these are (nearly) one, the slope at the input."""
    (values,) = call.inputs
    slope = _secant_slope(call.module.forward, values, call.output)
    return lambda multipliers: (multipliers * slope,)


def _secant_slope(function: Callable[[Tensor], Tensor], values: Tensor, outputs: Tensor) -> Tensor:
    """``(input, row, ...)``: ``(f(x) - f(r)) / (x - r)``, or the derivative at ``x``."""
    delta_in = _delta(values)
    slope = _delta(outputs).div_(delta_in)  # in place: these are the largest tensors there are
    # The quotient is off by about eps / delta_in: closer than this, the derivative is better.
    tiny = 1e-10 if values.dtype == torch.float64 else 1e-6
    return torch.where(delta_in.abs_() > tiny, slope, _derivative(function, values[:, :1]))


def _derivative(function: Callable[[Tensor], Tensor], values: Tensor) -> Tensor:
    """That of an elementwise function, of the shape of its argument."""
    points = values.flatten(0, 2).requires_grad_()
    with torch.enable_grad():
        total = function(points.clone()).sum()  # of a copy: the function may work in place
    return torch.autograd.grad(total, points)[0].reshape(values.shape)


# Products


def bilinear(call: ModuleCall) -> Backward:
    """A product of two factors that both change, elementwise or of matrices:

        delta(a b) = delta(a) * mean(b) + delta(b) * mean(a)

    with means over sequence and reference, so the derivatives at the point midway are multipliers.
    """
    midway = [_mean_with_reference(factor).flatten(0, 2).requires_grad_() for factor in call.inputs]
    with torch.enable_grad():
        output = call.module.forward(*midway)
    return lambda multipliers: torch.autograd.grad(output, midway, multipliers.flatten(0, 2))


def glu(call: ModuleCall) -> Backward:
    """``GLU``, ``a * sigmoid(b)`` of the two halves of an axis: the product rule, with the secant
    of the sigmoid behind the second factor."""
    axis = _axis_of(call)
    values, gate_logits = call.inputs[0].chunk(2, axis)
    gates = gate_logits.sigmoid()
    slope = _mean_with_reference(values) * _secant_slope(torch.sigmoid, gate_logits, gates)
    gate = _mean_with_reference(gates)
    return lambda multipliers: (torch.cat([multipliers * gate, multipliers * slope], axis),)


# Maxima


def max_pool(call: ModuleCall) -> Backward:
    """Max pooling over sites of one or two axes, windows overlapping or not (``_to_winners``)."""
    module = call.module
    is_2d = isinstance(module, nn.MaxPool2d)
    _, winners = (functional.max_pool2d if is_2d else functional.max_pool1d)(
        call.inputs[0].flatten(0, 2),
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    return _to_winners(call, winners, axes=2 if is_2d else 1)


def adaptive_max_pool(call: ModuleCall) -> Backward:
    """Max pooling to a given number of sites (``_to_winners``)."""
    module = call.module
    is_2d = isinstance(module, nn.AdaptiveMaxPool2d)
    pool = functional.adaptive_max_pool2d if is_2d else functional.adaptive_max_pool1d
    _, winners = pool(call.inputs[0].flatten(0, 2), module.output_size, return_indices=True)
    return _to_winners(call, winners, axes=2 if is_2d else 1)


def maximum(call: ModuleCall) -> Backward:
    """The maximum over an axis, ``module.dim`` (``_to_winners``), whether it is left with one place
    or not; where several sites have it, the first wins."""
    (values,), axis = call.inputs, _axis_of(call)
    sites_last = values.movedim(axis, -1)
    shape = call.output.shape
    one_site = ModuleCall(None, (sites_last,), sites_last.amax(-1, keepdim=True))
    backward = _to_winners(one_site, sites_last.argmax(-1, keepdim=True), axes=1)

    def moved_back(multipliers: Tensor) -> tuple[Tensor, ...]:
        if len(shape) == values.ndim:
            multipliers = multipliers.squeeze(axis)
        (of_sites,) = backward(multipliers.unsqueeze(-1))
        return (of_sites.movedim(-1, axis),)

    return moved_back


def _to_winners(call: ModuleCall, winners: Tensor, *, axes: int) -> Backward:
    """The multiplier of a maximum goes to the one site that won where the maximum is larger.

    Let ``i`` win in the input and ``j`` in the reference: ``delta_out = x_i - r_j``. If that is
    positive, ``x_i - r_i >= delta_out``, for ``r_i <= r_j``; if it is negative,
    ``x_j - r_j <= delta_out``, for ``x_j <= x_i``. So the site charged (``i``, else ``j``) changed
    at least as much, and gets ``m_out * delta_out / delta_in`` with a share within [0, 1]; a site
    that won in one of them alone and is not charged may not have changed at all. A site that is the
    same in both gets what it wins in the input, its derivative: that adds nothing to the sum.

    The last ``axes`` are those of sites, which ``winners`` count through.
    """
    delta_in, delta_out = (_delta(each).flatten(-axes) for each in (call.inputs[0], call.output))
    winners = winners.flatten(-axes).reshape(delta_out.shape)
    in_input = winners[:, :1].expand_as(winners)
    charged = torch.where(delta_out >= 0, in_input, winners)
    delta_charged = delta_in.gather(-1, charged)
    share = torch.where(delta_charged != 0, delta_out / delta_charged, 0)
    unchanged = (delta_in.gather(-1, in_input) == 0).to(delta_in.dtype)
    shape, flat = call.inputs[0].shape, delta_in.shape

    def backward(multipliers: Tensor) -> tuple[Tensor, ...]:
        multipliers = multipliers.flatten(-axes)
        # Added, not set: windows may overlap, and one site win several.
        of_sites = multipliers.new_zeros(flat).scatter_add_(-1, charged, multipliers * share)
        of_sites = of_sites.scatter_add_(-1, in_input, multipliers * unchanged)
        return (of_sites.reshape(shape),)

    return backward


# Softmax


def softmax(call: ModuleCall) -> Backward:
    """``y_i = exp(t_i)`` with ``t_i = z_i - total``, ``total = log(sum_j exp(z_j))``: the secant
    ``s_i`` of exp between both ``t_i``, and behind it the multipliers ``_of_total`` of ``z_j``:

        m_in_j = m_out_j s_j - (sum_i m_out_i s_i) share_j

    Our choice among exact splits: its terms never exceed 1, however far the logits are apart, while
    a quotient of exponentials overflows.
    """
    (logits,) = call.inputs
    axis = _axis_of(call)
    total = logits.logsumexp(axis, keepdim=True)
    slope, share = _logarithmic_mean(logits - total, 0), _of_total(logits, total)

    def backward(multipliers: Tensor) -> tuple[Tensor, ...]:
        through = multipliers * slope
        return (through - through.sum(axis, keepdim=True) * share,)

    return backward


def log_softmax(call: ModuleCall) -> Backward:
    """``z_i - total``: ``m_in_j = m_out_j - (sum_i m_out_i) share_j``, as in ``softmax``."""
    (logits,) = call.inputs
    axis = _axis_of(call)
    share = _of_total(logits, logits.logsumexp(axis, keepdim=True))
    return lambda multipliers: (multipliers - multipliers.sum(axis, keepdim=True) * share,)


def _of_total(logits: Tensor, total: Tensor) -> Tensor:
    """The multiplier of each logit for ``total = log(sum of exp)``: the secant of exp at the logit,
    over the secant of exp at the total, which is the inverse of that of log."""
    largest = torch.maximum(total[:, :1], total)  # a common factor, so that no exp overflows
    return _logarithmic_mean(logits, largest) / _logarithmic_mean(total, largest)


def _logarithmic_mean(logs: Tensor, scale: Tensor | float) -> Tensor:
    """The secant of exp between the input's ``a`` and each row's ``b``, over ``exp(scale)``, in a
    form that neither overflows nor cancels:

        (e^a - e^b) / (a - b) = e^max(a, b) (1 - e^-|a - b|) / |a - b|
    """
    distance = _delta(logs).abs()
    apart = distance > 0
    fall = torch.where(apart, -torch.expm1(-distance) / distance.where(apart, 1), 1)
    return (torch.maximum(logs[:, :1], logs) - scale).exp() * fall


def _axis_of(call: ModuleCall) -> int:
    """The axis of a module's ``dim`` in tensors that have the axes of input, row and site in front.

    NotApplicable for the axis of the batch, over which sequences depend on each other; without a
    ``dim``, torch takes it where there are three axes.
    """
    dim, axes = call.module.dim, call.inputs[0].ndim - 2
    if dim is None:
        dim = 0 if axes in (1, 3) else 1
    if dim % axes == 0:
        kind = type(call.module).__name__
        raise NotApplicable(
            f"deeplift: a {kind} with dim={call.module.dim} of {axes} axes runs over the batch"
        )
    return int(dim % axes + 2)


# Normalisation


def layer_norm(call: ModuleCall) -> Backward:
    """``w * c / deviation + bias`` with ``c = x - mean(x)``: ``_over_deviation``, then the mean,
    which is linear. Ours; exact, and it divides by no difference."""
    (values,) = call.inputs
    axes = tuple(range(-len(call.module.normalized_shape), 0))
    backward = _over_deviation(call.module, values - values.mean(axes, keepdim=True))

    def centred(multipliers: Tensor) -> tuple[Tensor, ...]:
        through = backward(multipliers)
        return (through - through.mean(axes, keepdim=True),)

    return centred


def rms_norm(call: ModuleCall) -> Backward:
    """As ``layer_norm``, around 0 instead of the mean."""
    backward = _over_deviation(call.module, call.inputs[0])
    return lambda multipliers: (backward(multipliers),)


def _over_deviation(module: Any, values: Tensor) -> Callable[[Tensor], Tensor]:
    """The multipliers of ``c`` (``values``) for ``w c q``, where ``q = (mean(c^2) + eps)^(-1/2)``.

    The product rule between ``c`` and ``q``. Of its variance, ``1 / q^2`` with the epsilon in it,
    ``q`` has the secant ``(q - q') / (1 / q^2 - 1 / q'^2) = -(q q')^2 / (q + q')``, and ``c^2`` the
    secant ``c + c'``. With ``C``, ``Q`` the means over sequence and reference:

        m_in = w m_out Q + mean(w m_out C) * -(q q')^2 / Q * C
    """
    axes = tuple(range(-len(module.normalized_shape), 0))
    epsilon = torch.finfo(values.dtype).eps if module.eps is None else module.eps
    inverse = (values.square().mean(axes, keepdim=True) + epsilon).rsqrt()
    mean_value, mean_inverse = _mean_with_reference(values), _mean_with_reference(inverse)
    # 2 Q in the place of q + q': the 2 cancels with c + c' = 2 C
    slope = -(inverse[:, :1] * inverse).square() / mean_inverse
    weight = 1 if module.weight is None else module.weight

    def backward(multipliers: Tensor) -> Tensor:
        weighted = multipliers * weight
        through_variance = (weighted * mean_value).mean(axes, keepdim=True) * slope * mean_value
        return weighted * mean_inverse + through_variance

    return backward


def _delta(rows: Tensor) -> Tensor:
    """The input minus each row of its group ``(input, row, ...)``; 0 in row 0."""
    return rows[:, :1] - rows


def _mean_with_reference(rows: Tensor) -> Tensor:
    """The point midway between the input and each row."""
    return (rows[:, :1] + rows) / 2


ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.LogSigmoid),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink),
)

DEEPLIFT_RULES: dict[type[nn.Module], DeepLiftRule] = {
    **dict.fromkeys(ELEMENTWISE, secant),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d), max_pool),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d), adaptive_max_pool),
    nn.Softmax: softmax,
    nn.LogSoftmax: log_softmax,
    nn.GLU: glu,
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    WeightedSum: bilinear,
    MatrixProduct: bilinear,
}

LINEAR: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d),
        *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
        *(nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.ConstantPad1d, nn.ZeroPad1d),
        *(nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.ConstantPad2d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
        *(nn.Identity, nn.Flatten, nn.Unflatten),
        nn.Embedding,  # of numbers, which have no gradient
        *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    }
)
"""Where backpropagation already keeps the sum, in eval mode."""
