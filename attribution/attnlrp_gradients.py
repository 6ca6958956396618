"""Operations whose gradient is their rule under AttnLRP and CP-LRP, and what constants absorb.

Relevance is a tensor times its gradient; ``attnlrp_rules`` says which operation has which rule.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


class Absorbed:
    """What constants take of the relevance of each sequence, noted while it passes back.

    Where sequences are not on the first axis, the sum over them alone is right.
    """

    def __init__(self, like: Tensor) -> None:
        self._shares = [torch.zeros_like(like)]
        self._sequences = len(like)

    @property
    def relevance(self) -> Tensor:
        """``(N,)``."""
        return torch.stack(self._shares).sum(0)

    @property
    def size(self) -> Tensor:
        """The sum of absolute values of the same, ``(N,)``."""
        return torch.stack(self._shares).abs().sum(0)

    def add(self, values: Tensor) -> None:
        """Relevance of the shape of any tensor of the network."""
        self._shares.append(self._per_sequence(values.detach()).to(self._shares[0].dtype))

    def _per_sequence(self, values: Tensor) -> Tensor:
        sequences = self._sequences
        if values.ndim and len(values) % sequences == 0:  # heads may be folded into them
            return values.reshape(sequences, -1).sum(1)
        return (values.sum() / sequences).expand(sequences)

    def add_product(self, gradient: Tensor, values: Tensor, share: float = 1) -> None:
        """A share of the relevance of values with this gradient; infinite values without a
        gradient have none."""
        self.add(share * _dot_products(gradient, values))

    def add_constant(self, gradient: Tensor, constant: Tensor) -> None:
        """The relevance of a finite constant among the addends of an output with this gradient."""
        if gradient.ndim and len(gradient) == self._sequences and constant.ndim < gradient.ndim:
            # The same for all sequences: one product, without a tensor of the output's size.
            addend = constant.expand(gradient.shape[1:]).reshape(-1)
            self.add(gradient.reshape(len(gradient), -1) @ addend.to(gradient.dtype))
        else:
            self.add(gradient * constant)


def _dot_products(gradient: Tensor, values: Tensor) -> Tensor:
    """``sum(gradient * values)`` over all but the first axis, where 0 times infinity is 0."""
    # Without a tensor of their size.
    rows, columns = gradient.reshape(len(gradient), 1, -1), values.reshape(len(values), -1, 1)
    products = torch.bmm(rows, columns.to(rows.dtype)).flatten()
    if bool(products.isnan().any()):
        products = (gradient * values).nan_to_num(nan=0).flatten(1).sum(1)
    return products


class Proportional(torch.autograd.Function):
    """An elementwise function whose gradient is ``(f(x) - f(0)) / x``, where ``x`` is 0 the limit
    ``f'(0)``."""

    @staticmethod
    def forward(
        ctx: Any, function: Callable[[Tensor], Tensor], absorbed: Absorbed, values: Tensor
    ) -> Tensor:
        output = function(values)
        at_zero = function(values.new_zeros(1)).item()
        if at_zero:
            # The quotient is off by about eps / x, the limit by about x.
            at_limit = values.abs() <= torch.finfo(values.dtype).eps ** 0.5
        else:
            at_limit = values == 0
        factor = (output - at_zero) / values if at_zero else output / values
        if bool(at_limit.any()):
            factor.masked_fill_(at_limit, _slope_at_zero(function, values))
        ctx.save_for_backward(factor)
        ctx.absorbed, ctx.at_zero = absorbed, at_zero
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        if ctx.at_zero:
            ctx.absorbed.add(gradient * ctx.at_zero)
        (factor,) = ctx.saved_tensors
        return None, None, gradient * factor


def _slope_at_zero(function: Callable[[Tensor], Tensor], like: Tensor) -> float:
    """``f'(0)``."""
    with torch.enable_grad():
        zero = like.new_zeros(1).requires_grad_()
        (slope,) = torch.autograd.grad(function(zero).sum(), zero)
    return slope.item()


class Softmax(torch.autograd.Function):
    """Softmax with its own gradient, which is the Taylor rule; the constant term absorbs."""

    @staticmethod
    def forward(
        ctx: Any, function: Callable[[Tensor], Tensor], dim: int, absorbed: Absorbed, logits: Tensor
    ) -> Tensor:
        weights = function(logits)
        ctx.save_for_backward(logits, weights)
        ctx.dim, ctx.absorbed = dim, absorbed
        return weights

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        logits, weights = ctx.saved_tensors
        # Some rows at a time stay in the cache for what else is made of them; those over which it
        # is normalised stay together.
        over_rows = ctx.dim % logits.ndim == 0
        rows = len(logits) if over_rows else max(1, _CACHED // max(1, logits[0].numel()))
        blocks = zip(*(each.split(rows) for each in (gradient, weights, logits)), strict=True)
        of_logits, absorbed = zip(
            *(_through_softmax(ctx.dim, *each) for each in blocks), strict=True
        )
        ctx.absorbed.add(torch.cat(absorbed))
        return None, None, None, torch.cat(of_logits)


_CACHED = 2**17
"""Numbers of a block of rows: half a megabyte in single precision."""


def _through_softmax(
    dim: int, gradient: Tensor, weights: Tensor, logits: Tensor
) -> tuple[Tensor, Tensor]:
    """The gradient of logits, by torch's kernel for ``s * (g - sum(s * g))``, and what the softmax
    absorbs of each row."""
    of_logits = torch._softmax_backward_data(gradient, weights, dim, logits.dtype)
    return of_logits, _dot_products(gradient, weights) - _dot_products(of_logits, logits)


class LayerNorm(torch.autograd.Function):
    """Layer normalisation whose deviation has no gradient."""

    @staticmethod
    def forward(
        ctx: Any,
        shape: tuple[int, ...],
        weight: Tensor | None,
        bias: Tensor | None,
        epsilon: float,
        absorbed: Absorbed,
        inputs: Tensor,
    ) -> Tensor:
        output, _, inverse = torch.native_layer_norm(inputs, shape, weight, bias, epsilon)
        ctx.save_for_backward(inverse, weight, bias)
        ctx.axes, ctx.absorbed = tuple(range(-len(shape), 0)), absorbed
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        inverse, weight, bias = ctx.saved_tensors
        if bias is not None:
            ctx.absorbed.add_constant(gradient, bias)
        scaled = inverse * gradient if weight is None else (gradient * weight).mul_(inverse)
        return *[None] * 5, scaled - scaled.mean(ctx.axes, keepdim=True)
