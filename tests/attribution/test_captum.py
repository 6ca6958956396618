"""Captum's own classes as methods."""

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn import functional

from xaibench.attribution.captum import adapt
from xaibench.attribution.gradient import input_x_gradient
from xaibench.attribution.integrated import integrated_gradients
from xaibench.errors import NotApplicable, UsageError
from xaibench.explanation.method_call import asks_for, explain
from xaibench.models.attngen import AttnGen
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
def test_what_needs_more_than_inputs_and_target_is_rejected(name: str) -> None:
    with pytest.raises(UsageError, match="is no class whose attribute"):
        adapt(name)


def test_classes_that_cannot_be_right_are_rejected_with_the_reason() -> None:
    with pytest.raises(UsageError, match="depend on the other sequences of a batch"):
        adapt("FeaturePermutation")
    with pytest.raises(UsageError, match="never ends"):
        adapt("ShapleyValues")


class Activated(toy.Toy):
    """Two convolutions with something behind each."""

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.other, self.relu = nn.Conv1d(6, 5, 3), nn.ReLU()
        self.first, self.second = first, second
        self.pool, self.classify = nn.AdaptiveMaxPool1d(1), nn.Linear(5, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.second(self.other(self.first(self.body(inputs))))
        logits: Tensor = self.classify(self.pool(features).flatten(1))
        return logits


class Swish(nn.Module):
    """An activation of one's own."""

    def forward(self, values: Tensor) -> Tensor:
        return values * torch.sigmoid(values)


UNSEEN: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "F.relu": (functional.relu, "relu"),
    "F.relu in place": (lambda values: functional.relu(values, inplace=True), "relu"),
    "torch.relu": (torch.relu, "relu"),
    "tensor.relu": (lambda values: values.relu(), "relu"),
    "tensor.relu_": (lambda values: values.relu_(), "relu"),
    "clamp": (lambda values: values.clamp(min=0), "clamp"),
    "maximum": (lambda values: torch.maximum(values, torch.zeros(())), "maximum"),
    "where": (lambda values: torch.where(values > 0, values, 0), "where"),
    "square": (torch.square, "pow"),
    "exp": (torch.exp, "exp"),
    **{
        each.__name__: (each, name)
        for each, name in (
            *((functional.gelu, "gelu"), (functional.silu, "silu"), (functional.elu, "elu")),
            *((functional.celu, "celu"), (functional.selu, "elu"), (functional.mish, "mish")),
            *((functional.leaky_relu, "leakyrelu"), (functional.relu6, "hardtanh")),
            *((functional.softplus, "softplus"), (functional.hardswish, "hardswish")),
            *((functional.logsigmoid, "logsigmoid"), (functional.softsign, "abs")),
            *((torch.tanh, "tanh"), (torch.sigmoid, "sigmoid")),
        )
    },
    **{
        kind.__name__: (kind(), rf"\(.*{kind.__name__}\)")
        for kind in (
            *(nn.GELU, nn.SiLU, nn.ELU, nn.CELU, nn.SELU, nn.Mish, nn.ReLU6, nn.LeakyReLU),
            *(nn.PReLU, nn.Softplus, nn.Tanh, nn.Sigmoid, nn.Hardswish, Swish),
        )
    },
}


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
@pytest.mark.parametrize("activation", UNSEEN)
def test_activations_that_captum_cannot_guide_are_named(activation: str, name: str) -> None:
    unseen, word = UNSEEN[activation]
    method = adapt(name)
    beside = [] if isinstance(unseen, nn.Tanh | nn.Sigmoid) else [nn.ReLU(), nn.ReLU(inplace=True)]
    pairs = [(unseen, unseen), *((unseen, each) for each in beside)]
    for first, second in [*pairs, *((each, unseen) for each in beside)]:
        with pytest.raises(NotApplicable, match=f"{name} rectifies .*cannot see .*{word}"):
            scores(method, Activated(first, second))


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_without_anything_to_guide_a_method_does_not_apply(name: str) -> None:
    for change in (nn.Identity(), lambda values: values * (values > 0)):
        with pytest.raises(NotApplicable, match=r"the model has none: .*input x gradient"):
            scores(adapt(name), Activated(change, change))


@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_attention_beside_rectified_activations_is_left_as_it_is(name: str) -> None:
    torch.manual_seed(0)
    model = AttnGen(classes=2, length=toy.LENGTH, filters=(5, 6), kernels=(7, 3))
    assert scores(adapt(name), model).shape == CODES.shape
    assert scores(adapt(name), Activated(nn.Sigmoid(), nn.ReLU())).shape == CODES.shape


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize("name", ["GuidedBackprop", "Deconvolution"])
def test_what_is_guided_is_by_hand(name: str, inplace: bool) -> None:
    """From the output to the input, layer by layer."""
    torch.manual_seed(0)
    layers = [nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Conv1d(6, 5, 3), nn.ReLU(), nn.MaxPool1d(2)]
    model = toy.network(*layers)
    inputs = model.encode(torch.from_numpy(CODES))
    values = [inputs]
    for layer in model.body:
        values.append(layer(values[-1]).detach())
    weights = model.body[-1].weight.detach()
    gradient = weights[TARGETS] - weights[1 - TARGETS]
    for layer, before in zip(reversed(model.body[:-1]), reversed(values[:-2]), strict=True):
        if isinstance(layer, nn.ReLU):
            gradient = gradient.clamp(min=0) * (1 if name == "Deconvolution" else before > 0)
        else:
            came = before.clone().requires_grad_()
            (gradient,) = torch.autograd.grad(layer(came), came, gradient)
    for layer in model.body:
        layer.inplace = inplace
    expected = ((gradient - gradient.mean(1, keepdim=True)) * inputs).sum(1)
    np.testing.assert_allclose(scores(adapt(name), model), expected, rtol=1e-4, atol=1e-6)


def test_captums_lrp_sees_nothing_outside_of_modules() -> None:
    layers = nn.Linear(4 * toy.LENGTH, 5), nn.ReLU(), nn.Linear(5, 2)
    assert scores(adapt("LRP"), Flat(nn.Sequential(*layers))).shape == CODES.shape
    with pytest.raises(NotApplicable, match=r"LRP has rules for modules, and cannot see relu x 1"):
        scores(adapt("LRP"), toy.Functional())


def test_a_module_that_captums_lrp_does_not_know_is_named() -> None:
    model = toy.MODELS["conv, batch norm, relu, max pool"]()
    with pytest.raises(NotApplicable, match=r"Captum's LRP has no rule for torch\.nn\..*Conv1d"):
        scores(adapt("LRP"), model)


class Flat(toy.Toy):
    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs.flatten(1))
