"""Adaptive Gauss-Kronrod quadrature of a model's gradient along straight paths.

The integral is ``m = int_0^1 g(r + t (x - r)) dt``, the mean gradient ``(C, S)`` of what is
explained between a reference ``r`` and an input ``x``. ``m (x - r)`` are contributions: they sum to
``f(x) - f(r)``, and that sum is known, so that part of the error can be measured.

A path is divided into pieces. On one from ``t`` of length ``h``, with nodes ``x_k`` on [-1, 1]:

    Kronrod   K = h/2 sum_k w_k g(t + h (1 + x_k) / 2)     seven nodes
    Gauss     G = h/2 sum_k v_k g(t + h (1 + x_k) / 2)     three of them, v_k = 0 at the others

``K`` is what the piece adds to ``m``. ``K - G`` costs no further gradient and estimates the error
of ``G``, which is more than that of ``K`` (*Piessens et al. 1983*). Networks with ReLU have
gradients that jump, where neither rule converges fast; there pieces are halved until they are
short.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor

from xaibench.nn.inference import batch_rows, in_calls

NODES = (0.0, 0.43424374934680255, 0.7745966692414834, 0.9604912687080203)
GAUSS = (8 / 9, 0.0, 5 / 9, 0.0)
KRONROD = (0.45091653865847414, 0.4013974147759622, 0.26848808986833344, 0.10465622602646727)
"""On [-1, 1], the same at minus each node: exact up to degrees 5 and 11 (*Kronrod 1965*)."""

POINTS = 2 * len(NODES) - 1
"""Of a piece: 0 has no other sign."""

STEPS_PER_PIECE = 12
"""So many ``steps`` are a piece of the path at first, of seven points."""

SUM_TOLERANCE = 3e-3
"""What contributions may miss of a change before pieces are halved: a third of what is promised
beside the root mean square change, which may be smaller than that of a sequence."""

POSITION_TOLERANCE = 1.5e-2
"""What the estimated error of a position may be beside the largest score before that: the two rules
differ by more than the better one is off."""

AMONG_WORST = 0.9
"""Pieces are halved whose error is at least this share of the largest: halving one at a time would
be a call of the model each."""

CANCELLED = 50
"""A change smaller than the sizes of the contributions over this is not chased any further."""


class PathIntegral(NamedTuple):
    """``multipliers`` ``(N, K, C, S)``, the mean gradients on the paths from ``K`` references of
    each input; ``missed`` ``(N, K)``, what contributions sum to, less the change of the output;
    that ``change`` ``(N, K)``; and ``ended`` ``(N, K)``, whether a path had all the points that may
    be added and would have taken more."""

    multipliers: Tensor
    missed: Tensor
    change: Tensor
    ended: Tensor


def path_integral(
    model: Any, inputs: Tensor, references: Tensor, target: Tensor, steps: int, most_added: int
) -> PathIntegral:
    """Mean gradients on the straight paths from references ``(N, K, C, S)`` to inputs ``(N, C,
    S)``, in ``steps // 12`` pieces at first; halving them adds at most so many points to a path."""
    # every piece is held until its path is done, so that not all paths are followed together
    together = max(1, batch_rows(inputs.shape[2], inputs.device) // references.shape[1])
    split = (torch.split(each, together) for each in (inputs, references, target))
    parts = [
        _integral_of_few(_paths(model, ends, starts, targets, steps, most_added))
        for ends, starts, targets in zip(*split, strict=True)
    ]
    return PathIntegral(*(torch.cat(each) for each in zip(*parts, strict=True)))


def _integral_of_few(paths: _Paths) -> PathIntegral:
    """The same of as many sequences as are followed together."""
    pieces = _first_pieces(paths)
    inexact = _inexact(paths, pieces)
    while (chosen := inexact & _with_points_left(paths, pieces, inexact)).any():
        pieces = _refine(paths, pieces, chosen)
        inexact = _inexact(paths, pieces)
    multipliers = _sums_by(pieces.path, pieces.gradients, len(paths.starts))
    change = paths.outputs_at_end - paths.outputs_at_start
    missed = (multipliers * paths.differences).sum((1, 2)) - change
    ended = pieces.path[inexact].bincount(minlength=len(change)) > 0
    by_sequence = (-1, paths.per_sequence)
    return PathIntegral(
        multipliers.reshape(*by_sequence, *multipliers.shape[1:]),
        *(each.reshape(by_sequence) for each in (missed, change, ended)),
    )


class _Paths(NamedTuple):
    """The problem: ``P`` straight paths ``(P, C, S)`` from ``starts`` by ``differences``, what is
    explained at both ends ``(P,)``; ``per_sequence`` of them belong to one sequence, and each
    begins as ``first`` pieces, with at most ``most_added`` points more."""

    model: Any
    starts: Tensor
    differences: Tensor
    targets: Tensor
    outputs_at_start: Tensor
    outputs_at_end: Tensor
    per_sequence: int
    first: int
    most_added: int

    def points_at(self, path: Tensor, fraction: Tensor) -> Tensor:
        """``(M, C, S)``: where paths ``(M,)`` are after fractions ``(M,)`` of the way."""
        differences = self.differences[path]
        return self.starts[path] + fraction.to(differences)[:, None, None] * differences


class _Pieces(NamedTuple):
    """The state: ``M`` parts of paths, each with its ``path``, where it ``begins`` and its
    ``length`` as fractions of the path, and what is explained before and after it ``(M,)``; its
    ``gradients`` ``(M, C, S)``, ``K`` above, and ``errors`` ``(M, S)``, ``(K - G) (x - r)`` summed
    over channels."""

    path: Tensor
    begins: Tensor
    length: Tensor
    output_before: Tensor
    output_after: Tensor
    gradients: Tensor
    errors: Tensor


def _paths(
    model: Any, inputs: Tensor, references: Tensor, target: Tensor, steps: int, most_added: int
) -> _Paths:
    """``P = N x K`` paths, those of a sequence one after the other."""
    count = references.shape[1]
    starts, ends = references.flatten(0, 1), inputs.repeat_interleave(count, 0)
    targets = target.repeat_interleave(count)
    at_start = _outputs(model, starts, targets)
    at_end = _outputs(model, inputs, target).repeat_interleave(count)
    first = max(1, steps // STEPS_PER_PIECE)
    return _Paths(model, starts, ends - starts, targets, at_start, at_end, count, first, most_added)


def _first_pieces(paths: _Paths) -> _Pieces:
    """Every path in its first pieces, of one length."""
    count, device = paths.first, paths.outputs_at_start.device
    inner = (torch.arange(1, count, dtype=torch.float64) / count).to(device, _of_fractions(device))
    every = torch.arange(len(paths.starts), device=device)
    points = paths.points_at(every.repeat_interleave(count - 1), inner.repeat(len(every)))
    between = _outputs(paths.model, points, paths.targets.repeat_interleave(count - 1))
    between = between.reshape(len(every), count - 1)
    outputs = torch.cat(
        [paths.outputs_at_start[:, None], between, paths.outputs_at_end[:, None]], 1
    )
    begins = torch.cat([inner.new_zeros(1), inner]).repeat(len(every))
    ends = outputs[:, :-1].flatten(), outputs[:, 1:].flatten()
    path = every.repeat_interleave(count)
    return _integrated(paths, path, begins, torch.full_like(begins, 1 / count), *ends)


def _of_fractions(device: torch.device) -> torch.dtype:
    """Fractions of a path are halved again and again; MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _refine(paths: _Paths, pieces: _Pieces, chosen: Tensor) -> _Pieces:
    """The state with the chosen pieces ``(M,)`` in two halves each, integrated anew; the others
    stay as they are."""
    path, begins, length, before, after = (each[chosen] for each in pieces[:5])
    half, middle = length / 2, begins + length / 2
    between = _outputs(paths.model, paths.points_at(path, middle), paths.targets[path])
    first, second = (path, begins, half, before, between), (path, middle, half, between, after)
    halves = _integrated(paths, *(torch.cat(both) for both in zip(first, second, strict=True)))
    others = (each[~chosen] for each in pieces)
    return _Pieces(*(torch.cat(both) for both in zip(others, halves, strict=True)))


def _integrated(
    paths: _Paths, path: Tensor, begins: Tensor, length: Tensor, before: Tensor, after: Tensor
) -> _Pieces:
    """Pieces with their gradients and errors, in calls of as many rows as the model takes."""
    starts = paths.starts
    together = max(1, batch_rows(starts.shape[2], starts.device) // POINTS)
    split = (torch.split(each, together) for each in (path, begins, length))
    parts = [_gauss_kronrod(paths, *few) for few in zip(*split, strict=True)]
    gradients, errors = (torch.cat(each) for each in zip(*parts, strict=True))
    return _Pieces(path, begins, length, before, after, gradients, errors)


def _gauss_kronrod(
    paths: _Paths, path: Tensor, begins: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """``gradients`` and ``errors`` of pieces."""
    # From the positive half: nodes with the other sign, weights as they are, 0 once.
    nodes, gauss, kronrod = (
        torch.tensor([*(sign * each for each in reversed(half[1:])), *half]).to(length)
        for sign, half in ((-1, NODES), (1, GAUSS), (1, KRONROD))
    )
    fraction = begins[:, None] + length[:, None] * (1 + nodes) / 2
    paths_of_points = path.repeat_interleave(len(nodes))
    points = paths.points_at(paths_of_points, fraction.flatten())
    gradients = gradients_at(paths.model, points, paths.targets[paths_of_points])
    # Sums in half precision would lose more than what completeness may miss.
    gradients = gradients.to(torch.promote_types(gradients.dtype, torch.float32))
    gradients = gradients.reshape(*fraction.shape, *gradients.shape[1:])
    gradients *= (length / 2).to(gradients)[:, None, None, None]
    slopes = (gradients * paths.differences[path, None]).sum(2)
    return (
        torch.einsum("k,mkcs->mcs", kronrod.to(gradients), gradients),
        torch.einsum("k,mks->ms", (kronrod - gauss).to(slopes), slopes),
    )


def _inexact(paths: _Paths, pieces: _Pieces) -> Tensor:
    """The pieces ``(M,)`` that are to be halved, for their sum or for a position."""
    scores = (pieces.gradients * paths.differences[pieces.path]).sum(1)
    unsure = _unsure_of_a_position(paths, pieces, scores)
    # a gradient that leaves a part out sums to no change, however fine the pieces are
    adds_up = getattr(paths.model, "adds_up", True)
    return unsure | _miss_the_sum(paths, pieces, scores) if adds_up else unsure


def _with_points_left(paths: _Paths, pieces: _Pieces, inexact: Tensor) -> Tensor:
    """Whether the path of a piece ``(M,)`` may have the points that the ``inexact`` ask for."""
    count = len(paths.starts)
    halved = pieces.path[inexact].bincount(minlength=count)
    added = pieces.path.bincount(minlength=count) + halved - paths.first
    # The points of a piece are of no use to its halves: each piece more has taken 2 x POINTS.
    return (2 * POINTS * added <= paths.most_added)[pieces.path]


def _miss_the_sum(paths: _Paths, pieces: _Pieces, scores: Tensor) -> Tensor:
    """Of paths whose contributions miss the change of the output, the pieces that miss most; of
    ``scores`` ``(M, S)``, each piece misses a known part: it has outputs at both of its ends."""
    path, count = pieces.path, len(paths.starts)
    misses = scores.sum(1) - (pieces.output_after - pieces.output_before)
    sizes = _sums_by(path, scores, count).abs().sum(1)
    beside = torch.maximum(_size_of_change(paths), sizes / CANCELLED)
    wrong = _sums_by(path, misses, count).abs() > SUM_TOLERANCE * beside
    return wrong[path] & _among_largest(misses.abs(), path, count)


def _unsure_of_a_position(paths: _Paths, pieces: _Pieces, scores: Tensor) -> Tensor:
    """Of sequences with a position whose estimated error is too large, the pieces with the largest
    errors at the worst position.

    Over pieces, errors of one sign add up where the gradient bends, and are as good as independent
    where it jumps: the larger of their sum and root sum of squares counts. For several references
    both are of the sequence, since its scores are their mean.
    """
    sequence = pieces.path // paths.per_sequence
    count = len(paths.starts) // paths.per_sequence
    if_it_bends = _sums_by(sequence, pieces.errors, count).abs()
    if_it_jumps = _sums_by(sequence, pieces.errors.square(), count).sqrt()
    error, worst = torch.maximum(if_it_bends, if_it_jumps).max(1)
    score = _sums_by(sequence, scores, count).abs()
    gross = _sums_by(sequence, scores.abs(), count) / CANCELLED
    largest = torch.maximum(score, gross).amax(1)
    at_worst = pieces.errors.gather(1, worst[sequence, None])[:, 0].abs()
    unsure = error > POSITION_TOLERANCE * largest
    return unsure[sequence] & _among_largest(at_worst, sequence, count)


def _size_of_change(paths: _Paths) -> Tensor:
    """What an error of the sum is small or large beside, for each path ``(P,)``: the change, the
    root mean square change of the sequence, or what rounding leaves of the outputs."""
    change = paths.outputs_at_end - paths.outputs_at_start
    by_sequence = change.reshape(-1, paths.per_sequence)
    usual = by_sequence.square().mean(1).sqrt().repeat_interleave(paths.per_sequence)
    largest = torch.maximum(paths.outputs_at_start.abs(), paths.outputs_at_end.abs())
    rounding = largest * torch.finfo(paths.starts.dtype).eps / SUM_TOLERANCE
    return torch.stack([change.abs(), usual, rounding]).amax(0)


def _sums_by(group: Tensor, values: Tensor, count: int) -> Tensor:
    """``(count, ...)``: the sums of the rows of ``values`` ``(M, ...)`` in each group ``(M,)``."""
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, group, values)


def _among_largest(errors: Tensor, group: Tensor, count: int) -> Tensor:
    """Whether an error ``(M,)`` is nearly the largest of its group."""
    largest = errors.new_zeros(count).scatter_reduce_(0, group, errors, "amax")
    return errors >= AMONG_WORST * largest[group]


def gradients_at(model: Any, points: Tensor, target: Tensor) -> Tensor:
    """``(M, C, S)``: the gradient of what is explained at every point, each by itself."""
    parts = []
    for some, targets in in_calls(points, target):
        rows = some.detach().requires_grad_()
        explained = model(rows).gather(1, targets.unsqueeze(1)).sum()
        parts.append(torch.autograd.grad(explained, rows)[0])
    return torch.cat(parts)


def _outputs(model: Any, points: Tensor, target: Tensor) -> Tensor:
    """What is explained at every point ``(M,)``, in single precision or better."""
    with torch.no_grad():
        parts = [
            model(rows).gather(1, targets.unsqueeze(1))[:, 0]
            for rows, targets in in_calls(points, target)
            if len(rows)  # many a model cannot flatten no rows
        ]
    outputs = torch.cat([points.new_zeros(0), *parts])
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
