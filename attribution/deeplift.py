"""DeepLIFT that is exact on the networks of DNA, and refuses what it has no rule for.

A sequence and its references pass the model as one group of rows. The rules here say how a gradient
(a *multiplier*) passes a module, given what every row was before and after it. Each keeps the sum:
multipliers times the change of what came in = multiplier times the change of what went out. The
first row of a group, which does not differ from itself, carries the plain gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import NotApplicable
from xaibench.layers import MatrixProduct, WeightedSum
from xaibench.predict import ROWS, rows_of
from xaibench.protocols import method
from xaibench.values import Attribution
from xaibench.view import ExplainedView

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
    ``hypothetical`` scores at the observed base, so a zero column (N, padding) contributes nothing.
    NotApplicable where a module has no rule.
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
        multipliers = torch.autograd.grad(explained.sum(), rows)[0].reshape(groups.shape)
    outputs = explained.detach().reshape(shape)
    return Rescaled(multipliers[:, 1:], outputs[:, :1] - outputs[:, 1:])


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
    change = _change(before)
    slope = _change(passage.after).div_(change)
    tiny = 1e-10 if before.dtype == torch.float64 else 1e-6
    slope = torch.where(change.abs_() > tiny, slope, _slope(passage.module, before[:, :1]))
    return lambda gradient: (gradient * slope,)


def _slope(module: nn.Module, before: Tensor) -> Tensor:
    """The derivative of an elementwise function."""
    rows = before.flatten(0, 2).requires_grad_()
    with torch.enable_grad():
        total = module.forward(rows.clone()).sum()  # of a copy, for what works in place
    return torch.autograd.grad(total, rows)[0].reshape(before.shape)


def product(passage: Passage) -> Back:
    """A product of factors that both change: each factor's change times the mean of the other,
    which is backpropagation midway between input and reference."""
    midway = [_mean(factor).flatten(0, 2).requires_grad_() for factor in passage.before]
    with torch.enable_grad():
        output = passage.module.forward(*midway)
    return lambda gradient: torch.autograd.grad(output, midway, gradient.flatten(0, 2))


def max_pool(passage: Passage) -> Back:
    """Max pooling over sites, windows overlapping or not."""
    module = passage.module
    _, winners = functional.max_pool1d(
        passage.before[0].flatten(0, 2),
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    return _to_winners(passage, winners)


def adaptive_max_pool(passage: Passage) -> Back:
    """Max pooling to a wanted number of sites."""
    _, winners = functional.adaptive_max_pool1d(
        passage.before[0].flatten(0, 2), passage.module.output_size, return_indices=True
    )
    return _to_winners(passage, winners)


def _to_winners(passage: Passage, winners: Tensor) -> Back:
    """The change of a maximum belongs to the site that won where it is larger, in the input or in
    the reference: no other site need have changed as much. A site that is the same in both gets
    what it wins in the input."""
    change, moved = _change(passage.before[0]), _change(passage.after)
    winners = winners.reshape(moved.shape)
    in_input = winners[:, :1].expand_as(winners)
    larger = torch.where(moved >= 0, in_input, winners)
    of_larger = change.gather(-1, larger)
    share = torch.where(of_larger != 0, moved / of_larger, 0)
    same = (change.gather(-1, in_input) == 0).to(change.dtype)
    shape = change.shape

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        # Added, not set: windows may overlap, and one site win several.
        charged = gradient.new_zeros(shape).scatter_add_(-1, larger, gradient * share)
        return (charged.scatter_add_(-1, in_input, gradient * same),)

    return back


def softmax(passage: Passage) -> Back:
    """``exp(logit - log of the sum of exp)``: secants of exp, of exp inside the sum, and of the
    log. Ours: a sum of terms that never exceed 1, however far the logits come apart.
    """
    (before,) = passage.before
    # Counted from the front, an axis stands behind those of the row and of the site.
    axis = passage.module.dim if passage.module.dim < 0 else passage.module.dim + 2
    total = before.logsumexp(axis, keepdim=True)
    largest = torch.maximum(total[:, :1], total)
    slope = _log_mean(before - total, 0)
    share = _log_mean(before, largest) / _log_mean(total, largest)

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        through = gradient * slope
        return (through - through.sum(axis, keepdim=True) * share,)

    return back


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
    module, (before,) = passage.module, passage.before
    axes = tuple(range(-len(module.normalized_shape), 0))
    centred = before - before.mean(axes, keepdim=True)
    inverse = (centred.square().mean(axes, keepdim=True) + module.eps).rsqrt()
    feature, scale = _mean(centred), _mean(inverse)
    slope = -(inverse[:, :1] * inverse).square() / scale  # with the two of the square
    weight = 1 if module.weight is None else module.weight

    def back(gradient: Tensor) -> tuple[Tensor, ...]:
        weighed = gradient * weight
        through_variance = (weighed * feature).mean(axes, keepdim=True) * slope * feature
        return ((weighed - weighed.mean(axes, keepdim=True)) * scale + through_variance,)

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
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink),
)

RULES: dict[type[nn.Module], Rule] = {
    **dict.fromkeys(ELEMENTWISE, secant),
    nn.MaxPool1d: max_pool,
    nn.AdaptiveMaxPool1d: adaptive_max_pool,
    nn.Softmax: softmax,
    nn.LayerNorm: layer_norm,
    WeightedSum: product,
    MatrixProduct: product,
}

LINEAR: frozenset[type[nn.Module]] = frozenset(
    {
        *(nn.Linear, nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d),
        *(nn.AvgPool1d, nn.AdaptiveAvgPool1d, nn.ConstantPad1d, nn.ZeroPad1d),
        *(nn.ReflectionPad1d, nn.ReplicationPad1d, nn.CircularPad1d),
        *(nn.Identity, nn.Flatten, nn.Unflatten, nn.Dropout, nn.Dropout1d, nn.AlphaDropout),
    }
)
"""Where backpropagation is already exact, in eval mode."""


@contextmanager
def _ruled(model: Any, shape: tuple[int, ...]) -> Iterator[None]:
    """In here gradients pass the modules of a model by their rules; ``shape`` ``(input, row)`` is
    how its rows are grouped."""
    whole = model.classifier if isinstance(model, ExplainedView) else model
    handles = []
    try:
        for path, module in whole.named_modules():
            rule = RULES.get(type(module))
            if rule is not None:
                handles += _hook(module, rule, shape)
            elif module is not whole and not _passes(module):
                handles.append(module.register_forward_pre_hook(partial(_refuse, path)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _passes(module: nn.Module) -> bool:
    """Whether backpropagation may pass as it is: containers and linear maps."""
    batch_statistics = isinstance(module, nn.BatchNorm1d) and module.running_mean is None
    return any(module.children()) or (type(module) in LINEAR and not batch_statistics)


def _refuse(path: str, module: nn.Module, arguments: Any) -> None:
    raise NotApplicable(f"deeplift has no rule for {path} ({type(module).__name__})")


def _hook(module: nn.Module, rule: Rule, shape: tuple[int, ...]) -> list[Any]:
    """Run a module off the graph, and put its rule in the place of its gradient.

    A module may run more than once, and in place: then it rewrites what it was given, as it would
    without us, and the rule sees a copy.
    """
    came: tuple[Tensor, ...] = ()

    def before(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal came
        in_place = getattr(module, "inplace", False)
        came = tuple(each.clone() for each in arguments) if in_place else arguments
        return tuple(each.detach() for each in arguments)

    def after(module: nn.Module, arguments: Any, output: Tensor) -> Any:
        if not any(each.requires_grad for each in came):
            return output  # it does not depend on the input
        return _Replaced.apply(rule, module, shape, output, *came)  # type: ignore[no-untyped-call]

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


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
