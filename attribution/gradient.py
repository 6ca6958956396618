"""Methods made of gradients."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from captum.attr import IntegratedGradients, Saliency
from pydantic import Field
from torch import Tensor

from xaibench.protocols import method
from xaibench.values import Attribution

ROWS = 512
"""How many rows a call of the model may have."""


def corrected(gradient: Tensor) -> Tensor:
    """Without the mean over channels: the part that stays on the simplex of the bases.

    A one-hot input cannot move along the mean, so what the gradient says there is arbitrary
    (*Majdandzic et al. 2023*). ``(N, 4, S)`` -> ``(N, 4, S)``.
    """
    return gradient - gradient.mean(1, keepdim=True)


@method(signed=False)
def saliency(model: Any, inputs: Tensor, target: Tensor, *, correct: bool = True) -> Tensor:
    """The largest absolute gradient over the bases of a position, in [0, inf) (*Simonyan et al.
    2014*); corrected unless ``correct`` is false."""
    gradient = _gradient(model, inputs, target, correct=correct)
    return gradient.abs().amax(1)


@method()
def input_x_gradient(model: Any, inputs: Tensor, target: Tensor, *, correct: bool = True) -> Tensor:
    """The gradient at the observed base, as contributions ``(N, C, S)`` (*Shrikumar et al. 2016*);
    corrected unless ``correct`` is false. Zero where the base is unknown."""
    return inputs * _gradient(model, inputs, target, correct=correct)


def _gradient(model: Any, inputs: Tensor, target: Tensor, *, correct: bool) -> Tensor:
    gradient: Tensor = Saliency(model).attribute(inputs, target, abs=False)
    return corrected(gradient) if correct else gradient


@method(completeness=1e-2)
def integrated_gradients(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    steps: Annotated[int, Field(ge=1)] = 50,
    reference: Literal["uniform", "zero"] = "uniform",
) -> Attribution:
    """The mean gradient between a reference and the input, times their difference
    (*Sundararajan et al. 2017*), by Gauss-Legendre quadrature with ``steps`` points.

    A sequence whose contributions miss the change of its output by more than 0.4 % of it (or, where
    it hardly changes, of half the larger output) is done again with twice the points, up to 16
    times ``steps``: the gradients of networks with ReLU jump.

    The ``uniform`` reference has 1/4 of every base, which makes this the corrected gradient; with
    ``zero`` nothing is corrected, since that would break completeness. What is unknown (N,
    padding: a zero column) is unknown in both references too, and contributes nothing.
    """
    inputs = inputs.detach()
    origin = _origin(inputs, reference)
    reached, began = (_output(model, each, target) for each in (inputs, origin))
    change = reached - began
    size = torch.stack([change.abs(), reached.abs() / 2, began.abs() / 2]).amax(0)
    multipliers = torch.empty_like(inputs)
    error = torch.full_like(change, torch.inf)
    for points in (steps, 2 * steps, 4 * steps, 8 * steps, 16 * steps):
        rows = torch.nonzero(error > 4e-3 * size).flatten()
        if not len(rows):
            break
        multipliers[rows] = _mean_gradient(model, inputs[rows], origin[rows], target[rows], points)
        explained = (multipliers * (inputs - origin)).sum((1, 2))
        error = (explained - change).abs()
    return Attribution(
        contributions=multipliers * (inputs - origin),
        hypothetical=multipliers - (multipliers * origin).sum(1, keepdim=True),
        completeness_error=error,
        output_change=change.abs(),
    )


def _mean_gradient(
    model: Any, inputs: Tensor, origin: Tensor, target: Tensor, points: int
) -> Tensor:
    """Over the straight path from ``origin`` to ``inputs``, ``(N, C, S)``."""
    engine = IntegratedGradients(model, multiply_by_inputs=False)
    mean: Tensor = engine.attribute(
        inputs,
        baselines=origin,
        target=target,
        n_steps=points,
        internal_batch_size=max(ROWS, len(inputs)),
    )
    return mean.detach()


def _origin(inputs: Tensor, reference: str) -> Tensor:
    if reference == "zero":
        return torch.zeros_like(inputs)
    known = inputs.sum(1, keepdim=True)
    return (known / inputs.shape[1]).expand_as(inputs)


def _output(model: Any, inputs: Tensor, target: Tensor) -> Tensor:
    with torch.no_grad():
        outputs: Tensor = model(inputs)
    return outputs.gather(1, target[:, None])[:, 0]
