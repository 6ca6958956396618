"""What each head of a model attends to, per site of a sequence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaibench.dna.tokens import TokenSpans
from xaibench.errors import NotApplicable
from xaibench.nn.heads import attention_weights, value_norms
from xaibench.nn.inference import device_of, explained_rows
from xaibench.nn.sites import buckets, has_tokens, token_sites
from xaibench.nn.view import encoded
from xaibench.plugins.fence import fenced
from xaibench.protocols import HasAttentions
from xaibench.shapes import Codes, Float, Labels, Mask

from .options import Received
from .relevance import relevance_of_sites

_PAIRS = 2**20
"""Pairs of sites in memory together: 600 MB of 144 heads in float32."""


FIRST_EXAMPLES = 20
"""So many show what the tokens of a model are."""


class Examples(Protocol):
    """What a model is asked about: ``Sequences``, or ``CellCounts``."""

    @property
    def codes(self) -> NDArray[Any]:
        """``(N, L)``: what the model encodes, a nucleotide or the count of a gene each."""

    @property
    def valid(self) -> Mask:
        """``(N, L)``: True where something is known."""

    @property
    def labels(self) -> Labels:
        """``(N,)``"""

    @property
    def has_classes(self) -> bool:
        """Whether labels say anything."""


class HeadScores(NamedTuple):
    """One sequence: ``row`` is its number, ``spans`` ``(S, 2)`` what each site covers of its
    positions, and ``scores`` ``(layer, head, S)`` what it receives: attention in [0, 1], or what
    ``options.Received`` says."""

    row: int
    spans: NDArray[np.int64]
    scores: Float


def head_scores(
    model: Any, examples: Examples, *, received: Received = "maximum"
) -> Iterator[HeadScores]:
    """The scores of every head, per sequence, not in their order.

    Sites that cover no known position (``[CLS]``, ``[SEP]``, padding) are left out, and what a
    site pays to the others sums to 1 again. NotApplicable where the model gives no attention
    between its sites, or reads its logits from none of them and ``pooled`` is asked for.
    """
    if not isinstance(model, HasAttentions):
        raise NotApplicable(
            "the model does not give its attention: expected attentions(inputs) -> (N, layer, "
            "head, site, site); fused attention keeps none, so load a network of transformers "
            "with attn_implementation='eager', and call nn.MultiheadAttention with need_weights"
        )
    pooled = getattr(model, "pooled_site", None)
    if received == "pooled" and pooled is None:
        raise NotApplicable("the model reads its logits from no single site, as [CLS] is one")
    valid = examples.valid
    for rows, inputs, spans in _batches(model, examples.codes):
        measured = _measured(model, inputs, received)
        for place, row in enumerate(rows.tolist()):
            inside = _covers_what_is_known(valid[row], spans[place])
            scores = _scores(measured, place, inside, received, pooled)
            yield HeadScores(row, spans[place, inside], scores)


def kind_of_tokens(model: Any, examples: Examples) -> str:
    """What a site of the model covers: ``positions``, ``6 positions, step 1`` (overlapping k-mers),
    or ``of several lengths``, as byte pairs are; by the first halves of the first examples, for
    k-mers end with what is left over."""
    if not has_tokens(model):
        return "positions"
    spans = token_sites(model, examples.codes[:FIRST_EXAMPLES]).spans
    covering = [each[each[:, 1] > each[:, 0]] for each in spans]
    halves = [each[: len(each) // 2] for each in covering]
    lengths = {int(length) for each in halves for length in each[:, 1] - each[:, 0]}
    steps = {int(step) for each in halves for step in np.diff(each[:, 0])}
    if len(lengths) != 1 or len(steps) != 1:
        return "of several lengths"
    return f"{lengths.pop()} positions, step {steps.pop()}"


def _batches(model: Any, codes: Codes) -> Iterator[tuple[NDArray[np.intp], Tensor, TokenSpans]]:
    """The rows of a batch, what the model is given of them ``(n, C, S)``, and their spans."""
    by_sites = buckets(model, codes)
    order = by_sites.sorted(np.arange(len(codes)))
    length = codes.shape[1]
    most = min(explained_rows(length, device_of(model)), max(1, _PAIRS // length**2))
    for batch in by_sites.batches(slice(0, len(codes)), most):
        part = codes[order[batch]]
        spans = token_sites(model, part).spans if has_tokens(model) else _of_nucleotides(part)
        with fenced():
            inputs = encoded(model, part)
        yield order[batch], inputs, spans[:, : inputs.shape[2]]


class _Measured(NamedTuple):
    """Of a batch: the attention ``(n, layer, head, S, S)``, and what each site is worth beside that
    ``(n, layer, head, S)``. Either may not be asked for."""

    weights: NDArray[np.float32] | None
    worth: NDArray[np.float32] | None


def _measured(model: Any, inputs: Tensor, received: Received) -> _Measured:
    attention = attention_weights(model, inputs)
    weights = attention.float().cpu().numpy()
    if received == "relevance":
        relevance = relevance_of_sites(model, inputs, attention)
        return _Measured(None, relevance.numpy(force=True))
    if received == "value_norm":
        return _Measured(weights, value_norms(model, inputs).numpy(force=True))
    return _Measured(weights, None)


def _scores(
    measured: _Measured,
    place: int,
    inside: NDArray[np.bool_],
    received: Received,
    pooled: int | None,
) -> Float:
    """``(layer, head, S)`` of one sequence of a batch."""
    scores: Float = np.ones(())
    if measured.weights is not None:
        scores = _received(measured.weights[place], inside, received, pooled)
    return scores if measured.worth is None else scores * measured.worth[place][..., inside]


def _of_nucleotides(codes: Codes) -> TokenSpans:
    starts = np.arange(codes.shape[1])
    return np.broadcast_to(np.stack([starts, starts + 1], axis=1), (*codes.shape, 2))


def _covers_what_is_known(valid: Mask, spans: NDArray[np.int64]) -> NDArray[np.bool_]:
    """``(S,)``: whether a known position is among those of the site."""
    known = np.concatenate([[0], np.cumsum(valid)])
    covers: NDArray[np.bool_] = known[spans[:, 1]] > known[spans[:, 0]]
    return covers


def _received(
    layers: NDArray[np.float32], inside: NDArray[np.bool_], received: Received, pooled: int | None
) -> Float:
    """``(layer, head, S)`` of the attention ``(layer, head, S, S)`` of one sequence."""
    paid = layers[..., inside].astype(np.float64)
    paying = inside if pooled is None or received != "pooled" else np.array([pooled])
    paid = paid[:, :, paying]
    paid /= np.maximum(paid.sum(axis=3, keepdims=True), np.finfo(np.float64).tiny)
    scores: Float = paid.max(axis=2) if received == "maximum" else paid.mean(axis=2)
    return scores
