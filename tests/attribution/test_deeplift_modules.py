"""DeepLIFT on products between modules, and on modules that compute weights or something else."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from xaibench.attribution.deeplift import deeplift, rescale
from xaibench.attribution.lrp import lrp
from xaibench.errors import NotApplicable
from xaibench.explanation.method_call import Explanation, explain
from xaibench.nn.layers import MatrixProduct
from xaibench.nn.view import ExplainedView
from xaibench.protocols import layers_without_rule

CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
TARGETS = np.array([0, 1, 1])


def explained(method: Any, model: Any, *, batch_size: int = 64, **options: Any) -> Explanation:
    arguments: dict[str, Any] = {"options": options, "seed": 0, "component": "attribution"}
    references = REFERENCES if method is deeplift else None
    return explain(
        *(method, model, CODES, TARGETS), references=references, batch_size=batch_size, **arguments
    )


class Between(toy.Toy):
    """Two branches, put together by a function."""

    def __init__(self, together: Callable[[Any, Tensor, Tensor], Tensor]) -> None:
        super().__init__(nn.Sequential(nn.Conv1d(4, 6, 5, padding=2), nn.Tanh()))
        self.other = nn.Sequential(nn.Conv1d(4, 6, 3, padding=1), nn.Sigmoid())
        self.product, self.together = MatrixProduct(), together
        self.classify = nn.Sequential(nn.Flatten(), nn.LazyLinear(2))

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.together(self, self.body(inputs), self.other(inputs)))
        return logits


def between(together: Callable[[Any, Tensor, Tensor], Tensor]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Between(together)
        model(model.encode(torch.zeros(1, toy.LENGTH, dtype=torch.uint8)))  # the last layer's shape
    return model.double()


PRODUCTS: dict[str, tuple[Any, Any]] = {
    "matmul": (
        lambda m, a, b: torch.matmul(a, b.transpose(1, 2)),
        lambda m, a, b: m.product(a, b.transpose(1, 2)),
    ),
    "@": (lambda m, a, b: a.mT @ b, lambda m, a, b: m.product(a.mT, b)),
    "bmm": (lambda m, a, b: torch.bmm(a.mT, b), lambda m, a, b: m.product(a.mT, b)),
    "tensor.bmm": (lambda m, a, b: a.mT.bmm(b), lambda m, a, b: m.product(a.mT, b)),
    "einsum": (
        lambda m, a, b: torch.einsum("ncl,ncs->nls", a, b),
        lambda m, a, b: m.product(a.mT, b),
    ),
    "by name": (
        lambda m, a, b: torch.matmul(other=b, input=a.mT),
        lambda m, a, b: m.product(a.mT, b),
    ),
    "a list": (
        lambda m, a, b: torch.einsum("ncl,ncs->nls", [a, b]),
        lambda m, a, b: m.product(a.mT, b),
    ),
    "*": (
        lambda m, a, b: a * b,
        lambda m, a, b: m.product(a[..., None, None], b[..., None, None]).flatten(2),
    ),
    "mul": (
        lambda m, a, b: torch.mul(a, b.mean(2, keepdim=True)),
        lambda m, a, b: m.product(a.unsqueeze(3), b.mean(2)[:, :, None, None]).squeeze(3),
    ),
    "a square": (
        lambda m, a, b: a * a,
        lambda m, a, b: m.product(a[..., None, None], a[..., None, None]).flatten(2),
    ),
    "a gate of one's own": (lambda m, a, b: a * (1 - b), None),
    "squeeze and excite": (
        lambda m, a, b: a.mul(b.amax(2, keepdim=True) * 0 + b.mean(2)[..., None]),
        None,
    ),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products_outside_of_modules_have_their_rule(name: str) -> None:
    bare, by_module = PRODUCTS[name]
    answer = explained(deeplift, between(bare))
    assert answer.completeness_error <= 1e-10
    alone = explained(deeplift, between(bare), batch_size=1)
    np.testing.assert_allclose(alone.scores, answer.scores, rtol=1e-6, atol=1e-9)
    if by_module is not None:
        expected = explained(deeplift, between(by_module))
        np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6, atol=1e-9)


class Called(toy.Toy):
    """A convolution, and modules that a function calls."""

    def __init__(self, calls: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.relu, self.in_place = nn.ReLU(), nn.ReLU(inplace=True)
        self.largest = nn.AdaptiveMaxPool1d(1, return_indices=True)
        self.largest_alone = nn.AdaptiveMaxPool1d(1)
        self.flatten, self.classify, self.calls = nn.Flatten(), nn.Linear(6, 2), calls

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.flatten(self.calls(self, self.body(inputs))))
        return logits


CALLS: dict[str, tuple[Any, Any]] = {
    "by name": (
        lambda m, y: m.relu(input=y).mean(2),
        lambda m, y: m.relu(y).mean(2),
    ),
    "by name and in place": (
        lambda m, y: m.in_place(input=y).mean(2),
        lambda m, y: m.relu(y).mean(2),
    ),
    "with the places of the maxima": (
        lambda m, y: m.largest(m.relu(y))[0],
        lambda m, y: m.largest_alone(m.relu(y)),
    ),
}


def called(calls: Callable[[Any, Tensor], Tensor]) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Called(calls).double()


@pytest.mark.parametrize("name", CALLS)
def test_a_module_has_its_rule_however_it_is_called(name: str) -> None:
    answer, expected = (explained(deeplift, called(each)) for each in CALLS[name])
    np.testing.assert_array_equal(answer.scores, expected.scores)
    assert answer.completeness_error <= 1e-10


def test_rows_that_are_no_sequences_are_rejected_by_name() -> None:
    for calls, rows in (
        (lambda m, y: m.relu(y.permute(2, 0, 1)).mean(0), toy.LENGTH),
        (lambda m, y: torch.stack([m.relu(each).mean(1) for each in y]), 6),
    ):
        with pytest.raises(NotApplicable, match=rf"relu \(ReLU\) has {rows} rows for 18 sequences"):
            explained(deeplift, called(calls))


def test_each_factor_gets_the_mean_of_the_other() -> None:
    """Class 1 is x y of two bases' columns, from (1, 0) to (0, 1) and from it to itself."""

    class Multiplied(toy.Toy):
        def forward(self, inputs: Tensor) -> Tensor:
            worth = self.body(inputs)
            product = worth[..., :1] * worth[..., 1:]
            return torch.cat([product * 0, product], 1).squeeze(2)

    layer = nn.Conv1d(4, 1, 1, bias=False).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([2.0, 5.0, 0.0, 7.0]).reshape(1, 4, 1))
    model = Multiplied(layer).double()
    inputs, reference = (
        model.encode(torch.tensor([codes], dtype=torch.uint8)) for codes in ([0, 1], [3, 2])
    )
    answer = rescale(ExplainedView(model), inputs, torch.tensor([1]), reference.unsqueeze(1))
    contributions = (answer.multipliers[:, 0] * (inputs - reference)).sum(1)
    # (2 - 7) times the mean of 5 and 0; (5 - 0) times the mean of 2 and 7
    assert contributions.tolist() == [[-12.5, 22.5]]


def test_products_with_constants_are_linear() -> None:
    model = between(lambda m, a, b: a * torch.linspace(-1, 1, toy.LENGTH))
    assert explained(deeplift, model).completeness_error <= 1e-10


WEIGHTS: dict[str, Callable[[nn.Module], Any]] = {
    "weight norm": parametrizations.weight_norm,
    "weight norm of all": lambda layer: parametrizations.weight_norm(layer, dim=None),
    "spectral norm": parametrizations.spectral_norm,
    "orthogonal": lambda layer: parametrizations.orthogonal(layer),
    "positive": lambda layer: parametrize.register_parametrization(layer, "weight", nn.Softplus()),
    "one's own": lambda layer: parametrize.register_parametrization(layer, "weight", Halved()),
    "two": lambda layer: parametrize.register_parametrization(
        parametrizations.weight_norm(layer), "weight", nn.Tanh()
    ),
}


class Halved(nn.Module):
    def forward(self, weight: Tensor) -> Tensor:
        return weight / 2


def _computed(name: str) -> tuple[Any, Any]:
    """A network whose layers' weights are computed, and the same with what they come to."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [
            nn.Conv1d(4, 3, 5),
            nn.ReLU(),
            nn.Conv1d(3, 3, 3),
            nn.ReLU(),
            nn.AdaptiveMaxPool1d(2),
        ]
        model = toy.network(*layers).double()
        for place in (0, 2):
            WEIGHTS[name](model.body[place])
        model.train()
        for _ in range(3):  # spectral norm has vectors that it improves in training
            model(model.encode(torch.from_numpy(CODES)))
    model.eval()
    plain = toy.network(
        *layers[:0],
        nn.Conv1d(4, 3, 5),
        nn.ReLU(),
        nn.Conv1d(3, 3, 3),
        nn.ReLU(),
        nn.AdaptiveMaxPool1d(2),
    ).double()
    plain.body[-1].load_state_dict(model.body[-1].state_dict())
    for place in (0, 2):
        plain.body[place].weight.data = model.body[place].weight.detach().clone()
        plain.body[place].bias.data = model.body[place].bias.detach().clone()
    return model, plain


@pytest.mark.parametrize(
    ("method", "options"),
    [(deeplift, {}), (lrp, {}), (lrp, {"rule": "gamma"}), (lrp, {"rule": "z_plus"})],
)
@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_are_computed_are_weights(
    name: str, method: Any, options: dict[str, Any]
) -> None:
    """Three filters and three sequences: nothing may be taken for a row of a batch."""
    model, plain = _computed(name)
    answer, expected = (explained(method, each, **options) for each in (model, plain))
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6, atol=1e-9)
    assert answer.completeness_error <= 1e-9


class Attended(toy.Toy):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.layer, self.classify = layer, nn.Linear(6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        sites = self.body(inputs).transpose(1, 2)
        if isinstance(self.layer, nn.MultiheadAttention):
            sites = self.layer(sites, key=sites, value=sites, need_weights=False)[0]
        else:
            sites = self.layer(sites)
        sites = sites[0] if isinstance(sites, tuple) else sites
        logits: Tensor = self.classify(sites.mean(1))
        return logits


@pytest.mark.parametrize(
    ("method", "layer"),
    [
        (lrp, nn.MultiheadAttention(6, 2, batch_first=True)),
        (lrp, nn.TransformerEncoderLayer(6, 2, 8, batch_first=True)),
        *((method, nn.GRU(6, 6, batch_first=True)) for method in (deeplift, lrp)),
        *((method, nn.GroupNorm(23, 23)) for method in (deeplift, lrp)),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_a_module_without_a_rule_is_rejected_by_name(method: Any, layer: Any) -> None:
    with pytest.raises(NotApplicable, match=rf"{method.__name__} has no rule for layer"):
        explained(method, Attended(layer))


class Lookups(toy.Toy):
    """Modules without a rule that see nothing of the input."""

    def __init__(self) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.places, self.norm = nn.Embedding(toy.LENGTH, 6), nn.GroupNorm(1, toy.LENGTH)
        self.relu, self.flatten = nn.ReLU(), nn.Flatten()
        self.classify = nn.Linear(6 * toy.LENGTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        places = self.norm(self.places(torch.arange(toy.LENGTH))[None]).mT
        logits: Tensor = self.classify(self.flatten(self.relu(self.body(inputs) + places)))
        return logits


def test_a_module_that_sees_nothing_of_the_input_needs_no_rule() -> None:
    assert explained(deeplift, Lookups().double()).completeness_error <= 1e-10


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
def test_without_a_dim_softmax_takes_the_axis_that_torch_takes(kind: Any) -> None:
    flat = [nn.Conv1d(4, 6, 5), nn.Flatten(), nn.Linear(114, 5)]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = toy.Toy(nn.Sequential(*flat, kind(dim=None), nn.Linear(5, 2))).double()
    answer = explained(deeplift, model)
    assert answer.completeness_error <= 1e-10
    model.body[3].dim = 1
    np.testing.assert_array_equal(answer.scores, explained(deeplift, model).scores)


@pytest.mark.filterwarnings("ignore:Implicit dimension choice")
@pytest.mark.parametrize("dim", [None, 0, -3])
@pytest.mark.parametrize("kind", [nn.Softmax, nn.LogSoftmax])
def test_over_the_batch_a_softmax_is_rejected(kind: Any, dim: int | None) -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.ReLU())
    model.body[1] = kind(dim=dim)
    message = f"deeplift: a {kind.__name__} with dim={dim} of 3 axes runs over the batch"
    with pytest.raises(NotApplicable, match=message):
        explained(deeplift, model)


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_what_is_scripted_is_rejected() -> None:
    model = toy.network(nn.Conv1d(4, 6, 5), nn.ReLU())
    model.body[1] = torch.jit.script(nn.ReLU())
    with pytest.raises(NotApplicable, match=r"deeplift cannot look into body\.1, it is scripted"):
        explained(deeplift, model)


@pytest.mark.parametrize("options", [{"epsilon": 0.1}, {"rule": "gamma"}, {"rule": "z_plus"}])
def test_a_convolution_of_two_axes_is_one_of_one_axis(options: dict[str, Any]) -> None:
    """Of the four bases as a picture of height 4."""
    one = toy.network(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(3)).double()
    two = toy.network(nn.Conv1d(4, 6, 5), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(3)).double()
    picture = nn.Conv2d(1, 6, (4, 5)).double()
    picture.weight.data, picture.bias = one.body[0].weight.data.unsqueeze(1), one.body[0].bias
    norm = nn.BatchNorm2d(6).double()
    norm.load_state_dict(one.body[1].state_dict())
    first = nn.Sequential(nn.Unflatten(1, (1, 4)), picture, norm, nn.ReLU(), nn.MaxPool2d((1, 3)))
    two.body = nn.Sequential(first, *one.body[4:])
    answer, expected = (explained(lrp, each, **options) for each in (two, one))
    np.testing.assert_allclose(answer.scores, expected.scores, rtol=1e-6, atol=1e-9)
    assert np.abs(expected.scores).max() > 1e-3
    of_both = [explained(deeplift, each).scores for each in (two, one)]
    np.testing.assert_allclose(*of_both, rtol=1e-6, atol=1e-9)


def test_rms_norm_hands_relevance_on_as_a_scale() -> None:
    """By hand: gradient x input of x times a constant, with nothing absorbed."""
    model = toy.network(nn.Conv1d(4, 6, 5, bias=False), nn.RMSNorm(19, eps=0.2)).double()
    with torch.no_grad():
        model.body[1].weight.copy_(torch.linspace(-1, 2, 19))
        model.body[-1].bias.zero_()
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    features = model.body[0](inputs)
    scale = (features.detach().square().mean(2, keepdim=True) + 0.2).rsqrt()
    logits = model.body[2:](features * scale * model.body[1].weight)
    difference = (logits - logits.flip(1))[range(3), TARGETS].sum()
    expected = (torch.autograd.grad(difference, inputs)[0] * inputs.detach()).sum(1)
    answer = explained(lrp, model, epsilon=0)
    np.testing.assert_allclose(answer.scores, expected, rtol=1e-6, atol=1e-9)
    assert answer.completeness_error <= 1e-10


def test_the_output_of_torchs_attention_is_a_linear_layer() -> None:
    attention = nn.MultiheadAttention(8, 2)
    assert layers_without_rule(deeplift, nn.ModuleList([attention])) == []
