"""The rules of DeepLIFT for functions, called outside of modules or by modules without a rule.

They are those of modules (``deeplift_rules``). What is made of functions that have a rule, as
attention is, is written out.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import eager_attention
from .deeplift_rules import (
    DeepLiftRule,
    adaptive_max_pool,
    bilinear,
    layer_norm,
    log_softmax,
    max_pool,
    maximum,
    rms_norm,
    secant,
    softmax,
)
from .graph import depends_on_input
from .rules import OperationCall, of_one_input, without

ByRule = Callable[..., Tensor]
"""``(rule, module, shape, output, *inputs)`` -> the output with the backward pass of the rule."""


class Functions(TorchFunctionMode):
    """In this context functions have rules: elementwise ones, products of two tensors that depend
    on the input, as gates and attention are mostly written, maxima, softmax and normalisation.

    ``shape`` ``(input, row)`` is how rows are grouped. ``depth`` counts the modules with a rule
    that run now: what runs within one is its rule's.
    """

    def __init__(self, shape: tuple[int, ...], by_rule: ByRule) -> None:
        super().__init__()
        self.shape = shape
        self.depth = 0
        self._by_rule = by_rule

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = FUNCTION_RULES.get(getattr(function, "__name__", ""))
        if self.depth or rule is None or "out" in kwargs:
            return function(*args, **kwargs)
        call = OperationCall(function, tuple(args), kwargs)
        if not any(map(depends_on_input, call.tensors())):
            return call.run()
        return rule(self, call)

    def ruled(self, rule: DeepLiftRule, module: Any, output: Tensor, *inputs: Tensor) -> Tensor:
        """The output with the backward pass of a rule."""
        return self._by_rule(rule, module, self.shape, output.detach(), *inputs)

    def has_rows(self, *tensors: Tensor) -> bool:
        """Whether the first axis is that of sequences and references, with sites or heads folded
        into it; where it is not, completeness will tell."""
        rows = math.prod(self.shape)
        return all(each.ndim > 0 and len(each) % rows == 0 for each in tensors)


FunctionRule = Callable[[Functions, OperationCall], Any]
"""The output of a call, with the backward pass of the rule."""


def _elementwise(functions: Functions, call: OperationCall) -> Any:
    values, function, in_place = of_one_input(call)
    if len(call.tensors()) > 1 or not functions.has_rows(values):
        return call.run()
    inputs = values.clone() if in_place else values  # it may be rewritten
    output = function(inputs.detach())
    ruled = functions.ruled(secant, SimpleNamespace(forward=function), output, inputs)
    return values.copy_(ruled) if in_place else ruled


def _product(functions: Functions, call: OperationCall) -> Any:
    # By name too (``input`` sorts before ``mat2`` and ``other``), or in a list, as for einsum.
    by_name = dict(sorted(call.keywords.items()))
    factors = OperationCall(call.function, call.arguments, by_name).tensors()
    if len(factors) != 2 or not all(map(depends_on_input, factors)):
        return call.run()
    output = call.changed(Tensor.detach).run()
    if not functions.has_rows(*factors, output):
        return call.run()
    equation = [each for each in call.arguments if isinstance(each, str)]
    module = SimpleNamespace(forward=lambda *factors: call.function(*equation, *factors))
    return functions.ruled(bilinear, module, output, *factors)


def _quotient(functions: Functions, call: OperationCall) -> Any:
    """``a / b`` is ``a`` times the inverse of ``b``."""
    numerator, denominator = call.argument(0, "input"), call.argument(1, "other")
    if not depends_on_input(denominator) or call.keywords.get("rounding_mode"):
        return call.run()
    with functions:
        return numerator * denominator.reciprocal()


def _inverse(functions: Functions, call: OperationCall) -> Any:
    """``a / x`` of a number, ``__rdiv__``: its first argument is the denominator."""
    with functions:
        return call.arguments[0].reciprocal() * call.arguments[1]


def _power(functions: Functions, call: OperationCall) -> Any:
    if isinstance(call.argument(1, "exponent"), Tensor):
        return call.run()
    return _elementwise(functions, call)


def _softmax(functions: Functions, call: OperationCall) -> Any:
    return _over_an_axis(functions, call, softmax, nn.Softmax)


def _log_softmax(functions: Functions, call: OperationCall) -> Any:
    return _over_an_axis(functions, call, log_softmax, nn.LogSoftmax)


def _over_an_axis(
    functions: Functions, call: OperationCall, rule: DeepLiftRule, kind: type[nn.Module]
) -> Any:
    values = call.argument(0, "input")
    if not functions.has_rows(values):
        return call.run()
    output = call.changed(Tensor.detach).run()
    # In the precision that it may be told to compute in.
    module = kind(call.argument(1, "dim"))
    return functions.ruled(rule, module, output, values.to(output.dtype))


def _layer_norm(functions: Functions, call: OperationCall) -> Any:
    names = ("input", "normalized_shape", "weight", "bias", "eps")
    return _normalised(functions, call, layer_norm, names)


def _rms_norm(functions: Functions, call: OperationCall) -> Any:
    return _normalised(functions, call, rms_norm, ("input", "normalized_shape", "weight", "eps"))


def _normalised(
    functions: Functions, call: OperationCall, rule: DeepLiftRule, names: tuple[str, ...]
) -> Any:
    defaults = {"eps": 1e-5} if "bias" in names else {}
    given = {
        name: call.argument(place, name, defaults.get(name)) for place, name in enumerate(names)
    }
    values = given.pop("input")
    if not functions.has_rows(values):
        return call.run()
    output = call.changed(Tensor.detach).run()
    return functions.ruled(rule, SimpleNamespace(**given), output, values)


def _max_pool(functions: Functions, call: OperationCall) -> Any:
    """Of one or two axes, by a window or to a number of sites."""
    name, values = call.function.__name__, call.argument(0, "input")
    if not functions.has_rows(values) or call.keywords.get("return_indices"):
        return call.run()
    how = call.keywords | dict(zip(_POOLED_BY[name], call.arguments[1:], strict=False))
    output = call.changed(Tensor.detach).run()
    module = _POOLS[name](**without(how, "input", "return_indices"))
    rule = adaptive_max_pool if name.startswith("adaptive") else max_pool
    return functions.ruled(rule, module, output, values)


_POOLS: dict[str, Any] = {
    "max_pool1d": nn.MaxPool1d,
    "max_pool2d": nn.MaxPool2d,
    "adaptive_max_pool1d": nn.AdaptiveMaxPool1d,
    "adaptive_max_pool2d": nn.AdaptiveMaxPool2d,
}
_WINDOW = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_POOLED_BY = {name: ("output_size",) if name.startswith("adaptive") else _WINDOW for name in _POOLS}


def _maximum(functions: Functions, call: OperationCall) -> Any:
    """``amax``, and the values of ``max``, over one axis."""
    values, dim = call.argument(0, "input"), call.argument(1, "dim")
    axes = dim if isinstance(dim, tuple | list) else [dim]
    if len(axes) != 1 or not isinstance(axes[0], int) or not functions.has_rows(values):
        return call.run()
    output = call.changed(Tensor.detach).run()
    largest, *places = [output] if isinstance(output, Tensor) else output
    ruled = functions.ruled(maximum, SimpleNamespace(dim=axes[0]), largest, values)
    return type(output)([ruled, *places]) if places else ruled


def _glu(functions: Functions, call: OperationCall) -> Any:
    with functions:
        values, gate = call.argument(0, "input").chunk(2, call.argument(1, "dim", -1))
        return values * gate.sigmoid()


def _attention(functions: Functions, call: OperationCall) -> Any:
    with functions:
        return eager_attention.scaled_dot_product_attention(*call.arguments, **call.keywords).output


def _multi_head_attention(functions: Functions, call: OperationCall) -> Any:
    with functions:
        attended = eager_attention.multi_head_attention_forward(*call.arguments, **call.keywords)
    return attended.output, attended.weights


def _added_product(functions: Functions, call: OperationCall) -> Any:
    addend, first, second = call.arguments[:3]
    beta, alpha = call.keywords.get("beta", 1), call.keywords.get("alpha", 1)
    with functions:
        return beta * addend + alpha * torch.matmul(first, second)


FUNCTION_RULES: dict[str, FunctionRule] = {
    **dict.fromkeys(
        (
            *("relu", "relu_", "relu6", "leaky_relu", "leaky_relu_", "elu", "elu_", "celu"),
            *("selu", "selu_", "gelu", "silu", "silu_", "mish", "sigmoid", "sigmoid_", "tanh"),
            *("tanh_", "softplus", "softsign", "logsigmoid", "hardtanh", "hardswish"),
            *("hardsigmoid", "tanhshrink", "softshrink", "hardshrink", "exp", "exp_", "log"),
            *("log1p", "expm1", "sqrt", "rsqrt", "square", "reciprocal", "abs", "clamp"),
            *("clamp_", "clamp_min", "clamp_max", "clip", "erf", "sin", "cos"),
        ),
        _elementwise,
    ),
    **dict.fromkeys(("pow", "__pow__"), _power),
    **dict.fromkeys(
        ("mul", "__mul__", "__rmul__", "multiply", "matmul", "__matmul__", "bmm", "einsum"),
        _product,
    ),
    **dict.fromkeys(("div", "true_divide", "divide", "__truediv__"), _quotient),
    **dict.fromkeys(("__rdiv__", "__rtruediv__"), _inverse),
    **dict.fromkeys(("addmm", "baddbmm"), _added_product),
    **dict.fromkeys(_POOLS, _max_pool),
    **dict.fromkeys(("amax", "max"), _maximum),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "glu": _glu,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
}
"""By the name of the function; the gradient of any other passes as it is."""
