"""LRP: closed forms, conservation, a slow twin, Captum where it is right, and refusal."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import LRP
from captum.attr._utils.lrp_rules import Alpha1_Beta0_Rule, EpsilonRule, GammaRule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils import fusion, parametrizations

from xaibench.attribution.lrp import lrp
from xaibench.attribution.lrp_rules import (
    LRP_RULES,
    PROPORTIONAL,
    Propagation,
    activation,
    layer_norm,
)
from xaibench.attribution.rules import ModuleCall
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import Explanation, explain
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.nn.layers import WeightedSum
from xaibench.nn.outputs import explained_outputs
from xaibench.nn.view import ExplainedView
from xaibench.values import Attribution

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])
POOLED = "conv, batch norm, relu, max pool"
OPTIONS: dict[str, dict[str, Any]] = {
    "epsilon 0": {"epsilon": 0},
    "epsilon": {"epsilon": 0.25},
    "gamma": {"rule": "gamma", "gamma": 0.4, "epsilon": 1e-3},
    "z_plus": {"rule": "z_plus", "epsilon": 0},
}
MODELS = {name: made for name, made in toy.MODELS.items() if name != "softmax over channels"}


def inputs_of(model: Any) -> Tensor:
    encoded: Tensor = model.encode(torch.from_numpy(CODES))
    return encoded.requires_grad_()


def explained(model: Any, target: Tensor = TARGETS, **options: Any) -> Attribution:
    return lrp(ExplainedView(model.eval()), inputs_of(model), target, **options)


def relevance(model: Any, target: Tensor = TARGETS, **options: Any) -> Tensor:
    """``(N, 4, L)``."""
    return explained(model, target, **options).contributions


def gradient_x_input(model: Any) -> Tensor:
    inputs = inputs_of(model)
    output = ExplainedView(model.eval())(inputs).gather(1, TARGETS.unsqueeze(1)).sum()
    return inputs.detach() * torch.autograd.grad(output, inputs)[0]


def by_the_harness(model: Any, *, batch_size: int = 64, **options: Any) -> Explanation:
    return explain(
        lrp,
        model,
        CODES,
        TARGETS.numpy(),
        options=options,
        seed=0,
        component="attribution",
        batch_size=batch_size,
    )


def is_conserved(answer: Attribution, *, within: float) -> bool:
    assert answer.completeness_error is not None
    assert answer.output_change is not None
    return bool(answer.completeness_error.max() <= within * answer.output_change.max())


def without_biases(model: Any) -> Any:
    for module in model.modules():
        if getattr(module, "bias", None) is not None:
            module.bias = None
    return model


def neuron(weights: list[float], bias: float) -> Any:
    """Class 1 of two positions: the sum of the weights of the bases, and a bias; class 0 is 0."""
    layer = nn.Linear(8, 2, dtype=torch.float64)
    with torch.no_grad():
        layer.weight.zero_()[1] = torch.tensor([weights, weights]).double().T.flatten()
        layer.bias.copy_(torch.tensor([0, bias]))
    return toy.Toy(nn.Sequential(nn.Flatten(), layer)).double()


@pytest.mark.parametrize(
    ("options", "shares"),
    [
        ({"epsilon": 0}, (3 / 3, -2 / 3)),
        ({"epsilon": 0.5}, (3 / 3.5, -2 / 3.5)),
        ({"rule": "gamma", "gamma": 0.5, "epsilon": 0}, (4.5 / 5.5, -2 / 5.5)),
        ({"rule": "z_plus", "epsilon": 0}, (3 / 5, 0)),
        ({"rule": "z_plus", "epsilon": 0.5}, (3 / 5.5, 0)),
    ],
)
def test_a_neuron_hands_its_relevance_on_in_proportion(
    options: dict[str, Any], shares: tuple[float, float]
) -> None:
    """The addends are 3 (A), -2 (C) and the bias 2, which absorbs its own: the neuron has 3."""
    model = neuron([3, -2, 0, 0], bias=2)
    inputs = model.encode(torch.tensor([[0, 1]], dtype=torch.uint8)).requires_grad_()
    answer = lrp(ExplainedView(model), inputs, torch.tensor([1]), **options)
    expected = torch.tensor([[3 * share for share in shares]]).double()
    torch.testing.assert_close(answer.contributions.sum(1), expected, rtol=1e-7, atol=0)


@pytest.mark.parametrize("rule", OPTIONS)
def test_the_other_class_has_the_same_relevance_with_the_other_sign(rule: str) -> None:
    model = MODELS[POOLED]().double()
    one, other = (relevance(model, target, **OPTIONS[rule]) for target in (TARGETS, 1 - TARGETS))
    torch.testing.assert_close(one, -other, rtol=1e-9, atol=1e-12)
    assert one.abs().max() > 0.01


def test_z_plus_relevance_has_the_sign_of_what_is_explained() -> None:
    model = MODELS["overlapping max pool"]().double()
    output = ExplainedView(model)(inputs_of(model)).gather(1, TARGETS.unsqueeze(1)).detach()
    answer = relevance(model, rule="z_plus")
    assert (answer * output.sign().unsqueeze(2) >= 0).all()
    assert (answer.abs().sum((1, 2)) <= output.abs()[:, 0]).all()


RELU = ["both", "motif count", POOLED, "overlapping max pool", "adaptive max pool"]
RELU += ["reused relu", "reused relu in place"]


@pytest.mark.parametrize("name", RELU)
def test_without_epsilon_a_network_of_relus_has_gradient_x_input(name: str) -> None:
    model = MODELS[name]().double()
    expected = gradient_x_input(model)
    torch.testing.assert_close(relevance(model, epsilon=0), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", [POOLED, "overlapping max pool", "reused relu", "residual"])
def test_without_biases_all_relevance_reaches_the_input(name: str, options: dict[str, Any]) -> None:
    model = without_biases(MODELS[name]().double())
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean.zero_()
    output = ExplainedView(model.eval())(inputs_of(model)).gather(1, TARGETS.unsqueeze(1))[:, 0]
    answer = relevance(model, **{**options, "epsilon": 0})
    torch.testing.assert_close(answer.sum((1, 2)), output, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_what_does_not_reach_the_input_is_what_was_absorbed(
    name: str, options: dict[str, Any]
) -> None:
    assert is_conserved(explained(MODELS[name]().double(), **options), within=1e-12)
    assert is_conserved(explained(MODELS[name]().float(), **options), within=1e-5)


def _twin(layers: list[nn.Module], inputs: Tensor, target: int, options: dict[str, Any]) -> Any:
    """Slow and obvious: relevance itself, from output to input, addend by addend. ``(4, L)``."""
    shape, before, steps = inputs.shape, inputs.detach().numpy().flatten(), []
    for layer in layers:

        def flat(values: Tensor, layer: Any = layer, shape: Any = shape) -> Tensor:
            answer: Tensor = layer(values.reshape(1, *shape)).flatten()
            return answer

        at_zero = flat(torch.zeros(before.shape, dtype=torch.float64)).detach().numpy()
        after = flat(torch.from_numpy(before)).detach().numpy()
        jacobian = torch.autograd.functional.jacobian(flat, torch.from_numpy(before)).numpy()
        steps.append((layer, jacobian, at_zero, before, after))
        shape = layer(torch.zeros(1, *shape, dtype=torch.float64)).shape[1:]
        before = after
    _, jacobian, at_zero, before, _ = steps.pop()
    difference = np.zeros(2)
    difference[[target, 1 - target]] = 1, -1
    weights, bias = difference @ jacobian, difference @ at_zero
    handed = _handed_on(weights[None], np.array([bias]), before, None, options)
    for layer, jacobian, at_zero, before, after in reversed(steps):
        handed = _through(layer, jacobian, at_zero, before, after, handed, options)
    return handed.reshape(inputs.shape)


def _through(
    layer: nn.Module,
    jacobian: NDArray[np.float64],
    at_zero: NDArray[np.float64],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
    given: NDArray[np.float64],
    options: dict[str, Any],
) -> Any:
    if isinstance(layer, nn.Sequential | nn.Conv1d | nn.Linear | nn.BatchNorm1d):
        return _handed_on(jacobian, at_zero, before, given, options)
    if type(layer) in PROPORTIONAL:  # winners take all, means are shared
        addends = jacobian * before
        return (addends / np.where(after == 0, 1, after)[:, None] * given[:, None]).sum(0)
    return given * (after - at_zero) / np.where(after == 0, 1, after)


def _handed_on(
    weights: NDArray[np.float64],
    biases: NDArray[np.float64],
    before: NDArray[np.float64],
    given: NDArray[np.float64] | None,
    options: dict[str, Any],
) -> NDArray[np.float64]:
    """Without ``given`` the outputs have themselves."""
    handed, rule = np.zeros(len(before)), options.get("rule", "epsilon")
    for output in range(len(weights)):
        addends = [weights[output, j] * before[j] for j in range(len(before))] + [biases[output]]
        total = sum(addends)
        sign = 1 if total >= 0 else -1
        for place, addend in enumerate(addends):
            if rule == "gamma" and addend * sign > 0:
                addends[place] = addend * (1 + options["gamma"])
            if rule == "z_plus" and addend * sign < 0:
                addends[place] = 0
        denominator = sum(addends) + sign * options["epsilon"]
        has = total if given is None else given[output]
        for place in range(len(before)):
            handed[place] += addends[place] / denominator * has if denominator else 0
    return handed


TWINS: dict[str, Callable[[], list[nn.Module]]] = {
    "batch norm after a convolution": lambda: [
        *(nn.Conv1d(4, 6, 5, padding=2), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(4)),
        *(nn.Conv1d(6, 8, 3), nn.ReLU(), nn.AvgPool1d(3), nn.Flatten()),
    ],
    "batch norm of its own": lambda: [
        *(nn.BatchNorm1d(4), nn.Conv1d(4, 6, 5, stride=2), nn.ReLU(), nn.BatchNorm1d(6)),
        *(nn.Tanh(), nn.Conv1d(6, 4, 3, dilation=2, groups=2), nn.GELU(), nn.Flatten()),
    ],
    "negative and constant activations": lambda: [
        *(nn.Conv1d(4, 6, 5), nn.Sigmoid(), nn.Conv1d(6, 3, 3, bias=False), nn.ELU()),
        *(nn.Flatten(), nn.Linear(51, 7), nn.BatchNorm1d(7, affine=False), nn.Softplus()),
    ],
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", TWINS)
def test_relevance_is_that_of_a_slow_twin(name: str, options: dict[str, Any]) -> None:
    model = toy.network(*TWINS[name]()).double().eval()
    layers: list[nn.Module] = []
    for layer in model.body:
        follows = layers and isinstance(layers[-1], nn.Conv1d | nn.Linear)
        if isinstance(layer, nn.BatchNorm1d) and follows:
            layers[-1] = nn.Sequential(layers[-1], layer)
        else:
            layers.append(layer)
    answer = relevance(model, **options)
    for row, target in enumerate(TARGETS.tolist()):
        expected = _twin(layers, inputs_of(model)[row], target, options)
        np.testing.assert_allclose(answer[row], expected, rtol=1e-8, atol=1e-10)
    assert answer.abs().max() > 1e-3


def _three_classes(*, bias: bool) -> Any:
    layers = [nn.Linear(4 * toy.LENGTH, 7), nn.ReLU(), nn.Linear(7, 5), nn.ReLU(), nn.Linear(5, 3)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for layer in layers:
            if isinstance(layer, nn.Linear):
                layer.reset_parameters()
                layer.bias = layer.bias if bias else None
    return toy.Toy(nn.Sequential(nn.Flatten(), *layers)).double().eval()


@pytest.mark.parametrize(
    ("theirs", "options", "bias"),
    [
        (lambda: EpsilonRule(epsilon=0.1), {"epsilon": 0.1}, True),
        (lambda: GammaRule(gamma=0.4), {"rule": "gamma", "gamma": 0.4, "epsilon": 1e-9}, False),
        (Alpha1_Beta0_Rule, {"rule": "z_plus", "epsilon": 1e-9}, False),
    ],
)
def test_it_agrees_with_captum_on_linear_layers_and_relus(
    theirs: Any, options: dict[str, Any], bias: bool
) -> None:
    """Where the output is positive: Captum's rules for signs mean those of the weights. Theirs
    start from a logit, so they get a network whose logits are what is explained."""
    model = _three_classes(bias=bias)
    inputs = inputs_of(model)
    target = model(inputs).argmax(1)
    expected = relevance(model, target, **options).flatten(1)
    last = model.body[-1]
    last.weight.data = explained_outputs(last.weight.data, dim=0)
    if bias:
        last.bias.data = explained_outputs(last.bias.data, dim=0)
    assert model(inputs).gather(1, target.unsqueeze(1)).min() > 0
    for layer in model.body:
        if isinstance(layer, nn.Linear):
            layer.rule = theirs()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it sets hooks
        answer = LRP(model.body[1:]).attribute(inputs.detach().flatten(1), target)
    torch.testing.assert_close(expected, answer.detach(), rtol=1e-6, atol=1e-10)
    assert expected.abs().max() > 1e-3


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_batch_normalisation_is_as_if_fused_with_what_is_before_it(
    options: dict[str, Any],
) -> None:
    layers = [nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.Flatten()]
    layers += [nn.Linear(114, 7), nn.BatchNorm1d(7), nn.ReLU()]
    model = toy.network(*layers).double().eval()
    body = list(model.body)
    body[0] = fusion.fuse_conv_bn_eval(body[0], body.pop(1))
    body[3] = fusion.fuse_linear_bn_eval(body[3], body.pop(4))
    fused = toy.Toy(nn.Sequential(*body)).double()
    torch.testing.assert_close(
        relevance(model, **options), relevance(fused, **options), rtol=1e-7, atol=1e-10
    )


class Around(toy.Toy):
    """What a convolution gives is normalised, and added to that."""

    def __init__(self, *, twice: bool) -> None:
        super().__init__(nn.BatchNorm1d(6))
        self.first = nn.Conv1d(4, 6, 5)
        self.other = nn.Conv1d(4, 6, 5) if twice else None
        self.relu, self.classify = nn.ReLU(), nn.Linear(114, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.first(inputs)
        normal = self.body(features)
        features = features if self.other is None else self.other(inputs)
        logits: Tensor = self.classify(self.relu(normal + features).flatten(1))
        return logits


def test_a_connection_around_batch_normalisation_is_not_scaled() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        once, twice = Around(twice=False).double(), Around(twice=True).double()
    once.body.weight.data.uniform_(-3, 3, generator=torch.Generator().manual_seed(0))
    twice.load_state_dict(
        {
            **once.state_dict(),
            **{f"other.{name}": values for name, values in once.first.state_dict().items()},
        }
    )
    answer = relevance(once, rule="gamma")
    torch.testing.assert_close(answer, relevance(twice, rule="gamma"), rtol=1e-9, atol=1e-12)


def test_the_relevance_of_attention_pooling_is_weight_times_value() -> None:
    values = (1.0, -1.0, 2.0, 0.5)
    model = toy.AttentionPool(values=values).double()
    sign = torch.tensor([-1, 1, 1]).unsqueeze(1)
    value = torch.tensor([*values, 0]).double()[torch.from_numpy(CODES).long()]
    expected = model.attention(inputs_of(model)).detach() * sign * value
    for options in ({"epsilon": 0}, {"rule": "z_plus", "epsilon": 0}):
        answer = relevance(model, **options).sum(1)
        torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("made", [CNN, AttnGen])
def test_the_models_of_the_package_are_conserved(made: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = made(classes=2, length=toy.LENGTH, filters=(5, 6), kernels=(7, 3))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            module.running_mean.normal_()
    assert is_conserved(explained(model, **options), within=1e-5)


@pytest.mark.parametrize("kind", [kind for kind, rule in LRP_RULES.items() if rule is activation])
def test_every_activation_hands_on_all_but_what_it_is_at_zero(kind: Any) -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), kind()).double()
    assert is_conserved(explained(model, epsilon=0), within=1e-12)
    without = without_biases(model)
    answer = relevance(without, epsilon=0).sum((1, 2))
    output = ExplainedView(without)(inputs_of(without)).gather(1, TARGETS.unsqueeze(1))[:, 0]
    at_zero = without.body[1](torch.zeros(1, 6, 19, dtype=torch.float64))
    constant = without.body[2:](at_zero)[0]
    expected = output - (constant[TARGETS] - constant[1 - TARGETS])
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-11)


def test_unknown_bases_have_no_relevance() -> None:
    unknown = torch.from_numpy(CODES) == 4
    for options in OPTIONS.values():
        answer = relevance(MODELS[POOLED](), **options)
        assert not answer.abs().sum(1)[unknown].any()
        assert answer.abs().sum(1)[~unknown].any()


@pytest.mark.parametrize("rule", OPTIONS)
@pytest.mark.parametrize("name", MODELS)
def test_through_the_harness_answers_do_not_depend_on_the_batch(name: str, rule: str) -> None:
    model = MODELS[name]().double().train()
    together = by_the_harness(model, **OPTIONS[rule])
    assert (together.forwards, together.backwards) == (3, 3)
    for size in (1, 2):
        alone = by_the_harness(model, batch_size=size, **OPTIONS[rule])
        np.testing.assert_allclose(alone.scores, together.scores, rtol=1e-6, atol=1e-9)
    assert all(module.training for module in model.modules())
    hooks = [(*each._forward_hooks, *each._forward_pre_hooks) for each in model.modules()]
    assert not any(hooks)


def test_the_model_never_runs_on_many_rows_and_gives_what_it_always_does() -> None:
    model = MODELS[POOLED]().eval()
    inputs = model.encode(torch.from_numpy(np.tile(CODES, (200, 1)))).requires_grad_()
    plain = [model(rows).detach() for rows in torch.split(inputs, 512)]
    hooked: list[Tensor] = []
    handle = model.register_forward_hook(lambda *call: hooked.append(call[2].detach()))
    answer = lrp(ExplainedView(model), inputs, TARGETS.repeat(200), rule="gamma")
    handle.remove()
    assert [len(rows) for rows in hooked] == [512, 88]
    assert all(torch.equal(one, other) for one, other in zip(plain, hooked, strict=True))
    expected = relevance(model, rule="gamma")
    torch.testing.assert_close(answer.contributions[-3:], expected, rtol=1e-4, atol=1e-6)


def test_a_relu_as_a_function_is_the_same_as_the_module() -> None:
    model = toy.Functional()
    module = toy.Toy(nn.Sequential(model.body, nn.ReLU(), nn.Flatten(), model.classify))
    for options in OPTIONS.values():
        torch.testing.assert_close(relevance(model, **options), relevance(module, **options))


class Curved(toy.Functional):
    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(torch.tanh(self.body(inputs)).flatten(1))
        return logits


def test_a_function_without_a_rule_is_caught_by_conservation() -> None:
    with pytest.raises(ValueError, match=r"lrp promises .*functions outside of them: tanh"):
        by_the_harness(Curved())


def test_memory_shared_in_place_is_not_mixed_up() -> None:
    model = toy.Aliased().double()
    torch.testing.assert_close(relevance(model, epsilon=0), gradient_x_input(model))


@pytest.mark.parametrize("kind", [nn.SiLU, nn.ELU, nn.Mish, nn.LeakyReLU])
def test_an_activation_in_place_is_the_same(kind: Any) -> None:
    def made(*, inplace: bool) -> Any:
        layers = [nn.Conv1d(4, 6, 5), kind(inplace=inplace), nn.Conv1d(6, 3, 5)]
        return toy.network(*layers, kind(inplace=inplace)).double()

    expected = relevance(made(inplace=False), rule="gamma")
    torch.testing.assert_close(relevance(made(inplace=True), rule="gamma"), expected)


class Sitewise(toy.Toy):
    """A linear layer at every site, and batch normalisation of the sites."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 6))
        self.normalise, self.classify = nn.BatchNorm1d(toy.LENGTH), nn.Linear(6 * toy.LENGTH, 2)
        assert self.normalise.running_var is not None
        self.normalise.running_var.copy_(torch.arange(1, toy.LENGTH + 1))

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.normalise(self.body(inputs.transpose(1, 2)))
        logits: Tensor = self.classify(features.relu().flatten(1))
        return logits


def _normalised_logits() -> Any:
    """The difference of the logits is no output of the last linear map."""
    model = toy.network(nn.Conv1d(4, 2, 5), nn.ReLU(), nn.AdaptiveAvgPool1d(1))
    model.body[-1] = nn.BatchNorm1d(2).eval()
    model.body[-1].weight.data.copy_(torch.tensor([2.0, -3.0]))
    return model


@pytest.mark.parametrize("made", [Sitewise, _normalised_logits])
def test_batch_normalisation_where_nothing_is_fused(made: Any) -> None:
    torch.manual_seed(0)
    model = made().double()
    expected = gradient_x_input(model)
    torch.testing.assert_close(relevance(model, epsilon=0), expected, rtol=0, atol=1e-12)
    assert is_conserved(explained(model, rule="gamma"), within=1e-12)
    assert expected.abs().max() > 1e-3


class Keywords(toy.Toy):
    """Arguments by name, in another order than the module's own."""

    def __init__(self) -> None:
        super().__init__(nn.Conv1d(4, 6, 5))
        self.energy, self.flatten, self.softmax = nn.Conv1d(6, 1, 1), nn.Flatten(), nn.Softmax(1)
        self.sum, self.classify = WeightedSum(), nn.Linear(6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.body(input=inputs)
        weights = self.softmax(self.flatten(self.energy(features)))
        logits: Tensor = self.classify(self.sum(features=features, weights=weights))
        return logits


def test_arguments_may_be_given_by_name() -> None:
    assert is_conserved(explained(Keywords().double(), rule="gamma"), within=1e-12)


def test_normalised_weights_are_weights() -> None:
    plain = toy.network(nn.Conv1d(4, 6, 5, bias=False), nn.ReLU()).double()
    expected = relevance(plain, rule="gamma")
    parametrizations.weight_norm(plain.body[0])
    torch.testing.assert_close(relevance(plain, rule="gamma"), expected, rtol=1e-9, atol=1e-12)


def test_a_module_without_a_rule_is_rejected_by_name_and_leaves_no_hook() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.GroupNorm(2, 6))
    with pytest.raises(NotApplicable, match=r"lrp has no rule for body\.1 \(GroupNorm\)"):
        by_the_harness(model)
    assert not any(each._forward_hooks or each._forward_pre_hooks for each in model.modules())


def test_a_softmax_that_weights_no_pool_is_rejected() -> None:
    with pytest.raises(NotApplicable, match=r"no rule for body\.1 \(Softmax\)"):
        by_the_harness(toy.MODELS["softmax over channels"]())


def test_batch_normalisation_by_the_batch_is_rejected() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6, track_running_stats=False))
    with pytest.raises(NotApplicable, match=r"no rule for body\.1 \(BatchNorm1d\)"):
        by_the_harness(model)


class Recurrent(toy.Toy):
    def __init__(self) -> None:
        super().__init__(nn.LSTM(4, 5, batch_first=True))
        self.classify = nn.Linear(5, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features, _ = self.body(inputs.transpose(1, 2))
        logits: Tensor = self.classify(features[:, -1])
        return logits


def test_a_module_that_gives_no_tensor_is_rejected() -> None:
    with pytest.raises(NotApplicable, match=r"no rule for body \(LSTM\)"):
        by_the_harness(Recurrent())


class Scaled(toy.Toy):
    """Parameters outside of any module that has a rule."""

    def __init__(self) -> None:
        super().__init__(nn.Sequential(nn.Flatten(), nn.Linear(4 * toy.LENGTH, 2)))
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs) * self.scale


def test_parameters_without_a_module_of_their_own_are_rejected() -> None:
    with pytest.raises(NotApplicable, match=r"no rule for the model \(Scaled\)"):
        by_the_harness(Scaled())


class ByPosition(toy.Toy):
    """Every position is a row."""

    def __init__(self) -> None:
        super().__init__(nn.Linear(4, 2))

    def forward(self, inputs: Tensor) -> Tensor:
        return (
            super().forward(inputs.transpose(1, 2).flatten(0, 1)).reshape(len(inputs), -1, 2).sum(1)
        )


def test_rows_that_are_no_sequences_are_rejected() -> None:
    with pytest.raises(NotApplicable, match=r"body \(Linear\) gives 69 rows for 3 sequences"):
        by_the_harness(ByPosition())


def test_a_module_without_a_rule_that_no_relevance_reaches_does_no_harm() -> None:
    model = toy.both()
    model.loss = nn.CrossEntropyLoss()
    assert by_the_harness(model).completeness_error <= 1e-5


def test_no_module_has_two_ways() -> None:
    assert not PROPORTIONAL & LRP_RULES.keys()


def test_layer_norm_hands_all_but_its_bias_on_through_what_it_centres():
    """By hand: gradient x input of (x - mean) times a constant; the bias is absorbed."""
    layer = nn.LayerNorm(5).double()
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 2, 5))
        layer.bias.copy_(torch.linspace(1, 3, 5))
    inputs = torch.linspace(0, 7, 30).sin().reshape(3, 2, 5).double().requires_grad_()
    bias_unit = torch.ones(3, dtype=torch.float64, requires_grad=True)
    propagation = Propagation(1, 1, 0, bias_unit, {})
    output = layer_norm(propagation, ModuleCall(layer, (inputs,), layer(inputs)))
    assert torch.equal(output, layer(inputs))
    gradient, absorbed = torch.autograd.grad(output.sum(), (inputs, bias_unit))
    deviation = (inputs.var(2, correction=0, keepdim=True) + layer.eps).sqrt()
    scale = layer.weight / deviation
    by_hand = scale - scale.mean(2, keepdim=True)
    assert torch.allclose(gradient, by_hand)
    assert torch.allclose(absorbed, layer.bias.sum().expand(3) * 2)
    assert torch.allclose((gradient * inputs).sum((1, 2)) + absorbed, output.sum((1, 2)))
