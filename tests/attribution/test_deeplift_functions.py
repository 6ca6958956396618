"""DeepLIFT on functions: equal to the modules that call them, and exact in attention."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
import toy
from torch import Tensor, nn
from torch.nn import functional as F

from xaibench.attribution.deeplift import rescale
from xaibench.errors import NotApplicable
from xaibench.nn.layers import MatrixProduct
from xaibench.nn.view import ExplainedView

CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
TARGETS = torch.tensor([0, 1, 1])
WIDTH, HEADS = 8, 2


class Between(toy.Toy):
    """A function, or a module, between two linear maps; ``(N, site, feature)``."""

    def __init__(self, between: Any) -> None:
        super().__init__(nn.Linear(4, WIDTH))
        self.between, self.classify = between, nn.LazyLinear(2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.between(self.body(inputs.transpose(1, 2)))
        logits: Tensor = self.classify(features.flatten(1))
        return logits


def between(function: Any) -> Any:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Between(function).eval().double()
        model(torch.zeros(1, 4, toy.LENGTH).double())  # the last layer's shape
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(torch.randn(parameter.shape))
    return model


def multipliers(model: Any) -> Tensor:
    """Those of every reference, after summation to delta was checked."""
    inputs = model.encode(torch.from_numpy(CODES))
    references = model.encode(torch.from_numpy(REFERENCES.reshape(-1, toy.LENGTH)))
    references = references.reshape(*REFERENCES.shape[:2], 4, toy.LENGTH)
    answer = rescale(ExplainedView(model), inputs, TARGETS, references)
    explained = (answer.multipliers * (inputs.unsqueeze(1) - references)).sum((2, 3))
    largest = float(answer.changes.abs().max())
    torch.testing.assert_close(explained, answer.changes, rtol=0, atol=1e-12 * largest)
    assert largest > 1e-2
    return answer.multipliers


NORM = nn.LayerNorm(WIDTH).double().requires_grad_(False)
ROOT_NORM = nn.RMSNorm(WIDTH).double().requires_grad_(False)


def _written_out(values: Tensor, norm: Any = NORM) -> Tensor:
    centred = values - values.mean(-1, keepdim=True)
    variance = centred.pow(2).mean(-1, keepdim=True)
    normal: Tensor = norm.weight * (centred * torch.rsqrt(variance + norm.eps)) + norm.bias
    return normal


SAME: dict[str, tuple[Any, nn.Module]] = {
    "relu": (torch.relu, nn.ReLU()),
    "relu in place": (lambda x: F.relu(x * 1, inplace=True), nn.ReLU()),
    "gelu": (F.gelu, nn.GELU()),
    "gelu, approximately": (
        lambda x: F.gelu(x, approximate="tanh"),
        nn.GELU(approximate="tanh"),
    ),
    "elu": (lambda x: F.elu(x, 0.5), nn.ELU(0.5)),
    "silu": (F.silu, nn.SiLU()),
    "sigmoid": (Tensor.sigmoid, nn.Sigmoid()),
    "tanh": (torch.tanh, nn.Tanh()),
    "softmax": (lambda x: F.softmax(x, -1), nn.Softmax(-1)),
    "a method": (lambda x: x.softmax(dim=-1, dtype=torch.float64), nn.Softmax(-1)),
    "log_softmax": (lambda x: F.log_softmax(x, dim=-1), nn.LogSoftmax(-1)),
    "glu": (lambda x: F.glu(x, -1), nn.GLU(-1)),
    "layer_norm": (lambda x: F.layer_norm(x, (WIDTH,), NORM.weight, NORM.bias), NORM),
    "layer norm written out": (_written_out, NORM),
    "max_pool1d": (lambda x: F.max_pool1d(x, 3, stride=2), nn.MaxPool1d(3, 2)),
    "max_pool2d": (lambda x: F.max_pool2d(x, (2, 3)), nn.MaxPool2d((2, 3))),
    "adaptive_max_pool1d": (lambda x: F.adaptive_max_pool1d(x, 2), nn.AdaptiveMaxPool1d(2)),
    "amax": (lambda x: x.amax(-1), nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten())),
    "max": (
        lambda x: x.mT.max(1, keepdim=True).values,
        nn.Sequential(nn.AdaptiveMaxPool1d(1), nn.Flatten()),
    ),
    "rms_norm": (lambda x: F.rms_norm(x, (WIDTH,), ROOT_NORM.weight), ROOT_NORM),
}
"""A function, and the module of it."""


@pytest.mark.parametrize("name", SAME)
def test_a_function_has_the_rule_of_its_module(name: str) -> None:
    function, module = SAME[name]
    model = between(module)
    expected = multipliers(model)
    model.between = _Calls(function)
    answer = multipliers(model)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-10 * float(expected.abs().max()))


class _Calls(nn.Module):
    """A function of torch, beside a part, so that what it calls is looked at."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function, self.part = function, nn.Identity()

    def forward(self, values: Tensor) -> Any:
        return self.function(values)


EXACT: dict[str, Callable[[Tensor], Tensor]] = {
    "a quotient": lambda x: x / (1 + x.square()),
    "the inverse": lambda x: 1 / (2 + x.sigmoid()),
    "softmax by hand": lambda x: x.exp() / x.exp().sum(-1, keepdim=True),
    "a power": lambda x: (1 + x.abs()) ** 1.5,
    "bounds": lambda x: x.clamp(-0.5, 2).clamp_min(-0.1),
    "addmm": lambda x: torch.baddbmm(x.mean(1, keepdim=True), x, x.mT @ x.tanh()),
}


@pytest.mark.parametrize("name", EXACT)
def test_functions_sum_to_the_change_of_the_output(name: str) -> None:
    multipliers(between(_Calls(EXACT[name])))


# Attention


class Heads(nn.Module):
    """Attention from projections of its own, in modules that have a rule, or in one function."""

    def __init__(self, *, by_function: bool, mask: Tensor | None) -> None:
        super().__init__()
        self.by_function, self.mask = by_function, mask
        self.project = nn.Linear(WIDTH, 3 * WIDTH)
        self.match, self.softmax, self.mix = MatrixProduct(), nn.Softmax(-1), MatrixProduct()

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in self.project(tokens).chunk(3, -1)
        )
        if self.by_function:
            heads = F.scaled_dot_product_attention(query, key, value, attn_mask=self.mask)
        else:
            logits = self.match(query, key.mT) * query.shape[-1] ** -0.5
            heads = self.mix(
                self.softmax(logits if self.mask is None else logits + self.mask), value
            )
        return heads.transpose(1, 2).flatten(2)


POSITIONS = torch.arange(toy.LENGTH)
PENALTIES = -torch.tensor([0.5, 0.1])[:, None, None] * (POSITIONS - POSITIONS[:, None]).abs()


@pytest.mark.parametrize("mask", [None, PENALTIES.double()], ids=["no mask", "ALiBi"])
def test_attention_in_one_function_is_that_of_its_products(mask: Tensor | None) -> None:
    model = between(Heads(by_function=False, mask=mask))
    expected = multipliers(model)
    model.between.by_function = True
    answer = multipliers(model)
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


class Attending(nn.Module):
    def __init__(self, *, sites_first: bool = False, **called: Any) -> None:
        super().__init__()
        self.attend = nn.MultiheadAttention(WIDTH, HEADS, batch_first=not sites_first)
        self.sites_first, self.called = sites_first, called

    def forward(self, tokens: Tensor) -> Tensor:
        tokens = tokens.transpose(0, 1) if self.sites_first else tokens
        attended: Tensor = self.attend(*[tokens] * 3, **self.called)[0]
        return attended.transpose(0, 1) if self.sites_first else attended


CAUSAL = torch.ones(toy.LENGTH, toy.LENGTH, dtype=torch.bool).triu(1)
LAYERS: dict[str, Callable[[], nn.Module]] = {
    "MultiheadAttention": lambda: Attending(need_weights=False),
    "MultiheadAttention with weights": Attending,
    "MultiheadAttention, sites first": lambda: Attending(sites_first=True),
    "MultiheadAttention, causal": lambda: Attending(attn_mask=CAUSAL),
    "TransformerEncoderLayer": lambda: _layer(),
    "TransformerEncoderLayer, normalised before": lambda: _layer(
        norm_first=True, activation=F.gelu
    ),
    "TransformerEncoder": lambda: nn.TransformerEncoder(_layer(), 2, enable_nested_tensor=False),
}


def _layer(**options: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 12, batch_first=True, **options)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_torch_sum_to_the_change_of_the_output(name: str) -> None:
    model = between(LAYERS[name]())
    assert multipliers(model).isfinite().all()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


def test_attention_with_dropout_is_refused() -> None:
    model = between(_Calls(lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.1)))
    with pytest.raises(NotApplicable, match="attention with dropout in eval mode"):
        multipliers(model)
