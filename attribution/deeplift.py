"""DeepLIFT that is exact on the networks of DNA, and refuses what it has no rule for.

Captum's engine runs the input and its reference as two halves of one batch; the rules here say how
a gradient (a *multiplier*) passes a module, given what both halves were before and after it. Each
keeps the sum: multipliers times the change of what came in = multiplier times the change of what
went out. Both halves always carry the same multiplier.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from captum.attr import DeepLift
from torch import Tensor, nn
from torch.nn import functional

from xaibench.errors import NotApplicable
from xaibench.explain import ExplainedView
from xaibench.layers import WeightedSum
from xaibench.protocols import method
from xaibench.values import Attribution

PAIRS = 256
"""How many pairs of input and reference a call of the model may have: 512 rows."""


@method(completeness=1e-4)
def deeplift(model: Any, inputs: Tensor, target: Tensor, *, references: Tensor) -> Attribution:
    """DeepLIFT by the rescale rule, the mean over references (*Shrikumar et al. 2017*; *Lundberg
    and Lee 2017*).

    ``references`` ``(N, K, C, S)``. ``hypothetical`` is the mean over references of ``multiplier of
    the base - sum over bases of multiplier x reference``; ``contributions`` are that at the
    observed base, so a zero column (N, padding) contributes nothing. NotApplicable where a module
    has no rule.
    """
    inputs = inputs.detach()
    multipliers, changes, outputs = rescale(model, inputs, target, references)
    explained = (multipliers * (inputs.unsqueeze(1) - references)).sum((2, 3))
    at_reference = (multipliers * references).sum(2, keepdim=True)
    hypothetical = (multipliers - at_reference).mean(1)
    error = (explained - changes).abs() + (outputs - _unhooked(model, inputs, target)).abs()
    return Attribution(
        contributions=hypothetical * inputs,
        hypothetical=hypothetical,
        completeness_error=error.amax(1),
        output_change=changes.square().mean(1).sqrt(),
    )


class Rescaled(NamedTuple):
    """``multipliers`` ``(N, K, C, S)``; the ``changes`` ``(N, K)`` of the output from reference to
    input, which they account for; the ``outputs`` ``(N, K)`` for the input."""

    multipliers: Tensor
    changes: Tensor
    outputs: Tensor


def rescale(model: Any, inputs: Tensor, target: Tensor, references: Tensor) -> Rescaled:
    """Multipliers for every pair of an input ``(N, C, S)`` and one of its references."""
    sequences, count = references.shape[:2]
    engine = _Rescale(model)
    multipliers, outputs = [], []
    for pairs in torch.split(torch.arange(sequences * count, device=inputs.device), PAIRS):
        rows = pairs // count
        of_pairs, halves = engine.run(
            inputs.detach()[rows], references.flatten(0, 1)[pairs], target[rows]
        )
        multipliers.append(of_pairs)
        outputs.append(torch.stack(halves.chunk(2)))
    at_input, at_reference = torch.cat(outputs, dim=1).reshape(2, sequences, count)
    shape = (sequences, count, *inputs.shape[1:])
    return Rescaled(torch.cat(multipliers).reshape(shape), at_input - at_reference, at_input)


def _unhooked(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """The outputs ``(N, 1)`` without our copies, which keep operations in place from one another:
    a model that relies on those computes something else while it is hooked."""
    with torch.no_grad():
        outputs: Tensor = model(inputs).gather(1, target.unsqueeze(1))
    return outputs


@dataclass(slots=True)
class Passage:
    """One tensor's way through one call of a module; the batch axis holds inputs, then references.

    ``gradient_before`` is what plain backpropagation would hand on.
    """

    module: Any
    before: Tensor
    after: Tensor
    gradient_before: Tensor
    gradient_after: Tensor


Rule = Callable[[Passage], Tensor]
"""What to hand on to one half."""


def secant(passage: Passage) -> Tensor:
    """An elementwise function: the slope of the line between input and reference.

    Where they are (nearly) the same, the slope at the input.
    """
    before, after = _change(passage.before), _change(passage.after)
    apart = before.abs() > (1e-10 if before.dtype == torch.float64 else 1e-6)
    slope = after / before.where(apart, 1)
    return torch.where(
        apart, _first(passage.gradient_after) * slope, _first(passage.gradient_before)
    )


def product(passage: Passage) -> Tensor:
    """A product of factors that both change: each factor's change times the mean of the other."""
    first, second = passage.gradient_before.chunk(2)
    return (first + second) / 2


def max_pool(passage: Passage) -> Tensor:
    """Max pooling over sites, windows overlapping or not."""
    module = passage.module
    _, winners = functional.max_pool1d(
        passage.before,
        module.kernel_size,
        module.stride,
        module.padding,
        module.dilation,
        module.ceil_mode,
        return_indices=True,
    )
    return _to_winners(passage, winners)


def adaptive_max_pool(passage: Passage) -> Tensor:
    """Max pooling to a wanted number of sites."""
    size = passage.module.output_size
    _, winners = functional.adaptive_max_pool1d(passage.before, size, return_indices=True)
    return _to_winners(passage, winners)


def _to_winners(passage: Passage, winners: Tensor) -> Tensor:
    """Split the change of each maximum between the site that won in the input and the one that won
    in the reference: each is charged with the way from the other half's maximum to the larger."""
    first, second = passage.after.chunk(2)
    top = torch.maximum(first, second)
    charged = torch.cat([top - second, first - top]) * passage.gradient_after
    moved = torch.zeros_like(passage.before)
    moved.scatter_add_(-1, winners, charged)  # windows may overlap: a site can win twice
    change = _change(passage.before)
    apart = change != 0
    slope = (_first(moved) + moved.chunk(2)[1]) / change.where(apart, 1)
    return torch.where(apart, slope, _first(passage.gradient_before))


def softmax(passage: Passage) -> Tensor:
    """``exp / sum``: secants of exp and of 1/sum, and the product rule between them.

    Undefined (NaN) where the largest logits of input and reference are so far apart that the
    smaller one's exponential is zero: 88 in float32.
    """
    axis = passage.module.dim
    first, second = passage.before.chunk(2)
    top = torch.maximum(first, second).amax(axis, keepdim=True)
    high, low = (first - top).exp(), (second - top).exp()
    inverse_high, inverse_low = 1 / high.sum(axis, keepdim=True), 1 / low.sum(axis, keepdim=True)
    distance = (first - second).abs()
    apart = distance > 0
    fall = torch.where(apart, -torch.expm1(-distance) / distance.where(apart, 1), 1)
    slope_of_exp = torch.maximum(high, low) * fall
    slope_of_inverse = -inverse_high * inverse_low
    gradient = _first(passage.gradient_after)
    through_sum = (gradient * (high + low) / 2).sum(axis, keepdim=True) * slope_of_inverse
    return (gradient * (inverse_high + inverse_low) / 2 + through_sum) * slope_of_exp


def _first(halves: Tensor) -> Tensor:
    return halves.chunk(2)[0]


def _change(halves: Tensor) -> Tensor:
    first, second = halves.chunk(2)
    return first - second


_ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.Softsign, nn.LogSigmoid),
    *(nn.Hardtanh, nn.Hardswish, nn.Hardsigmoid, nn.Tanhshrink),
)

RULES: dict[type[nn.Module], Rule] = {
    **dict.fromkeys(_ELEMENTWISE, secant),
    nn.MaxPool1d: max_pool,
    nn.AdaptiveMaxPool1d: adaptive_max_pool,
    nn.Softmax: softmax,
    WeightedSum: product,
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


class _Rescale(DeepLift):  # type: ignore[misc]  # Captum ships no types
    """Captum's DeepLift with the rules above, hooked so that no two modules share a tensor."""

    def __init__(self, model: Any) -> None:
        super().__init__(model, multiply_by_inputs=False)
        self._whole = model.classifier if isinstance(model, ExplainedView) else model
        self._paths = {module: path for path, module in self._whole.named_modules()}
        self._outputs = torch.empty(0)

    def run(self, inputs: Tensor, references: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Pairs ``(P, C, S)`` -> their multipliers, and the outputs ``(2 P,)`` of both halves."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it sets hooks
            multipliers = self.attribute(inputs.requires_grad_(), references, target=target)
        return multipliers.detach(), self._outputs

    def _construct_forward_func(self, *arguments: Any) -> Callable[[], Tensor]:
        forward = super()._construct_forward_func(*arguments)

        def forward_and_keep() -> Tensor:
            outputs: Tensor = forward()
            self._outputs = outputs.detach()
            return outputs

        return forward_and_keep

    def _register_hooks(self, module: nn.Module, attribute_to_layer_input: bool = True) -> None:
        rule = RULES.get(type(module))
        if rule is not None:
            self.forward_handles += _hook(module, rule)
        elif not self._passes(module):
            self.forward_handles.append(module.register_forward_pre_hook(self._refuse))

    def _passes(self, module: nn.Module) -> bool:
        """Whether backpropagation may pass as it is: containers, the model itself, linear maps."""
        if any(module.children()) or module is self._whole:
            return True
        batch_statistics = isinstance(module, nn.BatchNorm1d) and module.running_mean is None
        return type(module) in LINEAR and not batch_statistics

    def _refuse(self, module: nn.Module, arguments: Any) -> None:
        path, kind = self._paths[module], type(module).__name__
        raise NotApplicable(f"deeplift has no rule for {path} ({kind})")


def _hook(module: nn.Module, rule: Rule) -> list[Any]:
    """Make gradients pass a module by its rule.

    Each hook sits on a copy of its own: neighbours would otherwise rewrite one tensor twice, and an
    operation in place would rewrite what was kept. A module may run more than once.
    """
    kept: dict[str, Tensor] = {}

    def before(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        nonlocal kept
        kept = {}
        return tuple(_rewrite(argument, module, rule, kept) for argument in arguments)

    def after(module: nn.Module, arguments: Any, output: Tensor) -> Tensor:
        call = kept
        call["after"] = output.detach()
        if output.requires_grad:
            output.register_hook(lambda gradient: call.update(gradient=gradient))  # type: ignore[no-untyped-call]
        return output.clone()

    return [module.register_forward_pre_hook(before), module.register_forward_hook(after)]


def _rewrite(argument: Tensor, module: nn.Module, rule: Rule, call: dict[str, Tensor]) -> Tensor:
    own = argument.clone()
    # A hook that held its own tensor would keep the whole graph alive until a garbage collection.
    before = own.detach()

    def rewritten(gradient: Tensor) -> Tensor:
        half = rule(Passage(module, before, call["after"], gradient, call["gradient"]))
        return torch.cat([half, half])

    if own.requires_grad:
        own.register_hook(rewritten)  # type: ignore[no-untyped-call]
    return own.clone() if getattr(module, "inplace", False) else own
