"""DNABERT-2: names and shapes of the public checkpoint, attention beside loops, and its tokens."""

import copy
import json
import math
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save

from xaibench.attribution.attention import attention_rollout, last_layer_attention
from xaibench.attribution.deeplift import deeplift
from xaibench.attribution.lrp import lrp
from xaibench.dna.encoding import to_codes, to_letters
from xaibench.errors import ModelError, NotApplicable, UsageError
from xaibench.models.dnabert2 import DNABert2, alibi_slopes
from xaibench.models.tokenizer import _unpanicked, read_tokenizer
from xaibench.models.training import supervised
from xaibench.nn.checks.steadiness import steady
from xaibench.nn.inference import logits
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.nn.sites import token_sites
from xaibench.nn.view import ExplainedView
from xaibench.nn.weights import load_into, read_state
from xaibench.protocols import HasAttentions, HasTokens
from xaibench.values import Sequences, Splits

pytest.importorskip("tokenizers")

from small_tokenizer import write_tokenizer

SIZES = {"width": 12, "layers": 2, "heads": 3, "hidden": 10}
CODES = to_codes(["ACGTTTTGCAC", "TTTTTTTTTTT", "GCGNNATC", "ACGTACGTACG", "C", "N"])

PUBLIC = {
    "vocab_size": 4096,
    "type_vocab_size": 2,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
}
"""Of the configuration of zhihan1996/DNABERT-2-117M."""


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


@pytest.fixture
def model(tokenizer):
    torch.manual_seed(0)
    made = DNABert2(classes=2, tokenizer=tokenizer, **SIZES).eval()
    for parameter in made.parameters():  # so that nothing is small beside rounding
        parameter.data += 0.3 * torch.randn(parameter.shape)
    return made


def shapes_of(config: dict[str, int], classes: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the checkpoint of a classifier, from its configuration."""
    width, hidden = config["hidden_size"], config["intermediate_size"]
    shapes = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], width),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], width),
        "embeddings.LayerNorm": (width,),
        "pooler.dense": (width, width),
    }
    for layer in range(config["num_hidden_layers"]):
        shapes |= {
            f"encoder.layer.{layer}.{name}": shape
            for name, shape in {
                "attention.self.Wqkv": (3 * width, width),
                "attention.output.dense": (width, width),
                "attention.output.LayerNorm": (width,),
                "mlp.gated_layers.weight": (2 * hidden, width),
                "mlp.wo": (width, hidden),
                "mlp.layernorm": (width,),
            }.items()
        }
    whole = {f"bert.{name}": shape for name, shape in shapes.items()}
    named = {}
    for name, shape in {**whole, "classifier": (classes, width)}.items():
        if name.endswith(".weight"):
            named[name] = shape
        else:
            named |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return named


def test_names_and_shapes_are_those_of_the_public_checkpoint_of_117_million(tmp_path):
    file = write_tokenizer(tmp_path / "tokenizer.json", size=4096)
    with torch.device("meta"):
        model = DNABert2(classes=2, tokenizer=file)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    assert shapes == shapes_of(PUBLIC, 2)
    assert sum(map(math.prod, shapes.values())) == 117_070_082


def test_the_slopes_of_twelve_heads_are_those_of_eight_and_every_second_of_sixteen():
    published = ".5 .25 .125 .0625 .03125 .01562 .00781 .00391 .70711 .35355 .17678 .08839"
    assert alibi_slopes(12) == pytest.approx([float(each) for each in published.split()], abs=1e-5)
    assert alibi_slopes(8) == alibi_slopes(12)[:8]
    assert alibi_slopes(1) == [2**-8]


def slowly(model: DNABert2, words: torch.Tensor) -> torch.Tensor:
    """One sequence ``(S, width)`` by loops over heads, tokens and channels -> its logits."""
    state = model.state_dict()

    def affine(name, values):
        bias = state.get(f"{name}.bias")
        product = values @ state[f"{name}.weight"].T
        return product if bias is None else product + bias

    def normalised(name, values):
        centred = values - values.mean(-1, keepdim=True)
        scale = ((centred**2).mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / scale * state[f"{name}.weight"] + state[f"{name}.bias"]

    count, width = words.shape
    per_head = width // SIZES["heads"]
    sites = words + state["bert.embeddings.token_type_embeddings.weight"][0]
    sites = normalised("bert.embeddings.LayerNorm", sites)
    for layer in range(SIZES["layers"]):
        at = f"bert.encoder.layer.{layer}"
        parts = affine(f"{at}.attention.self.Wqkv", sites)
        attended = torch.zeros_like(sites)
        for head in range(SIZES["heads"]):
            start = head * per_head
            query, key, value = (
                parts[:, part * width + start : part * width + start + per_head]
                for part in range(3)
            )
            for one in range(count):
                energies = torch.stack(
                    [
                        query[one] @ key[other] / per_head**0.5
                        - alibi_slopes(SIZES["heads"])[head] * abs(one - other)
                        for other in range(count)
                    ]
                )
                weights = energies.exp() / energies.exp().sum()
                attended[one, start : start + per_head] = weights @ value
        dense = affine(f"{at}.attention.output.dense", attended)
        sites = normalised(f"{at}.attention.output.LayerNorm", dense + sites)
        gates = affine(f"{at}.mlp.gated_layers", sites)
        gate, plain = gates[:, : SIZES["hidden"]], gates[:, SIZES["hidden"] :]
        gelu = gate * 0.5 * (1 + torch.erf(gate / 2**0.5))
        sites = normalised(f"{at}.mlp.layernorm", affine(f"{at}.mlp.wo", gelu * plain) + sites)
    pooled = affine("bert.pooler.dense", sites[0]).tanh()
    return affine("classifier", pooled)


def test_logits_are_those_of_slow_loops(model):
    model = model.double()
    inputs = model.encode(torch.from_numpy(CODES[:1].copy()))
    with torch.no_grad():
        torch.testing.assert_close(model(inputs)[0], slowly(model, inputs[0].T), rtol=0, atol=1e-12)


def test_padding_and_the_other_sequences_of_a_batch_change_no_logit(model):
    inputs, sites = model.encode(torch.from_numpy(CODES)), token_sites(model, CODES)
    assert len(set(sites.counts)) > 3
    with torch.no_grad():
        together = model(inputs, torch.from_numpy(sites.valid)).numpy()
    alone = np.concatenate([logits(model, row[None]) for row in CODES])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    np.testing.assert_allclose(logits(model, CODES), alone, rtol=0, atol=1e-5)
    longer = np.pad(CODES, ((0, 0), (0, 30)), constant_values=4)
    np.testing.assert_allclose(logits(model, longer), alone, rtol=0, atol=1e-5)
    assert np.ptp(alone, axis=0).min() > 0.01
    assert steady(model, CODES, classes=2).logits.shape == (6, 2)


def test_tokens_cover_every_base_once_in_their_order(model):
    sites = token_sites(model, CODES)
    letters = to_letters(CODES)
    for row, text in enumerate(letters):
        spans = sites.spans[row, : sites.counts[row]]
        words = [text[start:end] for start, end in spans]
        assert words[0] == words[-1] == ""
        assert all(words[1:-1])
        assert "".join(words) == text
    first = [letters[0][start:end] for start, end in sites.spans[0, 1 : sites.counts[0] - 1]]
    assert first == ["ACGT", "TTT", "GC", "AC"]
    assert sites.counts.tolist() == [6, 7, 9, 5, 3, 2]  # N inside is a token, N at the end none


def test_attention_of_every_layer_and_head_sums_to_one_and_is_what_the_model_uses(model):
    inputs = model.encode(torch.from_numpy(CODES[:1].copy()))
    with torch.no_grad():
        weights = model.attentions(inputs)
    assert weights.shape == (1, 2, 3, 6, 6)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, 3, 6))
    seen = []
    hooked = [layer.attention.self.softmax for layer in model.bert.encoder.layer]
    handles = [each.register_forward_hook(lambda *each: seen.append(each[2])) for each in hooked]
    with torch.no_grad():
        model(inputs)
    for handle in handles:
        handle.remove()
    torch.testing.assert_close(weights[:, 0], seen[0])
    torch.testing.assert_close(weights[:, 1], seen[1])
    assert isinstance(model, HasAttentions)
    assert isinstance(model, HasTokens)


def test_attention_is_that_of_the_token_that_the_logits_are_read_from(model):
    view, inputs = ExplainedView(model), model.encode(torch.from_numpy(CODES[:1].copy()))
    with torch.no_grad():
        layers = model.attentions(inputs)[0].mean(1)
    identity = torch.eye(6)
    rolled = (layers[1] + identity) / 2 @ ((layers[0] + identity) / 2)
    torch.testing.assert_close(attention_rollout(view, inputs, None)[0], rolled[0])
    torch.testing.assert_close(last_layer_attention(view, inputs, None)[0], layers[1][0])


def test_the_reference_is_the_mean_word_between_the_marks(model):
    inputs = model.encode(torch.from_numpy(CODES[:1].copy()))
    start = model.reference(inputs)
    mean = model.bert.embeddings.word_embeddings.weight.mean(0)
    torch.testing.assert_close(start[:, :, 1:-1], mean[None, :, None].expand(1, -1, 4))
    torch.testing.assert_close(start[:, :, [0, -1]], inputs[:, :, [0, -1]])


def test_special_tokens_stand_between_the_marks_and_one_that_is_none_does_not_apply(model):
    inputs = model.encode(torch.from_numpy(CODES[:1].copy()))
    for token, place in {"[UNK]": 0, "[MASK]": 4}.items():
        masked = model.filled(inputs, token)
        word = model.bert.embeddings.word_embeddings.weight[place]
        torch.testing.assert_close(masked[:, :, 1:-1], word[None, :, None].expand(1, -1, 4))
        torch.testing.assert_close(masked[:, :, [0, -1]], inputs[:, :, [0, -1]])
    with pytest.raises(NotApplicable, match=r"has no token \[HIDDEN\]"):
        model.filled(inputs, "[HIDDEN]")


def test_every_layer_can_be_initialised_again_and_a_copy_reads_the_same_tokens(model):
    again = reinitialised(model, layers(model), np.random.default_rng(0))
    assert not np.allclose(logits(again, CODES), logits(model, CODES))
    assert np.array_equal(logits(copy.deepcopy(model), CODES), logits(model, CODES))


# Sequences that are too long


def test_a_sequence_of_too_many_tokens_is_refused_or_truncated(tokenizer):
    short = DNABert2(classes=2, tokenizer=tokenizer, **SIZES, longest=5)
    with pytest.raises(
        ModelError,
        match=r"at most 5 tokens per sequence, got 9: .*too_long: truncate or too_long: window",
    ):
        logits(short, CODES)
    cut = DNABert2(classes=2, tokenizer=tokenizer, **SIZES, longest=5, too_long="truncate")
    sites = token_sites(cut, CODES)
    assert sites.counts.tolist() == [5, 5, 5, 5, 3, 2]
    assert sites.spans[0].tolist() == [[0, 0], [0, 4], [4, 7], [7, 9], [0, 0]]
    assert logits(cut, CODES).shape == (6, 2)


# What is wrong with a tokenizer or weights


def test_without_the_library_the_command_that_installs_it_is_said(tokenizer, monkeypatch):
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(UsageError, match=r"pip install 'xaibench\[glm\]'"):
        DNABert2(classes=2, tokenizer=tokenizer, **SIZES)


def wrong_files(folder: Path) -> dict[str, Path]:
    files = {name: folder / f"{name}.json" for name in ("text", "other")}
    files["text"].write_text("no tokenizer")
    files["other"].write_text(json.dumps({"model": {"type": "none"}}))
    files["folder"] = folder
    files["lower"] = write_tokenizer(folder / "lower.json", lower=True)
    return files


def test_without_special_tokens_there_is_nothing_to_read_the_class_from(tmp_path):
    file = write_tokenizer(tmp_path / "tokenizer.json", marks=False)
    with pytest.raises(UsageError, match=r"expected one special token before .* got 0 and 0"):
        DNABert2(classes=2, tokenizer=file, **SIZES)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("text", "text.json is no tokenizer of the library tokenizers"),
        ("other", "other.json is no tokenizer of the library tokenizers"),
        ("folder", "holds no tokenizer.json"),
        ("lower", r"lower.json makes \[CLS\] (\[UNK\] )+\[SEP\] of ACGT and of TGCA; is it a"),
    ],
)
def test_a_file_that_is_no_tokenizer_of_dna_is_one_line(name, message, tmp_path):
    with pytest.raises(UsageError, match=message) as raised:
        read_tokenizer(wrong_files(tmp_path)[name], longest=512)
    assert "\n" not in str(raised.value)


def test_heads_that_do_not_divide_the_width_are_refused(tokenizer):
    with pytest.raises(UsageError, match="heads: expected a divisor of the width 12, got 5"):
        DNABert2(classes=2, tokenizer=tokenizer, **{**SIZES, "heads": 5})


def test_weights_of_another_tokenizer_and_a_file_cut_short_are_one_line(tokenizer, tmp_path, model):
    larger = write_tokenizer(tmp_path / "tokenizer.json", size=50)
    state = DNABert2(classes=2, tokenizer=larger, **SIZES).state_dict()
    with pytest.raises(UsageError, match=r"word_embeddings.weight' is \(50, 12\) in the file and"):
        load_into(model, state, "large.safetensors")
    content = save(dict(model.state_dict()))
    with pytest.raises(UsageError, match="or a file cut short") as raised:
        read_state(content[:-100], "short.safetensors")
    assert "\n" not in str(raised.value)
    load_into(model, read_state(content, "whole.safetensors"), "whole.safetensors")


def test_a_training_begins_from_a_checkpoint_of_masked_tokens(tokenizer, tmp_path, model):
    state = {**model.state_dict(), "cls.predictions.decoder.bias": torch.zeros(16)}
    masked = {name: each for name, each in state.items() if "pooler" not in name}
    del masked["classifier.weight"], masked["classifier.bias"]
    for file, content in {"masked": masked, "whole": state}.items():
        (tmp_path / f"{file}.safetensors").write_bytes(save(content))
        made = DNABert2(
            classes=2, tokenizer=tokenizer, **SIZES, pretrained=tmp_path / f"{file}.safetensors"
        )
        same = {name for name, each in made.state_dict().items() if torch.equal(each, state[name])}
        others = set(made.state_dict()) - same
        heads = {"classifier.weight", "classifier.bias"}
        pooler = {"bert.pooler.dense.weight", "bert.pooler.dense.bias"}
        assert others == heads | (pooler if file == "masked" else set())
    with pytest.raises(UsageError, match="tokens and no classes, so begin a training from it: pre"):
        load_into(model, masked, "masked")
    del masked["bert.encoder.layer.1.mlp.wo.bias"]
    (tmp_path / "masked.safetensors").write_bytes(save(masked))
    with pytest.raises(UsageError, match=r"missing 'encoder.layer.1.mlp.wo.bias'"):
        DNABert2(
            classes=2, tokenizer=tokenizer, **SIZES, pretrained=tmp_path / "masked.safetensors"
        )


# Training, and relevance


def test_a_small_one_learns_what_bases_sequences_are_made_of(tokenizer):
    def drawn(count, seed):
        draw = np.random.default_rng(seed)
        labels = np.arange(count) % 2
        shares = np.array([[0.3, 0.2, 0.2, 0.3], [0.2, 0.3, 0.3, 0.2]])
        codes = [draw.choice(4, 40, p=shares[label]) for label in labels]
        names = tuple(map(str, range(count)))
        return Sequences(np.array(codes, np.uint8), labels, names, ("AT", "GC"))

    splits = Splits(drawn(320, 0), drawn(2, 1), drawn(200, 2))
    torch.manual_seed(0)
    model = DNABert2(classes=2, tokenizer=tokenizer, **SIZES)
    rate = {"epochs": 6, "batch_size": 16, "learning_rate": 1e-2}
    history = supervised(model, splits, seed=0, progress=lambda *row: None, **rate)
    assert max(row["validation_accuracy"] for row in history) > 0.75


def test_without_biases_relevance_of_cp_lrp_sums_to_the_output(model):
    model = model.double()
    for name, parameter in model.named_parameters():
        if name.endswith("bias") or "token_type" in name:
            parameter.data.zero_()
    inputs = model.encode(torch.from_numpy(CODES[[0, 1]].copy())[:, :9]).detach()
    view, target = ExplainedView(model), torch.tensor([0, 1])
    answer = lrp(view, inputs.requires_grad_(), target, rule="cp_lrp")
    total = answer.contributions.sum((1, 2))
    output = view(inputs).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(total, output, rtol=1e-10, atol=0)
    assert output.abs().min() > 0.01


@pytest.mark.parametrize("reference", ["uniform", "zero"])
def test_deeplift_from_a_reference_sums_to_the_change_of_the_output(model, reference):
    inputs = model.encode(torch.from_numpy(CODES[:1].copy())).detach()
    view, target = ExplainedView(model), torch.tensor([1])
    answer = deeplift(view, inputs, target, reference=reference)
    start = model.reference(inputs) if reference == "uniform" else torch.zeros_like(inputs)
    changed = (view(inputs) - view(start))[:, 1]
    torch.testing.assert_close(answer.contributions.sum((1, 2)), changed, rtol=1e-4, atol=1e-5)
    assert changed.abs().min() > 0.01
    assert answer.hypothetical is None


# The real tokenizer


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_the_published_tokenizer_and_configuration_are_read():
    folder = Path(os.environ["XAIBENCH_DATA"]) / "dnabert2_tokenizer"
    config = json.loads((folder / "config.json").read_text())
    assert {name: config[name] for name in PUBLIC} == PUBLIC
    model = DNABert2(classes=2, tokenizer=folder, **SIZES).eval()
    assert model.tokenizer.size == config["vocab_size"]
    codes = np.random.default_rng(0).integers(0, 4, (50, 200)).astype(np.uint8)
    sites = token_sites(model, codes)
    assert (np.diff(sites.spans, axis=2)[..., 0].sum(1) == 200).all()
    assert 30 < sites.counts.mean() < 60
    assert logits(model, codes).shape == (50, 2)


def test_a_tokenizer_that_gives_up_is_an_error_of_the_model():
    class PanicException(BaseException):
        """As Rust's, which is no Exception."""

    def panics(letters):
        raise PanicException(f"retry-limit-in-match over in {letters}")

    with pytest.raises(ModelError, match="gave up: retry-limit-in-match over in ACGT"):
        _unpanicked(panics, "ACGT")
    with pytest.raises(KeyboardInterrupt):
        _unpanicked(interrupted, "ACGT")


def interrupted(_):
    raise KeyboardInterrupt
