"""Scores of tokens as scores of nucleotides, and back.

A token ``t`` covers the ``n_t`` nucleotides ``S_t``; ``R_t`` is its score, ``r_i`` that of one of
them. Tokens may overlap, as k-mers do, and need not cover every nucleotide.

=================  ============================================================================
``equal``          ``r_i = sum over t that cover i of R_t / n_t``: the sum is conserved, and long
                   tokens look faint
``broadcast``      ``r_i = mean over t that cover i of R_t``: every token keeps its rank, and long
                   tokens weigh more in a sum
``proportional``   ``r_i = sum over t that cover i of R_t |w_i| / sum of |w| over S_t``, by a map
                   ``w`` of the nucleotides: the sum is conserved. Where ``w`` is 0 in the whole
                   token, it is ``equal``
=================  ============================================================================

Nucleotides of no token have 0, and tokens of no nucleotide (``[CLS]``, ``[SEP]``) give none:
``relevance_shares`` says how much of the relevance that leaves out. Which rule *Kurth et al.
(2026)* took is not known; these are ours.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

from xaibench.shapes import Float, Mask

TokenSpans = NDArray[np.int64]
"""``(sequence, token, 2)``: ``start, end`` of what each token covers, half-open."""

ToNucleotides = Literal["equal", "broadcast", "proportional"]
"""How the score of a token is given to its nucleotides."""

ToTokens = Literal["sum", "mean", "signed_maximum", "first"]
"""How the scores of its nucleotides become that of a token: ``signed_maximum`` is the one with the
largest absolute value, with its sign, the first of several; ``first`` that of the first nucleotide,
which makes of independent scores independent ones, whatever the lengths of tokens."""


class _Pairs(NamedTuple):
    """Every token with every nucleotide that it covers, in their order: of which sequence, which
    token, which position."""

    sequences: NDArray[np.int64]
    tokens: NDArray[np.int64]
    positions: NDArray[np.int64]


def to_nucleotides(
    scores: NDArray[np.floating],
    spans: TokenSpans,
    length: int,
    *,
    rule: ToNucleotides = "equal",
    within: NDArray[np.floating] | None = None,
) -> Float:
    """``(N, T)`` scores of tokens -> ``(N, length)`` scores of nucleotides.

    ``within`` ``(N, length)`` is the map that ``proportional`` goes by, and for it alone.

    >>> to_nucleotides(np.array([[6.0, 1.0]]), np.array([[[0, 3], [3, 4]]]), 4)
    array([[2., 2., 2., 1.]])
    """
    _require_rule(rule, get_args(ToNucleotides))
    if (within is not None) != (rule == "proportional"):
        raise ValueError(
            "within: expected a map of nucleotides with proportional, and with it alone"
        )
    pairs = _pairs(scores, spans, length)
    cells = pairs.sequences * length + pairs.positions
    size = len(scores) * length
    shared = _shares(pairs, spans, rule, within) * scores[pairs.sequences, pairs.tokens]
    given: Float = np.bincount(cells, shared, minlength=size).astype(np.float64)
    if rule == "broadcast":
        given = given / np.maximum(np.bincount(cells, minlength=size), 1)
    return given.reshape(len(scores), length)


def to_tokens(scores: NDArray[np.floating], spans: TokenSpans, *, rule: ToTokens = "sum") -> Float:
    """``(N, L)`` scores of nucleotides -> ``(N, T)`` scores of tokens; 0 of a token that covers
    none.

    >>> to_tokens(np.array([[2.0, -3.0, 1.0, 4.0]]), np.array([[[0, 3], [3, 4]]]))
    array([[0., 4.]])
    """
    _require_rule(rule, get_args(ToTokens))
    pairs = _pairs(np.empty(spans.shape[:2]), spans, scores.shape[1])
    values = scores[pairs.sequences, pairs.positions].astype(np.float64)
    widths = (spans[..., 1] - spans[..., 0]).ravel()
    cells = pairs.sequences * spans.shape[1] + pairs.tokens
    if rule == "first":
        values, cells = _first_of_each(values, cells)
    if rule == "signed_maximum":
        return _largest(values, cells, widths).reshape(spans.shape[:2])
    summed: Float = np.bincount(cells, values, minlength=len(widths)).astype(np.float64)
    taken: Float = summed / np.maximum(widths, 1) if rule == "mean" else summed
    return taken.reshape(spans.shape[:2])


def relevance_shares(
    scores: NDArray[np.floating], spans: TokenSpans, known: Mask
) -> dict[str, Float]:
    """Which part of the sum of ``|score|`` of each sequence ``(N,)`` lies on tokens that are not of
    known nucleotides alone, in [0, 1]; NaN where all scores are 0.

    ``outside`` on those of no nucleotide, of which ``before`` on those before the first that
    has some (``[CLS]``) and ``after`` on those behind (``[SEP]``); ``on_unknown`` on those with an
    unknown nucleotide (``[UNK]``). ``known`` ``(N, L)`` is False at N. Padded tokens have 0.

    >>> scores, spans = np.array([[1.0, -3.0, 4.0]]), np.array([[[0, 0], [0, 4], [4, 5]]])
    >>> shares = relevance_shares(scores, spans, np.array([[True] * 4 + [False]]))
    >>> {name: share.item() for name, share in shares.items()}
    {'outside': 0.125, 'before': 0.125, 'after': 0.0, 'on_unknown': 0.5}
    """
    sizes = np.abs(scores).astype(np.float64)
    total = sizes.sum(axis=1)
    inside = spans[..., 0] < spans[..., 1]
    begun = np.cumsum(inside, axis=1) > 0
    on_tokens = {
        "outside": ~inside,
        "before": ~inside & ~begun,
        "after": ~inside & begun,
        "on_unknown": to_tokens((~known).astype(np.float64), spans, rule="sum") > 0,
    }
    undefined = np.full(len(sizes), np.nan)
    return {
        name: np.divide((sizes * where).sum(1), total, out=undefined.copy(), where=total > 0)
        for name, where in on_tokens.items()
    }


def unread_share(spans: TokenSpans, present: Mask) -> Float:
    """``(N,)``: the share of the nucleotides of a sequence that no token covers, in [0, 1], as
    where the last ones are left out; ``present`` ``(N, L)`` is False at padding.

    >>> unread_share(np.array([[[0, 0], [0, 3], [3, 4]]]), np.array([[True] * 5 + [False]]))
    array([0.2])
    """
    widths = (spans[..., 1] - spans[..., 0]).astype(np.float64)
    covered = to_nucleotides(widths, spans, present.shape[1], rule="equal") > 0.5
    unread: Float = (present & ~covered).sum(1) / np.maximum(present.sum(1), 1)
    return unread


def _pairs(scores: NDArray[np.floating], spans: TokenSpans, length: int) -> _Pairs:
    if scores.shape != spans.shape[:2] or spans.shape[2:] != (2,):
        raise ValueError(
            f"spans: expected {(*scores.shape, 2)} to go with scores, got {spans.shape}"
        )
    starts, ends = spans[..., 0].ravel(), spans[..., 1].ravel()
    if (starts < 0).any() or (ends < starts).any() or (ends > length).any():
        raise ValueError(f"spans: expected 0 <= start <= end <= {length}")
    widths = ends - starts
    of_token = np.repeat(np.arange(len(widths)), widths)
    # counts from 0 within each token
    offsets = np.arange(len(of_token)) - np.repeat(np.cumsum(widths) - widths, widths)
    sequences, tokens = np.divmod(of_token, max(spans.shape[1], 1))
    return _Pairs(sequences, tokens, starts[of_token] + offsets)


def _shares(
    pairs: _Pairs, spans: TokenSpans, rule: ToNucleotides, within: NDArray[np.floating] | None
) -> Float:
    """What each pair takes of the score of its token."""
    if rule == "broadcast":
        return np.ones(len(pairs.tokens))
    widths = (spans[..., 1] - spans[..., 0])[pairs.sequences, pairs.tokens]
    equal: Float = 1 / widths
    if within is None:
        return equal
    sizes = np.abs(within[pairs.sequences, pairs.positions]).astype(np.float64)
    cells = pairs.sequences * spans.shape[1] + pairs.tokens
    totals = np.bincount(cells, sizes, minlength=int(np.prod(spans.shape[:2])))[cells]
    np.divide(sizes, totals, out=equal, where=totals > 0)
    return equal


def _largest(values: Float, cells: NDArray[np.int64], widths: NDArray[np.int64]) -> Float:
    """Of each token the value that is largest without its sign, with it; the first of several."""
    taken = np.zeros(len(widths))
    # sorted so that the last write to a token is its largest value, and of equal ones the first
    order = np.lexsort((-np.arange(len(values)), np.abs(values)))
    taken[cells[order]] = values[order]
    return taken


def _first_of_each(values: Float, cells: NDArray[np.int64]) -> tuple[Float, NDArray[np.int64]]:
    first = np.diff(cells, prepend=-1) > 0
    return values[first], cells[first]


def _require_rule(rule: str, known: tuple[str, ...]) -> None:
    if rule not in known:
        raise ValueError(f"rule: expected one of {', '.join(known)}, got {rule!r}")
