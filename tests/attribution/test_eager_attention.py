"""Attention written out against torch's functions."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xaibench.attribution.eager_attention import (
    multi_head_attention_forward,
    scaled_dot_product_attention,
)
from xaibench.errors import NotApplicable

SEQUENCES, HEADS, QUERIES, KEYS = 3, 2, 5, 7


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).double()


QUERY = drawn(SEQUENCES, HEADS, QUERIES, 4)
KEY = drawn(SEQUENCES, HEADS, KEYS, 4, seed=1)
VALUE = drawn(SEQUENCES, HEADS, KEYS, 6, seed=2)
VISIBLE = drawn(SEQUENCES, 1, QUERIES, KEYS, seed=3) > 0
VISIBLE[1, 0, 2] = False  # a query that sees no key
OPTIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "scale": {"scale": 0.3},
    "causal": {"is_causal": True},
    "visible keys": {"attn_mask": VISIBLE},
    "added": {"attn_mask": drawn(HEADS, QUERIES, KEYS, seed=4)},
    "added, no key left": {
        "attn_mask": drawn(SEQUENCES, 1, QUERIES, KEYS, seed=4).masked_fill(~VISIBLE, -torch.inf)
    },
}


@pytest.mark.parametrize("name", OPTIONS)
def test_it_is_the_function_of_torch(name: str) -> None:
    options = OPTIONS[name]
    attended = scaled_dot_product_attention(QUERY, KEY, VALUE, **options)
    expected = F.scaled_dot_product_attention(QUERY, KEY, VALUE, **options)
    torch.testing.assert_close(attended.output, expected, rtol=0, atol=1e-12)
    assert attended.weights is not None
    seen = attended.weights.sum(-1)
    assert ((seen - 1).abs().minimum(seen.abs()) <= 1e-12).all()


def test_groups_of_queries_share_their_keys() -> None:
    query = drawn(SEQUENCES, 3 * HEADS, QUERIES, 4)
    answer = scaled_dot_product_attention(query, KEY, VALUE, enable_gqa=True).output
    expected = F.scaled_dot_product_attention(query, KEY, VALUE, enable_gqa=True)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


PADDED = torch.arange(KEYS) >= torch.tensor([7, 4, 6])[:, None]
HIDDEN = torch.ones(QUERIES, KEYS, dtype=torch.bool).triu(3)
MODULES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "plain": ({}, {}),
    "no bias": ({"bias": False}, {}),
    "keys and values of their own sizes": ({"kdim": 8, "vdim": 8}, {}),
    "padding": ({}, {"key_padding_mask": PADDED}),
    "a mask": ({}, {"attn_mask": HIDDEN}),
    "both": ({}, {"attn_mask": HIDDEN, "key_padding_mask": PADDED}),
    "a mask for each head": ({}, {"attn_mask": HIDDEN.repeat(SEQUENCES * HEADS, 1, 1)}),
    "added": ({}, {"attn_mask": drawn(QUERIES, KEYS, seed=4)}),
    "padding added": ({}, {"key_padding_mask": drawn(SEQUENCES, KEYS, seed=5)}),
    "weights of each head": ({}, {"average_attn_weights": False}),
    "without weights": ({}, {"need_weights": False}),
}


@pytest.mark.parametrize("name", MODULES)
def test_it_is_the_module_of_torch(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, called = MODULES[name]
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, HEADS, batch_first=True, **made).double().eval()
    module.requires_grad_(False)
    query, key = drawn(SEQUENCES, QUERIES, 8), drawn(SEQUENCES, KEYS, 8, seed=1)
    query.requires_grad_()  # so that torch takes no other path
    expected, weights = module(query, key, 2 * key, **called)
    monkeypatch.setattr(F, "multi_head_attention_forward", _written_out)
    answer, answered_weights = module(query, key, 2 * key, **called)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert (weights is None) == (answered_weights is None)
    if weights is not None:
        torch.testing.assert_close(answered_weights, weights, rtol=0, atol=1e-12)


def _written_out(*arguments: Any, **keywords: Any) -> Any:
    attended = multi_head_attention_forward(*arguments, **keywords)
    return attended.output, attended.weights


def test_one_sequence_may_have_no_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, HEADS).double().eval().requires_grad_(False)
    tokens = drawn(QUERIES, 8).requires_grad_()
    expected, weights = module(tokens, tokens, tokens)
    monkeypatch.setattr(F, "multi_head_attention_forward", _written_out)
    answer, answered_weights = module(tokens, tokens, tokens)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(answered_weights, weights, rtol=0, atol=1e-12)


def test_dropout_is_refused() -> None:
    with pytest.raises(NotApplicable, match="dropout in eval mode: its outputs are random"):
        scaled_dot_product_attention(QUERY, KEY, VALUE, dropout_p=0.1)
