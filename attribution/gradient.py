"""Methods made of gradients."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from xaibench.nn.inference import in_calls
from xaibench.protocols import method


def corrected_gradient(gradient: Tensor) -> Tensor:
    """``g - mean(g)`` over the bases of each position, ``(N, 4, S)`` -> the same: the part of a
    gradient along the simplex of the bases.

    Columns of a one-hot input sum to 1, so no input differs from another along ``(1, 1, 1, 1)``,
    and what training leaves in the gradient there is arbitrary (*Majdandzic et al. 2023*).
    Embeddings of tokens lie on no simplex: their gradients stay as they are.
    """
    return gradient - gradient.mean(1, keepdim=True)


def of_tokens(model: Any) -> bool:
    """Whether the inputs of a model are embeddings of tokens, whose channels are no bases."""
    return bool(getattr(model, "has_tokens", False))


@method(signed=False, single_pass=True)
def saliency(model: Any, inputs: Tensor, target: Tensor, *, correct: bool = True) -> Tensor:
    """The largest absolute gradient over the bases of a position, in [0, inf) (*Simonyan et al.
    2014*); corrected unless ``correct`` is false."""
    gradient = _gradient(model, inputs, target, correct=correct)
    return gradient.abs().amax(1)


@method(single_pass=True)
def input_x_gradient(model: Any, inputs: Tensor, target: Tensor, *, correct: bool = True) -> Tensor:
    """The gradient at the observed base, as contributions ``(N, C, S)`` (*Shrikumar et al. 2016*);
    corrected unless ``correct`` is false. Zero where the base is unknown."""
    return inputs * _gradient(model, inputs, target, correct=correct)


def _gradient(model: Any, inputs: Tensor, target: Tensor, *, correct: bool) -> Tensor:
    """``(N, 4, S)``: with its sign, corrected or as it is."""
    explained = model(inputs).gather(1, target.unsqueeze(1))
    (gradient,) = torch.autograd.grad(explained.sum(), inputs)
    return corrected_gradient(gradient) if correct and not of_tokens(model) else gradient


@method()
def smooth_grad(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    generators: list[np.random.Generator],
    draws: Annotated[int, Field(ge=1, le=100_000)] = 25,
    noise: Annotated[float, Field(gt=0)] = 0.15,
    correct: bool = True,
) -> Tensor:
    """The mean gradient over noisy copies of the input, at the observed base, as contributions
    ``(N, C, S)`` (*Smilkov et al. 2017*).

    ``noise`` is the standard deviation of what is added to every base of the known positions: the
    copies are off the simplex. Corrected unless ``correct`` is false.
    """
    known = inputs.detach().sum(1, keepdim=True) > 0
    if of_tokens(model):
        known = torch.ones_like(known)
    shape = (draws, *inputs.shape[1:])
    drawn = np.stack([generator.normal(0, noise, shape) for generator in generators])
    copies = inputs.detach().unsqueeze(1) + torch.from_numpy(drawn).to(inputs) * known.unsqueeze(1)
    targets = target.repeat_interleave(draws)
    gradients = [
        _gradient(model, rows.requires_grad_(), of_rows, correct=correct)
        for rows, of_rows in in_calls(copies.flatten(0, 1), targets)
    ]
    return inputs * torch.cat(gradients).reshape(copies.shape).mean(1)
