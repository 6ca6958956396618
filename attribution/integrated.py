"""Gradients gathered on the way from a reference to the input.

Integrated gradients of an input ``x`` from a reference ``r`` are ``x - r`` times the mean of the
gradient on the straight path between them (*Sundararajan et al. 2017*). They sum to
``f(x) - f(r)`` as exactly as the mean is known: ``quadrature`` says how it is computed.
"""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from xaibench.errors import NotApplicable
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method
from xaibench.values import Attribution

from .gradient import of_tokens
from .quadrature import gradients_at, path_integral
from .references import ConstantReference, constant_reference, hypothetical

Steps = Annotated[int, Field(ge=1, le=100_000)]
MostAdded = Annotated[int, Field(ge=0, le=1_000_000)]


@method(completeness=1e-2)
def integrated_gradients(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    steps: Steps = 50,
    most_added: MostAdded = 1000,
    reference: ConstantReference = "uniform",
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
    sizes counts in place of the change and the score. At most ``most_added`` points are added, two
    passes each, whatever is missed then; the harness says of how many sequences that was the end.

    The ``uniform`` reference has 1/4 of every base, which makes this the corrected gradient; with
    ``zero`` nothing is corrected, since that would break completeness. What is unknown (N,
    padding: a zero column) is unknown in both references too, and contributes nothing. Of tokens
    the ``uniform`` reference is the mean embedding, and special ones stay as they are.
    NotApplicable to a model whose output jumps.
    """
    if reason := getattr(model, "jumps", ""):
        raise NotApplicable(
            f"integrated_gradients: gradients on a path do not add up to the change of an output "
            f"that jumps ({reason})"
        )
    inputs = inputs.detach()
    start = constant_reference(inputs, reference, model)
    paths = model, inputs, start.unsqueeze(1), target
    multipliers, missed, change, ended = path_integral(*paths, steps, most_added)
    _note_ended(model, ended)
    return Attribution(
        contributions=multipliers[:, 0] * (inputs - start),
        hypothetical=None if of_tokens(model) else hypothetical(multipliers, start.unsqueeze(1)),
        completeness_error=missed[:, 0].abs(),
        output_change=change[:, 0].abs(),
    )


@method(completeness=1e-2)
def expected_integrated_gradients(
    model: Any,
    inputs: Tensor,
    target: Tensor,
    *,
    references: Tensor,
    steps: Steps = 25,
    most_added: MostAdded = 1000,
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
    multipliers, missed, change, ended = path_integral(*paths, steps, most_added)
    _note_ended(model, ended)
    of_bases = hypothetical(multipliers, references)
    return Attribution(
        contributions=of_bases * inputs,
        hypothetical=of_bases,
        completeness_error=missed.mean(1).abs(),
        output_change=change.square().mean(1).sqrt(),
    )


def _note_ended(model: Any, ended: Tensor) -> None:
    """For the harness: the sequences with a path ``(N, K)`` that had all its points."""
    if isinstance(model, ExplainedView):
        model.at_limit += int(ended.any(1).sum())


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
    # From each sequence's own stream: the references of all draws, then all fractions.
    chosen = np.stack([generator.integers(count, size=draws) for generator in generators])
    fractions = np.stack([generator.random(draws) for generator in generators])
    rows = torch.arange(len(inputs), device=inputs.device).unsqueeze(1)
    drawn = references[rows, torch.from_numpy(chosen).to(inputs.device)]
    fraction = torch.from_numpy(fractions).to(inputs)[:, :, None, None]
    points = drawn + fraction * (inputs.unsqueeze(1) - drawn)
    multipliers = gradients_at(model, points.flatten(0, 1), target.repeat_interleave(draws))
    of_bases = hypothetical(multipliers.reshape(points.shape), drawn)
    return Attribution(contributions=of_bases * inputs, hypothetical=of_bases)
