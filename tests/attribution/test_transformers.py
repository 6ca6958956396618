"""Relevance and DeepLIFT through networks of the library transformers, as that computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import slow_relevance as slow
import torch
from torch import Tensor

pytest.importorskip("transformers")

from small_networks import CONFIGS, EAGER, configuration, shaken
from small_tokenizer import write_tokenizer

from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.lrp import lrp
from xaibench.dna.encoding import to_codes
from xaibench.errors import NotApplicable
from xaibench.models.checkpoint_folders import network_class
from xaibench.models.families import nucleotide_transformer
from xaibench.models.language_model import LanguageModel
from xaibench.models.tokenizer import read_tokenizer
from xaibench.nn.restore import unchanged
from xaibench.nn.view import ExplainedView
from xaibench.protocols import layers_without_rule

CODES = to_codes(["ACGTTTTGCAC", "TTTTGCACACG"])
TARGETS = torch.tensor([1, 0])
RULES = ("attnlrp", "cp_lrp")
NAMES = (*CONFIGS, "gated esm")


@pytest.fixture
def in_double(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks compute some of their parts in single precision whatever they are given: where a
    test is about rounding, single is double."""
    monkeypatch.setattr(torch, "float32", torch.float64)
    monkeypatch.setattr(torch, "float", torch.float64)
    monkeypatch.setattr(Tensor, "float", Tensor.double)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    file = write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")
    return read_tokenizer(file, longest=40)


def network(name: str, **changed: Any) -> Any:
    config = configuration(name, **changed)
    config._attn_implementation = EAGER["attn_implementation"]
    config._experts_implementation = EAGER["experts_implementation"]
    torch.manual_seed(0)
    return shaken(network_class(config)(config))


def model_of(name: str, tokenizer: Any) -> LanguageModel:
    if name == "gated esm":
        torch.manual_seed(0)
        sizes = {"width": 12, "layers": 2, "heads": 3, "hidden": 10}
        made = shaken(nucleotide_transformer(classes=2, kmer=3, **sizes))
    else:
        made = LanguageModel(network(name), tokenizer).eval()
    return made.double()


def inputs_of(model: Any) -> Tensor:
    return model.encode(torch.from_numpy(CODES)).detach().requires_grad_()


def output_of(model: Any, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return ExplainedView(model)(inputs).gather(1, TARGETS.unsqueeze(1))[:, 0]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", NAMES)
def test_relevance_and_what_constants_absorb_sum_to_what_is_explained(
    name: str, rule: str, tokenizer: Any, in_double: None
) -> None:
    model = model_of(name, tokenizer)
    model.requires_grad_(False)
    implementation = model.network.config._attn_implementation
    with unchanged(model, "lrp"):
        answer = lrp(ExplainedView(model), inputs_of(model), TARGETS, rule=rule)
    assert model.network.config._attn_implementation == implementation == "eager"
    assert answer.completeness_error.max() == 0
    assert answer.contributions.abs().sum((1, 2)).min() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_without_constants_cp_lrp_conserves(name: str, tokenizer: Any, in_double: None) -> None:
    model = model_of(name, tokenizer)
    for path, parameter in model.named_parameters():
        if path.endswith("bias") or "position" in path or "token_type" in path or "wpe" in path:
            parameter.data.zero_()
    inputs = inputs_of(model)
    relevance = lrp(ExplainedView(model), inputs, TARGETS, rule="cp_lrp").contributions
    expected = output_of(model, inputs)
    torch.testing.assert_close(relevance.sum((1, 2)), expected, rtol=1e-10, atol=0)
    assert expected.abs().min() > 1e-4


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", ["bert", "mixtral", "gpt2"])
def test_attention_in_one_function_has_the_same_relevance(
    name: str, rule: str, tokenizer: Any, in_double: None
) -> None:
    model = model_of(name, tokenizer)
    inputs = inputs_of(model)
    expected = lrp(ExplainedView(model), inputs, TARGETS, rule=rule).contributions
    model.network.set_attn_implementation("sdpa")
    answer = lrp(ExplainedView(model), inputs, TARGETS, rule=rule).contributions
    torch.testing.assert_close(answer, expected, rtol=0, atol=1e-12)
    assert model.network.config._attn_implementation == "sdpa"


def test_other_rules_of_lrp_are_refused_with_those_that_apply(tokenizer: Any) -> None:
    model = model_of("bert", tokenizer)
    message = r"intermediate_act_fn \(GELUActivation\).* or take rule: attnlrp or cp_lrp"
    with pytest.raises(NotApplicable, match=message):
        lrp(ExplainedView(model), inputs_of(model), TARGETS, rule="epsilon")


@pytest.mark.parametrize("name", [name for name in NAMES if name != "mixtral"])
def test_deeplift_sums_to_the_change_from_the_reference(
    name: str, tokenizer: Any, in_double: None
) -> None:
    model = model_of(name, tokenizer)
    answer = deeplift(ExplainedView(model), inputs_of(model), TARGETS, reference="uniform")
    assert answer.completeness_error.max() <= 1e-12
    assert answer.output_change.min() > 1e-3


@pytest.mark.parametrize("name", NAMES)
def test_deeplift_has_a_rule_for_every_layer(name: str, tokenizer: Any) -> None:
    assert layers_without_rule(deeplift, model_of(name, tokenizer)) == []


def test_lrp_lists_the_layers_that_only_rules_for_operations_explain(tokenizer: Any) -> None:
    model = model_of("bert", tokenizer)
    path = "network.bert.encoder.layer.{}.intermediate.intermediate_act_fn (GELUActivation)"
    assert layers_without_rule(lrp, model) == [path.format(0), path.format(1)]


def test_deeplift_does_not_apply_to_a_mixture_of_experts(tokenizer: Any) -> None:
    model = model_of("mixtral", tokenizer)
    with pytest.raises(NotApplicable, match="output that jumps"):
        deeplift(ExplainedView(model), inputs_of(model), TARGETS, reference="uniform")


# A layer of Mixtral by the slow rules: rotary positions, grouped keys, experts with SiLU gates


@pytest.mark.parametrize("rule", RULES)
def test_a_layer_of_mixtral_is_that_of_the_slow_rules(
    rule: str, tokenizer: Any, in_double: None
) -> None:
    rope = {"rope_type": "default", "rope_theta": 10_000.0}
    one_layer = network("mixtral", num_hidden_layers=1, rope_parameters=rope)
    model = LanguageModel(one_layer, tokenizer).double().eval()
    inputs = inputs_of(model)[:1]
    answer = lrp(ExplainedView(model), inputs, TARGETS[:1], rule=rule).contributions
    state = {name: each.numpy() for name, each in model.network.state_dict().items()}
    expected = SlowMixtral(state, held=rule == "cp_lrp").relevance(inputs[0].detach().T.numpy())
    np.testing.assert_allclose(answer[0].T, expected, rtol=0, atol=1e-12)
    assert np.abs(expected).max() > 1e-2


class SlowMixtral:
    """One layer, one key head for all three heads, two of three experts."""

    def __init__(self, state: dict[str, Any], *, held: bool) -> None:
        self.held = held
        self.state = state

    def weight(self, name: str) -> Any:
        return self.state[f"model.layers.0.{name}"]

    def relevance(self, embedded: Any) -> Any:
        """Of embeddings ``(site, feature)``, for class 1 against class 0 at the last site."""
        first = self.weight("input_layernorm.weight")
        second = self.weight("post_attention_layernorm.weight")
        last = self.state["model.norm.weight"]
        normal = _normal(embedded, first)
        attended = self._attended(normal)
        middle = embedded + attended
        mixed = self._mixed(_normal(middle, second))
        output = middle + mixed
        score = self.state["score.weight"]
        difference = (score[1] - score[0])[None]
        final = _normal(output, last)
        explained = final @ difference.T
        of_explained = np.zeros_like(explained)
        of_explained[-1] = explained[-1]
        of_final = slow.linear(final, difference, explained, of_explained)
        of_output = _through_norm(output, last, of_final)
        of_mixed = self._through_mixture(
            _normal(middle, second), mixed, slow.addend(mixed, output, of_output)
        )
        of_middle = slow.addend(middle, output, of_output) + _through_norm(middle, second, of_mixed)
        of_attended = slow.addend(attended, middle, of_middle)
        of_normal = self._through_attention(normal, attended, of_attended)
        of_embedded: Any = slow.addend(embedded, middle, of_middle)
        return of_embedded + _through_norm(embedded, first, of_normal)

    def _parts(self, normal: Any) -> tuple[list[Any], Any, Any]:
        names = ("q_proj", "k_proj", "v_proj")
        query, key, value = (normal @ self.weight(f"self_attn.{name}.weight").T for name in names)
        return [query[:, 4 * head : 4 * head + 4] for head in range(3)], key, value

    def _heads(self, normal: Any) -> Any:
        queries, key, value = self._parts(normal)
        turned, _ = slow.rotated(key)
        heads = []
        for query in queries:
            match = slow.rotated(query)[0] @ turned.T / 2 + _causal(len(normal))
            heads.append(slow.softmax_of(match) @ value)
        return np.concatenate(heads, axis=1)

    def _attended(self, normal: Any) -> Any:
        return self._heads(normal) @ self.weight("self_attn.o_proj.weight").T

    def _through_attention(self, normal: Any, attended: Any, relevance: Any) -> Any:
        out = self.weight("self_attn.o_proj.weight")
        of_heads = slow.linear(self._heads(normal), out, attended, relevance)
        queries, key, value = self._parts(normal)
        of_queries, of_key, of_value = [], np.zeros_like(key), np.zeros_like(value)
        for head, query in enumerate(queries):
            of_head = of_heads[:, 4 * head : 4 * head + 4]
            how = {"bias": _causal(len(normal)), "rotary": True, "constant": self.held}
            of_query, key_part, value_part = slow.attention(query, key, value, of_head, **how)
            of_queries.append(of_query)
            of_key += key_part
            of_value += value_part
        parts = {
            "q_proj": (np.concatenate(queries, axis=1), np.concatenate(of_queries, axis=1)),
            "k_proj": (key, of_key),
            "v_proj": (value, of_value),
        }
        return sum(
            slow.linear(normal, self.weight(f"self_attn.{name}.weight"), outputs, given)
            for name, (outputs, given) in parts.items()
        )

    def _routes(self, normal: Any) -> tuple[Any, Any, list[list[int]]]:
        logits = normal @ self.weight("mlp.gate.weight").T
        shares = slow.softmax_of(logits)
        return logits, shares, [sorted(np.argsort(row)[-2:].tolist()) for row in shares]

    def _expert(self, place: int, token: Any) -> tuple[Any, Any, Any, Any]:
        gates = token @ self.weight("mlp.experts.gate_up_proj")[place].T
        gate, plain = gates[:, :10], gates[:, 10:]
        product = slow.silu(gate) * plain
        return gate, plain, product, product @ self.weight("mlp.experts.down_proj")[place].T

    def _mixed(self, normal: Any) -> Any:
        _, shares, chosen = self._routes(normal)
        mixed = np.zeros_like(normal)
        for site, places in enumerate(chosen):
            for place in places:
                share = shares[site, place] / shares[site, places].sum()
                mixed[site] += share * self._expert(place, normal[site : site + 1])[3][0]
        return mixed

    def _through_mixture(self, normal: Any, mixed: Any, relevance: Any) -> Any:
        logits, shares, chosen = self._routes(normal)
        handed, of_shares = np.zeros_like(normal), np.zeros_like(shares)
        half = 1 if self.held else 0.5
        for site, places in enumerate(chosen):
            token = normal[site : site + 1]
            for place in places:
                gate, plain, product, output = self._expert(place, token)
                share = shares[site, place] / shares[site, places].sum()
                of_part = slow.addend(share * output, mixed[site : site + 1], relevance[site][None])
                of_shares[site, place] = (1 - half) * of_part.sum()
                down = self.weight("mlp.experts.down_proj")[place]
                of_product = slow.linear(product, down, output, half * of_part)
                both = self.weight("mlp.experts.gate_up_proj")[place]
                handed[site] += slow.linear(token, both[10:], plain, half * of_product)[0]
                handed[site] += slow.linear(token, both[:10], gate, (1 - half) * of_product)[0]
        router = self.weight("mlp.gate.weight")
        return handed + slow.linear(normal, router, logits, slow.softmax(logits, of_shares))


def _causal(sites: int) -> Any:
    return np.where(np.tri(sites, dtype=bool), 0.0, -np.inf)


def _normal(values: Any, weight: Any) -> Any:
    return values / np.sqrt((values**2).mean(1, keepdims=True) + 1e-5) * weight


def _through_norm(values: Any, weight: Any, relevance: Any) -> Any:
    return slow.normalised(values, weight, np.zeros_like(weight), relevance, centred=False)
