"""Methods made of gradients, against closed forms in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor

from xaibench.attribution.gradient import (
    corrected,
    input_x_gradient,
    integrated_gradients,
    saliency,
)
from xaibench.explain import ExplainedView

QUADRATURE = {"rtol": 1e-7, "atol": 1e-7}
"""Captum keeps the weights of quadrature in single precision."""

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
    assert corrected(gradient).sum(1).abs().max() < 1e-14
    torch.testing.assert_close(corrected(gradient).diff(dim=1), gradient.diff(dim=1))


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


def test_integrated_gradients_of_a_linear_model_are_input_x_gradient() -> None:
    model, _ = linear()
    inputs, view = inputs_of(model), ExplainedView(model)
    answer = integrated_gradients(view, inputs, TARGETS, steps=3)
    expected = input_x_gradient(view, inputs, TARGETS).sum(1)
    torch.testing.assert_close(answer.contributions.sum(1), expected, **QUADRATURE)
    torch.testing.assert_close((answer.hypothetical * inputs).sum(1), expected, **QUADRATURE)


def test_integrated_gradients_from_zero_are_not_corrected() -> None:
    model, weights = linear()
    inputs = inputs_of(model)
    view = ExplainedView(model)
    answer = integrated_gradients(view, inputs, TARGETS, steps=3, reference="zero")
    torch.testing.assert_close(answer.contributions, inputs * weights, **QUADRATURE)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() < 1e-6


@pytest.mark.parametrize("reference", ["uniform", "zero"])
def test_what_is_unknown_contributes_nothing(reference: Any) -> None:
    model = toy.AttentionPool().double()
    view = ExplainedView(model)
    answer = integrated_gradients(view, inputs_of(model), TARGETS, reference=reference)
    assert (answer.contributions.abs().sum(1)[torch.from_numpy(CODES) == 4] == 0).all()


def test_gradients_miss_a_saturated_motif_and_integrated_gradients_do_not() -> None:
    model = toy.saturating().double()
    inputs, target = inputs_of(model), torch.tensor([1, 1, 1])
    assert (CODES == 0).sum(1).min() >= 2
    assert input_x_gradient(ExplainedView(model), inputs, target).abs().max() == 0
    view = ExplainedView(model)
    answer = integrated_gradients(view, inputs, target, steps=400, reference="zero")
    share = (CODES == 0) / (CODES == 0).sum(1, keepdims=True)
    np.testing.assert_allclose(answer.contributions.sum(1), share, atol=5e-3)  # a step of 1/400


def test_integrated_gradients_take_more_points_only_where_they_are_needed() -> None:
    smooth, jumping = ExplainedView(linear()[0]), ExplainedView(toy.saturating().double())
    integrated_gradients(smooth, inputs_of(linear()[0]), TARGETS, steps=3)
    assert smooth.backwards == 3 * 3
    answer = integrated_gradients(
        jumping, inputs_of(toy.saturating().double()), TARGETS, steps=20, reference="zero"
    )
    assert 3 * 20 < jumping.backwards <= 3 * 20 * (1 + 2 + 4 + 8 + 16)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() < 1e-2


def test_integrated_gradients_never_call_the_model_on_many_rows() -> None:
    view = ExplainedView(linear()[0])
    largest = 0

    def watch(module: Any, arguments: tuple[Tensor, ...]) -> None:
        nonlocal largest
        largest = max(largest, len(arguments[0]))

    view.register_forward_pre_hook(watch)
    inputs = view.classifier.encode(torch.from_numpy(CODES)).requires_grad_()
    integrated_gradients(view, inputs, TARGETS, steps=400)
    assert 256 < largest <= 512
