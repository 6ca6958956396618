"""Gradients gathered on the way from a reference to the input."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import numpy as np
import torch
from captum.attr import IntegratedGradients
from pydantic import Field
from torch import Tensor

from xaibench.predict import in_calls, rows_of
from xaibench.protocols import method
from xaibench.values import Attribution

from .references import Origin, hypothetical, origin

Steps = Annotated[int, Field(ge=1)]

HALVINGS = 12
"""So many times a piece of the path is halved where the gradient jumps."""

TOLERANCE = 4e-3
"""What contributions may miss of a change before pieces are halved."""

CANCELLED = 100
"""A change smaller than the sizes of the contributions over this is not chased any further."""


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
    (*Sundararajan et al. 2017*), by Gauss-Legendre quadrature with ``steps`` points.

    Where contributions miss the change of the output by more than 0.4 % of it (or, where they
    nearly cancel, of 1/100 of their sizes), the pieces of the path that miss their share are
    halved, each half with as many points, up to 12 times: the gradients of networks with ReLU jump.

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
    are halved as in ``integrated_gradients``, for each pair of sequence and reference, beside the
    root mean square change of the sequence. What pairs miss by quadrature averages out, and
    ``completeness_error`` is what their mean misses: our choice, for speed.
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
    draws: Annotated[int, Field(ge=1)] = 50,
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
    count = references.shape[1]
    ends, starts = inputs.repeat_interleave(count, 0), references.flatten(0, 1)
    targets = target.repeat_interleave(count)
    reached = _output(model, inputs, target).repeat_interleave(count)
    began = _output(model, starts, targets)
    change = reached - began
    size = _size(change, reached, began, count)
    paths = _Paths(model, starts, ends - starts, targets)
    pieces = _whole(began, reached)
    multipliers, missed = torch.zeros_like(ends), torch.zeros_like(change)
    for halving in range(HALVINGS + 1):
        gradients, misses = _on_pieces(paths, pieces, steps)
        if halving == 0:
            sizes = (gradients * paths.ways).sum(1).abs().sum(1)
            size = torch.maximum(size, sizes / CANCELLED)
        far = TOLERANCE * size
        wrong = missed.index_add(0, pieces.row, misses).abs() > far
        worse = wrong[pieces.row] & (misses.abs() > far[pieces.row] * pieces.length)
        worse &= halving < HALVINGS
        multipliers.index_add_(0, pieces.row[~worse], gradients[~worse])
        missed.index_add_(0, pieces.row[~worse], misses[~worse])
        if not worse.any():
            break
        pieces = _halves(paths, pieces.at(worse))
    shape = references.shape
    return multipliers.reshape(shape), missed.reshape(shape[:2]), change.reshape(shape[:2])


class _Paths(NamedTuple):
    """Straight paths ``(P, C, S)``: from ``starts`` by ``ways``."""

    model: Any
    starts: Tensor
    ways: Tensor
    targets: Tensor

    def places(self, row: Tensor, fraction: Tensor) -> Tensor:
        """Where some paths are after a fraction of the way."""
        return self.starts[row] + fraction[:, None, None] * self.ways[row]


class _Pieces(NamedTuple):
    """Parts of paths ``(M,)``: of which path, where they begin and how long they are as fractions
    of it, and what is explained ``before`` and ``after`` them."""

    row: Tensor
    begin: Tensor
    length: Tensor
    before: Tensor
    after: Tensor

    def at(self, chosen: Tensor) -> _Pieces:
        return _Pieces(*(each[chosen] for each in self))


def _whole(began: Tensor, reached: Tensor) -> _Pieces:
    """Every path in one piece."""
    row = torch.arange(len(began), device=began.device)
    return _Pieces(row, torch.zeros_like(began), torch.ones_like(began), began, reached)


def _halves(paths: _Paths, pieces: _Pieces) -> _Pieces:
    """Every piece in two."""
    length = pieces.length / 2
    middle = pieces.begin + length
    places = paths.places(pieces.row, middle)
    between = _output(paths.model, places, paths.targets[pieces.row])
    first = pieces._replace(length=length, after=between)
    second = pieces._replace(begin=middle, length=length, before=between)
    return _Pieces(*(torch.cat(both) for both in zip(first, second, strict=True)))


def _on_pieces(paths: _Paths, pieces: _Pieces, steps: int) -> tuple[Tensor, Tensor]:
    """What each piece adds to the mean gradient of its path ``(M, C, S)``, and what that misses of
    the change along the piece ``(M,)``."""
    row = pieces.row
    begin = paths.places(row, pieces.begin)
    end = paths.places(row, pieces.begin + pieces.length)
    mean = _mean_gradient(paths.model, end, begin, paths.targets[row], steps)
    gradients = mean * pieces.length[:, None, None]
    return gradients, (gradients * paths.ways[row]).sum((1, 2)) - (pieces.after - pieces.before)


def _size(change: Tensor, reached: Tensor, began: Tensor, count: int) -> Tensor:
    """What an error is small or large beside, for each pair: the change, or where that is small the
    root mean square change of the sequence; with one reference, what rounding leaves."""
    if count == 1:
        return torch.stack([change.abs(), reached.abs() / 5e4, began.abs() / 5e4]).amax(0)
    usual = change.reshape(-1, count).square().mean(1).sqrt().repeat_interleave(count)
    return torch.maximum(change.abs(), usual)


def _mean_gradient(
    model: Any, inputs: Tensor, origin: Tensor, target: Tensor, points: int
) -> Tensor:
    """Over the straight path from ``origin`` to ``inputs``, ``(N, C, S)``."""
    engine = IntegratedGradients(model, multiply_by_inputs=False)
    parts = [
        engine.attribute(
            ends,
            baselines=starts,
            target=targets,
            n_steps=points,
            internal_batch_size=rows_of(inputs.shape[2]),
        ).detach()
        for ends, starts, targets in in_calls(inputs, origin, target)
    ]
    return torch.cat(parts)


def _gradients(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """Of what is explained, at every row."""
    parts = []
    for some, targets in in_calls(inputs, target):
        rows = some.detach().requires_grad_()
        explained = model(rows).gather(1, targets.unsqueeze(1)).sum()
        parts.append(torch.autograd.grad(explained, rows)[0])
    return torch.cat(parts)


def _output(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    """What is explained for every row ``(N,)``."""
    with torch.no_grad():
        outputs = torch.cat([model(rows) for (rows,) in in_calls(inputs)])
    return outputs.gather(1, target[:, None])[:, 0]
