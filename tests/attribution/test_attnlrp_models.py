"""AttnLRP and CP-LRP of whole models: conservation, layers and heads, what constants absorb, and
refusal."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import slow_relevance as slow
import torch
import toy
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from xaibench.attribution.attnlrp import head_relevance, layer_relevance
from xaibench.attribution.lrp import lrp
from xaibench.errors import NotApplicable, RuleError
from xaibench.explanation.method_call import Explanation, explain
from xaibench.models.attngen import AttnGen
from xaibench.models.transformer import Transformer
from xaibench.nn.layers import one_hot
from xaibench.nn.view import ExplainedView
from xaibench.testing.contract import check_attribution

CODES = toy.sequences()
TARGETS = torch.tensor([0, 1, 1])
RULES = ("attnlrp", "cp_lrp")
WIDTH, HEADS = 8, 2


def seeded(module: Any) -> Any:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return module.double().eval()


class Encoder(nn.Module):
    """A classifier of tokens by torch's own layers."""

    def __init__(self, layer: Any, *, batch_first: bool = True, bias: bool = True) -> None:
        super().__init__()
        self.embed = nn.Linear(4, WIDTH, bias=bias)
        self.layers, self.batch_first = nn.ModuleList([layer, layer]), batch_first
        self.classify = nn.Linear(WIDTH, 2, bias=bias)

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.embed(inputs.transpose(1, 2))
        tokens = tokens if self.batch_first else tokens.transpose(0, 1)
        for layer in self.layers:
            tokens = layer(tokens)
        logits: Tensor = self.classify(tokens.mean(1 if self.batch_first else 0))
        return logits


def torch_layer(**options: Any) -> nn.TransformerEncoderLayer:
    options = {"batch_first": True, "activation": "gelu", **options}
    return nn.TransformerEncoderLayer(WIDTH, HEADS, 12, **options)


class Block(nn.Module):
    """Attention with ALiBi or rotary embeddings and a gated network, normalised after each; no
    biases but those of distance."""

    def __init__(self, *, alibi: bool, rotary: bool = False) -> None:
        super().__init__()
        self.alibi, self.rotary = alibi, rotary
        self.project = nn.Linear(WIDTH, 3 * WIDTH, bias=False)
        self.gather = nn.Linear(WIDTH, WIDTH, bias=False)
        self.gated, self.out = nn.Linear(WIDTH, 20, bias=False), nn.Linear(10, WIDTH, bias=False)
        self.first, self.second = nn.LayerNorm(WIDTH, bias=False), nn.RMSNorm(WIDTH)

    def forward(self, tokens: Tensor) -> Tensor:
        query, key, value = (
            each.unflatten(-1, (HEADS, -1)).transpose(1, 2)
            for each in self.project(tokens).chunk(3, -1)
        )
        if self.rotary:
            query, key = _rotated(query), _rotated(key)
        match = query @ key.mT / query.shape[-1] ** 0.5
        weights = (match + _distances(tokens.shape[1]) if self.alibi else match).softmax(-1)
        attended = self.gather((weights @ value).transpose(1, 2).flatten(2))
        tokens = self.first(tokens + attended)
        gate, values = self.gated(tokens).chunk(2, -1)
        normal: Tensor = self.second(tokens + self.out(F.gelu(gate) * values))
        return normal


def _rotated(tokens: Tensor) -> Tensor:
    half = tokens.shape[-1] // 2
    angles = torch.outer(torch.arange(tokens.shape[-2]), torch.ones(half) / 7).repeat(1, 2)
    turned = torch.cat((-tokens[..., half:], tokens[..., :half]), -1)
    return tokens * angles.cos() + turned * angles.sin()


def _distances(length: int) -> Tensor:
    """ALiBi, ``(head, L, L)``."""
    positions = torch.arange(length)
    return -torch.tensor([0.5, 0.1])[:, None, None] * (positions - positions[:, None]).abs()


def inputs_of(codes: Any = CODES) -> Tensor:
    return one_hot(torch.from_numpy(codes)).double().requires_grad_()


def explained(model: Any, **options: Any) -> Any:
    return lrp(ExplainedView(model), inputs_of(), TARGETS, **options)


def output_of(model: Any) -> Tensor:
    with torch.no_grad():
        return ExplainedView(model)(inputs_of()).gather(1, TARGETS.unsqueeze(1))[:, 0]


@pytest.mark.parametrize("rotary", [False, True])
@pytest.mark.parametrize("alibi", [False, True])
def test_without_biases_cp_lrp_conserves(alibi: bool, rotary: bool) -> None:
    model = seeded(Encoder(Block(alibi=alibi, rotary=rotary), bias=False))
    relevance = explained(model, rule="cp_lrp").contributions.sum((1, 2))
    torch.testing.assert_close(relevance, output_of(model), rtol=1e-10, atol=0)
    assert output_of(model).abs().min() > 1e-3


def test_of_a_relu_network_without_biases_it_is_gradient_x_input() -> None:
    model = seeded(
        nn.Sequential(
            *(nn.Conv1d(4, 6, 5, bias=False), nn.ReLU(), nn.MaxPool1d(2), nn.Flatten()),
            *(nn.Linear(54, 7, bias=False), nn.ReLU(), nn.Linear(7, 2, bias=False)),
        )
    )
    inputs = inputs_of()
    output = ExplainedView(model)(inputs).gather(1, TARGETS.unsqueeze(1))[:, 0]
    expected = inputs.detach() * torch.autograd.grad(output.sum(), inputs)[0]
    answer = explained(model, rule="attnlrp").contributions
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(answer.sum((1, 2)), output.detach(), rtol=0, atol=1e-12)


class WithConstants(nn.Module):
    """Position embeddings, a class token, a padding mask and a constant in every corner."""

    def __init__(self, *, sites_first: bool = False) -> None:
        super().__init__()
        self.embed, self.sites_first = nn.Conv1d(4, WIDTH, 1), sites_first
        self.positions = nn.Parameter(torch.empty(24, WIDTH))
        self.token = nn.Parameter(torch.empty(1, 1, WIDTH))
        self.attend = nn.MultiheadAttention(WIDTH, HEADS, batch_first=not sites_first)
        self.norm, self.batch_norm = nn.LayerNorm(WIDTH), nn.BatchNorm1d(WIDTH)
        self.pool, self.classify = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        features = self.batch_norm(self.embed(inputs)).transpose(1, 2)
        tokens = torch.cat([self.token.expand(len(features), -1, -1), features], 1)
        tokens += self.positions
        padded = F.pad(inputs.detach().sum(1) == 0, (1, 0))
        tokens = tokens.masked_fill(padded.unsqueeze(2), 0.3)
        tokens = tokens.transpose(0, 1) if self.sites_first else tokens
        attended, _ = self.attend(*[tokens] * 3, key_padding_mask=padded)
        tokens = self.norm(tokens + attended)
        summary = tokens[0] if self.sites_first else tokens[:, 0]
        summary = self.pool(summary).tanh() + torch.sigmoid(self.pool(summary)) / 2
        logits: Tensor = self.classify(torch.where(summary > 0, summary, 0.1 - summary))
        return logits


MODELS: dict[str, Callable[[], Any]] = {
    "constants": WithConstants,
    "constants, sites first": lambda: WithConstants(sites_first=True),
    "torch's layers": lambda: Encoder(torch_layer()),
    "torch's layers, normalised before": lambda: Encoder(torch_layer(norm_first=True)),
    "torch's layers, sites first": lambda: Encoder(
        torch_layer(batch_first=False, activation="relu"), batch_first=False
    ),
    "torch's encoder": lambda: Encoder(
        nn.TransformerEncoder(torch_layer(activation=F.silu), 1, enable_nested_tensor=False)
    ),
    "transformer": lambda: Transformer(classes=2, length=toy.LENGTH, width=8, hidden=12),
    "attngen": lambda: AttnGen(classes=2, length=toy.LENGTH, filters=(6, 8, 8)),
}


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", MODELS)
def test_what_does_not_reach_the_input_is_what_constants_absorb(name: str, rule: str) -> None:
    """And a model is left as it was, whatever it is in (``explain`` compares)."""
    model = seeded(MODELS[name]())
    answer = explained(model, rule=rule)
    assert answer.completeness_error.max() <= 1e-12 * answer.output_change.max()
    assert answer.contributions.abs().max() > 1e-4
    by_harness(model.float(), rule=rule)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())


def by_harness(
    model: Any, codes: Any = CODES, *, batch_size: int = 64, **options: Any
) -> Explanation:
    arguments: dict[str, Any] = {"options": options, "seed": 0, "component": "attribution"}
    model.encode = lambda codes: one_hot(codes).to(next(model.parameters()).dtype)
    targets = np.arange(len(codes)) % 2
    return explain(lrp, model, codes, targets, batch_size=batch_size, **arguments)


@pytest.mark.parametrize(
    ("name", "sequences"), [("constants, sites first", 24), ("torch's layers, sites first", 23)]
)
def test_as_many_sites_on_the_first_axis_as_sequences_make_no_difference(
    name: str, sequences: int
) -> None:
    model, codes = seeded(MODELS[name]()), toy.sequences(sequences)
    together, alone = (
        by_harness(model, codes, batch_size=n, rule="attnlrp").scores for n in (sequences, 1)
    )
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-6 * np.abs(alone).max())


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("norm_first", [False, True])
def test_the_layer_of_torch_is_the_sum_of_its_operations(norm_first: bool, rule: str) -> None:
    layer = seeded(torch_layer(norm_first=norm_first))

    def by_hand(tokens: Tensor) -> Tensor:
        if norm_first:
            tokens = tokens + _attended(layer, layer.norm1(tokens))
            return tokens + layer.linear2(F.gelu(layer.linear1(layer.norm2(tokens))))
        tokens = layer.norm1(tokens + _attended(layer, tokens))
        return layer.norm2(tokens + layer.linear2(F.gelu(layer.linear1(tokens))))

    model = seeded(Encoder(layer))
    expected = explained(model, rule=rule).contributions
    model.layers = nn.ModuleList([_Calls(by_hand, layer)] * 2)
    answer = explained(model, rule=rule).contributions
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12 * float(expected.abs().max()))


class _Calls(nn.Module):
    def __init__(self, function: Any, layer: nn.Module) -> None:
        super().__init__()
        self.function, self.layer = function, layer

    def forward(self, tokens: Tensor) -> Any:
        return self.function(tokens)


def _attended(layer: Any, tokens: Tensor) -> Tensor:
    attention = layer.self_attn
    projected = F.linear(tokens, attention.in_proj_weight, attention.in_proj_bias)
    query, key, value = (
        each.unflatten(-1, (HEADS, -1)).transpose(1, 2) for each in projected.chunk(3, -1)
    )
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    output: Tensor = attention.out_proj((weights @ value).transpose(1, 2).flatten(2))
    return output


@pytest.mark.parametrize("rule", RULES)
def test_the_contract_of_a_method_holds(rule: str) -> None:
    checks = check_attribution(lrp, options={"rule": rule})
    assert {each.name: each for each in checks}["runs"].detail.startswith("on 8 of 8 models")
    assert all(each.held is not False for each in checks)


# Mixture of experts


class Experts(nn.Module):
    """The two most probable of three experts for each token, after Mixtral: their probabilities
    are normalised again."""

    def __init__(self) -> None:
        super().__init__()
        self.route = nn.Linear(4, 3, bias=False)
        self.experts = nn.ModuleList(nn.Linear(4, 5) for _ in range(3))

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = inputs.transpose(1, 2).flatten(0, 1)
        weights, chosen = self.route(tokens).softmax(-1).topk(2, dim=-1)
        weights = weights / weights.sum(-1, keepdim=True)
        mixed = torch.zeros(len(tokens), 5).to(tokens)
        for place, expert in enumerate(self.experts):
            rows, which = torch.where(chosen == place)
            mixed.index_add_(0, rows, expert(tokens[rows]) * weights[rows, which, None])
        return mixed.unflatten(0, (len(inputs), -1)).flatten(1)


@pytest.mark.parametrize("rule", RULES)
def test_a_mixture_of_experts_has_the_rules_of_its_operations(rule: str) -> None:
    """Half of the relevance of ``weight x expert`` to each, the normalised weight's to the
    probability, whose sum is held constant; under CP-LRP all to the experts."""
    model = seeded(Experts())
    tokens = torch.randn(3, 4, 6, generator=torch.Generator().manual_seed(1)).double()
    answer = lrp(model, tokens.clone().requires_grad_(), TARGETS, rule=rule)
    assert answer.completeness_error is not None
    assert answer.completeness_error.max() == 0
    expected = np.zeros(tokens.shape)
    for row, target in enumerate(TARGETS.tolist()):  # output ``target``: a feature of token 0
        token = tokens[row, :, :1].T.numpy()
        expected[row, :, :1] = _through_experts(model, token, target, rule).T
    np.testing.assert_allclose(answer.contributions, expected, rtol=0, atol=1e-12)
    assert np.abs(expected).max() > 1e-3


def _through_experts(model: Any, token: Any, feature: int, rule: str) -> Any:
    route = model.route.weight.detach().numpy()
    logits = token @ route.T
    weights = slow.softmax_of(logits)[0]
    chosen = np.argsort(weights)[-2:]
    handed, of_weights = np.zeros_like(token), np.zeros((1, 3))
    for place in chosen:
        expert = model.experts[place]
        matrix, bias = expert.weight.detach().numpy(), expert.bias.detach().numpy()
        outputs = token @ matrix.T + bias
        relevance = np.zeros_like(outputs)
        relevance[0, feature] = outputs[0, feature] * weights[place] / weights[chosen].sum()
        share = 1 if rule == "cp_lrp" else 0.5
        handed += slow.linear(token, matrix, outputs, share * relevance)
        of_weights[0, place] = (1 - share) * relevance.sum()
    return handed + slow.linear(token, route, logits, slow.softmax(logits, of_weights))


# Layers and heads


def test_relevance_of_every_layer_is_what_is_explained_where_nothing_absorbs() -> None:
    model = seeded(Encoder(Block(alibi=True), bias=False))
    model.layers[1] = seeded(Block(alibi=True))  # of its own: one that runs twice has two outputs
    layers = ["embed", "layers.0", "layers.1.second", "layers.1"]
    relevance = layer_relevance(ExplainedView(model), inputs_of(), TARGETS, layers, rule="cp_lrp")
    assert list(relevance) == layers
    for each in relevance.values():
        assert each.shape == (3, toy.LENGTH, WIDTH)
        torch.testing.assert_close(each.sum((1, 2)), output_of(model), rtol=1e-10, atol=0)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("needs_weights", [False, True])
def test_relevance_of_heads_is_that_of_what_they_give(needs_weights: bool, rule: str) -> None:
    """Behind them is a linear map: the relevance of its inputs, feature by feature."""
    model = seeded(Attending(needs_weights=needs_weights))
    (heads,) = head_relevance(
        ExplainedView(model), inputs_of(), TARGETS, ["attend"], rule=rule
    ).values()
    assert heads.shape == (3, HEADS, toy.LENGTH, WIDTH // HEADS)
    (attended,) = layer_relevance(
        ExplainedView(model), inputs_of(), TARGETS, ["attend"], rule=rule
    ).values()
    out = model.attend.out_proj
    tokens = model.embed(inputs_of().transpose(1, 2))
    query, key, value = F.linear(
        tokens, model.attend.in_proj_weight, model.attend.in_proj_bias
    ).chunk(3, -1)
    query, key, value = (e.unflatten(-1, (HEADS, -1)).transpose(1, 2) for e in (query, key, value))
    joined = ((query @ key.mT / 2).softmax(-1) @ value).transpose(1, 2).flatten(2)
    outputs = out(joined)
    for row in range(3):
        given = (joined[row], out.weight, outputs[row], attended[row])
        expected = slow.linear(*(each.detach().numpy() for each in given))
        answer = heads[row].transpose(0, 1).flatten(1)
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("rule", RULES)
def test_attention_in_products_of_a_models_own_is_a_layer(rule: str) -> None:
    model = seeded(MODELS["transformer"]())
    layers = ["layers.0.mix", "layers.0.gather"]
    mixed, gathered = layer_relevance(
        ExplainedView(model), inputs_of(), TARGETS, layers, rule=rule
    ).values()
    gather, outputs = model.layers[0].gather, []
    handle = gather.register_forward_hook(lambda _, given, output: outputs.append((*given, output)))
    model(inputs_of())
    handle.remove()
    joined, gathered_outputs = outputs[0]
    for row in range(3):
        given = (joined[row], gather.weight, gathered_outputs[row], gathered[row])
        expected = slow.linear(*(each.detach().numpy() for each in given))
        answer = mixed[row].transpose(0, 1).flatten(1)
        np.testing.assert_allclose(answer, expected, rtol=0, atol=1e-12)


class Attending(nn.Module):
    def __init__(self, *, needs_weights: bool) -> None:
        super().__init__()
        self.embed, self.classify = nn.Linear(4, WIDTH), nn.Linear(WIDTH, 2)
        self.attend = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
        self.needs_weights = needs_weights

    def forward(self, inputs: Tensor) -> Tensor:
        tokens = self.embed(inputs.transpose(1, 2))
        attended, _ = self.attend(*[tokens] * 3, need_weights=self.needs_weights)
        logits: Tensor = self.classify(attended.mean(1))
        return logits


@pytest.mark.parametrize(
    ("function", "layer", "message"),
    [
        (layer_relevance, "layers.7", r"the model has no 'layers\.7'; it has embed, layers, "),
        (layer_relevance, "layers.0", r"expected 'layers\.0' to run once, got 2 times"),
        (head_relevance, "embed", r"expected 'embed' to compute attention once, got 0 times"),
    ],
)
def test_a_layer_that_cannot_be_explained_is_named(function: Any, layer: str, message: str) -> None:
    model = seeded(Encoder(torch_layer()))
    with pytest.raises(ValueError, match=message):
        function(ExplainedView(model), inputs_of(), TARGETS, [layer])


# Refusal, and rules of a user's own


class Between(nn.Module):
    """A function between a convolution and the logits."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.embed, self.between = nn.Conv1d(4, 6, 3), _Calls(function, nn.Identity())
        self.classify = nn.Linear(6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        logits: Tensor = self.classify(self.between(self.embed(inputs)).mean(2))
        return logits


class _Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return 2 * values

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return 2 * gradient


REFUSED = {
    "cumprod": (lambda x: x.cumprod(2), r"cumprod in between \(_Calls\)"),
    "cosine": (torch.cos, r"no rule for cos in between \(_Calls\)"),
    "logsumexp": (lambda x: x.logsumexp(2, keepdim=True), "logsumexp in between"),
    "addcmul": (lambda x: torch.addcmul(x, x, x), "addcmul in between"),
    "a power of a tensor": (lambda x: (1 + x.abs()) ** torch.ones(1).to(x), "pow in between"),
    "an autograd function": (_Twice.apply, "_twice in between"),
    "statistics of the batch": (
        lambda x: F.batch_norm(x, None, None, training=True),
        "statistics of the batch mixes sequences",
    ),
    "dropout in attention": (
        lambda x: F.scaled_dot_product_attention(x, x, x, dropout_p=0.5),
        "dropout in eval mode",
    ),
    "keys from elsewhere": (
        lambda x: (
            nn.MultiheadAttention(21, 1, add_bias_kv=True, batch_first=True)
            .double()
            .requires_grad_(False)(x, x, x)[0]
        ),
        "add_bias_kv, add_zero_attn or static keys",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name: str) -> None:
    function, message = REFUSED[name]
    model = seeded(Between(function))
    with pytest.raises(NotApplicable, match=message):
        explained(model, rule="attnlrp")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.filterwarnings("ignore:None of the inputs have requires_grad")  # it is run without
@pytest.mark.parametrize(
    ("reentrant", "message"), [(True, "no rule for checkpointfunction"), (False, "lrp promises")]
)
def test_what_is_computed_a_second_time_has_no_rules_then(reentrant: bool, message: str) -> None:
    again = partial(checkpoint, use_reentrant=reentrant)
    with pytest.raises((NotApplicable, ValueError), match=message):
        by_harness(seeded(Between(lambda x: again(torch.sigmoid, x))), rule="attnlrp")


def test_a_module_without_a_rule_is_refused_with_its_operation() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.classify = nn.LSTM(4, 3, batch_first=True), nn.Linear(3, 2)

        def forward(self, inputs: Tensor) -> Tensor:
            logits: Tensor = self.classify(self.lstm(inputs.transpose(1, 2))[0].mean(1))
            return logits

    with pytest.raises(NotApplicable, match=r"in lstm \(LSTM\)"):
        explained(seeded(Recurrent()), rule="attnlrp")


def test_attention_that_a_rule_for_linear_maps_refuses_names_those_that_explain_it() -> None:
    model = seeded(Attending(needs_weights=True))
    with pytest.raises(NotApplicable, match=r"attend \(Multi.* or take rule: attnlrp or cp_lrp"):
        explained(model, rule="gamma")


class Cosine(nn.Module):
    def forward(self, values: Tensor) -> Tensor:
        return values.cos()


def test_a_rule_of_a_users_own_goes_before_ours_and_is_checked() -> None:
    model = seeded(Between(torch.sin))
    expected = explained(model, rule="attnlrp").contributions
    model.between = Cosine()

    def surrogate(propagation: Any, call: Any) -> Tensor:
        (values,) = call.inputs
        return values * (call.output / values).detach()

    answer = explained(model, rule="attnlrp", rules={"Cosine": surrogate})
    assert answer.completeness_error.max() <= 1e-12
    assert not torch.equal(answer.contributions, expected)
    with pytest.raises(RuleError, match=r"for between \(Cosine\) does not keep the sum"):
        explained(model, rule="attnlrp", rules={"Cosine": lambda p, c: c.inputs[0] * 3})


class NewGELUActivation(nn.Module):
    """As transformers write it for GPT-2."""

    def forward(self, x: Tensor) -> Tensor:
        inner = (2 / np.pi) ** 0.5 * (x + 0.044715 * torch.pow(x, 3.0))
        return 0.5 * x * (1.0 + torch.tanh(inner))


def test_an_activation_written_out_has_the_rule_of_the_function() -> None:
    model = seeded(Between(nn.GELU(approximate="tanh")))
    expected = explained(model, rule="attnlrp").contributions
    model.between = NewGELUActivation()
    answer = explained(model, rule="attnlrp").contributions
    torch.testing.assert_close(answer, expected, rtol=1e-10, atol=1e-12)
