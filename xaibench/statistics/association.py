"""Whether two values go together along sequences, against nulls that keep how each varies.

A sequence ``n`` has ``T_n`` places with a value each of ``first`` (what a head attends to) and of
``second`` (an annotation). ``c_n`` is their Spearman correlation within the sequence, and the
statistic is the sum ``S`` of ``c_n`` over the sequences: the sequence is the unit, for the places
of one depend on each other.

**Circular shifts.** Neighbouring places are alike in both, and a null that scatters them is too
narrow. Here ``second`` is moved along each sequence by a shift of its own, what leaves one end
entering at the other: of ``T_n`` equally likely ``c_n(s)``, whose mean is 0. ``S`` is a sum of
independent variables with known values, so its distribution is computed, not drawn: with

    K(u) = sum_n log( 1/T_n sum_s exp(u c_n(s)) ),    K'(u) = x

the tail is *Lugannani and Rice's (1980)* saddlepoint approximation,

    P(S >= x) = 1 - Phi(w) + phi(w) (1/v - 1/w),    w = sqrt(2 (u x - K(u))),  v = u sqrt(K''(u))

(for permutation tests *Robinson 1982*). It has no smallest p as drawn permutations have, which 144
heads by 40 annotations would need some million of.

**Exchange between sequences.** ``second`` of a sequence is that of another one with as many places:
what all sequences share by position alone is kept in the null. For permutations the mean and the
variance of ``S`` are known (*Hoeffding 1951*), and it is asymptotically normal.

**Exchange of places.** Where sequences share their places, as cells share their genes, a head that
favours some genes in all cells goes with any set that holds these by chance, in all cells alike,
and more cells are no more evidence. There the genes are exchanged in place of the sequences, in all
of them alike: with ``a_n`` the ranks of the head and ``b_n`` those of the annotation, of mean 0 and
length 1, the mean of ``S`` is 0 and its variance

    sum over n, m of (a_n . a_m) (b_n . b_m) / (T_nm - 1)

with ``T_nm`` the places that ``n`` and ``m`` share, over which the products go; Hoeffding's where
all share all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import fft, special, stats

from xaibench.shapes import Float

FEWEST_SEQUENCES = 10
"""Sequences below which nothing is said of an association."""

_STEPS = 100
"""Of Newton's method kept within an interval, which it halves where it would leave it."""

_CLOSE = 1e-9
"""How close ``K'`` comes to ``x``, as a part of it."""

_LARGEST = 600.0
"""The largest ``u``: ``exp(u c)`` is finite, and beyond it ``x`` is out of reach."""

_FLAT = 1e-3
"""Below this ``w`` the difference of ``1/v`` and ``1/w`` is lost in rounding, and next to none."""

_NOTHING_LEFT = 1e-9
"""The part of their length that ranks must keep when what goes with the nuisance is taken out, and
of a variance: less is rounding."""

_CELLS = 30_000_000
"""Correlations of shifts that are in memory together: 240 MB."""


class Along(NamedTuple):
    """Values along one sequence: ``first`` ``(F, T)`` and ``second`` ``(P, T)``, where NaN in
    ``second`` is a place without a value, which then takes no part. ``nuisance`` ``(K, T)`` is
    taken out of both: what is linear in its ranks (partial correlation). ``places`` ``(T,)`` are
    the numbers of places that sequences share, of which each has a value then."""

    first: Float
    second: Float
    nuisance: Float | None = None
    places: NDArray[np.intp] | None = None


class Associations(NamedTuple):
    """Of each of ``F`` first with each of ``P`` second values, all ``(F, P)``.

    ``mean`` is the mean over sequences of Spearman's correlation, in [-1, 1], ``low, high`` its
    95 % interval (*Student's* t over sequences), and ``sequences`` how many have one: both vary in
    it. ``p_shift`` and ``p_exchange`` are two-sided, of the circular shifts and of the exchange,
    and NaN with fewer than ``FEWEST_SEQUENCES`` sequences. Exchanged are the places that sequences
    share (``Along.places``), else sequences with as many places, all of them known.
    """

    mean: Float
    low: Float
    high: Float
    sequences: NDArray[np.intp]
    p_shift: Float
    p_exchange: Float


class _Ranked(NamedTuple):
    """Ranks along sequences with ``T`` places, of mean 0 and length 1, so that a sum of products is
    a correlation; 0 throughout where the values are all equal.

    ``first`` is ``(N, F, M, T)``: the ranks of the head among the places that the annotation knows,
    which are in front; ``M`` is 1 where all know all, else ``P``. ``second`` is ``(N, P, T)`` and
    ``known`` ``(N, P)`` how many are. ``places`` ``(N, T)`` are those that sequences share.
    """

    first: Float
    second: Float
    known: NDArray[np.intp]
    places: NDArray[np.intp] | None = None


def associations(sequences: Sequence[Along]) -> Associations:
    """The associations of all pairs of a first and a second value.

    >>> rises = np.arange(8.0)[None]
    >>> found = associations([Along(rises, rises**2)] * 12)
    >>> round(found.mean.item(), 9), found.sequences.item()
    (1.0, 12)
    """
    ranked = _by_places(sequences)
    observed = np.concatenate([_correlations(each) for each in ranked])
    count = (~np.isnan(observed)).sum(axis=0)
    few = count < FEWEST_SEQUENCES
    mean, reach = _mean_and_reach(observed, count)
    shared = ranked[0].places is not None
    p_exchange = _p_of_exchanged_places(ranked) if shared else _p_of_exchange(ranked)
    p_shift = np.empty(count.shape)
    sums = np.nansum(observed, axis=0)
    for heads in _blocks(ranked):
        tables = [_shifted(each, heads) for each in ranked]
        p_shift[heads] = _two_sided(tables, np.abs(sums[heads]))
    undefined = [np.where(few, np.nan, each) for each in (mean, mean - reach, mean + reach)]
    low, high = np.maximum(undefined[1], -1), np.minimum(undefined[2], 1)
    return Associations(
        undefined[0], low, high, count, *(np.where(few, np.nan, p) for p in (p_shift, p_exchange))
    )


def correlations(sequences: Sequence[Along]) -> Float:
    """``(N, F, P)``: Spearman's correlation of each pair within each sequence; NaN where one of the
    two does not vary."""
    return np.concatenate([_correlations(_stacked([each])) for each in sequences])


def _by_places(sequences: Sequence[Along]) -> list[_Ranked]:
    """Sequences with equally many places together."""
    together: dict[int, list[Along]] = {}
    for along in sequences:
        together.setdefault(along.first.shape[1], []).append(along)
    return [_stacked(alike) for alike in together.values()]


def _stacked(alike: list[Along]) -> _Ranked:
    whole = not any(np.isnan(along.second).any() for along in alike)
    ranked = [_ranked(along) if whole else _ranked_where_known(along) for along in alike]
    places = [along.places for along in alike if along.places is not None]
    first, second, known = (np.stack(parts) for parts in zip(*ranked, strict=True))
    return _Ranked(first, second, known, np.stack(places) if places else None)


def _ranked(along: Along) -> tuple[Float, Float, NDArray[np.intp]]:
    first, second = (_unit_ranks(each, along.nuisance) for each in along[:2])
    return first[:, None], second, np.full(len(second), second.shape[1])


def _ranked_where_known(along: Along) -> tuple[Float, Float, NDArray[np.intp]]:
    """An annotation at a time, of the places that it knows."""
    count, length = along.second.shape
    first = np.zeros((len(along.first), count, length))
    second = np.zeros((count, length))
    known = ~np.isnan(along.second)
    for number, where in enumerate(known):
        nuisance = None if along.nuisance is None else along.nuisance[:, where]
        size = int(where.sum())
        first[:, number, :size] = _unit_ranks(along.first[:, where], nuisance)
        second[number, :size] = _unit_ranks(along.second[number : number + 1, where], nuisance)[0]
    return first, second, known.sum(axis=1)


def _unit_ranks(values: Float, nuisance: Float | None) -> Float:
    """Ranks ``(F, T)`` without what is linear in those of the nuisance, of mean 0 and length 1; 0
    where nothing is left."""
    if not values.shape[1]:
        return np.zeros(values.shape)
    ranks = _centred_ranks(values)
    before = np.linalg.norm(ranks, axis=1)
    if nuisance is not None:
        basis = _basis(_centred_ranks(nuisance))
        ranks = ranks - (ranks @ basis) @ basis.T
    length = np.linalg.norm(ranks, axis=1)
    left = length > _NOTHING_LEFT * np.maximum(before, 1)
    unit: Float = np.divide(ranks, length[:, None], out=np.zeros(ranks.shape), where=left[:, None])
    return unit


def _centred_ranks(values: Float) -> Float:
    ranks = stats.rankdata(values, axis=1)
    centred: Float = ranks - ranks.mean(axis=1, keepdims=True)
    return centred


def _basis(rows: Float) -> Float:
    """An orthonormal basis ``(T, rank)`` of what rows ``(K, T)`` span."""
    vectors, sizes, _ = np.linalg.svd(rows.T, full_matrices=False)
    spanned = int((sizes > _NOTHING_LEFT * max(sizes.max(initial=0), 1)).sum())  # they fall
    basis: Float = vectors[:, :spanned]
    return basis


def _correlations(ranked: _Ranked) -> Float:
    """``(N, F, P)``; NaN where one of the two does not vary."""
    if ranked.first.shape[2] == 1:
        products = ranked.first[:, :, 0] @ ranked.second.transpose(0, 2, 1)
    else:
        products = np.einsum("nfpt,npt->nfp", ranked.first, ranked.second)
    varies = np.any(ranked.first != 0, axis=3) & np.any(ranked.second != 0, axis=2)[:, None]
    correlations: Float = np.where(varies, products, np.nan)
    return correlations


def _mean_and_reach(observed: Float, count: NDArray[np.intp]) -> tuple[Float, Float]:
    """The mean over sequences and how far its interval reaches, ``(F, P)``."""
    n = np.maximum(count, 2)
    mean = np.nansum(observed, axis=0) / np.maximum(count, 1)
    variance = np.nansum((observed - mean) ** 2, axis=0) / (n - 1)
    return mean, special.stdtrit(n - 1, 0.975) * np.sqrt(variance / n)


# Circular shifts


class _Shifts(NamedTuple):
    """``correlations`` ``(N, F, P, T)`` of every shift, and ``shares`` ``(N, P, T)``, how likely
    each is: there are as many as places that are known."""

    correlations: Float
    shares: Float


class _Cumulants(NamedTuple):
    """``K(u)`` and its first two derivatives, each ``(F, P)``."""

    value: Float
    slope: Float
    curvature: Float


def _blocks(ranked: list[_Ranked]) -> Iterator[slice]:
    """Heads that are taken together."""
    heads = ranked[0].first.shape[1]
    cells = sum(each.second.size for each in ranked)
    taken = max(1, _CELLS // max(cells, 1))
    for start in range(0, heads, taken):
        yield slice(start, start + taken)


def _shifted(ranked: _Ranked, heads: slice) -> _Shifts:
    first, second = ranked.first[:, heads], ranked.second
    length = second.shape[2]
    shares: NDArray[np.bool_] = np.arange(length) < np.maximum(ranked.known, 1)[..., None]
    if first.shape[2] == 1:
        moved = _circular(first, second[:, None], length)
    else:
        moved = np.zeros((*first.shape[:2], *second.shape[1:]))
        for size in np.unique(ranked.known[ranked.known > 0]):
            at, of = np.nonzero(ranked.known == int(size))
            rows = _circular(first[at, :, of, :size], second[at, of, None, :size], int(size))
            moved[at, :, of, :size] = rows
    return _Shifts(moved, shares / shares.sum(axis=2, keepdims=True))


def _circular(first: Float, second: Float, length: int) -> Float:
    """``sum_t first[t] second[t + s]`` for every shift ``s``, along the last axis."""
    product = np.conj(fft.rfft(first)) * fft.rfft(second)
    moved: Float = fft.irfft(product, n=length)
    return moved


def _two_sided(tables: list[_Shifts], sums: Float) -> Float:
    """``P(|S| >= |sum|)`` of sums that are not negative, ``(F, P)``."""
    return np.minimum(_tail(tables, sums, 1) + _tail(tables, sums, -1), 1)


def _tail(tables: list[_Shifts], sums: Float, sign: int) -> Float:
    """``P(sign S >= sum)``, by the saddlepoint; where none is found since the sum is (next to) the
    largest possible, ``exp(K(u) - u x)``, which is never too small (*Chernoff 1952*)."""
    u, at = _saddlepoint(tables, sums, sign)
    w = np.sqrt(np.maximum(2 * (u * sums - at.value), 0))
    v = u * np.sqrt(at.curvature)
    with np.errstate(divide="ignore", invalid="ignore"):
        correction = np.exp(-(w**2) / 2) / np.sqrt(2 * np.pi) * (1 / v - 1 / w)
    p = np.where(w > _FLAT, special.ndtr(-w) + correction, special.ndtr(-w))
    bound = np.exp(-(w**2) / 2)
    reached = np.abs(at.slope - sums) <= np.maximum(_CLOSE * sums, _CLOSE)
    return np.clip(np.where(reached, p, bound), 0, bound)


def _saddlepoint(tables: list[_Shifts], sums: Float, sign: int) -> tuple[Float, _Cumulants]:
    """``u >= 0`` where ``K'(u)`` is the sum."""
    low, high = np.zeros(sums.shape), np.full(sums.shape, _LARGEST)
    u = np.zeros(sums.shape)
    for _ in range(_STEPS):
        at = _cumulants(tables, u, sign)
        missing = sums - at.slope
        if (np.abs(missing) <= _CLOSE * sums).all():
            break
        low, high = np.where(missing > 0, u, low), np.where(missing < 0, u, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = u + missing / at.curvature
        inside = (step >= low) & (step <= high)
        u = np.where(missing == 0, u, np.where(inside, step, (low + high) / 2))
    return u, at


def _cumulants(tables: list[_Shifts], u: Float, sign: int) -> _Cumulants:
    value, slope, curvature = np.zeros((3, *u.shape))
    for table in tables:
        signed = sign * table.correlations
        weights = np.exp(u[..., None] * signed) * table.shares[:, None]
        total = weights.sum(axis=3)
        mean = (weights * signed).sum(axis=3) / total
        square = (weights * signed * signed).sum(axis=3) / total
        value += np.log(total).sum(axis=0)
        slope += mean.sum(axis=0)
        curvature += (square - mean**2).sum(axis=0)
    return _Cumulants(value, slope, curvature)


# Exchange between sequences


def _p_of_exchange(ranked: list[_Ranked]) -> Float:
    """``(F, P)``; NaN where too few sequences can be exchanged.

    With ``C[n, m]`` the correlation of the head in ``n`` with the annotation of ``m``, ``d`` what
    is left of it without the means of its row and its column, and ``N`` sequences, the mean of
    ``S`` is ``N`` times that of ``C``, and its variance ``sum of d^2 / (N - 1)``.
    """
    shape = (ranked[0].first.shape[1], ranked[0].second.shape[1])
    excess, variance = np.zeros(shape), np.zeros(shape)
    exchanged = np.zeros(shape[1], np.intp)
    for each in ranked:
        length = each.second.shape[2]
        for number in range(shape[1]):
            rows = each.known[:, number] == length
            if rows.sum() < 2:
                continue
            heads = each.first[rows][:, :, min(number, each.first.shape[2] - 1)]
            annotation = each.second[rows, number]
            more, spread = _hoeffding(heads, annotation)
            excess[:, number] += more
            variance[:, number] += spread
            exchanged[number] += rows.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * special.ndtr(-np.abs(excess) / np.sqrt(variance))
    tested: Float = np.where(
        (variance > _NOTHING_LEFT) & (exchanged >= FEWEST_SEQUENCES), p, np.nan
    )
    return tested


def _hoeffding(heads: Float, annotation: Float) -> tuple[Float, Float]:
    """How far the sum over ``n`` of ``(N, F, T)`` with ``(N, T)`` is above its mean, and its
    variance, each ``(F,)``.

    With ``a`` and ``b`` what is left of both without their means over sequences, ``d[n, m]`` is
    ``a_n b_m``, and the sum of its squares that of ``a_n (B^T B) a_n``: no ``(N, N)`` is made.
    """
    apart, own = heads - heads.mean(axis=0), annotation - annotation.mean(axis=0)
    excess = np.einsum("nft,nt->f", apart, own)
    squares = ((apart @ (own.T @ own)) * apart).sum(axis=(0, 2))
    return excess, squares / (len(own) - 1)


# Exchange of the places that sequences share


def _p_of_exchanged_places(ranked: list[_Ranked]) -> Float:
    """``(F, P)``; NaN where the head or the annotation does not vary."""
    count = 1 + max(int(each.places.max(initial=-1)) for each in ranked if each.places is not None)
    there = _by_place(ranked, [np.ones(each.second[:, 0].shape) for each in ranked], count)
    shares = there @ there.T - 1
    weights = np.divide(1, shares, out=np.zeros(shares.shape), where=shares > 0)
    heads = range(ranked[0].first.shape[1])
    first = [
        _by_place(ranked, [each.first[:, head, 0] for each in ranked], count) for head in heads
    ]
    likeness = np.stack([np.ravel((each @ each.T) * weights) for each in first])
    p = np.empty((len(first), ranked[0].second.shape[1]))
    for number in range(p.shape[1]):
        second = _by_place(ranked, [each.second[:, number] for each in ranked], count)
        sums = np.array([np.vdot(each, second) for each in first])
        variance = likeness @ np.ravel(second @ second.T)
        with np.errstate(divide="ignore", invalid="ignore"):
            tail = 2 * special.ndtr(-np.abs(sums) / np.sqrt(variance))
        p[:, number] = np.where(variance > _NOTHING_LEFT, tail, np.nan)
    return p


def _by_place(ranked: list[_Ranked], values: list[Float], count: int) -> Float:
    """``(N, count)`` of values ``(N, T)`` of each, 0 at places that a sequence does not have."""
    rows = []
    for each, given in zip(ranked, values, strict=True):
        assert each.places is not None  # for the type checker
        row = np.zeros((len(given), count))
        np.put_along_axis(row, each.places, given, axis=1)
        rows.append(row)
    return np.concatenate(rows)
