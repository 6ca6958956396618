"""AttnLRP and CP-LRP: every operation against loops over the rules as papers write them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import slow_relevance as slow
import torch
from slow_relevance import Values
from torch import Tensor, nn
from torch.nn import functional as F

from xaibench.attribution import attnlrp_gradients
from xaibench.attribution.lrp import lrp

SEQUENCES, FEATURES, SITES, HEADS = 3, 8, 5, 2
TARGET = torch.tensor([0, 1, 1])
RULES = ("attnlrp", "cp_lrp")


def drawn(*shape: int, seed: int = 0) -> Tensor:
    """Away from 0, where shares are quotients."""
    values = torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()
    return values + 0.3 * values.sign()


class ReadOut(nn.Module):
    """What a function makes of ``(N, feature, site)``, in a weighted sum for each of two classes:
    the relevance of its output is the output times the weight."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.function(inputs.transpose(1, 2)).flatten(1)
        return F.linear(output, drawn(2, output.shape[1], seed=9))


def inputs() -> Tensor:
    return drawn(SEQUENCES, FEATURES, SITES, seed=1).requires_grad_()


def require_slow(function: Any, by_loops: Callable[[Values, Values], Values], rule: str) -> None:
    """The engine against loops: ``(site, feature)`` and the relevance of the function's output ->
    relevance of ``(site, feature)``."""
    answer = lrp(ReadOut(function).double(), inputs(), TARGET, rule=rule)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() == 0
    with torch.no_grad():
        tokens = inputs().detach().transpose(1, 2)
        outputs = function(tokens)
        weights = drawn(2, outputs[0].numel(), seed=9)[TARGET].reshape(outputs.shape)
    for row in range(SEQUENCES):
        relevance = (outputs * weights)[row].numpy()
        expected = by_loops(tokens[row].numpy(), relevance).T
        largest = np.abs(expected).max()
        np.testing.assert_allclose(
            answer.contributions[row], expected, rtol=0, atol=1e-12 * largest
        )
        assert largest > 1e-3


def seeded(module: nn.Module) -> Any:
    """In double precision, weights and biases away from 0."""
    with torch.no_grad():
        for place, parameter in enumerate(module.parameters()):
            parameter.copy_(0.6 * drawn(*parameter.shape, seed=20 + place))
    return module.double().eval().requires_grad_(False)


def numbers(*tensors: Tensor | None) -> list[Any]:
    return [0.0 if each is None else each.detach().numpy() for each in tensors]


# Operations of one input

LINEAR = seeded(nn.Linear(FEATURES, 6))
LAYER_NORM = seeded(nn.LayerNorm(FEATURES))
RMS_NORM = seeded(nn.RMSNorm(FEATURES))


def _through_linear(values: Values, relevance: Values, layer: Any = LINEAR) -> Values:
    weight, bias = numbers(layer.weight, layer.bias)
    return slow.linear(values, weight, values @ weight.T + bias, relevance)


def _through_norm(values: Values, relevance: Values, layer: Any, *, centred: bool) -> Values:
    weight = layer.weight.detach().numpy()
    bias = layer.bias.detach().numpy() if centred else np.zeros(len(weight))
    epsilon = layer.eps or np.finfo(np.float64).eps
    return slow.normalised(values, weight, bias, relevance, centred=centred, epsilon=epsilon)


def _norm_by_hand(tokens: Tensor) -> Tensor:
    """As models write it: RMS normalisation of transformers' Llama."""
    variance = tokens.pow(2).mean(-1, keepdim=True)
    return RMS_NORM.weight * (tokens * torch.rsqrt(variance + torch.finfo(tokens.dtype).eps))


def _layer_norm_by_hand(tokens: Tensor) -> Tensor:
    centred = tokens - tokens.mean(-1, keepdim=True)
    deviation = torch.sqrt(tokens.var(-1, unbiased=False, keepdim=True) + LAYER_NORM.eps)
    return centred / deviation * LAYER_NORM.weight + LAYER_NORM.bias


def _handed_on(values: Values, relevance: Values) -> Values:
    return relevance


def _sigmoid(values: Values, relevance: Values) -> Values:
    """What it is at 0 is absorbed."""
    outputs = 1 / (1 + np.exp(-values))
    return (outputs - 0.5) / outputs * relevance


OPERATIONS: dict[str, tuple[Any, Any]] = {
    "linear": (LINEAR, _through_linear),
    "a sum": (lambda x: x + x.flip(1), lambda x, r: _flipped_sum(x, r)),
    "a constant": (lambda x: x + 0.7, lambda x, r: slow.addend(x, x + 0.7, r)),
    "minus a constant": (lambda x: 0.7 - x, lambda x, r: slow.addend(-x, 0.7 - x, r)),
    "GELU": (nn.GELU(), _handed_on),
    "SiLU": (F.silu, _handed_on),
    "SiLU in place": (lambda x: F.silu(x * 1, inplace=True), _handed_on),
    "ELU in place": (lambda x: nn.ELU(inplace=True)(x * 1), _handed_on),
    "tanh": (torch.tanh, _handed_on),
    "tanh in place": (lambda x: (x * 1).tanh_(), _handed_on),
    "sigmoid": (torch.sigmoid, _sigmoid),
    "a square": (lambda x: x**2, _handed_on),
    "a product with itself": (lambda x: x * x, _handed_on),
    "softmax": (nn.Softmax(-1), slow.softmax),
    "softmax of a function": (lambda x: F.softmax(x, -1, dtype=torch.float64), slow.softmax),
    "LayerNorm": (LAYER_NORM, lambda x, r: _through_norm(x, r, LAYER_NORM, centred=True)),
    "layer norm by hand": (
        _layer_norm_by_hand,
        lambda x, r: _through_norm(x, r, LAYER_NORM, centred=True),
    ),
    "RMSNorm": (RMS_NORM, lambda x, r: _through_norm(x, r, RMS_NORM, centred=False)),
    "RMS norm by hand": (
        _norm_by_hand,
        lambda x, r: _through_norm(x, r, RMS_NORM, centred=False),
    ),
    "mean": (lambda x: x.mean(1), slow.mean_over_sites),
    "rotary embedding": (lambda x: _rotary(x), lambda x, r: _through_rotary(x, r)),
}


def _flipped_sum(values: Values, relevance: Values) -> Values:
    outputs = values + values[::-1]
    of_second = slow.addend(values[::-1], outputs, relevance)
    return slow.addend(values, outputs, relevance) + of_second[::-1]


def _rotary(tokens: Tensor) -> Tensor:
    """``(..., site, feature)``, as transformers write it."""
    half = tokens.shape[-1] // 2
    rates = 10_000 ** (-torch.arange(half).double() / half)
    angles = torch.outer(torch.arange(tokens.shape[-2]).double(), rates).repeat(1, 2)
    first, second = tokens[..., :half], tokens[..., half:]
    return tokens * angles.cos() + torch.cat((-second, first), -1) * angles.sin()


def _through_rotary(values: Values, relevance: Values) -> Values:
    outputs, matrices = slow.rotated(values)
    return np.concatenate(
        [
            slow.linear(values[s : s + 1], matrices[s], outputs[s : s + 1], relevance[s : s + 1])
            for s in range(len(values))
        ]
    )


@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_has_the_rule_of_the_paper(name: str) -> None:
    function, by_loops = OPERATIONS[name]
    require_slow(function, by_loops, "attnlrp")
    if "softmax" not in name:
        require_slow(function, by_loops, "cp_lrp")


def test_relevance_of_a_unit_at_0_is_the_limit_beside_it() -> None:
    """Two addends cancel: they get ``a f'(0)`` and ``-a f'(0)``."""
    model = ReadOut(lambda tokens: F.gelu(tokens[..., :4] + tokens[..., 4:])).double()
    features = drawn(SEQUENCES, 4, SITES)
    at_zero, beside = (
        lrp(model, torch.cat([features, away - features], 1), TARGET, rule="attnlrp").contributions
        for away in (0, 1e-9)
    )
    torch.testing.assert_close(at_zero, beside, rtol=0, atol=1e-7)
    assert at_zero.abs().max() > 0.1


def test_a_softmax_over_the_first_axis_is_that_over_another_also_of_many_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as over sites that stand before sequences."""
    monkeypatch.setattr(attnlrp_gradients, "_CACHED", 2 * SEQUENCES * FEATURES)  # two rows

    def sites_first(tokens: Tensor) -> Tensor:
        return tokens.transpose(0, 1).softmax(0).transpose(0, 1)

    first, second = (
        lrp(ReadOut(each).double(), inputs(), TARGET, rule="attnlrp").contributions
        for each in (sites_first, lambda tokens: tokens.softmax(1))
    )
    torch.testing.assert_close(first, second, rtol=0, atol=1e-12)


@pytest.mark.parametrize("misses", ["in turn", "in one alone"])
def test_what_is_missed_by_one_sequence_is_not_made_up_for_by_another(
    misses: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    relevance = attnlrp_gradients.Absorbed.relevance
    assert relevance.fget is not None
    exact = relevance.fget

    def absorbed(self: attnlrp_gradients.Absorbed) -> Tensor:
        known: Tensor = exact(self)
        leak = torch.zeros_like(known)
        leak[0] = 0.5
        if misses == "in turn" and len(leak) > 1:
            leak[1] = -0.5
        return known + leak

    monkeypatch.setattr(attnlrp_gradients.Absorbed, "relevance", property(absorbed))
    answer = lrp(ReadOut(torch.tanh).double(), inputs(), TARGET, rule="attnlrp")
    assert answer.completeness_error is not None
    assert answer.completeness_error.max().item() == pytest.approx(0.5)


def test_a_function_that_is_not_0_at_0_hands_on_what_it_should_near_0() -> None:
    values = torch.logspace(-8, -1, 300, dtype=torch.float32).requires_grad_()
    absorbed = attnlrp_gradients.Absorbed(torch.zeros(1))
    output = attnlrp_gradients.Proportional.apply(F.softplus, absorbed, values)
    (factor,) = torch.autograd.grad(output.sum(), values)
    exact = values.detach().double()
    expected = (exact.exp().log1p() - np.log(2)) / exact
    # half a unit in the last place of 0.7, over the root of eps, is 1e-4
    torch.testing.assert_close(factor.double(), expected, rtol=5e-4, atol=0)


# Products


def _halves(tokens: Tensor) -> tuple[Tensor, Tensor]:
    first, second = tokens.chunk(2, -1)
    return first, second


def _gated_by(activation: Any) -> Any:
    """``a f(b)`` of the two halves of the features."""

    def function(tokens: Tensor) -> Tensor:
        values, gate = _halves(tokens)
        return values * activation(gate)

    return function


def _through_gate(values: Values, relevance: Values) -> Values:
    """Half to the features, half to the gate, which hands it on."""
    return np.concatenate([relevance / 2, relevance / 2], 1)


def _through_sigmoid_gate(values: Values, relevance: Values) -> Values:
    return np.concatenate([relevance / 2, _sigmoid(values[:, 4:], relevance / 2)], 1)


def _through_constant_gate(values: Values, relevance: Values) -> Values:
    return np.concatenate([relevance, np.zeros_like(relevance)], 1)


GATES: dict[str, tuple[Any, Any]] = {
    "GELU": (_gated_by(F.gelu), _through_gate),
    "SiLU": (_gated_by(F.silu), _through_gate),
    "ReLU": (_gated_by(lambda gate: F.relu(gate + 9)), None),
    "GLU": (nn.GLU(dim=-1), _through_sigmoid_gate),
}


@pytest.mark.parametrize("name", GATES)
def test_a_gate_has_half_the_relevance_and_none_under_cp_lrp(name: str) -> None:
    function, by_loops = GATES[name]
    if by_loops is not None:
        require_slow(function, by_loops, "attnlrp")
    require_slow(function, _through_constant_gate, "cp_lrp")


PRODUCTS: dict[str, Any] = {
    "@": lambda a, b: a @ b.mT,
    "matmul": lambda a, b: torch.matmul(a, b.mT),
    "bmm": lambda a, b: torch.bmm(a, b.mT),
    "einsum": lambda a, b: torch.einsum("nac,nbc->nab", a, b),
    "baddbmm": lambda a, b: torch.baddbmm(torch.zeros(1).double(), a, b.mT),
    "linear": lambda a, b: torch.stack([F.linear(*each) for each in zip(a, b, strict=True)]),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", PRODUCTS)
def test_both_factors_of_a_matrix_product_have_half(name: str, rule: str) -> None:
    def by_loops(values: Values, relevance: Values) -> Values:
        of_first, of_second = slow.matrix_product(values[:, :4], values[:, 4:].T, relevance)
        return np.concatenate([of_first, of_second.T], 1)

    require_slow(lambda x: PRODUCTS[name](*_halves(x)), by_loops, rule)


# Attention

PROJECT = seeded(nn.MultiheadAttention(FEATURES, HEADS, batch_first=True))
PENALTIES = (
    -torch.tensor([0.5, 0.25]).double()[:, None, None]
    * (torch.arange(SITES) - torch.arange(SITES)[:, None]).abs()
)
"""ALiBi of two heads."""
CAUSAL = torch.full((SITES, SITES), -torch.inf).double().triu(1)


def _projected(tokens: Tensor) -> list[Tensor]:
    """Queries, keys, values ``(N, head, site, feature)``."""
    projected = F.linear(tokens, PROJECT.in_proj_weight, PROJECT.in_proj_bias).chunk(3, -1)
    return [each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in projected]


def _by_hand(tokens: Tensor, mask: Tensor | None, *, rotary: bool = False) -> Tensor:
    query, key, value = _projected(tokens)
    if rotary:
        query, key = _rotary(query), _rotary(key)
    logits = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    weights = (logits if mask is None else logits + mask).softmax(-1)
    return PROJECT.out_proj((weights @ value).transpose(1, 2).flatten(2))


def _by_function(tokens: Tensor, mask: Tensor | None, *, rotary: bool = False) -> Tensor:
    query, key, value = _projected(tokens)
    if rotary:
        query, key = _rotary(query), _rotary(key)
    heads = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    return PROJECT.out_proj(heads.transpose(1, 2).flatten(2))


def _by_module(tokens: Tensor, mask: Tensor | None, *, need_weights: bool = False) -> Tensor:
    if mask is not None:
        mask = mask.expand(HEADS, -1, -1).repeat(len(tokens), 1, 1)
    output, _ = PROJECT(tokens, tokens, tokens, attn_mask=mask, need_weights=need_weights)
    return output


def _by_module_with_weights(tokens: Tensor, mask: Tensor | None) -> Tensor:
    return _by_module(tokens, mask, need_weights=True)


SITES_FIRST = nn.MultiheadAttention(FEATURES, HEADS).double().eval()
SITES_FIRST.load_state_dict(PROJECT.state_dict())
SITES_FIRST.requires_grad_(False)


def _sites_first(tokens: Tensor, mask: Tensor | None) -> Tensor:
    if mask is not None:
        mask = mask.expand(HEADS, -1, -1).repeat(len(tokens), 1, 1)
    across = tokens.transpose(0, 1)
    return SITES_FIRST(across, across, across, attn_mask=mask)[0].transpose(0, 1)


def _through_attention(
    values: Values,
    relevance: Values,
    *,
    mask: Tensor | None,
    rotary: bool,
    constant: bool,
) -> Values:
    in_weight, in_bias, out_weight, out_bias = numbers(
        *(PROJECT.in_proj_weight, PROJECT.in_proj_bias),
        *(PROJECT.out_proj.weight, PROJECT.out_proj.bias),
    )
    projected = values @ in_weight.T + in_bias
    size = FEATURES // HEADS
    by_head = [slice(head * size, (head + 1) * size) for head in range(HEADS)]
    query, key, value = np.split(projected, 3, axis=1)
    biases = None if mask is None else mask.expand(HEADS, -1, -1).numpy()
    heads = np.concatenate(
        [
            _head(
                query[:, s], key[:, s], value[:, s], None if biases is None else biases[h], rotary
            )
            for h, s in enumerate(by_head)
        ],
        axis=1,
    )
    of_heads = slow.linear(heads, out_weight, heads @ out_weight.T + out_bias, relevance)
    parts = [
        slow.attention(
            *(query[:, s], key[:, s], value[:, s], of_heads[:, s]),
            bias=None if biases is None else biases[h],
            rotary=rotary,
            constant=constant,
        )
        for h, s in enumerate(by_head)
    ]
    of_projected = np.concatenate([each for kind in zip(*parts, strict=True) for each in kind], 1)
    return slow.linear(values, in_weight, projected, of_projected)


def _head(query: Values, key: Values, value: Values, bias: Values | None, rotary: bool) -> Values:
    if rotary:
        query, key = slow.rotated(query)[0], slow.rotated(key)[0]
    logits = query @ key.T / np.sqrt(query.shape[1])
    attended: Values = slow.softmax_of(logits if bias is None else logits + bias) @ value
    return attended


FORMS = {
    "by hand": _by_hand,
    "scaled_dot_product_attention": _by_function,
    "MultiheadAttention": _by_module,
    "MultiheadAttention with weights": _by_module_with_weights,
    "MultiheadAttention, sites first": _sites_first,
}
MASKS = {"no mask": None, "ALiBi": PENALTIES, "causal": CAUSAL}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("form", FORMS)
def test_attention_has_the_rules_of_its_operations(form: str, mask: str, rule: str) -> None:
    require_slow(
        lambda tokens: FORMS[form](tokens, MASKS[mask]),
        lambda values, relevance: _through_attention(
            values, relevance, mask=MASKS[mask], rotary=False, constant=rule == "cp_lrp"
        ),
        rule,
    )


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("mask", ["no mask", "ALiBi"])
@pytest.mark.parametrize("form", ["by hand", "scaled_dot_product_attention"])
def test_attention_with_rotary_embeddings_has_the_rules_of_its_operations(
    form: str, mask: str, rule: str
) -> None:
    function: Any = FORMS[form]
    require_slow(
        lambda tokens: function(tokens, MASKS[mask], rotary=True),
        lambda values, relevance: _through_attention(
            values, relevance, mask=MASKS[mask], rotary=True, constant=rule == "cp_lrp"
        ),
        rule,
    )
