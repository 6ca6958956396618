"""DNABERT, the Nucleotide Transformer and Mistral-DNA: names of public checkpoints, plain loops."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

pytest.importorskip("transformers")

from small_networks import shaken
from small_tokenizer import write_tokenizer

from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.models.families import dnabert, mistral_dna, nucleotide_transformer
from xaibench.nn.inference import logits
from xaibench.nn.reinitialise import layers, reinitialised
from xaibench.nn.sites import token_sites
from xaibench.nn.weights import load_into

SIZES = {"width": 12, "layers": 2, "heads": 3, "hidden": 10}
CODES = to_codes(["ACGTTTTGCACCTG", "TTTTTTTTTTT", "GCGNNATC", "ACGTACGTACG"])


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    return write_tokenizer(tmp_path_factory.mktemp("tokenizer") / "tokenizer.json")


def small(name: str, tokenizer: Path, **options):
    """One from nothing, with a few tokens."""
    if name == "mistral_dna":
        return mistral_dna(classes=2, tokenizer=tokenizer, experts=3, **SIZES, **options)
    if name == "dnabert":
        return dnabert(classes=2, kmer=3, **SIZES, **options)
    return nucleotide_transformer(classes=2, kmer=3, rotary=name == "second", **SIZES, **options)


FAMILIES = ("dnabert", "first", "second", "mistral_dna")


@pytest.mark.parametrize("name", FAMILIES)
def test_padding_and_the_other_sequences_of_a_batch_change_no_logit(name, tokenizer):
    model = shaken(small(name, tokenizer))
    inputs, sites = model.encode(torch.from_numpy(CODES)), token_sites(model, CODES)
    with torch.no_grad():
        together = model(inputs, torch.from_numpy(sites.valid)).numpy()
    alone = np.concatenate([logits(model, row[None]) for row in CODES])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.ptp(alone, axis=0).min() > 0.02
    assert model.head[-1] == f"network.{'score' if name == 'mistral_dna' else 'classifier'}"
    assert len(model.head) == (2 if name == "dnabert" else 1)
    again = reinitialised(model, layers(model), np.random.default_rng(0))
    assert not np.allclose(logits(again, CODES), alone)


def test_tokens_of_dnabert_overlap_and_those_of_the_nucleotide_transformer_do_not(tokenizer):
    overlapping = token_sites(small("dnabert", tokenizer), CODES).spans[3, :12]
    starts = range(9)
    assert overlapping.tolist() == [[0, 0], *([s, s + 3] for s in starts), [0, 0], [0, 0]]
    stepping = token_sites(small("second", tokenizer), CODES).spans[3, :6]
    assert stepping.tolist() == [[0, 0], [0, 3], [3, 6], [6, 9], [9, 10], [10, 11]]


# The second Nucleotide Transformer, whose code is ours

PUBLIC = {
    "vocab_size": 4107,
    "hidden_size": 512,
    "num_hidden_layers": 12,
    "intermediate_size": 2048,
}
"""Of InstaDeepAI/nucleotide-transformer-v2-50m-multi-species."""


def shapes_of(config: dict[str, int]) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the part of the public checkpoint that classifiers share with it."""
    width, hidden = config["hidden_size"], config["intermediate_size"]
    shapes = {"embeddings.word_embeddings.weight": (config["vocab_size"], width)}
    square = [
        f"attention.{name}" for name in ("self.query", "self.key", "self.value", "output.dense")
    ]
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}"
        for name in square:
            shapes |= {f"{at}.{name}.weight": (width, width), f"{at}.{name}.bias": (width,)}
        for name in ("attention.LayerNorm", "LayerNorm"):
            shapes |= {f"{at}.{name}.{part}": (width,) for part in ("weight", "bias")}
        shapes |= {
            f"{at}.intermediate.dense.weight": (2 * hidden, width),
            f"{at}.output.dense.weight": (width, hidden),
        }
    for part in ("weight", "bias"):
        shapes[f"encoder.emb_layer_norm_after.{part}"] = (width,)
    return {f"esm.{name}": shape for name, shape in shapes.items()}


def test_names_and_shapes_are_those_of_the_public_checkpoint_of_50_million():
    with torch.device("meta"):
        model = nucleotide_transformer(classes=2)
    shapes = {name: tuple(each.shape) for name, each in model.network.state_dict().items()}
    others = ("classifier.", "esm.contact_head.", "esm.rotary_embeddings.")
    shared = {name: shape for name, shape in shapes.items() if not name.startswith(others)}
    # of its two last tokens, which are none of DNA, there are embeddings that nobody looks up
    assert shared == shapes_of({**PUBLIC, "vocab_size": 4105})


def slowly(model, words: torch.Tensor) -> torch.Tensor:
    """One sequence ``(S, width)`` by loops over heads, tokens and pairs of features -> logits."""
    state = {name: each.double() for name, each in model.network.state_dict().items()}
    heads, width = SIZES["heads"], SIZES["width"]
    per_head, count = width // heads, len(words)

    def affine(name, values):
        product = values @ state[f"{name}.weight"].T
        bias = state.get(f"{name}.bias")
        return product if bias is None else product + bias

    def normalised(name, values):
        centred = values - values.mean(-1, keepdim=True)
        scale = ((centred**2).mean(-1, keepdim=True) + 1e-12).sqrt()
        return centred / scale * state[f"{name}.weight"] + state[f"{name}.bias"]

    def turned(values, site):
        half, answer = per_head // 2, values.clone()
        for pair in range(half):
            angle = site / 10_000 ** (2 * pair / per_head)
            one, other = values[pair], values[pair + half]
            answer[pair] = one * math.cos(angle) - other * math.sin(angle)
            answer[pair + half] = other * math.cos(angle) + one * math.sin(angle)
        return answer

    sites = words
    for layer in range(SIZES["layers"]):
        at = f"esm.encoder.layer.{layer}"
        normal = normalised(f"{at}.attention.LayerNorm", sites)
        query, key, value = (
            affine(f"{at}.attention.self.{part}", normal).unflatten(1, (heads, per_head))
            for part in ("query", "key", "value")
        )
        attended = torch.zeros_like(sites)
        for head in range(heads):
            for one in range(count):
                asked = turned(query[one, head], one)
                energies = [asked @ turned(key[other, head], other) for other in range(count)]
                weights = (torch.stack(energies) / per_head**0.5).softmax(0)
                attended[one, head * per_head : (head + 1) * per_head] = weights @ value[:, head]
        sites = sites + affine(f"{at}.attention.output.dense", attended)
        gates = affine(f"{at}.intermediate.dense", normalised(f"{at}.LayerNorm", sites))
        gate, plain = gates[:, : SIZES["hidden"]], gates[:, SIZES["hidden"] :]
        sites = sites + affine(f"{at}.output.dense", gate / (1 + (-gate).exp()) * plain)
    first = normalised("esm.encoder.emb_layer_norm_after", sites)[0]
    return affine("classifier.out_proj", affine("classifier.dense", first).tanh())


def test_logits_of_the_second_nucleotide_transformer_are_those_of_slow_loops():
    model = shaken(small("second", Path()))
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    with torch.no_grad():
        answer, expected = model(inputs)[0], slowly(model, inputs[0].T.double())
    torch.testing.assert_close(answer.double(), expected, rtol=1e-5, atol=1e-5)


# Checkpoints


def write_checkpoint(folder: Path, model, **changed) -> dict[str, torch.Tensor]:
    """A folder as the Hub serves one that predicts masked tokens: what a classifier shares with it,
    and a head of its own; gives the weights."""
    state = {f"{k}": each.clone() for k, each in model.network.state_dict().items()}
    head = [name for name in state if name.startswith(("classifier.", "score."))]
    for name in [*head, *(name for name in state if ".pooler." in name)]:
        del state[name]
    state["lm_head.bias"] = torch.zeros(3)
    config = {**model.network.config.to_dict(), **changed}
    (folder / "config.json").write_text(json.dumps(config))
    save_file(state, folder / "model.safetensors")
    return state


def test_a_checkpoint_of_the_second_nucleotide_transformer_needs_no_code_of_the_hub(tmp_path):
    original = shaken(small("second", tmp_path))
    state = write_checkpoint(tmp_path, original, auto_map={"AutoModel": "modeling_esm.EsmModel"})
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary_of_steps()))
    model = nucleotide_transformer(classes=2, pretrained=tmp_path)
    own = model.network.state_dict()
    assert all(torch.equal(own[name], each) for name, each in state.items() if name in own)
    assert len(state.keys() - own.keys()) == 1
    assert token_sites(model, CODES).counts.tolist() == token_sites(original, CODES).counts.tolist()
    load_into(model, original.network.state_dict(), "a classifier by its public names")
    np.testing.assert_allclose(logits(model.eval(), CODES), logits(original, CODES), atol=1e-6)


def vocabulary_of_steps() -> list[str]:
    from xaibench.models.kmer_tokens import stepping_vocabulary

    return stepping_vocabulary(3)


@pytest.mark.parametrize("name", ["dnabert", "first", "mistral_dna"])
def test_a_training_begins_from_a_checkpoint(name, tokenizer, tmp_path):
    original = small(name, tokenizer)
    state = write_checkpoint(tmp_path, original)
    if name == "mistral_dna":
        write_tokenizer(tmp_path / "tokenizer.json")
        model = mistral_dna(classes=3, pretrained=tmp_path)
    else:
        from xaibench.models.kmer_tokens import overlapping_vocabulary

        words = overlapping_vocabulary(3) if name == "dnabert" else vocabulary_of_steps()
        (tmp_path / "vocab.txt").write_text("\n".join(words))
        begins = dnabert if name == "dnabert" else nucleotide_transformer
        model = begins(classes=3, pretrained=tmp_path)
    own = model.network.state_dict()
    assert all(torch.equal(own[key], each) for key, each in state.items() if key in own)
    assert logits(model.eval(), CODES).shape == (4, 3)
    assert model.tokenizer.size == original.tokenizer.size


def test_sizes_beside_a_checkpoint_and_another_family_are_one_line(tokenizer, tmp_path):
    write_checkpoint(tmp_path, small("mistral_dna", tokenizer))
    with pytest.raises(UsageError, match="width: is said by the checkpoint; leave it or p"):
        mistral_dna(classes=2, pretrained=tmp_path, width=12)
    with pytest.raises(UsageError, match="rotary: is said by the checkpoint"):
        nucleotide_transformer(classes=2, pretrained=tmp_path, rotary=False)
    with pytest.raises(UsageError, match="expected a checkpoint of the type bert, got 'mixtral'"):
        dnabert(classes=2, pretrained=tmp_path)


def test_sizes_that_do_not_go_together_are_one_line(tokenizer):
    with pytest.raises(UsageError, match="heads: expected them to divide the width 12, got 5"):
        dnabert(classes=2, **{**SIZES, "heads": 5})
    with pytest.raises(UsageError, match="heads: expected twice them to divide the width 12"):
        nucleotide_transformer(classes=2, **{**SIZES, "heads": 4})
    with pytest.raises(UsageError, match="tokenizer: expected a tokenizer"):
        mistral_dna(classes=2, **SIZES)


def test_so_many_tokens_are_taken_as_are_asked_for(tokenizer):
    for name in FAMILIES:
        assert small(name, tokenizer, longest=9).tokenizer.longest == 9
        cut = small(name, tokenizer, longest=4, too_long="truncate")
        assert token_sites(cut, CODES).counts.tolist() == [4, 4, 4, 4]
        assert logits(cut.eval(), CODES).shape == (4, 2)
