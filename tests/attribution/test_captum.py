"""Captum's own classes as methods."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
import toy

from xaibench.attribution.captum import adapt
from xaibench.attribution.gradient import input_x_gradient
from xaibench.attribution.integrated import integrated_gradients
from xaibench.errors import UsageError
from xaibench.explain import asks_for, explain
from xaibench.protocols import method_facts

CODES = toy.sequences()
TARGETS = np.array([0, 1, 1])
NAMES = ["Deconvolution", "FeatureAblation", "GuidedBackprop", "InputXGradient"]
NAMES += ["IntegratedGradients", "KernelShap", "Saliency", "ShapleyValueSampling"]


def scores(method: Any, model: Any, **options: Any) -> Any:
    settings: dict[str, Any] = {"seed": 0, "component": "attribution"}
    return explain(method, model, CODES, TARGETS, options=options, **settings).scores


@pytest.mark.parametrize("name", NAMES)
def test_a_class_runs_under_the_guards_without_a_warning(name: str) -> None:
    model = toy.MODELS["conv, batch norm, relu, max pool"]()
    draws = {"n_samples": 3} if asks_for(adapt(name), "generators") else {}
    assert scores(adapt(name), model, **draws).shape == CODES.shape


def test_options_are_those_of_constructor_and_attribute() -> None:
    signature = inspect.signature(adapt("IntegratedGradients"))
    assert list(signature.parameters)[:3] == ["model", "inputs", "target"]
    assert signature.parameters["n_steps"].annotation is int
    assert signature.parameters["n_steps"].default == 50
    assert signature.parameters["n_steps"].kind is inspect.Parameter.KEYWORD_ONLY
    assert "return_convergence_delta" not in signature.parameters


def test_a_list_in_a_plan_is_a_tuple_in_captum() -> None:
    occlusion = adapt("Occlusion")
    windows = inspect.signature(occlusion).parameters["sliding_window_shapes"]
    assert windows.default is inspect.Parameter.empty
    model = toy.linear(torch.ones(2, 4, toy.LENGTH) * torch.tensor([0.0, 1.0])[:, None, None])
    answer = scores(occlusion, model, sliding_window_shapes=[4, 1])
    sign = np.where(TARGETS, 4, -4)[:, None]  # captum gives every base of the window its effect
    np.testing.assert_allclose(answer, sign * (CODES < 4), atol=1e-4)


def test_raw_gradients_are_corrected_and_taken_at_the_base() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]()
    np.testing.assert_array_equal(scores(adapt("Saliency"), model), scores(input_x_gradient, model))


def test_contributions_are_left_as_they_are() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]()
    expected = scores(input_x_gradient, model, correct=False)
    np.testing.assert_allclose(scores(adapt("InputXGradient"), model), expected, rtol=1e-5)


def test_integrated_gradients_are_ours_with_a_zero_reference() -> None:
    model = toy.MODELS["tanh, gelu, average pool"]()
    ours = scores(integrated_gradients, model, steps=50, reference="zero")
    theirs = scores(adapt("IntegratedGradients"), model, n_steps=50)
    np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-6)


def test_draws_are_those_of_the_sequence_and_leave_the_global_stream_alone() -> None:
    method = adapt("ShapleyValueSampling")
    assert asks_for(method, "generators")
    model = toy.MODELS["saturating"]()
    before = torch.random.get_rng_state()
    first = scores(method, model, n_samples=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.rand(1)
    np.testing.assert_array_equal(scores(method, model, n_samples=2), first)


def test_signed_is_what_all_of_them_are() -> None:
    assert method_facts(adapt("Saliency")).signed


def test_an_unknown_class_is_named_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="did you mean 'GuidedBackprop'"):
        adapt("GuidedBackprob")


@pytest.mark.parametrize("name", ["LayerActivation", "NoiseTunnel", "GradientShap", "os"])
def test_what_needs_more_than_inputs_and_target_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no class whose attribute"):
        adapt(name)


def test_classes_that_cannot_be_right_here_are_refused_with_the_reason() -> None:
    with pytest.raises(UsageError, match="depend on the other sequences of a batch"):
        adapt("FeaturePermutation")
    with pytest.raises(UsageError, match="never ends"):
        adapt("ShapleyValues")
