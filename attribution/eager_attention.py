"""Attention in single operations, where torch has one function for all of it.

``scaled_dot_product_attention`` and ``multi_head_attention_forward`` give no way in between
queries, weights and values. Written out they are products, sums and a softmax, and whoever has a
rule for these has one for attention.
"""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from xaibench.errors import NotApplicable


class Attended(NamedTuple):
    """What attention gives: its ``output``, the ``weights`` ``(..., query, key)`` and what each
    head takes from the values, ``heads`` ``(..., head, query, feature)``."""

    output: Tensor
    weights: Tensor | None
    heads: Tensor


def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Attended:
    """``softmax(scale q k^T + mask) v``, as torch's function of this name.

    A query that no key is left to has the output 0. NotApplicable with dropout.
    """
    if dropout_p:
        raise NotApplicable("attention with dropout in eval mode: its outputs are random")
    if enable_gqa:
        groups = query.shape[-3] // key.shape[-3]
        key, value = (each.repeat_interleave(groups, dim=-3) for each in (key, value))
    if is_causal:
        shape = (query.shape[-2], key.shape[-2])
        attn_mask = torch.ones(shape, dtype=torch.bool, device=query.device).tril()
    logits = query @ key.transpose(-2, -1) * (query.shape[-1] ** -0.5 if scale is None else scale)
    weights = _softmax(logits, attn_mask)
    output = weights @ value
    return Attended(output, weights, output)


def _softmax(logits: Tensor, mask: Tensor | None) -> Tensor:
    """Over keys; ``mask`` is added, or true at the keys that a query sees."""
    if mask is None:
        return logits.softmax(-1)
    hidden = mask.isneginf() if mask.dtype != torch.bool else ~mask
    blind = hidden.all(-1, keepdim=True)  # softmax over nothing is NaN
    has_blind = bool(blind.any())
    if mask.dtype == torch.bool:
        weights = logits.masked_fill(hidden & ~blind, -torch.inf).softmax(-1)
    else:
        weights = (logits + (mask.masked_fill(blind, 0) if has_blind else mask)).softmax(-1)
    return weights.masked_fill(blind, 0) if has_blind else weights


_SIGNATURE = inspect.signature(functional.multi_head_attention_forward)


def multi_head_attention_forward(*arguments: Any, **keywords: Any) -> Attended:
    """What torch's function of this name computes, sequences on the first axis inside.

    ``output`` ``(query, N, feature)`` and ``weights`` are what that function returns. Where the
    weights are not needed, attention is ``scaled_dot_product_attention`` of torch. NotApplicable
    for keys and values from elsewhere than the input (``bias_k``, ``add_zero_attn``, ``static_k``).
    """
    bound = _SIGNATURE.bind(*arguments, **keywords)
    bound.apply_defaults()
    given = SimpleNamespace(**bound.arguments)
    if given.bias_k is not None or given.add_zero_attn or given.static_k is not None:
        raise NotApplicable(
            "no rule for nn.MultiheadAttention with add_bias_kv, add_zero_attn or static keys"
        )
    query, key, value = (_by_head(each, given.num_heads) for each in _projected(given))
    dropout = given.dropout_p if given.training else 0.0
    if given.need_weights:
        _, weights, heads = scaled_dot_product_attention(query, key, value, _mask(given), dropout)
    else:
        weights = None
        heads = functional.scaled_dot_product_attention(query, key, value, _mask(given), dropout)
    joined = heads.transpose(1, 2).flatten(2).transpose(0, 1)
    output = functional.linear(joined, given.out_proj_weight, given.out_proj_bias)
    if weights is not None and given.average_attn_weights:
        weights = weights.mean(1)
    if given.query.ndim == 2:  # one sequence without an axis
        output, weights = output.squeeze(1), None if weights is None else weights.squeeze(0)
    return Attended(output, weights, heads)


def _by_head(projected: Tensor, heads: int) -> Tensor:
    """``(N, site, feature)`` -> ``(N, head, site, feature / head)``."""
    return projected.reshape(*projected.shape[:2], heads, -1).transpose(1, 2)


def _projected(given: Any) -> list[Tensor]:
    """Queries, keys and values ``(N, site, feature)``."""
    sources = [given.query, given.key, given.value]
    biases = [None] * 3 if given.in_proj_bias is None else given.in_proj_bias.chunk(3)
    if given.use_separate_proj_weight:
        weights = [given.q_proj_weight, given.k_proj_weight, given.v_proj_weight]
    else:
        weights = given.in_proj_weight.chunk(3)
    if given.query is given.key is given.value and not given.use_separate_proj_weight:
        together = functional.linear(given.query, given.in_proj_weight, given.in_proj_bias)
        projected = list(together.chunk(3, -1))
    else:
        projected = list(map(functional.linear, sources, weights, biases))
    if given.query.ndim == 2:
        return [each.unsqueeze(0) for each in projected]
    return [each.transpose(0, 1) for each in projected]


def _mask(given: Any) -> Tensor | None:
    """Both masks in one ``(N or 1, head or 1, query or 1, key)``, added or true where a key is
    seen; torch's have true where it is not."""
    masks: list[Tensor] = []
    if given.attn_mask is not None:
        mask = given.attn_mask
        # One for every sequence and head, or one for all.
        by_head = (-1, given.num_heads, *mask.shape[-2:]) if mask.ndim == 3 else (1, 1, *mask.shape)
        masks.append(mask.reshape(by_head))
    if given.key_padding_mask is not None:
        padded = given.key_padding_mask
        masks.append(padded.reshape(-1, 1, 1, padded.shape[-1]))
    if not masks:
        return None
    if all(mask.dtype == torch.bool for mask in masks):
        visible = [~mask for mask in masks]
        return visible[0] & visible[-1]
    added = [_added(mask, given.query.dtype) for mask in masks]
    return added[0] if len(added) == 1 else added[0] + added[1]


def _added(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask whose true entries are left out, as one that is added."""
    if mask.dtype != torch.bool:
        return mask
    return torch.zeros_like(mask, dtype=dtype).masked_fill(mask, -torch.inf)
