"""Gradients gathered on the way from a reference to the input."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from xaibench.nn.inference import in_calls, rows_of
from xaibench.protocols import method
from xaibench.values import Attribution

from .references import Origin, hypothetical, origin

Steps = Annotated[int, Field(ge=1, le=100_000)]

NODES = (0.0, 0.43424374934680255, 0.7745966692414834, 0.9604912687080203)
GAUSS = (8 / 9, 0.0, 5 / 9, 0.0)
KRONROD = (0.45091653865847414, 0.4013974147759622, 0.26848808986833344, 0.10465622602646727)
"""On [-1, 1], the same at minus each node: exact up to degrees 5 and 11 (*Kronrod 1965*)."""

PIECE = 12
"""So many ``steps`` are a piece of the path at first, of seven points."""

TOLERANCE = 3e-3
"""What contributions may miss of a change before pieces are halved: a third of what is promised
beside the root mean square change, which may be smaller than that of a sequence."""

POSITION = 1.5e-2
"""What the estimated error of a position may be beside the largest score before that: the two rules
differ by more than the better one is off."""

WORST = 0.9
"""Pieces are halved whose error is at least this share of the largest."""

CANCELLED = 50
"""A change smaller than the sizes of the contributions over this is not chased any further."""

LIMIT = 1000
"""So many points more than at first are taken on a path at most."""


@method(completeness=1e-2)
def integrated_gradients(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    steps: Steps = 50,
    reference: Origin = "uniform",
) -> Attribution:
    """The mean gradient between a reference and the input, times their difference
    (*Sundararajan et al. 2017*), by adaptive Gauss-Kronrod quadrature (*Kronrod 1965*; *Piessens
    et al. 1983*).

    The path begins as ``steps // 12`` pieces (four for 50). The mean gradient on a piece of length
    ``h`` from ``t`` is ``sum_k w_k g(t + h (1 + x_k) / 2) / 2`` over seven points ``x_k``; the same
    with the Gauss weights of three of them differs by the estimated error, position by position.

    The worst pieces are halved while contributions miss the change of the output by more than 0.3 %
    of it, or the estimated error of a position is above 1.5 % of the largest score: over the
    pieces, the larger of their sum (the gradient bends) and root sum of squares (it jumps, as
    networks with ReLU have it). Where contributions or gradients nearly cancel, 1/50 of their
    sizes counts in place of the change and the score. At most 1,000 points are added.

    The ``uniform`` reference has 1/4 of every base, which makes this the corrected gradient; with
    ``zero`` nothing is corrected, since that would break completeness. What is unknown (N,
    padding: a zero column) is unknown in both references too, and contributes nothing.
    """
    inputs = inputs.detach()
    start = origin(inputs, reference)
    paths = model, inputs, start.unsqueeze(1), target
    multipliers, missed, change = _along_paths(*paths, steps)
    return Attribution(
        contributions=multipliers[:, 0] * (inputs - start),
        hypothetical=hypothetical(multipliers, start.unsqueeze(1)),
        completeness_error=missed[:, 0].abs(),
        output_change=change[:, 0].abs(),
    )


@method(completeness=1e-2)
def expected_integrated_gradients(
    model: Any, inputs: Tensor, target: Tensor, *, references: Tensor, steps: Steps = 25
) -> Attribution:
    """The mean of integrated gradients over the references, dinucleotide shuffles of the sequence
    (*Sundararajan et al. 2017*; *Sturmfels et al. 2020*).

    ``contributions`` are the ``hypothetical`` scores at the observed base, as in DeepLIFT. Pieces
    are halved as in ``integrated_gradients``: for what each pair of sequence and reference misses,
    beside the root mean square change of the sequence, and for the errors of the mean scores. What
    pairs miss by quadrature averages out, and ``completeness_error`` is what their mean misses:
    our choice, for speed.
    """
    inputs = inputs.detach()
    paths = model, inputs, references, target
    multipliers, missed, change = _along_paths(*paths, steps)
    of_bases = hypothetical(multipliers, references)
    return Attribution(
        contributions=of_bases * inputs,
        hypothetical=of_bases,
        completeness_error=missed.mean(1).abs(),
        output_change=change.square().mean(1).sqrt(),
    )


@method()
def gradient_shap(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    references: Tensor,
    generators: list[np.random.Generator],
    draws: Annotated[int, Field(ge=1, le=100_000)] = 50,
) -> Attribution:
    """The mean over ``draws`` of the gradient at a random point between a random reference and the
    input, times their difference (*Lundberg and Lee 2017*; *Erion et al. 2021*).

    No noise is added, which would leave the simplex: our choice. ``contributions`` are the
    ``hypothetical`` scores at the observed base; they sum to the change of the output only in the
    limit of many draws.
    """
    inputs = inputs.detach()
    count = references.shape[1]
    chosen = np.stack([generator.integers(count, size=draws) for generator in generators])
    places = np.stack([generator.random(draws) for generator in generators])
    rows = torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
    drawn = references[rows, torch.from_numpy(chosen).to(inputs.device)]
    way = torch.from_numpy(places).to(inputs)[:, :, None, None]
    points = drawn + way * (inputs.unsqueeze(1) - drawn)
    multipliers = _gradients(model, points.flatten(0, 1), target.repeat_interleave(draws))
    of_bases = hypothetical(multipliers.reshape(points.shape), drawn)
    return Attribution(contributions=of_bases * inputs, hypothetical=of_bases)


def _along_paths(
    model: Any, inputs: Tensor, references: Tensor, target: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Mean gradients ``(N, K, C, S)`` on the straight paths from references ``(N, K, C, S)``, what
    they miss ``(N, K)`` of the changes of the output, and these ``(N, K)``."""
    # every piece is held until its path is done, so that not all paths are followed together
    together = max(1, rows_of(inputs.shape[2]) // references.shape[1])
    split = (torch.split(each, together) for each in (inputs, references, target))
    parts = [
        _some_paths(model, ends, starts, targets, steps)
        for ends, starts, targets in zip(*split, strict=True)
    ]
    multipliers, missed, change = (torch.cat(each) for each in zip(*parts, strict=True))
    return multipliers, missed, change


def _some_paths(
    model: Any, inputs: Tensor, references: Tensor, target: Tensor, steps: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The same of as many sequences as are followed together."""
    shape = references.shape
    starts, ends = references.flatten(0, 1), inputs.repeat_interleave(shape[1], 0)
    targets = target.repeat_interleave(shape[1])
    began = _outputs(model, starts, targets)
    reached = _outputs(model, inputs, target).repeat_interleave(shape[1])
    first = max(1, steps // PIECE)
    paths = _Paths(model, starts, ends - starts, targets, began, reached, shape[1], first)
    pieces = _begin(paths)
    while (worse := _worse(paths, pieces)).any():
        pieces = _halve(paths, pieces, worse)
    multipliers = _sums(pieces.gradients, pieces.row, len(starts))
    change = reached - began
    missed = (multipliers * paths.ways).sum((1, 2)) - change
    return multipliers.reshape(shape), missed.reshape(shape[:2]), change.reshape(shape[:2])


class _Paths(NamedTuple):
    """Straight paths ``(P, C, S)``: from ``starts`` by ``ways``, what is explained at both ends
    ``(P,)``; how many there are for ``each`` sequence, and in how many pieces they begin."""

    model: Any
    starts: Tensor
    ways: Tensor
    targets: Tensor
    began: Tensor
    reached: Tensor
    each: int
    pieces: int

    def places(self, row: Tensor, fraction: Tensor) -> Tensor:
        """Where some paths are after a fraction of the way."""
        ways = self.ways[row]
        return self.starts[row] + fraction.to(ways)[:, None, None] * ways


class _Pieces(NamedTuple):
    """Parts of paths ``(M,)``: of which path, where they begin and how long they are as fractions
    of it, and what is explained before and after them; what they add to the mean gradient
    ``(M, C, S)``, and the estimated error of that at every position ``(M, S)``."""

    row: Tensor
    begin: Tensor
    length: Tensor
    before: Tensor
    after: Tensor
    gradients: Tensor
    errors: Tensor


def _begin(paths: _Paths) -> _Pieces:
    """Every path in its first pieces, of one length."""
    count = paths.pieces
    inner = torch.arange(1, count, dtype=torch.float64, device=paths.began.device) / count
    rows = torch.arange(len(paths.starts), device=paths.began.device)
    places = paths.places(rows.repeat_interleave(count - 1), inner.repeat(len(rows)))
    between = _outputs(paths.model, places, paths.targets.repeat_interleave(count - 1))
    between = between.reshape(len(rows), count - 1)
    outputs = torch.cat([paths.began[:, None], between, paths.reached[:, None]], 1)
    begin = torch.cat([inner.new_zeros(1), inner]).repeat(len(rows))
    ends = outputs[:, :-1].flatten(), outputs[:, 1:].flatten()
    row = rows.repeat_interleave(count)
    return _integrated(paths, row, begin, torch.full_like(begin, 1 / count), *ends)


def _halve(paths: _Paths, pieces: _Pieces, worse: Tensor) -> _Pieces:
    """Some pieces in two."""
    row, begin, length, before, after = (each[worse] for each in pieces[:5])
    half, middle = length / 2, begin + length / 2
    between = _outputs(paths.model, paths.places(row, middle), paths.targets[row])
    first, second = (row, begin, half, before, between), (row, middle, half, between, after)
    halves = _integrated(paths, *(torch.cat(both) for both in zip(first, second, strict=True)))
    left = (each[~worse] for each in pieces)
    return _Pieces(*(torch.cat(both) for both in zip(left, halves, strict=True)))


def _integrated(
    paths: _Paths, row: Tensor, begin: Tensor, length: Tensor, before: Tensor, after: Tensor
) -> _Pieces:
    """Pieces with the gradients along them."""
    together = max(1, rows_of(paths.starts.shape[2]) // (2 * len(NODES) - 1))
    parts = [
        _gradients_along(paths, *some)
        for some in zip(
            *(torch.split(each, together) for each in (row, begin, length)), strict=True
        )
    ]
    gradients, errors = (torch.cat(each) for each in zip(*parts, strict=True))
    return _Pieces(row, begin, length, before, after, gradients, errors)


def _gradients_along(
    paths: _Paths, row: Tensor, begin: Tensor, length: Tensor
) -> tuple[Tensor, Tensor]:
    """``gradients`` and ``errors`` of pieces."""
    nodes, gauss, kronrod = (
        torch.tensor([*(sign * each for each in reversed(half[1:])), *half]).to(length)
        for sign, half in ((-1, NODES), (1, GAUSS), (1, KRONROD))
    )
    fraction = begin[:, None] + length[:, None] * (1 + nodes) / 2
    rows = row.repeat_interleave(len(nodes))
    places = paths.places(rows, fraction.flatten())
    gradients = _gradients(paths.model, places, paths.targets[rows])
    gradients = gradients.to(torch.promote_types(gradients.dtype, torch.float32))
    gradients = gradients.reshape(*fraction.shape, *gradients.shape[1:])
    gradients *= (length / 2).to(gradients)[:, None, None, None]
    slopes = (gradients * paths.ways[row, None]).sum(2)
    return (
        torch.einsum("k,mkcs->mcs", kronrod.to(gradients), gradients),
        torch.einsum("k,mks->ms", (kronrod - gauss).to(slopes), slopes),
    )


def _worse(paths: _Paths, pieces: _Pieces) -> Tensor:
    """The pieces that are halved next ``(M,)``; none of paths that have had their points."""
    scores = (pieces.gradients * paths.ways[pieces.row]).sum(1)
    worse = _missing(paths, pieces, scores) | _unsure(paths, pieces, scores)
    rows, points = len(paths.starts), 2 * len(NODES) - 1
    halved = pieces.row[worse].bincount(minlength=rows)
    more = pieces.row.bincount(minlength=rows) + halved - paths.pieces
    return worse & (2 * points * more <= LIMIT)[pieces.row]


def _missing(paths: _Paths, pieces: _Pieces, scores: Tensor) -> Tensor:
    """Of paths whose contributions miss the change of the output, the pieces that miss most."""
    row, rows = pieces.row, len(paths.starts)
    misses = scores.sum(1) - (pieces.after - pieces.before)
    sizes = _sums(scores, row, rows).abs().sum(1)
    wrong = _sums(misses, row, rows).abs() > TOLERANCE * torch.maximum(
        _size(paths), sizes / CANCELLED
    )
    return wrong[row] & _largest(misses.abs(), row, rows)


def _unsure(paths: _Paths, pieces: _Pieces, scores: Tensor) -> Tensor:
    """Of sequences with a position whose estimated error is too large, the pieces with the largest
    errors at the worst position."""
    sequence, count = pieces.row // paths.each, len(paths.starts) // paths.each
    bends = _sums(pieces.errors, sequence, count).abs()
    jumps = _sums(pieces.errors.square(), sequence, count).sqrt()
    error, place = torch.maximum(bends, jumps).max(1)
    score = _sums(scores, sequence, count).abs()
    size = torch.maximum(score, _sums(scores.abs(), sequence, count) / CANCELLED).amax(1)
    there = pieces.errors.gather(1, place[sequence, None])[:, 0].abs()
    return (error > POSITION * size)[sequence] & _largest(there, sequence, count)


def _size(paths: _Paths) -> Tensor:
    """What an error is small or large beside, for each path: the change, the root mean square
    change of the sequence, or what rounding leaves of the outputs."""
    change = paths.reached - paths.began
    usual = change.reshape(-1, paths.each).square().mean(1).sqrt().repeat_interleave(paths.each)
    largest = torch.maximum(paths.began.abs(), paths.reached.abs())
    rounding = largest * torch.finfo(paths.starts.dtype).eps / TOLERANCE
    return torch.stack([change.abs(), usual, rounding]).amax(0)


def _sums(values: Tensor, of: Tensor, count: int) -> Tensor:
    """The sums ``(count, ...)`` of the rows of ``values`` that belong together."""
    return values.new_zeros(count, *values.shape[1:]).index_add_(0, of, values)


def _largest(errors: Tensor, of: Tensor, count: int) -> Tensor:
    """Whether an error is among the largest of those that it belongs with."""
    largest = errors.new_zeros(count).scatter_reduce_(0, of, errors, "amax")
    return errors >= WORST * largest[of]


def _gradients(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """Of what is explained, at every row."""
    parts = []
    for some, targets in in_calls(inputs, target):
        rows = some.detach().requires_grad_()
        explained = model(rows).gather(1, targets.unsqueeze(1)).sum()
        parts.append(torch.autograd.grad(explained, rows)[0])
    return torch.cat(parts)


def _outputs(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """What is explained of every row ``(N,)``, in single precision or better."""
    with torch.no_grad():
        parts = [
            model(rows).gather(1, targets.unsqueeze(1))[:, 0]
            for rows, targets in in_calls(inputs, target)
        ]
    outputs = torch.cat([inputs.new_zeros(0), *parts])
    return outputs.to(torch.promote_types(outputs.dtype, torch.float32))
