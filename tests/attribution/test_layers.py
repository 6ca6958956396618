"""Grad-CAM: closed forms, Captum where it agrees, and layers that cannot be looked at."""

from typing import Any

import numpy as np
import pytest
import torch
import toy
from captum.attr import LayerAttribution, LayerGradCam
from torch import Tensor, nn

from xaibench.attribution.layers import grad_cam
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import Explanation, explain
from xaibench.models.attngen import AttnGen
from xaibench.nn.view import ExplainedView
from xaibench.protocols import method_facts

CODES = toy.sequences()
VALID = torch.from_numpy(CODES < 4)
TARGETS = torch.tensor([0, 1, 1])
POOLED = "conv, batch norm, relu, max pool"


def scores(model: Any, *, rows: slice = slice(None), **options: Any) -> Tensor:
    inputs = model.encode(torch.from_numpy(CODES[rows])).requires_grad_()
    view = ExplainedView(model.eval())
    return grad_cam(view, inputs, TARGETS[rows], valid=VALID[rows], **options)


def by_the_harness(model: Any, **options: Any) -> Explanation:
    return explain(
        grad_cam,
        model,
        CODES,
        TARGETS.numpy(),
        options=options,
        seed=0,
        component="attribution",
    )


def test_channels_are_weighted_by_their_mean_gradient_and_clipped_at_zero() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5, padding=2)).double()
    features = model.body[0](model.encode(torch.from_numpy(CODES))).detach().numpy()
    weights = model.body[2].weight.detach().numpy().reshape(2, 6, toy.LENGTH)
    expected = np.zeros(CODES.shape)
    for row, target in enumerate(TARGETS.tolist()):
        for channel in range(6):
            gradient = (weights[target] - weights[1 - target])[channel]
            expected[row] += gradient.mean() * features[row, channel]
    expected = np.maximum(expected, 0) * (CODES < 4)
    np.testing.assert_allclose(scores(model), expected, rtol=1e-12, atol=1e-14)
    assert not method_facts(grad_cam).signed


@pytest.mark.parametrize("layer", ["body.0", "body.1", "body.2", "body.3", "body.4", "body.6"])
def test_it_agrees_with_captum(layer: str) -> None:
    model = toy.MODELS[POOLED]().double().eval()
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    theirs = LayerGradCam(ExplainedView(model), model.get_submodule(layer)).attribute(
        inputs, TARGETS, relu_attributions=True
    )
    spread = LayerAttribution.interpolate(theirs.detach(), (toy.LENGTH,), "linear")[:, 0]
    torch.testing.assert_close(scores(model, layer=layer), spread * VALID, rtol=0, atol=1e-12)
    assert spread.max() > 0


def test_sites_of_a_pooled_layer_are_spread_evenly_by_linear_interpolation() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5, padding=2), nn.AdaptiveAvgPool1d(3)).double()
    answer = scores(model, layer="body.1")[0]
    starts = (np.arange(toy.LENGTH) + 0.5) / toy.LENGTH
    middles = (np.arange(3) + 0.5) / 3
    known = [np.flatnonzero(np.abs(starts - middle) < 1e-9) for middle in middles]
    assert len(known[1]) == 1  # the middle position has the middle site to itself
    inside = answer.numpy()[starts < middles[0]]
    np.testing.assert_allclose(inside, inside[0])  # nothing is extrapolated at the ends
    heights = [inside[0], answer.numpy()[known[1][0]], answer.numpy()[-1]]
    np.testing.assert_allclose(answer, np.interp(starts, middles, heights), rtol=1e-9)


def test_the_default_is_the_last_convolution_that_sees_more_than_one_site() -> None:
    torch.manual_seed(0)
    attngen = AttnGen(classes=2, length=toy.LENGTH, filters=(5, 6), kernels=(7, 3))
    pointwise = toy.AttentionPool()
    for model, layer in (
        (toy.MODELS[POOLED](), "body.4"),
        (attngen, "trunk.3"),
        (pointwise, "value"),
    ):
        torch.testing.assert_close(scores(model), scores(model, layer=layer), rtol=0, atol=0)
        assert scores(model).max() > 0


def test_attention_pooling_is_attended_by_its_mean_weight() -> None:
    values = (1.0, -1.0, 2.0, 0.5)
    model = toy.AttentionPool(values=values).double()
    sign = torch.tensor([-1, 1, 1]).unsqueeze(1)
    value = torch.tensor([*values, 0]).double()[torch.from_numpy(CODES).long()]
    expected = (sign * value / toy.LENGTH).relu()  # weights sum to 1
    torch.testing.assert_close(scores(model), expected, rtol=0, atol=1e-12)


def test_a_layer_that_what_is_explained_does_not_depend_on_has_no_score() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5))
    model.body[-1].weight.data.zero_()
    assert not scores(model).any()


def test_what_follows_in_place_does_not_change_the_layer() -> None:
    layers = [nn.Conv1d(4, 6, 5), nn.ReLU(), nn.MaxPool1d(2)]
    apart = scores(toy.network(*layers))
    layers[1] = nn.ReLU(inplace=True)
    torch.testing.assert_close(scores(toy.network(*layers)), apart, rtol=0, atol=0)
    assert apart.max() > 0


def test_scores_do_not_depend_on_the_batch() -> None:
    model = toy.MODELS[POOLED]().double()
    together = scores(model)
    for row in range(3):
        alone = scores(model, rows=slice(row, row + 1))
        torch.testing.assert_close(alone[0], together[row], rtol=1e-9, atol=1e-12)


def test_the_model_never_runs_on_many_rows() -> None:
    model = toy.MODELS[POOLED]().double().eval()
    view, largest = ExplainedView(model), []
    view.register_forward_pre_hook(lambda _, arguments: largest.append(len(arguments[0])))
    codes = np.tile(CODES, (200, 1))
    inputs = model.encode(torch.from_numpy(codes)).requires_grad_()
    answer = grad_cam(view, inputs, TARGETS.repeat(200), valid=VALID.repeat(200, 1))
    assert largest == [512, 88]
    torch.testing.assert_close(answer[-3:], scores(model), rtol=1e-9, atol=1e-12)


def test_through_the_harness_it_costs_one_pass_and_leaves_no_hook() -> None:
    model = toy.MODELS[POOLED]()
    explanation = by_the_harness(model)
    assert (explanation.forwards, explanation.backwards) == (3, 3)
    np.testing.assert_allclose(explanation.scores, scores(model).numpy(), rtol=1e-6)
    assert not any(module._forward_hooks for module in model.modules())


def test_an_unknown_layer_is_answered_with_those_of_the_model() -> None:
    with pytest.raises(
        ValueError,
        match=r"the model has no 'body\.77'; it has body \(Sequential\), body\.0 \(Conv1d\), ",
    ):
        by_the_harness(toy.MODELS["tanh, gelu, average pool"](), layer="body.77")


def test_the_whole_model_is_no_layer() -> None:
    with pytest.raises(ValueError, match="the model has no ''; it has "):
        by_the_harness(toy.both(), layer="")


def test_a_layer_without_sites_is_rejected() -> None:
    message = r"expected an output \(3, channel, site\), that of 'body\.1' is \(3, 1\)"
    with pytest.raises(ValueError, match=message):
        by_the_harness(toy.both(), layer="body.1")


class Recurrent(toy.Toy):
    """A layer that gives more than a tensor, and one that never runs."""

    def __init__(self) -> None:
        super().__init__(nn.LSTM(4, 5, batch_first=True))
        self.classify, self.idle = nn.Linear(5, 2), nn.Conv1d(4, 6, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        features, _ = self.body(inputs.transpose(1, 2))
        logits: Tensor = self.classify(features[:, -1])
        return logits


def test_a_layer_that_gives_no_tensor_is_rejected() -> None:
    with pytest.raises(ValueError, match="that of 'body' is tuple"):
        by_the_harness(Recurrent(), layer="body")


@pytest.mark.parametrize(
    ("model", "layer", "times"), [(Recurrent(), "idle", 0), (toy.Reused(), "body", 3)]
)
def test_a_layer_that_does_not_run_once_is_rejected(model: Any, layer: str, times: int) -> None:
    with pytest.raises(ValueError, match=f"one that runs once, '{layer}' ran {times} times"):
        by_the_harness(model, layer=layer)


def test_where_the_default_layer_does_not_run_one_must_be_named() -> None:
    """As in a network that convolves by a function, with a module's weight."""
    with pytest.raises(NotApplicable, match="'idle' ran 0 times; name another layer"):
        by_the_harness(Recurrent())


def test_without_a_convolution_a_layer_must_be_named() -> None:
    with pytest.raises(NotApplicable, match="the model has no Conv1d; name a layer"):
        by_the_harness(toy.both())


# Behind these a constant that is added to a channel is gone: the gradient sums to 0 over sites.
OVER_SITES: dict[str, Any] = {
    "instance norm": lambda: [nn.InstanceNorm1d(6), nn.ReLU()],
    "instance norm with weights": lambda: [nn.InstanceNorm1d(6, affine=True), nn.GELU()],
    "layer norm": lambda: [nn.LayerNorm(toy.LENGTH), nn.ReLU()],
    "a group a channel": lambda: [nn.GroupNorm(6, 6), nn.Sigmoid()],
    "softmax": lambda: [nn.Softmax(dim=-1)],
    "log softmax": lambda: [nn.LogSoftmax(dim=2), nn.Tanh()],
    "instance norm and a mean": lambda: [nn.InstanceNorm1d(6), nn.AdaptiveAvgPool1d(1)],
    "instance norm and a maximum": lambda: [nn.InstanceNorm1d(6), nn.AdaptiveMaxPool1d(1)],
}


@pytest.mark.parametrize("offset", [0.0, 30.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rows", [slice(1), slice(3)])
@pytest.mark.parametrize("name", OVER_SITES)
def test_a_mean_gradient_that_is_rounding_is_no_weight(
    name: str, rows: slice, dtype: torch.dtype, offset: float
) -> None:
    model = toy.network(nn.Conv1d(4, 6, 5, padding=2), *OVER_SITES[name]()).to(dtype)
    model.body[0].bias.data += offset  # statistics of large numbers lose digits
    with pytest.raises(NotApplicable, match=r"gradient of layer body\.0 sums to 0 over sites"):
        scores(model, rows=rows)
    assert name in ("softmax", "instance norm and a mean") or (
        scores(model, rows=rows, layer="body.1").max() > 0
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_channel_and_one_group_is_rounding_too(dtype: torch.dtype) -> None:
    layers = [nn.Conv1d(4, 1, 5), nn.GroupNorm(1, 1), nn.ReLU()]
    with pytest.raises(NotApplicable, match="sums to 0 over sites"):
        scores(toy.network(*layers).to(dtype))


@pytest.mark.parametrize(
    "layer",
    [
        *(nn.GroupNorm(1, 6), nn.GroupNorm(3, 6), nn.LayerNorm((6, toy.LENGTH))),
        *(nn.RMSNorm(toy.LENGTH), nn.Softmax(dim=1), nn.BatchNorm1d(6)),
    ],
    ids=lambda layer: str(layer),
)
def test_channels_that_are_normalised_together_have_weights(layer: nn.Module) -> None:
    single, double = (
        scores(toy.network(nn.Conv1d(4, 6, 5, padding=2), layer, nn.Sigmoid()).to(dtype))
        for dtype in (torch.float32, torch.float64)
    )
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-5)
    assert double.max() > 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_small_gradient_of_a_sure_model_is_a_gradient(dtype: torch.dtype) -> None:
    """Of a probability that is nearly 1, as models that end in a softmax give it."""
    model = toy.network(nn.Conv1d(4, 6, 5, padding=2), nn.ReLU(), nn.AdaptiveMaxPool1d(1))
    model.body.append(nn.Softmax(1))
    model.body[4].bias.data += torch.tensor([0.0, 30.0 if dtype == torch.float64 else 15.0])
    answer = scores(model.to(dtype))
    assert 0 < answer.max() < 1e-3
    assert (answer.amax(1) > 0).any()
