"""Methods made of gradients, against closed forms in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import Saliency
from torch import Tensor

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.gradient import (
    corrected_gradient,
    input_x_gradient,
    saliency,
    smooth_grad,
)
from xaibench.attribution.integrated import integrated_gradients
from xaibench.nn.view import ExplainedView

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])


def inputs_of(model: Any) -> Tensor:
    encoded: Tensor = model.encode(torch.from_numpy(CODES))
    return encoded.requires_grad_()


def linear() -> tuple[Any, Tensor]:
    """A linear model, and the gradient ``(N, 4, L)`` of what is explained for TARGETS."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 4, toy.LENGTH, generator=generator, dtype=torch.float64)
    return toy.linear(weights), weights[TARGETS] - weights[1 - TARGETS]


def test_corrected_gradients_sum_to_zero_over_bases_and_keep_their_differences() -> None:
    gradient = torch.randn(3, 4, 7, dtype=torch.float64)
    assert corrected_gradient(gradient).sum(1).abs().max() < 1e-14
    torch.testing.assert_close(corrected_gradient(gradient).diff(dim=1), gradient.diff(dim=1))


@pytest.mark.parametrize("correct", [True, False])
def test_input_x_gradient_of_a_linear_model_is_its_weight_at_the_base(correct: bool) -> None:
    model, weights = linear()
    inputs = inputs_of(model)
    answer = input_x_gradient(ExplainedView(model), inputs, TARGETS, correct=correct)
    mean = weights.mean(1, keepdim=True) if correct else 0
    torch.testing.assert_close(answer, inputs * (weights - mean), rtol=0, atol=1e-12)


@pytest.mark.parametrize("correct", [True, False])
def test_saliency_of_a_linear_model_is_its_largest_absolute_weight(correct: bool) -> None:
    model, weights = linear()
    answer = saliency(ExplainedView(model), inputs_of(model), TARGETS, correct=correct)
    expected = weights - weights.mean(1, keepdim=True) if correct else weights
    torch.testing.assert_close(answer, expected.abs().amax(1), rtol=0, atol=1e-12)


def generators(seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(len(CODES))]


@pytest.mark.parametrize("correct", [True, False])
def test_smooth_grad_of_a_linear_model_is_input_x_gradient(correct: bool) -> None:
    model, _ = linear()
    view, inputs = ExplainedView(model), inputs_of(model)
    answer = smooth_grad(view, inputs, TARGETS, generators=generators(), draws=5, correct=correct)
    expected = input_x_gradient(view, inputs, TARGETS, correct=correct)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


def test_smooth_grad_is_the_mean_of_captums_gradient_over_the_same_noise() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]().double()
    view, inputs = ExplainedView(model), inputs_of(model)
    answer = smooth_grad(
        view, inputs, TARGETS, generators=generators(), draws=7, noise=0.3, correct=False
    )
    for row, generator in enumerate(generators()):
        noise = torch.from_numpy(generator.normal(0, 0.3, (7, 4, toy.LENGTH)))
        one = inputs[row : row + 1].detach()
        copies = one + noise * one.sum(1, keepdim=True)
        gradient = Saliency(view).attribute(
            copies.requires_grad_(), TARGETS[row].expand(7), abs=False
        )
        torch.testing.assert_close(answer[row], one[0] * gradient.mean(0), rtol=0, atol=1e-12)


def test_input_x_gradient_is_the_slope_of_a_small_step_along_the_base() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]().double()
    view, inputs = ExplainedView(model), inputs_of(model)
    answer = input_x_gradient(view, inputs, TARGETS, correct=False).sum(1)
    step = 1e-6
    for position in range(0, toy.LENGTH, 5):
        moved = torch.zeros_like(inputs)
        moved[:, :, position] = step * inputs[:, :, position]
        with torch.no_grad():
            change = (view(inputs + moved) - view(inputs - moved)).gather(1, TARGETS[:, None])[:, 0]
        torch.testing.assert_close(answer[:, position], change / (2 * step), rtol=1e-6, atol=1e-9)


def test_integrated_gradients_and_deeplift_agree_on_a_linear_model_from_every_reference() -> None:
    model, _ = linear()
    view, inputs = ExplainedView(model), inputs_of(model)
    for reference in ("uniform", "zero"):
        one = deeplift(view, inputs, TARGETS, references=inputs.unsqueeze(1), reference=reference)
        other = integrated_gradients(view, inputs, TARGETS, reference=reference)
        torch.testing.assert_close(
            one.contributions.sum(1), other.contributions.sum(1), rtol=1e-6, atol=1e-6
        )
