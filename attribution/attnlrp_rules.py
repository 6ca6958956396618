"""The rules of AttnLRP and CP-LRP: how relevance passes an operation.

Both see a network as the operations that it calls, inside of modules or not. Relevance is a tensor
times its gradient, and most gradients already hand it on as a rule says: of a sum ``y = a + b`` the
addend ``a`` gets ``a R / y``, of a linear map ``x_i`` gets ``sum_j x_i W_ji R_j / y_j`` (LRP-0).
Others are changed (*Achtibat et al. 2024*; *Ali et al. 2022*):

    operation             AttnLRP                           CP-LRP
    elementwise f(x)      R                                 R
    products a b, A B     R / 2 to each factor              the same; nothing to a gate
    softmax s(x)          x (R - s sum(R))                  held constant
    layer, RMS norm       the deviation is held constant    the same

``R`` is handed on by ``f(x) / x`` in the place of the derivative, ``R / 2`` by half a gradient;
what is held constant has none. Ours: an activation hands on all but what it is at 0; whatever
normalises (a denominator, a root, a deviation) is held constant; a gate is a factor that comes
straight out of an activation where the other does not.

Constants that are added, biases and masks, take their share of the relevance (``Absorbed``). So
does a softmax under AttnLRP: its rule is that of its Taylor expansion, which has a constant term.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from xaibench.errors import NotApplicable

from . import eager_attention
from .attnlrp_gradients import Absorbed, LayerNorm, Proportional, Softmax
from .graph import REARRANGING, depends_on_input, operation
from .lrp_rules import Propagation
from .rules import OperationCall, of_one_input, out_of_place, signature, without


class Operations(TorchFunctionMode):
    """In this context every operation has the gradient that its rule gives it.

    ``constant_attention`` is CP-LRP, else it is AttnLRP. Modules with a rule of a user's own are
    left alone (``propagation.ruled``).
    """

    def __init__(self, propagation: Propagation, *, constant_attention: bool) -> None:
        super().__init__()
        self.propagation = propagation
        self.constant_attention = constant_attention
        self.absorbed = Absorbed(propagation.bias_unit.detach())
        self.heads: list[Tensor] = []

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = OPERATION_RULES.get(getattr(function, "__name__", ""))
        if rule is None or self.propagation.ruled.depth:
            return function(*args, **kwargs)
        call = OperationCall(function, tuple(args), kwargs)
        if not any(map(depends_on_input, call.tensors())):
            return call.run()
        return rule(self, call)

    @contextmanager
    def ruled(self) -> Iterator[None]:
        """What is recorded in here has its rule."""
        self.propagation.ruled.enter()
        try:
            yield
        finally:
            self.propagation.ruled.leave()

    def absorbs(self, output: Tensor, constant: Tensor) -> None:
        """``constant`` is a finite addend of the output."""
        absorbed = self.absorbed

        def absorb(gradient: Tensor) -> None:
            absorbed.add_constant(gradient, constant)

        if depends_on_input(output):
            output.register_hook(absorb)  # type: ignore[no-untyped-call]


OperationRule = Callable[[Operations, OperationCall], Any]
"""The output of a call, with the gradient of the rule."""


# Elementwise functions


def _elementwise(operations: Operations, call: OperationCall) -> Any:
    """All relevance is handed on, but for what the function is at 0."""
    if len(call.tensors()) > 1:
        return call.run()  # bounds that are tensors
    values, function, in_place = of_one_input(call)
    with operations.ruled():
        output = Proportional.apply(function, operations.absorbed, values)  # type: ignore[no-untyped-call]
    return values.copy_(output) if in_place else output


def _power(operations: Operations, call: OperationCall) -> Any:
    """``x^p``: a product of itself for ``p >= 1``; a root, or the inverse of one, normalises."""
    exponent = call.argument(1, "exponent")
    if isinstance(exponent, Tensor):
        return call.run()  # nobody knows what becomes of it
    return (_elementwise if exponent >= 1 else _normaliser)(operations, call)


def _normaliser(operations: Operations, call: OperationCall) -> Any:
    """Held constant."""
    return call.changed(Tensor.detach).run()


# Products


def _product(operations: Operations, call: OperationCall) -> Any:
    """The same share of the relevance to each of the factors that depend on the input."""
    factors = sum(map(depends_on_input, call.tensors()))
    if factors == 1:
        return call.run()
    share = 1 / factors
    with operations.ruled():
        if _is_larger_than_its_factors(call):
            return call.changed(lambda factor: _scaled_gradient(factor, share)).run()
        output = call.run()
        output.register_hook(lambda gradient: gradient * share)
        # Whoever asks for the gradient of the output gets that before it is halved.
        return output if call.function.__name__.endswith("_") else output.view_as(output)


def _scaled_gradient(values: Tensor, share: float) -> Tensor:
    """The values; their gradient times a number."""
    if not depends_on_input(values):
        return values
    alias = values.view_as(values)
    alias.register_hook(lambda gradient: gradient * share)  # type: ignore[no-untyped-call]
    return alias


def _is_larger_than_its_factors(call: OperationCall) -> bool:
    """Whether it is a product of matrices, as of queries and keys, that is larger than these: then
    it is faster to halve their gradients, which comes to the same."""
    if call.function.__name__ not in ("matmul", "bmm") or len(call.arguments) != 2:
        return False
    first, second = call.arguments
    if min(first.ndim, second.ndim) < 2:
        return False
    rows, inner, columns = first.shape[-2], first.shape[-1], second.shape[-1]
    return bool(rows * columns > inner * (rows + columns))


def _elementwise_product(operations: Operations, call: OperationCall) -> Any:
    """A product; under CP-LRP nothing to a gate."""
    gates = [each for each in call.tensors() if depends_on_input(each) and _is_gate(each)]
    factors = sum(map(depends_on_input, call.tensors()))
    if operations.constant_attention and factors > 1 and len(gates) == 1:
        call = call.changed(lambda each: each.detach() if each is gates[0] else each)
    return _product(operations, call)


def _is_gate(factor: Tensor) -> bool:
    """Whether an activation gave it."""
    node = factor.grad_fn
    while node is not None and operation(node) in _PASSED_BY:
        node = node.next_functions[0][0]
    return node is not None and operation(node) in _ACTIVATED


_PASSED_BY = REARRANGING | {"Split", "SplitWithSizes"}
_ACTIVATED = {"Proportional", "Relu", "LeakyRelu", "PreluKernel"}


def _division(operations: Operations, call: OperationCall) -> Any:
    """The denominator is held constant."""
    numerator, denominator = call.argument(0, "input"), call.argument(1, "other")
    if not depends_on_input(denominator):
        return call.run()
    return call.function(
        numerator, denominator.detach(), **without(call.keywords, "input", "other")
    )


# Sums, and linear maps with a bias


def _addition(operations: Operations, call: OperationCall) -> Any:
    """Each addend has its share; a constant absorbs it."""
    addends = call.arguments[:2] if len(call.arguments) > 1 else (call.keywords["other"],)
    if all(map(depends_on_input, addends)):
        return call.run()
    without_input = call.changed(lambda e: e.new_zeros(()) if depends_on_input(e) else e)
    function = out_of_place(call.function)
    # Before: what works in place may rewrite it.
    constant = function(*without_input.arguments, **without_input.keywords)
    output = call.run()
    _absorb_mask(operations, output, constant)
    return output


def _joined(operations: Operations, call: OperationCall) -> Any:
    """Concatenation: constants among what is joined absorb their share."""
    if all(map(depends_on_input, call.tensors())):
        return call.run()
    return _filled(operations, call)


def _filled(operations: Operations, call: OperationCall) -> Any:
    """What becomes of zeros is a constant, and absorbs its share."""
    without_input = call.changed(lambda e: torch.zeros_like(e) if depends_on_input(e) else e)
    output = call.run()
    _absorb_mask(operations, output, without_input.run())
    return output


def _absorb_mask(operations: Operations, output: Tensor, constant: Tensor) -> None:
    """A constant, infinite where something is left out: that has no gradient."""
    finite = constant.masked_fill(constant.isinf(), 0)
    if bool(finite.any()):
        operations.absorbs(output, finite)


def _masked_fill(operations: Operations, call: OperationCall) -> Any:
    """The value that is filled in absorbs its share; a mask of -inf has none."""
    value = call.argument(2, "value")
    if not isinstance(value, Tensor) and (value == 0 or math.isinf(value)):
        return call.run()
    return _filled(operations, call)


def _with_bias(operations: Operations, call: OperationCall) -> Any:
    """``linear`` and convolutions; of weights that depend on the input, a product."""
    output = _product(operations, call)
    bias = call.argument(2, "bias")
    if bias is not None and not depends_on_input(bias):
        per_site = 0 if call.function.__name__ == "linear" else output.ndim - 2
        operations.absorbs(output, bias.reshape(-1, *[1] * per_site))
    return output


def _batch_norm(operations: Operations, call: OperationCall) -> Any:
    """A linear map in eval mode. NotApplicable with statistics of the batch."""
    given = _bound(call, functional.batch_norm)
    if given.training or given.running_mean is None:
        raise NotApplicable("lrp: batch normalisation by statistics of the batch mixes sequences")
    output = call.run()
    given.input = torch.zeros_like(given.running_mean).unsqueeze(0)
    shift = functional.batch_norm(**vars(given))
    operations.absorbs(output, shift.reshape(-1, *[1] * (output.ndim - 2)))
    return output


def _bound(call: OperationCall, function: Any) -> SimpleNamespace:
    """The arguments of a function of ``torch.nn.functional`` by name. NotApplicable for one beneath
    it of the same name, which takes them in another order."""
    if call.function is not function:
        name = function.__name__
        raise NotApplicable(f"lrp: expected {name} of torch.nn.functional, got another {name}")
    bound = signature(function).bind(*call.arguments, **call.keywords)
    bound.apply_defaults()
    return SimpleNamespace(**bound.arguments)


def _added_product(operations: Operations, call: OperationCall) -> Any:
    """``addmm`` and ``baddbmm``: a product and a sum."""
    addend, first, second = call.arguments[:3]
    beta, alpha = call.keywords.get("beta", 1), call.keywords.get("alpha", 1)
    with operations:
        return beta * addend + alpha * (first @ second)


# Normalisation and softmax


def _layer_norm(operations: Operations, call: OperationCall) -> Any:
    """The deviation is held constant."""
    inputs, shape = call.argument(0, "input"), call.argument(1, "normalized_shape")
    weight, bias = call.argument(2, "weight"), call.argument(3, "bias")
    epsilon = call.argument(4, "eps", 1e-5)
    with operations.ruled():
        return LayerNorm.apply(  # type: ignore[no-untyped-call]
            tuple(shape), weight, bias, epsilon, operations.absorbed, inputs
        )


def _rms_norm(operations: Operations, call: OperationCall) -> Any:
    """What it divides by is held constant."""
    inputs, shape = call.argument(0, "input"), call.argument(1, "normalized_shape")
    weight, epsilon = call.argument(2, "weight"), call.argument(3, "eps")
    epsilon = torch.finfo(inputs.dtype).eps if epsilon is None else epsilon
    squares = inputs.detach().square().mean(tuple(range(-len(shape), 0)), keepdim=True)
    scaled = inputs * (squares + epsilon).rsqrt()
    return scaled if weight is None else scaled * weight


def _group_norm(operations: Operations, call: OperationCall) -> Any:
    """Layer normalisation of each group of channels."""
    names = ("input", "num_groups", "weight", "bias", "eps")
    inputs, groups, weight, bias, epsilon = (
        call.argument(place, name) for place, name in enumerate(names)
    )
    with operations:
        return _normalised_groups(
            inputs, groups, weight, bias, 1e-5 if epsilon is None else epsilon
        )


def _instance_norm(operations: Operations, call: OperationCall) -> Any:
    """Layer normalisation of each channel; by running statistics, batch normalisation."""
    given = _bound(call, functional.instance_norm)
    inputs, weight, bias = given.input, given.weight, given.bias
    with operations:
        if given.use_input_stats:
            return _normalised_groups(inputs, inputs.shape[1], weight, bias, given.eps)
        mean, variance = given.running_mean, given.running_var
        return functional.batch_norm(inputs, mean, variance, weight, bias, eps=given.eps)


def _normalised_groups(
    inputs: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None, epsilon: float
) -> Tensor:
    """``(N, channel, site ...)`` -> the same."""
    grouped = inputs.reshape(len(inputs), groups, -1)
    normal = functional.layer_norm(grouped, grouped.shape[2:], eps=epsilon).view_as(inputs)
    per_site = [1] * (inputs.ndim - 2)
    normal = normal if weight is None else normal * weight.reshape(-1, *per_site)
    return normal if bias is None else normal + bias.reshape(-1, *per_site)


def _softmax(operations: Operations, call: OperationCall) -> Any:
    """Its Taylor expansion at the logits; under CP-LRP held constant."""
    if operations.constant_attention:
        return call.run().detach()
    logits, dim = call.argument(0, "input"), call.argument(1, "dim")
    rest = call.arguments[1:]
    keywords = without(call.keywords, "input")
    if dim is None:
        raise NotApplicable("lrp: softmax without dim; name the axis")
    with operations.ruled():
        return Softmax.apply(  # type: ignore[no-untyped-call]
            lambda logits: call.function(logits, *rest, **keywords),
            dim,
            operations.absorbed,
            logits,
        )


def _log_softmax(operations: Operations, call: OperationCall) -> Any:
    """``x - log sum exp(x)``, whose second term is held constant: in a difference of two classes it
    cancels."""
    logits, dim = call.argument(0, "input"), call.argument(1, "dim")
    with operations:
        return logits - torch.logsumexp(logits.detach(), dim, keepdim=True)


# Compositions


def _glu(operations: Operations, call: OperationCall) -> Any:
    """``a sigmoid(b)`` of the two halves of an axis."""
    with operations:
        values, gate = call.argument(0, "input").chunk(2, call.argument(1, "dim", -1))
        return values * gate.sigmoid()


_SCALED_DOT_PRODUCT = inspect.signature(eager_attention.scaled_dot_product_attention)


def _attention(operations: Operations, call: OperationCall) -> Any:
    """``scaled_dot_product_attention``: half of the relevance goes to the values, a quarter to
    queries and keys each, of which softmax and mask absorb a part; under CP-LRP all to the values.

    Gradients of torch's function are linear in those of its products, so that these need not be
    written out (*Achtibat et al. 2024*). Under a mask that depends on the input they are.
    """
    given = _SCALED_DOT_PRODUCT.bind(*call.arguments, **call.keywords)
    given.apply_defaults()
    if given.arguments["dropout_p"]:
        raise NotApplicable("lrp: attention with dropout in eval mode, its outputs are random")
    query, key, value = (given.arguments.pop(each) for each in ("query", "key", "value"))
    if depends_on_input(given.arguments["attn_mask"]):
        with operations:
            attended = eager_attention.scaled_dot_product_attention(
                query, key, value, **given.arguments
            )
        operations.heads.append(attended.heads)
        return attended.output
    if operations.constant_attention:
        query, key = query.detach(), key.detach()
    matched = sum(map(depends_on_input, (query, key)))
    of_product = 1 / max(1, bool(matched) + depends_on_input(value))
    with operations.ruled():
        output = call.function(
            *(_sharing(operations, each, of_product / max(1, matched)) for each in (query, key)),
            _scaled_gradient(value, of_product),
            **given.arguments,
        )
    if matched:
        _hand_on(operations, output, of_product)
    operations.heads.append(output)
    return output


def _sharing(operations: Operations, values: Tensor, share: float) -> Tensor:
    """Queries or keys, with a share of their gradient; what they do not get of the relevance of the
    weights is absorbed."""
    alias = _scaled_gradient(values, share)
    _hand_on(operations, alias, -1)
    return alias


def _hand_on(operations: Operations, values: Tensor, share: float) -> None:
    """A share of the relevance of values is absorbed."""
    detached, absorbed = values.detach(), operations.absorbed

    def absorb(gradient: Tensor) -> None:
        absorbed.add_product(gradient * share, detached)

    if depends_on_input(values):
        values.register_hook(absorb)  # type: ignore[no-untyped-call]


def _multi_head_attention(operations: Operations, call: OperationCall) -> Any:
    """``multi_head_attention_forward`` in single operations."""
    with operations:
        attended = eager_attention.multi_head_attention_forward(*call.arguments, **call.keywords)
    if attended.weights is not None:  # else ``attention`` has noted them
        operations.heads.append(attended.heads)
    return attended.output, attended.weights


def _named(rule: OperationRule, *names: str) -> dict[str, OperationRule]:
    """Functions by name; the methods of tensors, operators and what works in place beside them."""
    return dict.fromkeys(names, rule)


OPERATION_RULES: dict[str, OperationRule] = {
    **_named(
        _elementwise, "gelu", "silu", "silu_", "mish", "mish_", "elu", "elu_", "selu", "selu_"
    ),
    **_named(_elementwise, "celu", "celu_", "sigmoid", "sigmoid_", "tanh", "tanh_", "softplus"),
    **_named(_elementwise, "softsign", "logsigmoid", "tanhshrink", "softshrink", "hardshrink"),
    **_named(_elementwise, "relu6", "hardtanh", "hardtanh_", "hardswish", "hardsigmoid", "clamp"),
    **_named(_elementwise, "clamp_", "clamp_min", "clamp_max", "clip", "exp", "erf", "expm1"),
    **_named(_elementwise, "log1p", "sin", "square"),
    **_named(_power, "pow", "__pow__"),
    **_named(_normaliser, "sqrt", "rsqrt", "std", "var", "norm", "vector_norm", "reciprocal"),
    **_named(_normaliser, "__rdiv__", "__rtruediv__", "linalg_vector_norm"),
    **_named(_elementwise_product, "mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"),
    **_named(_product, "matmul", "__matmul__", "__rmatmul__", "bmm", "mm", "mv", "dot", "inner"),
    **_named(_product, "outer", "einsum", "tensordot", "bilinear"),
    **_named(_division, "div", "div_", "true_divide", "__truediv__", "__itruediv__", "divide"),
    **_named(_addition, "add", "add_", "__add__", "__radd__", "__iadd__"),
    **_named(_addition, "sub", "sub_", "__sub__", "__rsub__", "__isub__", "subtract", "rsub"),
    **_named(_joined, "cat", "concat", "concatenate", "stack", "hstack", "vstack"),
    **_named(_filled, "where", "pad"),
    "masked_fill": _masked_fill,
    **_named(_with_bias, "linear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d"),
    **_named(_added_product, "addmm", "baddbmm"),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "glu": _glu,
    "scaled_dot_product_attention": _attention,
    "multi_head_attention_forward": _multi_head_attention,
}
"""By the name of the function; what is not in it passes its gradient, or is refused
(``linear_maps.unproportional``)."""
