"""Linear maps, whether a module makes them or a function that is called outside of modules.

LRP counts the addends of each output by their signs, so it needs weight and bias in its hands. The
first half reads them off a call; the second half finds, in the autograd graph, the linear maps that
were made in some way that it cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.nn import functional

from .graph import REARRANGING, Spans, depends_on_input, nodes, nonlinear, operation


@dataclass(frozen=True, slots=True)
class LinearMap:
    """``apply(inputs, weight) + bias``, affine in ``inputs`` and linear in ``weight``; outputs are
    the first axis of ``weight``, and ``bias`` has the axes of an output without the batch's."""

    inputs: Tensor
    weight: Tensor
    bias: Tensor
    apply: Callable[[Tensor, Tensor], Tensor]

    @property
    def outputs_on_axis_1(self) -> bool:
        """Whether they are where batch normalisation scales them; else they are on the last."""
        return self.apply is not functional.linear or self.inputs.ndim == 2


def dense(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> LinearMap:
    """``(N, ..., input)`` by ``(output, input)`` -> ``(N, ..., output)``."""
    return LinearMap(inputs, weight, _bias(weight, bias), functional.linear)


def convolution(
    inputs: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    apply: Callable[[Tensor, Tensor], Tensor],
) -> LinearMap:
    """``(N, input, site, ...)`` by ``(output, input, width, ...)`` -> ``(N, output, site, ...)``,
    with the bias at every site."""
    sites = [1] * (inputs.ndim - 2)
    return LinearMap(inputs, weight, _bias(weight, bias).reshape(-1, *sites), apply)


def _bias(weight: Tensor, bias: Tensor | None) -> Tensor:
    return torch.zeros_like(weight.flatten(1)[:, 0]) if bias is None else bias


_PARAMETERS = {
    "linear": ("input", "weight", "bias"),
    **dict.fromkeys(
        ("conv1d", "conv2d"),
        ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
    ),
    **dict.fromkeys(("matmul", "__matmul__"), ("input", "other")),
    "mm": ("input", "mat2"),
}


def of_call(
    function: Callable[..., Any], arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> LinearMap | None:
    """The linear map of a function: a convolution, or a product with a matrix, by weights that do
    not depend on the input; None for every other call."""
    name = getattr(function, "__name__", "")
    names = _PARAMETERS.get(name, ())
    # A keyword that is not among the parameters, such as ``out``, makes it a call of another kind.
    named = {**dict(zip(names, arguments, strict=False)), **keywords}
    if len(arguments) > len(names) or not {*names[:2]} <= named.keys() <= {*names}:
        return None
    inputs, weight = named.pop(names[0]), named.pop(names[1])
    bias = named.pop("bias", None)
    if not depends_on_input(inputs):  # ``W @ x`` has the weights first
        return _from_the_left(inputs, weight) if "mat" in name else None
    if depends_on_input(weight) or depends_on_input(bias):
        return None
    if "conv" in name:
        return _of_convolution(function, inputs, weight, bias, named)
    if inputs.ndim < 2 or weight.ndim != 2:
        return None
    return dense(inputs, weight if name == "linear" else weight.T, bias)


def _of_convolution(
    function: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None, how: dict[str, Any]
) -> LinearMap | None:
    """``how`` are stride, padding, dilation and groups."""
    if inputs.ndim != weight.ndim:  # without a batch
        return None
    return convolution(inputs, weight, bias, lambda i, w: function(i, w, None, **how))


def _from_the_left(matrix: Any, inputs: Tensor) -> LinearMap | None:
    """``matrix @ inputs`` ``(N, feature, site)``, a convolution of width 1."""
    if not isinstance(matrix, Tensor) or matrix.ndim != 2 or inputs.ndim != 3:
        return None
    return convolution(inputs, matrix, None, lambda i, w: torch.matmul(w, i))


def unruled(output: Tensor, ruled: Spans) -> list[str]:
    """What makes a linear map on the way to ``output`` outside of the spans with a rule, or may
    make one: autograd functions of the model's own and graphs compiled into one."""
    outside = (node for node in nodes(output) if node not in ruled)
    return sorted({operation(node).lower() for node in outside if _is_linear_map(node)})


def without_rule(output: Tensor, ruled: Spans) -> set[str]:
    """What may keep relevance from adding up on the way to ``output``, outside of the spans with a
    rule: functions that are not proportional to what comes in, and constants that are added."""
    constants = (
        n for n in nodes(output) if _ADDS_CONSTANT.fullmatch(operation(n)) and _takes_a_constant(n)
    )
    outside = {*unproportional(output, ruled), *(n for n in constants if n not in ruled)}
    return {operation(node).lower() for node in outside}


def unproportional(output: Tensor, ruled: Spans) -> list[Node]:
    """The functions on the way to ``output``, outside of the spans with a rule, that are not
    proportional to what comes in."""
    functions = (n for n in nonlinear(output) if not _PROPORTIONAL.fullmatch(operation(n)))
    return [node for node in functions if node not in ruled]


_PROPORTIONAL = re.compile(
    r"Relu|LeakyRelu.*|Prelu.*|Max.*|AdaptiveMaxPool.*|Amax|Min.*|Amin|Abs|Topk|Sort|Where"
)
"""Twice the input has twice the output, so that the gradient hands on all that comes back."""

_ADDS_CONSTANT = re.compile("Add|Sub|Rsub|Addmm|Baddbmm|Addmv|Convolution|.*BatchNorm")
"""What may add one: a bias, a shift, a term without the input in it."""


def _takes_a_constant(node: Node) -> bool:
    """Whether something that an operation adds or multiplies does not depend on the input."""
    return any(parent is None for parent, _ in node.next_functions)


_LINEAR_MAPS = re.compile(
    r".*(Conv.*|[Mm]m|[Mm]v|[Dd]ot|(?<!Upsample)(Linear|Trilinear)|BatchNorm)"
    r"|Addr|Addcmul|Fft.*|.*(Rnn|RNN|Lstm|LSTM|Gru).*|DifferentiableGraph"
)

_ADDS_UP = REARRANGING | {"Sum", "Mean"}


def _is_linear_map(node: Node) -> bool:
    """Whether an operation is, or may hold, a linear map of weights of both signs."""
    kind = operation(node)
    # ``(x * w).sum(1)`` is a matrix product that was written out.
    written_out = kind in ("Sum", "Mean") and _has_weights_of_both_signs(node)
    # Nobody knows what an autograd function of the model's own computes.
    return written_out or isinstance(node, BackwardCFunction) or bool(_LINEAR_MAPS.fullmatch(kind))


def _has_weights_of_both_signs(node: Node) -> bool:
    """Whether a sum adds products with constants of both signs; of one sign, they are a mean or a
    mask, which hand relevance on in proportion as pooling does."""
    # Back over what only rearranges or adds, to the product that it adds.
    while operation(node) in _ADDS_UP and node.next_functions[0][0] is not None:
        node = node.next_functions[0][0]
    if operation(node) not in ("Mul", "Div"):
        return False
    (first, _), (second, _) = node.next_functions
    if first is not None and second is not None:
        return False
    constant: Tensor = getattr(node, "_saved_self" if first is None else "_saved_other")
    return bool((constant > 0).any() and (constant < 0).any())
