"""Methods made of gradients on a path, against closed forms in float64."""

from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import IntegratedGradients
from torch import Tensor, nn

from xaibench.attribution.gradient import input_x_gradient
from xaibench.attribution.integrated import (
    expected_integrated_gradients,
    gradient_shap,
    integrated_gradients,
)
from xaibench.explanation.method_call import explain
from xaibench.nn.view import ExplainedView

QUADRATURE = {"rtol": 1e-7, "atol": 1e-7}
"""Captum keeps the weights of quadrature in single precision."""

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])


def inputs_of(model: Any) -> Tensor:
    encoded: Tensor = model.encode(torch.from_numpy(CODES))
    return encoded.requires_grad_()


def references_of(model: Any) -> Tensor:
    drawn = toy.random_references(CODES)
    encoded: Tensor = model.encode(torch.from_numpy(drawn.reshape(-1, toy.LENGTH)))
    return encoded.reshape(*drawn.shape[:2], 4, toy.LENGTH)


def generators(seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng([seed, row]) for row in range(len(CODES))]


def linear() -> tuple[Any, Tensor]:
    """A linear model, and the gradient ``(N, 4, L)`` of what is explained for TARGETS."""
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(2, 4, toy.LENGTH, generator=generator, dtype=torch.float64)
    return toy.linear(weights), weights[TARGETS] - weights[1 - TARGETS]


def test_integrated_gradients_of_a_linear_model_are_input_x_gradient() -> None:
    model, _ = linear()
    inputs, view = inputs_of(model), ExplainedView(model)
    answer = integrated_gradients(view, inputs, TARGETS, steps=3)
    expected = input_x_gradient(view, inputs, TARGETS).sum(1)
    torch.testing.assert_close(answer.contributions.sum(1), expected, **QUADRATURE)
    torch.testing.assert_close((answer.hypothetical * inputs).sum(1), expected, **QUADRATURE)


class FlattensBySize(toy.Toy):
    """``reshape(size(0), -1)``, which torch refuses for no rows."""

    def forward(self, inputs: Tensor) -> Tensor:
        rows = inputs.reshape(inputs.size(0), -1)
        return torch.stack([rows.sum(1), rows[:, ::2].square().sum(1)], 1)


def test_a_path_in_one_piece_calls_the_model_with_rows_alone() -> None:
    model = FlattensBySize(nn.Identity()).double()
    answer = integrated_gradients(ExplainedView(model), inputs_of(model), TARGETS, steps=1)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() < 1e-6


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
    integrated_gradients(smooth, inputs_of(linear()[0]), TARGETS, steps=35)
    assert (smooth.forwards, smooth.backwards) == (3 * (2 * 7 + 3), 3 * 2 * 7)
    answer = integrated_gradients(
        jumping, inputs_of(toy.saturating().double()), TARGETS, steps=20, reference="zero"
    )
    assert 3 * 7 < jumping.backwards <= 3 * 7 * (1 + 2 * 8)  # one jump: half of a half of a half
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() < 1e-2


class Power(toy.Toy):
    """The logit of class 1 is a power of a weighted sum of the input; that of class 0 is 0."""

    def __init__(self, degree: int) -> None:
        super().__init__(nn.Identity())
        self.weights = nn.Parameter(torch.linspace(-0.1, 0.2, 4 * toy.LENGTH).reshape(4, -1))
        self.degree = degree

    def forward(self, inputs: Tensor) -> Tensor:
        power = (self.weights * inputs).sum((1, 2)) ** self.degree
        return torch.stack([torch.zeros_like(power), power], 1)


@pytest.mark.parametrize("degree", [1, 2, 3, 7, 12])
def test_integrated_gradients_of_a_polynomial_are_exact(degree: int) -> None:
    model = Power(degree).double()
    view, inputs = ExplainedView(model), inputs_of(model)
    answer = integrated_gradients(view, inputs, torch.ones(3).long(), steps=1, reference="zero")
    parts = (model.weights * inputs).sum(1)
    whole = parts.sum(1, keepdim=True)
    torch.testing.assert_close(answer.contributions.sum(1), parts * whole ** (degree - 1))


def riemann(model: Any, inputs: Tensor, starts: Tensor, target: Tensor, points: int) -> Tensor:
    """Scores ``(S,)`` of one sequence by so many points, each in the middle of its part."""
    way = (torch.arange(points, dtype=torch.float64) + 0.5)[:, None, None] / points
    places = (starts + way * (inputs - starts)).requires_grad_()
    explained = model(places)[:, target].sum()
    gradient = torch.autograd.grad(explained, places)[0].mean(0)
    return (gradient * (inputs - starts)).sum(0)


STEPS = (1, 5, 50)
NETWORKS = [name for name in toy.MODELS if name != "motif count"]
"""But for counts of motifs, whose path can lie on the kinks of the network."""


def assert_positions_are(scores: Tensor, expected: Tensor) -> None:
    """Within a little more than the estimated error may be: an estimate is no bound."""
    off = (scores - expected).abs().amax(1)
    assert (off <= 2e-2 * expected.abs().amax(1)).all()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_position_is_that_of_a_riemann_sum(name: str) -> None:
    view = ExplainedView(toy.MODELS[name]().double())
    inputs = inputs_of(view.classifier).detach()
    start = 0.25 * inputs.sum(1, keepdim=True).expand_as(inputs)
    each = zip(inputs, start, TARGETS, strict=True)
    expected = torch.stack([riemann(view, *one, points=10_000) for one in each])
    for steps in STEPS:
        answer = integrated_gradients(view, inputs, TARGETS, steps=steps)
        assert_positions_are(answer.contributions.sum(1), expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_every_position_is_the_mean_of_riemann_sums_over_references(name: str) -> None:
    view = ExplainedView(toy.MODELS[name]().double())
    inputs, references = inputs_of(view.classifier).detach(), references_of(view.classifier)
    each = zip(inputs, references, TARGETS, strict=True)
    expected = [
        torch.stack([riemann(view, end, start, target, points=1000) for start in starts]).mean(0)
        for end, starts, target in each
    ]
    for steps in STEPS:
        answer = expected_integrated_gradients(
            view, inputs, TARGETS, references=references, steps=steps
        )
        assert_positions_are(answer.contributions.sum(1), torch.stack(expected))


@pytest.mark.parametrize("name", ["both", "motif count", "residual"])
def test_the_passes_where_gradients_jump_are_little_more_than_the_steps(name: str) -> None:
    view, codes = ExplainedView(toy.MODELS[name]()), toy.sequences(20)
    inputs = view.classifier.encode(torch.from_numpy(codes))
    integrated_gradients(view, inputs, torch.ones(20).long(), steps=50)
    assert view.backwards <= view.forwards <= 1.3 * 50 * 20


class Detached(toy.Toy):
    """Half of what it gives is not differentiated."""

    def forward(self, inputs: Tensor) -> Tensor:
        half = (torch.linspace(0, 1, toy.LENGTH, dtype=inputs.dtype) * inputs[:, 0]).sum(1)
        return torch.stack([torch.zeros_like(half), half + half.detach()], 1)


def test_a_model_whose_gradients_are_wrong_is_not_chased() -> None:
    view = ExplainedView(Detached(nn.Identity()).double())
    inputs = view.classifier.encode(torch.from_numpy(CODES))
    answer = integrated_gradients(view, inputs, torch.ones(3).long())
    assert view.backwards <= 3 * 1000
    assert answer.completeness_error is not None
    assert answer.output_change is not None
    torch.testing.assert_close(answer.completeness_error, answer.output_change / 2)


@pytest.mark.parametrize(("most_added", "points"), [(0, 7), (13, 7), (28, 7 + 14)])
def test_no_more_points_are_added_than_may_be_and_the_end_is_noted(
    most_added: int, points: int
) -> None:
    view = ExplainedView(Detached(nn.Identity()).double())
    inputs = view.classifier.encode(torch.from_numpy(CODES))
    integrated_gradients(view, inputs, torch.ones(3).long(), steps=12, most_added=most_added)
    assert (view.backwards, view.at_limit) == (3 * points, 3)


def test_what_can_sum_to_no_change_is_not_refined_for_its_sum() -> None:
    classifier = Detached(nn.Identity()).double()
    classifier.adds_up = False
    view = ExplainedView(classifier)
    inputs = view.classifier.encode(torch.from_numpy(CODES))
    integrated_gradients(view, inputs, torch.ones(3).long(), steps=12)
    assert (view.backwards, view.at_limit) == (3 * 7, 0)


@pytest.mark.parametrize("precision", [torch.bfloat16, torch.float16])
def test_networks_in_half_precision_are_integrated_in_single(precision: torch.dtype) -> None:
    models = toy.MODELS["tanh, gelu, average pool"]().to(precision), toy.Toy(nn.Identity())
    models[1].body = toy.MODELS["tanh, gelu, average pool"]().to(precision).float().body
    half, single = (
        integrated_gradients(ExplainedView(model), inputs_of(model).detach(), TARGETS)
        for model in models
    )
    assert half.contributions.dtype == torch.float32
    off = (half.contributions - single.contributions).abs().max()
    assert off < 8 * torch.finfo(precision).eps * single.contributions.abs().max()


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


def test_expected_integrated_gradients_are_the_mean_of_captums_over_references() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]().double()
    view, inputs, references = ExplainedView(model), inputs_of(model), references_of(model)
    answer = expected_integrated_gradients(view, inputs, TARGETS, references=references, steps=40)
    engine = IntegratedGradients(view)
    means = [
        engine.attribute(inputs, baselines=references[:, k], target=TARGETS, n_steps=40).detach()
        for k in range(references.shape[1])
    ]
    expected = torch.stack(means).mean(0).sum(1)
    torch.testing.assert_close(answer.contributions.sum((1, 2)), expected.sum(1), **QUADRATURE)
    assert (answer.contributions.sum(1)[torch.from_numpy(CODES) == 4] == 0).all()


def test_expected_gradients_of_a_linear_model_are_its_weights_against_the_references() -> None:
    model, weights = linear()
    view, inputs, references = ExplainedView(model), inputs_of(model), references_of(model)
    at_references = (weights.unsqueeze(1) * references).sum(2, keepdim=True).mean(1)
    known = inputs.sum(1, keepdim=True)
    expected = weights - at_references
    answer = expected_integrated_gradients(view, inputs, TARGETS, references=references, steps=2)
    torch.testing.assert_close(answer.hypothetical * known, expected * known, **QUADRATURE)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() < 1e-6


def test_gradient_shap_of_a_linear_model_with_one_reference_is_exact() -> None:
    model, weights = linear()
    view, inputs, references = ExplainedView(model), inputs_of(model), references_of(model)[:, :1]
    answer = gradient_shap(
        view, inputs, TARGETS, references=references, generators=generators(), draws=3
    )
    expected = (weights * (inputs - references[:, 0])).sum((1, 2))
    torch.testing.assert_close(answer.contributions.sum((1, 2)), expected, rtol=0, atol=1e-12)


def test_gradient_shap_comes_close_to_expected_integrated_gradients_with_many_draws() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]().double()
    view, inputs, references = ExplainedView(model), inputs_of(model), references_of(model)
    exact = expected_integrated_gradients(view, inputs, TARGETS, references=references, steps=40)
    drawn = gradient_shap(
        view, inputs, TARGETS, references=references, generators=generators(), draws=3000
    )
    scale = exact.contributions.abs().max()
    difference = (drawn.contributions - exact.contributions).abs().max()
    assert difference < 0.05 * scale  # a standard error is about 0.01


def test_gradient_shap_depends_on_each_sequences_own_generator_alone() -> None:
    model = toy.both().double()
    view, inputs, references = ExplainedView(model), inputs_of(model), references_of(model)
    together = gradient_shap(view, inputs, TARGETS, references=references, generators=generators())
    last = gradient_shap(
        view, inputs[2:], TARGETS[2:], references=references[2:], generators=generators()[2:]
    )
    torch.testing.assert_close(last.contributions, together.contributions[2:], rtol=0, atol=1e-12)


def test_integrated_gradients_keep_their_promise_on_a_model_that_has_learnt_little() -> None:
    model = toy.network(
        *(nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.Conv1d(6, 8, 3)),
        *(nn.ReLU(), nn.AdaptiveAvgPool1d(1)),
    )
    with torch.no_grad():
        model.body[-1].bias += torch.tensor([0.0, 5.0])  # a large output that hardly changes
        model.body[-1].weight *= 0.01
    codes = toy.sequences(9)
    for method in (integrated_gradients, expected_integrated_gradients):
        explained = explain(
            method,
            model.double(),
            codes,
            np.ones(9, np.int64),
            options={},
            seed=0,
            component="attribution",
            references=toy.random_references(codes),
        )
        assert explained.completeness_error < 1e-2
