"""DeepLIFT that is exact on the networks of DNA, and refuses what it has no rule for.

A sequence and its references pass the model as one group of rows. The rules here say how a gradient
(a *multiplier*) passes a module, given what every row was before and after it. Each keeps the sum:
multipliers times the change of what came in = multiplier times the change of what went out. The
first row of a group, which does not differ from itself, carries the plain gradient.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.parametrize import type_before_parametrizations
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from xaibench.errors import NotApplicable
from xaibench.nn.inference import ROWS, rows_of
from xaibench.nn.layers import MatrixProduct, WeightedSum
from xaibench.nn.restore import explainable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .graph import has_parts, nonlinear, on_the_way, operation
from .references import hypothetical, origin


@method(completeness=1e-4)
def deeplift(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    references: Tensor,
    reference: Literal["shuffles", "uniform", "zero"] = "shuffles",
) -> Attribution:
    """DeepLIFT by the rescale rule, the mean over references (*Shrikumar et al. 2017*; *Lundberg
    and Lee 2017*).

    The references ``(N, K, C, S)`` are dinucleotide shuffles (DeepLIFT/SHAP); with ``uniform`` or
    ``zero`` it is the one that ``integrated_gradients`` starts from. ``contributions`` are the
    ``hypothetical`` scores at the observed base, so a zero column (N, padding) contributes nothing,
    nor does a base that all references have: shuffles keep the first and the last base of every
    stretch of known ones. NotApplicable where a module has no rule.
    """
    inputs = inputs.detach()
    if reference != "shuffles":
        references = origin(inputs, reference).unsqueeze(1)
    multipliers, changes = rescale(model, inputs, target, references)
    explained = (multipliers * (inputs.unsqueeze(1) - references)).sum((2, 3))
    of_bases = hypothetical(multipliers, references)
    return Attribution(
        contributions=of_bases * inputs,
        hypothetical=of_bases,
        completeness_error=(explained - changes).abs().amax(1),
        output_change=changes.square().mean(1).sqrt(),
    )


class Rescaled(NamedTuple):
    """``multipliers`` ``(N, K, C, S)`` and the ``changes`` ``(N, K)`` of the output from reference
    to input, which they account for."""

    multipliers: Tensor
    changes: Tensor


def rescale(model: Any, inputs: Tensor, target: Tensor, references: Tensor) -> Rescaled:
    """Multipliers for every pair of an input ``(N, C, S)`` and one of its references.

    Where the two are the same before a module, its derivative at the input takes the place of the
    slope between them. An input is run once for all its references, if these are fewer than
    ``ROWS``.
    """
    sequences, count, _, sites = references.shape
    step = max(1, rows_of(sites) // (count + 1))
    multipliers = torch.empty_like(references)
    changes = references.new_empty(sequences, count)
    for start in range(0, sequences, step):
        rows = slice(start, start + step)
        for first in range(0, count, ROWS - 1):
            part = rows, slice(first, first + ROWS - 1)
            multipliers[part], changes[part] = _in_one_call(
                model, inputs[rows].detach(), target[rows], references[part]
            )
    return Rescaled(multipliers, changes)


def _in_one_call(model: Any, inputs: Tensor, target: Tensor, references: Tensor) -> Rescaled:
    groups = torch.cat([inputs.unsqueeze(1), references], dim=1)
    shape = groups.shape[:2]
    rows = groups.flatten(0, 1).requires_grad_()
    with torch.enable_grad(), _ruled(model, shape):
        explained = model(rows).gather(1, target.repeat_interleave(shape[1]).unsqueeze(1))
        if isinstance(model, ExplainedView):
            model.without_rule |= _without_rule(explained)
        multipliers = torch.autograd.grad(explained.sum(), rows)[0].reshape(groups.shape)
    outputs = explained.detach().reshape(shape)
    return Rescaled(multipliers[:, 1:], outputs[:, :1] - outputs[:, 1:])


def _without_rule(output: Tensor) -> set[str]:
    unruled = (each for each in nonlinear(output) if not isinstance(each, _Replaced._backward_cls))
    return {operation(node).lower() for node in unruled}


@dataclass(frozen=True, slots=True)
class Passage:
    """One call of a module: what came in and what went out, ``(input, row, site, ...)``.

    Row 0 is the input and the others its references. Models may fold sites or heads into the batch
    axis, behind the rows; else there is one site. ``before`` has one tensor an argument.
    """

    module: Any
    before: tuple[Tensor, ...]
    after: Tensor


Back = Callable[[Tensor], tuple[Tensor, ...]]
"""The gradient after a module, of the shape of ``after`` -> that before it, one an argument."""

Rule = Callable[[Passage], Back]


def secant(passage: Passage) -> Back:
    """An elementwise function: the slope of the line between input and reference.

    Where they are (nearly) the same, the slope at the input.
    """
    (before,) = passage.before
    slope = _secant(passage.module.forward, before, passage.after)
    return lambda gradient: (gradient * slope,)


def _secant(function: Callable[[Tensor], Tensor], before: Tensor, after: Tensor) -> Tensor:
    change = _change(before)
    slope = _change(after).div_(change)
    tiny = 1e-10 if before.dtype == torch.float64 else 1e-6
    return torch.where(change.abs_() > tiny, slope, _slope(function, before[:, :1]))


def _slope(function: Callable[[Tensor], Tensor], before: Tensor) -> Tensor:
    """The derivative of an elementwise function."""
    rows = before.flatten(0, 2).requires_grad_()
    with torch.enable_grad():
        total = function(rows.clone()).sum()  # of a copy, for what works in place
    return torch.autograd.grad(total, rows)[0].reshape(before.shape)


def product(passage: Passage) -> Back:
    """A product of factors that both change: each factor's change times the mean of the other,
    which is backpropagation midway between input and reference."""
    midway = [_mean(factor).flatten(0, 2).requires_grad_() for factor in passage.before]
    with torch.enable_grad():
        output = passage.module.forward(*midway)
    return lambda gradient: torch.autograd.grad(output, midway, gradient.flatten(0, 2))


def gated(passage: Passage) -> Back:
    """``GLU``: the product rule between one half and the sigmoid of the other, whose rule is the
    secant."""
    axis = _axis(passage)
    values, before = passage.before[0].chunk(2, axis)
    gates = before.sigmoid()
    slope = _mean(values) * _secant(torch.sigmoid, before, gates)
    gate = _mean(gates)
    return lambda gradient: (torch.cat([gradient * gate, gradient * slope], axis),)


def max_pool(passage: Passage) -> Back:
    """Max pooling over sites of one or two axes, windows overlapping or not."""
    module = passage.module
    two = isinstance(module, nn.MaxPool2d)
    _, winners = (functional.max_pool2d if two else functional.max_pool1d)(
        passage.before[0].flatten(0, 2),
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    return _to_winners(passage, winners, axes=2 if two else 1)


def adaptive_max_pool(passage: Passage) -> Back:
    """Max pooling to a wanted number of sites."""
    module = passage.module
    two = isinstance(module, nn.AdaptiveMaxPool2d)
    pool = functional.adaptive_max_pool2d if two else functional.adaptive_max_pool1d
    _, winners = pool(passage.before[0].flatten(0, 2), module.output_size, return_indices=True)
    return _to_winners(passage, winners, axes=2 if two else 1)


def _to_winners(passage: Passage, winners: Tensor, *, axes: int) -> Back:
    """The change of a maximum belongs to the site that won where it is larger, in the input or in
    the reference: no other site need have changed as much. A site that is the same in both gets
    what it wins in the input.

    The last ``axes`` are those of sites, which ``winners`` count through.
    """
    came, after = (_change(each).flatten(-axes) for each in (passage.before[0], passage.after))
    winners = winners.flatten(-axes).reshape(after.shape)
    in_input = winners[:, :1].expand_as(winners)
    larger = torch.where(after >= 0, in_input, winners)
    of_larger = came.gather(-1, larger)
    share = torch.where(of_larger != 0, after / of_larger, 0)
    same = (came.gather(-1, in_input) == 0).to(came.dtype)
    shape, flat = passage.before[0].shape, came.shape

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        gradient = gradient.flatten(-axes)
        # Added, not set: windows may overlap, and one site win several.
        charged = gradient.new_zeros(flat).scatter_add_(-1, larger, gradient * share)
        return (charged.scatter_add_(-1, in_input, gradient * same).reshape(shape),)

    return back


def _axis(passage: Passage) -> int:
    """The axis of a module's ``dim`` in tensors that have the axes of input, row and site in front.

    NotApplicable for the axis of the batch, over which sequences depend on each other; without a
    ``dim``, torch takes it where there are three axes.
    """
    dim, axes = passage.module.dim, passage.before[0].ndim - 2
    if dim is None:
        dim = 0 if axes in (1, 3) else 1
    if dim % axes == 0:
        kind = type(passage.module).__name__
        raise NotApplicable(
            f"deeplift: a {kind} with dim={passage.module.dim} of {axes} axes runs over the batch"
        )
    return int(dim % axes + 2)


def softmax(passage: Passage) -> Back:
    """``exp(logit - log of the sum of exp)``: secants of exp, of exp inside the sum, and of the
    log. Ours: a sum of terms that never exceed 1, however far the logits come apart.
    """
    (before,) = passage.before
    axis = _axis(passage)
    total = before.logsumexp(axis, keepdim=True)
    slope, share = _log_mean(before - total, 0), _of_total(before, total)

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        through = gradient * slope
        return (through - through.sum(axis, keepdim=True) * share,)

    return back


def log_softmax(passage: Passage) -> Back:
    """``logit - log of the sum of exp``, by the secants of ``softmax``."""
    (before,) = passage.before
    axis = _axis(passage)
    share = _of_total(before, before.logsumexp(axis, keepdim=True))
    return lambda gradient: (gradient - gradient.sum(axis, keepdim=True) * share,)


def _of_total(logits: Tensor, total: Tensor) -> Tensor:
    """The multiplier of each logit for the log of the sum of exp, the ``total``."""
    largest = torch.maximum(total[:, :1], total)
    return _log_mean(logits, largest) / _log_mean(total, largest)


def _log_mean(logs: Tensor, scale: Tensor | float) -> Tensor:
    """The secant of exp between the input and each row, over ``exp(scale)``."""
    distance = _change(logs).abs()
    apart = distance > 0
    fall = torch.where(apart, -torch.expm1(-distance) / distance.where(apart, 1), 1)
    return (torch.maximum(logs[:, :1], logs) - scale).exp() * fall


def layer_norm(passage: Passage) -> Back:
    """``centred / deviation``: the product rule between the two, and secants of the square and of
    1 / deviation, a function of the variance. Ours; exact, and it divides by no change.

    With ``r = 1 / deviation``, the variance (epsilon included) is ``1 / r^2``, so the secant of
    ``r`` between ``r`` and ``r'`` is ``-(r r')^2 / (r + r')``. That of the square is twice the mean
    of its ends.
    """
    (before,) = passage.before
    axes = tuple(range(-len(passage.module.normalized_shape), 0))
    back = _over_deviation(passage.module, before - before.mean(axes, keepdim=True))

    def centred(gradient: Tensor) -> tuple[Tensor, ...]:
        through = back(gradient)
        return (through - through.mean(axes, keepdim=True),)

    return centred


def rms_norm(passage: Passage) -> Back:
    """As ``layer_norm``, around 0 instead of the mean."""
    back = _over_deviation(passage.module, passage.before[0])
    return lambda gradient: (back(gradient),)


def _over_deviation(module: Any, values: Tensor) -> Callable[[Tensor], Tensor]:
    """What passes ``values / sqrt(mean of squares)``."""
    axes = tuple(range(-len(module.normalized_shape), 0))
    epsilon = torch.finfo(values.dtype).eps if module.eps is None else module.eps
    inverse = (values.square().mean(axes, keepdim=True) + epsilon).rsqrt()
    feature, scale = _mean(values), _mean(inverse)
    slope = -(inverse[:, :1] * inverse).square() / scale  # with the two of the square
    weight = 1 if module.weight is None else module.weight

    def back(gradient: Tensor) -> Tensor:
        weighed = gradient * weight
        through_variance = (weighed * feature).mean(axes, keepdim=True) * slope * feature
        return weighed * scale + through_variance

    return back


def _change(rows: Tensor) -> Tensor:
    """From each reference to the input."""
    return rows[:, :1] - rows


def _mean(rows: Tensor) -> Tensor:
    """Of each reference and the input."""
    return (rows[:, :1] + rows) / 2


ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.LogSigmoid),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink, nn.Softshrink, nn.Hardshrink),
)

RULES: dict[type[nn.Module], Rule] = {
    **dict.fromkeys(ELEMENTWISE, secant),
    **dict.fromkeys((nn.MaxPool1d, nn.MaxPool2d), max_pool),
    **dict.fromkeys((nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d), adaptive_max_pool),
    nn.Softmax: softmax,
    nn.LogSoftmax: log_softmax,
    nn.GLU: gated,
    nn.LayerNorm: layer_norm,
    nn.RMSNorm: rms_norm,
    WeightedSum: product,
    MatrixProduct: product,
}

LINEAR: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d),
        *(nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d),
        *(nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.ConstantPad1d, nn.ZeroPad1d),
        *(nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.ConstantPad2d, nn.ZeroPad2d, nn.ReflectionPad2d, nn.ReplicationPad2d),
        *(nn.Identity, nn.Flatten, nn.Unflatten),
        *(nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.AlphaDropout),
    }
)
"""Where backpropagation is already exact, in eval mode."""


_CONTAINERS = frozenset({nn.Sequential, nn.ModuleList, nn.ModuleDict})
"""Of torch's own modules that are made of others, those that compute nothing themselves."""


@contextmanager
def _ruled(model: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """In here gradients pass the modules of a model by their rules; ``shape`` ``(input, row)`` is
    how its rows are grouped."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    handles, products = [], _Products(shape)
    with explainable(whole):
        for path, module in on_the_way(whole, "deeplift"):
            rule = RULES.get(type_before_parametrizations(module))
            if rule is not None:
                handles += _hook(path, module, rule, products)
            elif module is not whole and not _passes(module):
                refuse = partial(_refuse, path)
                handles.append(module.register_forward_pre_hook(refuse, with_kwargs=True))
        try:
            with products:
                yield
        finally:
            for handle in handles:
                handle.remove()


def _passes(module: nn.Module) -> bool:
    """Whether backpropagation may pass as it is: containers and linear maps."""
    kind = type_before_parametrizations(module)
    if kind in LINEAR:
        return not (isinstance(module, _BatchNorm) and module.running_mean is None)
    of_torch = kind.__module__.startswith("torch.nn.") and kind not in _CONTAINERS
    return has_parts(module) and not of_torch


def _refuse(path: str, module: nn.Module, arguments: Any, keywords: Any) -> None:
    """NotApplicable where something that depends on the input comes to a module without a rule."""
    if any(map(_depends, tree_leaves((arguments, keywords)))):
        kind = type_before_parametrizations(module).__name__
        raise NotApplicable(f"deeplift has no rule for {path} ({kind})")


def _depends(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad


class _Products(TorchFunctionMode):
    """Products of two tensors that depend on the input have their rule outside of modules too."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape
        self.inside = 0  # of modules with a rule: what runs there is theirs

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        output = function(*args, **(kwargs or {}))
        name = getattr(function, "__name__", "")
        if self.inside or name not in _PRODUCTS or "out" in (kwargs or {}):
            return output
        # By name too (``input`` sorts before ``mat2`` and ``other``), or in a list, as for einsum.
        leaves = tree_leaves((args, [value for _, value in sorted((kwargs or {}).items())]))
        factors = [each for each in leaves if isinstance(each, Tensor)]
        constants = [each for each in leaves if isinstance(each, str)]
        if len(factors) != 2:
            return output
        rows = self.shape[0] * self.shape[1]
        if not all(map(_depends, factors)) or any(len(each) % rows for each in (*factors, output)):
            return output
        module = SimpleNamespace(forward=partial(function, *constants))
        return _Replaced.apply(product, module, self.shape, output, *factors)  # type: ignore[no-untyped-call]


_PRODUCTS = frozenset(
    {"mul", "__mul__", "__rmul__", "multiply", "matmul", "__matmul__", "bmm", "einsum"}
)


def _hook(path: str, module: nn.Module, rule: Rule, products: _Products) -> list[Any]:
    """Run a module off the graph, and put its rule in the place of its gradient.

    A module may run more than once, and in place: then it rewrites what it was given, as it would
    without us, and the rule sees a copy.
    """
    came: tuple[Tensor, ...] = ()

    def before(module: nn.Module, arguments: Any, keywords: Any) -> Any:
        nonlocal came
        products.inside += 1
        given = inspect.signature(module.forward).bind(*arguments, **keywords).args
        in_place = getattr(module, "inplace", False)
        came = tuple(each.clone() for each in given) if in_place else given
        return tuple(each.detach() for each in given), {}

    def after(module: nn.Module, arguments: Any, output: Any) -> Any:
        if any(each.requires_grad for each in came):  # else it does not depend on the input
            values, *others = output if isinstance(output, tuple) else (output,)  # places of maxima
            _refuse_other_rows(path, module, (*came, values), products.shape)
            ruled = _Replaced.apply(rule, module, products.shape, values, *came)  # type: ignore[no-untyped-call]
            output = (ruled, *others) if others else ruled
        products.inside -= 1
        return output

    before_it = module.register_forward_pre_hook(before, with_kwargs=True)
    return [before_it, module.register_forward_hook(after)]


def _refuse_other_rows(
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


class _Replaced(torch.autograd.Function):
    """The output of a module, with a gradient that a rule gives."""

    @staticmethod
    def forward(ctx: Any, rule: Rule, module: Any, shape: Any, *tensors: Tensor) -> Tensor:
        grouped = [each.detach().reshape(*shape, -1, *each.shape[1:]) for each in tensors]
        ctx.back = rule(Passage(module, tuple(grouped[1:]), grouped[0]))
        ctx.after, ctx.before = grouped[0].shape, [each.shape for each in tensors[1:]]
        return tensors[0].detach()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        gradients = ctx.back(gradient.reshape(ctx.after))
        pairs = zip(gradients, ctx.before, strict=True)
        return None, None, None, None, *(each.reshape(shape) for each, shape in pairs)
