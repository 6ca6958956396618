"""LRP where a network works in place, and where linear maps are called outside of modules: equal to
the same network that does neither, or refused by name."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn import functional

from xaibench.attribution.lrp import lrp
from xaibench.errors import NotApplicable
from xaibench.nn.view import ExplainedView

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])
OPTIONS: dict[str, dict[str, Any]] = {
    "epsilon": {"epsilon": 0.25},
    "gamma": {"rule": "gamma", "gamma": 0.4},
    "z_plus": {"rule": "z_plus"},
}
Forward = Callable[["Parts", Tensor], Tensor]


class Parts(toy.Toy):
    """Layers, put together by a function."""

    def __init__(self, forward: Forward) -> None:
        super().__init__(nn.Conv1d(4, 6, 5, padding=2))
        self.other, self.norm = nn.Conv1d(4, 6, 3, padding=1), nn.BatchNorm1d(6)
        self.relu, self.relu_in_place = nn.ReLU(), nn.ReLU(inplace=True)
        self.silu, self.silu_in_place = nn.SiLU(), nn.SiLU(inplace=True)
        self.flatten, self.classify = nn.Flatten(), nn.Linear(6 * toy.LENGTH, 2)
        self.second = nn.Linear(4 * toy.LENGTH, 2)
        self.put_together = forward
        generator = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.4)
            self.norm.running_mean.copy_(torch.linspace(-1, 1, 6))
            self.norm.running_var.copy_(torch.linspace(0.5, 2, 6))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.put_together(self, inputs)


def relevance(forward: Forward, options: dict[str, Any], dtype: torch.dtype, rows: int = 3) -> Any:
    model = Parts(forward).to(dtype).eval()
    inputs = model.encode(torch.from_numpy(CODES[:rows])).requires_grad_()
    return lrp(ExplainedView(model), inputs, TARGETS[:rows], **options)


def normalised(change: Callable[[Any, Tensor, Tensor], Tensor | None]) -> Forward:
    """A convolution, a change of what it gives, batch normalisation."""

    def forward(parts: Any, inputs: Tensor) -> Tensor:
        features = parts.body(inputs)
        changed = change(parts, features, parts.other(inputs))
        features = parts.norm(features if changed is None else changed)
        logits: Tensor = parts.classify(parts.flatten(parts.relu(features)))
        return logits

    return forward


def _set(features: Tensor, place: Any, values: Tensor) -> None:
    features[place] = values


def _joined(*parts: Tensor) -> Tensor:
    return torch.cat(parts, 1)


IN_PLACE: dict[str, tuple[Any, Any]] = {
    "+=": (lambda p, y, s: y.__iadd__(s), lambda p, y, s: y + s),
    "-=": (lambda p, y, s: y.__isub__(s), lambda p, y, s: y - s),
    "*=": (lambda p, y, s: y.__imul__(-1.5), lambda p, y, s: y * -1.5),
    "/=": (lambda p, y, s: y.__itruediv__(-2), lambda p, y, s: y / -2),
    "add_": (lambda p, y, s: y.add_(s, alpha=-0.5), lambda p, y, s: y - 0.5 * s),
    "clamp_": (lambda p, y, s: y.clamp_(min=0), lambda p, y, s: y.clamp(min=0)),
    "relu_": (lambda p, y, s: y.relu_(), lambda p, y, s: y.relu()),
    "relu": (lambda p, y, s: functional.relu(y, inplace=True), lambda p, y, s: y.relu()),
    "leaky_relu_": (
        lambda p, y, s: functional.leaky_relu(y, 0.3, inplace=True),
        lambda p, y, s: functional.leaky_relu(y, 0.3),
    ),
    "a module that is used": (lambda p, y, s: p.relu_in_place(y), lambda p, y, s: p.relu(y)),
    "a module that is called": (
        lambda p, y, s: p.silu_in_place(y) * 0 + y,
        lambda p, y, s: p.silu(y) * 0 + p.silu(y),
    ),
    "a change that another name sees": (
        lambda p, y, s: (z := p.relu_in_place(y), y.add_(s), z)[2],
        lambda p, y, s: p.relu(y) + s,
    ),
    "a module and +=": (
        lambda p, y, s: p.silu_in_place(y).__iadd__(s),
        lambda p, y, s: p.silu(y) + s,
    ),
    "channels": (
        lambda p, y, s: (y[:, :3].add_(s[:, :3]), y)[1],
        lambda p, y, s: _joined(y[:, :3] + s[:, :3], y[:, 3:]),
    ),
    "a slice": (
        lambda p, y, s: _set(y, (slice(None), slice(3)), s[:, :3]),
        lambda p, y, s: _joined(s[:, :3], y[:, 3:]),
    ),
    "a view": (lambda p, y, s: _set(y.transpose(1, 2), ..., s.mT), lambda p, y, s: s * 1),
    "sites": (
        lambda p, y, s: (y[:, :, 3:9].mul_(-2), y)[1],
        lambda p, y, s: torch.cat([y[:, :, :3], y[:, :, 3:9] * -2, y[:, :, 9:]], 2),
    ),
    "masked_fill_": (
        lambda p, y, s: y.masked_fill_(s.detach() > 0, 0),
        lambda p, y, s: y.masked_fill(s.detach() > 0, 0),
    ),
    "copy_": (lambda p, y, s: y.copy_(s), lambda p, y, s: s * 1),
    "what changes nothing": (lambda p, y, s: y.mul_(1), lambda p, y, s: y * 1),
}
"""What is done to the output of a convolution before batch normalisation, in place and not."""


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", IN_PLACE)
def test_what_works_in_place_is_as_if_it_did_not(
    name: str, options: dict[str, Any], dtype: torch.dtype
) -> None:
    in_place, apart = (normalised(each) for each in IN_PLACE[name])
    answer, expected = (relevance(each, options, dtype) for each in (in_place, apart))
    tolerance = 1e-10 if dtype == torch.float64 else 1e-4
    largest = float(expected.contributions.abs().max())
    torch.testing.assert_close(
        answer.contributions, expected.contributions, rtol=0, atol=tolerance * largest
    )
    torch.testing.assert_close(
        answer.completeness_error, expected.completeness_error, rtol=0, atol=tolerance * largest
    )


class Owner(nn.Module):
    """A module with a weight of its own, and a convolution that gives its output."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, 80).reshape(4, 4, 5))
        self.last = nn.Conv1d(4, 6, 3, padding=1)

    def forward(self, inputs: Tensor) -> Tensor:
        outputs: Tensor = self.last(functional.conv1d(inputs, self.weight, padding=2))
        return outputs


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_module_with_a_weight_of_its_own_is_rejected_whatever_its_output_meets(
    options: dict[str, Any],
) -> None:
    whole = Parts(lambda parts, x: _classified(parts, functional.conv1d(x, parts.own, padding=2)))
    whole.own = nn.Parameter(torch.linspace(-1, 1, 120).reshape(6, 4, 5))
    inner = Parts(lambda parts, x: _classified(parts, parts.norm(parts.owner(x))))
    inner.owner = Owner()
    for model, name in ((whole, r"the model \(Parts\)"), (inner, r"owner \(Owner\)")):
        inputs = model.eval().encode(torch.from_numpy(CODES)).requires_grad_()
        with pytest.raises(NotApplicable, match=f"no rule for {name}"):
            lrp(ExplainedView(model), inputs, TARGETS, **options)


def _classified(parts: Any, features: Tensor) -> Tensor:
    logits: Tensor = parts.classify(parts.flatten(parts.relu(features)))
    return logits


def _logits(change: Callable[[Tensor, Tensor], Tensor]) -> Forward:
    def forward(parts: Any, inputs: Tensor) -> Tensor:
        logits = _classified(parts, parts.norm(parts.body(inputs)))
        return change(logits, parts.second(parts.flatten(inputs)))

    return forward


def _before_it_is_normalised(change: Callable[[Tensor], Any]) -> Forward:
    """What a convolution was given is rewritten before batch normalisation follows it."""

    def forward(parts: Any, inputs: Tensor) -> Tensor:
        given = inputs * 1
        features = parts.body(given)
        changed = change(given)
        given = given if changed is None else changed
        return _classified(parts, parts.norm(features) + parts.other(given))

    return forward


def _normalised_twice(change: Callable[[Tensor], Tensor]) -> Forward:
    def forward(parts: Any, inputs: Tensor) -> Tensor:
        return _classified(parts, parts.norm(change(parts.norm(parts.body(inputs)))))

    return forward


ELSEWHERE: dict[str, tuple[Forward, Forward]] = {
    "logits +=": (_logits(lambda y, s: y.__iadd__(s)), _logits(lambda y, s: y + s)),
    "logits *=": (_logits(lambda y, s: y.mul_(2)), _logits(lambda y, s: y * 2)),
    "logits of one class": (
        _logits(lambda y, s: (y[:, 1].add_(s[:, 1]), y)[1]),
        _logits(lambda y, s: y + s * torch.tensor([0, 1])),
    ),
    "what a convolution was given": (
        _before_it_is_normalised(lambda x: x.mul_(-2)),
        _before_it_is_normalised(lambda x: x * -2),
    ),
    "what a convolution was given, cleared": (
        _before_it_is_normalised(lambda x: (x.zero_(), None)[1]),
        _before_it_is_normalised(lambda x: x * 0),
    ),
    "between two normalisations": (
        _normalised_twice(lambda y: y.relu_()),
        _normalised_twice(lambda y: y.relu()),
    ),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_works_in_place_elsewhere_is_as_if_it_did_not(
    name: str, options: dict[str, Any]
) -> None:
    answer, expected = (relevance(each, options, torch.float64) for each in ELSEWHERE[name])
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-11)
    assert expected.contributions.abs().max() > 1e-3


def test_values_that_are_changed_behind_the_back_of_autograd_are_no_output_of_a_map() -> None:
    """The gradient knows nothing of the change, and so completeness sees it."""

    def forward(parts: Any, inputs: Tensor) -> Tensor:
        features = parts.body(inputs)
        features.data += 3
        return _classified(parts, parts.norm(features))

    answer = relevance(forward, OPTIONS["gamma"], torch.float64)
    assert (answer.completeness_error > 0.01 * answer.output_change).any()


def _features(convolve: Callable[[Any, Tensor], Tensor], *, norm: bool = True) -> Forward:
    def forward(parts: Any, inputs: Tensor) -> Tensor:
        features = convolve(parts, inputs)
        return _classified(parts, parts.norm(features) if norm else features)

    return forward


def _last(classify: Callable[[Any, Tensor], Tensor]) -> Forward:
    def forward(parts: Any, inputs: Tensor) -> Tensor:
        return classify(parts, parts.flatten(parts.relu(parts.body(inputs))))

    return forward


def _module(kind: Any, weight: Tensor, bias: Tensor | None = None, **options: Any) -> Any:
    """A layer with these weights."""
    made = kind(weight.shape[1], weight.shape[0], bias=bias is not None, **options).double()
    made.weight.data, made.bias = weight.detach(), None if bias is None else nn.Parameter(bias)
    return made


class AtEverySite(nn.Sequential):
    def forward(self, values: Tensor) -> Tensor:
        outputs: Tensor = super().forward(values.transpose(1, 2))
        return outputs.transpose(1, 2)


def _other_strand(weight: Tensor) -> Tensor:
    return weight.flip(1, 2)


def _pointwise(parts: Any) -> Tensor:
    """``(6, 4)``."""
    weight: Tensor = parts.body.weight[:, :, 2]
    return weight


LINEAR_CALLS: dict[str, tuple[Forward, Callable[[Any], Any], Forward]] = {}


def call(name: str, of: Callable[..., Forward], called: Any, made: Any, **options: Any) -> None:
    """Beside a forward pass with a function, the same with the module that ``made`` makes."""
    by_module = of(lambda parts, values: parts.twin(values), **options)
    LINEAR_CALLS[name] = of(called, **options), made, by_module


for _norm in (True, False):
    _where = " before batch norm" if _norm else ""
    call(
        f"conv1d of the other strand{_where}",
        _features,
        lambda p, x: functional.conv1d(x, _other_strand(p.body.weight), p.body.bias, padding=2),
        lambda p: _module(
            *(nn.Conv1d, _other_strand(p.body.weight), p.body.bias), kernel_size=5, padding=2
        ),
        norm=_norm,
    )
    call(
        f"torch.conv1d by keywords{_where}",
        _features,
        lambda p, x: torch.conv1d(weight=p.body.weight, input=x, padding="same"),
        lambda p: _module(nn.Conv1d, p.body.weight, kernel_size=5, padding=2),
        norm=_norm,
    )
    call(
        f"a matrix from the left{_where}",
        _features,
        lambda p, x: _pointwise(p) @ x,
        lambda p: _module(nn.Conv1d, _pointwise(p).unsqueeze(2), kernel_size=1),
        norm=_norm,
    )
call(
    "linear",
    _last,
    lambda p, x: functional.linear(x, p.classify.weight, p.classify.bias),
    lambda p: _module(nn.Linear, p.classify.weight, p.classify.bias),
)
for _name, _product in {
    "@": lambda x, w: x @ w,
    "matmul": torch.matmul,
    "tensor.matmul": lambda x, w: x.matmul(w),
    "mm": torch.mm,
    "tensor.mm": lambda x, w: x.mm(mat2=w),
}.items():
    call(
        _name,
        _last,
        lambda p, x, product=_product: product(x, p.classify.weight.T),
        lambda p: _module(nn.Linear, p.classify.weight),
    )
call(
    "@ at every site",
    _features,
    lambda p, x: (x.transpose(1, 2) @ _pointwise(p).T).transpose(1, 2),
    lambda p: AtEverySite(_module(nn.Linear, _pointwise(p))),
    norm=False,
)
call(
    "batch_norm",
    _features,
    lambda p, x: functional.batch_norm(
        p.body(x), p.norm.running_mean, p.norm.running_var, p.norm.weight, p.norm.bias
    ),
    lambda p: nn.Sequential(p.body, p.norm),
    norm=False,
)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", LINEAR_CALLS)
def test_a_function_has_the_rule_of_its_module(name: str, options: dict[str, Any]) -> None:
    called, made, by_module = LINEAR_CALLS[name]
    model, twin = (Parts(each).double().eval() for each in (called, by_module))
    twin.twin = made(twin).eval()
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    answer, expected = (
        lrp(ExplainedView(each), inputs, TARGETS, **options) for each in (model, twin)
    )
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-11)
    assert expected.contributions.abs().max() > 1e-3


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return values * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 2


REFUSED: dict[str, tuple[Callable[[Any, Tensor], Tensor], str]] = {
    "einsum": (lambda p, x: torch.einsum("ncl,kc->nkl", x, _pointwise(p)), "bmm"),
    "bmm": (lambda p, x: torch.bmm(_pointwise(p).expand(len(x), -1, -1), x), "bmm"),
    "tensordot": (
        lambda p, x: torch.tensordot(x, _pointwise(p), ([1], [1])).transpose(1, 2),
        "mm",
    ),
    "conv_transpose1d": (
        lambda p, x: functional.conv_transpose1d(x, p.body.weight.transpose(0, 1), padding=2),
        "convolution",
    ),
    "sequence by sequence": (
        lambda p, x: torch.stack(
            [functional.conv1d(each, p.other.weight, padding=1) for each in x]
        ),
        "convolution",
    ),
    "a product and a sum": (
        lambda p, x: (x.unsqueeze(1) * _pointwise(p).unsqueeze(2)).sum(2),
        "sum",
    ),
    "a quotient and a mean": (
        lambda p, x: p.body(x) + (p.body(x) / torch.linspace(-1, 1, 6)[:, None]).mean((1, 2), True),
        "mean",
    ),
    "addcmul": (
        lambda p, x: torch.addcmul(torch.zeros(()).double(), p.body(x), p.classify.weight[0, :23]),
        "addcmul",
    ),
    "torch.batch_norm": (
        lambda p, x: torch.batch_norm(
            *(p.body(x), p.norm.weight, p.norm.bias, p.norm.running_mean, p.norm.running_var),
            *(False, 0.1, 1e-5, False),
        ),
        "batchnorm",
    ),
    "a Fourier transform": (
        lambda p, x: p.body(torch.fft.irfft(torch.fft.rfft(x), n=toy.LENGTH)),
        "fftr2c",
    ),
    "a function of one's own": (lambda p, x: Doubled.apply(p.body(x)), "doubled"),
    "two activations": (
        lambda p, x: torch.bmm(p.body(x), p.other(x).transpose(1, 2)) @ p.body(x),
        "bmm",
    ),
}


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("name", REFUSED)
def test_a_linear_map_without_a_rule_is_rejected_by_name(
    name: str, options: dict[str, Any]
) -> None:
    """Also for an epsilon that takes its share, which the gradient would pass by."""
    called, operation = REFUSED[name]
    with pytest.raises(NotApplicable, match=rf"outside of modules: .*{operation}"):
        relevance(_features(called), options, torch.float64)


@pytest.mark.parametrize("options", [{"epsilon": 0}, {}], ids=["none", "the default"])
@pytest.mark.parametrize("name", sorted(REFUSED.keys() - {"two activations"}))
def test_for_a_small_epsilon_the_gradient_is_the_rule(name: str, options: dict[str, Any]) -> None:
    called, _ = REFUSED[name]
    answer = relevance(_features(called), options, torch.float64)
    if name != "torch.batch_norm":  # its shift is absorbed, unseen
        assert (answer.completeness_error <= 1e-11).all()


@pytest.mark.filterwarnings("ignore:.torch.jit")
def test_what_is_scripted_is_rejected() -> None:
    scripted = torch.jit.script(nn.Sequential(nn.Conv1d(4, 6, 5, padding=2), nn.ReLU()).double())
    model = toy.network(nn.Conv1d(4, 6, 5, padding=2)).double()
    model.body[0] = nn.Sequential(scripted)
    inputs = model.encode(torch.from_numpy(CODES)).requires_grad_()
    with pytest.raises(NotApplicable, match=r"cannot look into body\.0\.0, it is scripted"):
        lrp(ExplainedView(model.eval()), inputs, TARGETS, rule="gamma")


MEANS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a mean": lambda p, x: p.body(x) - p.body(x).mean(2, keepdim=True) * 0.5,
    "a mask": lambda p, x: p.body(x) + (p.body(x) * torch.ones(toy.LENGTH)).sum(2, keepdim=True),
    "scaled": lambda p, x: p.body(x) * torch.linspace(-1, 1, 6).unsqueeze(1),
}


@pytest.mark.parametrize("rule", ["gamma", "z_plus"])
@pytest.mark.parametrize("name", MEANS)
def test_means_masks_and_scales_are_no_linear_maps_to_reject(name: str, rule: str) -> None:
    answer = relevance(_features(MEANS[name]), {"rule": rule}, torch.float64)
    assert (answer.completeness_error <= 1e-11).all()
