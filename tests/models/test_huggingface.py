"""Folders of transformers: the library itself is the oracle of what a network of it computes."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("transformers")

from small_networks import CONFIGS, write_network
from small_tokenizer import write_tokenizer

from xaibench.artefacts.option_files import by_content
from xaibench.attribution.attention import attention_rollout
from xaibench.attribution.integrated import integrated_gradients
from xaibench.dna.encoding import to_codes
from xaibench.errors import ModelError, NotApplicable, UsageError
from xaibench.models import hub
from xaibench.models.huggingface import huggingface
from xaibench.nn.heads import AttentionHead, without_heads
from xaibench.nn.inference import logits
from xaibench.nn.restore import unchanged
from xaibench.nn.sites import token_sites
from xaibench.nn.view import ExplainedView
from xaibench.nn.weights import load_into, read_weights
from xaibench.plugins.registry import load
from xaibench.protocols import HasAttentions, HasTokens

CODES = to_codes(["ACGTTTTGCAC", "TTTTTTTTTTT", "GCGNNATC", "ACGTACGTACG", "C"])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders by the names of their networks, with these."""
    made = {}
    for name in CONFIGS:
        folder = tmp_path_factory.mktemp(name.replace(" ", "_"))
        made[name] = folder, write_network(folder, name)
    return made


@pytest.fixture
def bert(folders, tmp_path):
    """A copy of the folder, to be spoilt."""
    return Path(shutil.copytree(folders["bert"][0], tmp_path / "bert"))


def numbers(model):
    """The numbers of the tokens of the sequences, and which are no padding."""
    tokens = model.tokenizer.split(CODES)
    valid = np.arange(tokens.ids.shape[1]) < tokens.counts[:, None]
    return torch.from_numpy(tokens.ids), torch.from_numpy(valid)


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_and_attention_are_those_of_transformers(name, folders):
    folder, network = folders[name]
    model = huggingface(classes=2, path=folder).eval()
    ids, valid = numbers(model)
    network.config.pad_token_id = 3
    with torch.no_grad():
        expected = network(input_ids=ids, attention_mask=valid.long())
        together = model(model.encode(torch.from_numpy(CODES)), valid)
    torch.testing.assert_close(together, expected.logits, rtol=0, atol=1e-5)
    alone = logits(model, CODES)
    np.testing.assert_allclose(alone, expected.logits, rtol=0, atol=1e-5)
    assert np.ptp(alone, axis=0).min() > 0.05
    one = model.encode(torch.from_numpy(CODES[:1]))
    with torch.no_grad():
        paid = network(input_ids=ids[:1, : valid[0].sum()], output_attentions=True).attentions
        attentions = model.attentions(one)
    torch.testing.assert_close(attentions, torch.stack(paid, 1), rtol=0, atol=1e-5)
    assert attentions.shape == (1, 2, 3, 6, 6)
    assert isinstance(model, HasTokens)
    assert isinstance(model, HasAttentions)


@pytest.mark.parametrize("name", CONFIGS)
def test_attention_is_that_of_the_token_that_the_logits_are_read_from(name, folders):
    model = huggingface(classes=2, path=folders[name][0]).eval()
    assert model.pooled_site == (-1 if name in ("mixtral", "gpt2") else 0)
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    rolled = attention_rollout(ExplainedView(model), inputs, None)
    heads = model.attentions(inputs).detach()[0].mean(1)
    steps = (heads + torch.eye(6)) / 2
    torch.testing.assert_close(rolled[0], (steps[1] @ steps[0])[model.pooled_site])


def test_the_reference_is_the_mean_word_between_the_special_ones(folders):
    model = huggingface(classes=2, path=folders["gpt2"][0])
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    start = model.reference(inputs)
    mean = model.network.get_input_embeddings().weight[: model.tokenizer.size].mean(0)
    torch.testing.assert_close(start[0, :, 1:-1], mean[:, None].expand(-1, 4))
    torch.testing.assert_close(start[:, :, [0, -1]], inputs[:, :, [0, -1]])


def test_a_special_token_may_take_the_place_of_the_others(folders):
    model = huggingface(classes=2, path=folders["gpt2"][0])
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    filled, table = model.filled(inputs, "[MASK]"), model.network.get_input_embeddings().weight
    torch.testing.assert_close(filled[0, :, 1:-1], table[4][:, None].expand(-1, 4))
    torch.testing.assert_close(filled[:, :, [0, -1]], inputs[:, :, [0, -1]])
    with pytest.raises(NotApplicable, match=r"the tokenizer of the model has no token \[GAP\]"):
        model.filled(inputs, "[GAP]")
    scaling = huggingface(classes=2, path=folders["esm"][0])
    with pytest.raises(NotApplicable, match="rescales all embeddings where tokens are masked"):
        scaling.filled(inputs, "[MASK]")


def save_in(folder: Path, form: str, state) -> None:
    """The weights of a folder in another of the forms that there are."""
    (folder / "model.safetensors").unlink()
    names = sorted(state)
    halves = {"1": names[::2], "2": names[1::2]}
    if form == "pytorch_model.bin":
        torch.save(state, folder / form)
        return
    whole, _, _ = form.partition(".index")
    files = {part: f"{part}-{whole}" for part in halves}
    for part, held in halves.items():
        chosen = {name: state[name] for name in held}
        if whole.endswith("bin"):
            torch.save(chosen, folder / files[part])
        else:
            save_file(chosen, folder / files[part])
    listed = {name: files[part] for part, held in halves.items() for name in held}
    (folder / form).write_text(json.dumps({"weight_map": listed}))


@pytest.mark.parametrize(
    "form",
    ["pytorch_model.bin", "model.safetensors.index.json", "pytorch_model.bin.index.json"],
)
def test_weights_may_be_a_pickle_of_tensors_or_in_parts(form, bert):
    expected = logits(huggingface(classes=2, path=bert).eval(), CODES)
    save_in(bert, form, load_file(bert / "model.safetensors"))
    assert np.array_equal(logits(huggingface(classes=2, path=bert).eval(), CODES), expected)


@pytest.mark.parametrize("option", ["attn_implementation", "_attn_implementation"])
def test_a_configuration_chooses_no_code_for_attention(option, bert):
    """The library would fetch it from the Hub, and run it."""
    change_config(bert, **{option: "some/kernel"})
    model = huggingface(classes=2, path=bert)
    assert model.network.config._attn_implementation == "eager"


def test_a_head_for_classes_that_is_not_there_begins_at_random_and_that_is_said(
    folders, tmp_path, capsys
):
    network = write_network(tmp_path, "bert", of="MaskedLM")
    model = huggingface(classes=3, path=tmp_path)
    assert logits(model.eval(), CODES).shape == (5, 3)
    assert "no 'bert.pooler.dense.bias', 'bert.pooler.dense.weight', 'classifier.bias'" in (
        capsys.readouterr().err
    )
    own, given = model.network.bert.encoder.state_dict(), network.bert.encoder.state_dict()
    assert all(torch.equal(own[name], given[name]) for name in own)
    with pytest.raises(UsageError, match=r"it is no classifier, so begin a training from it"):
        load_into(model, read_weights(tmp_path), "masked")


def test_a_head_may_share_a_part_with_the_one_for_masked_tokens(tmp_path, capsys):
    import transformers

    sizes = {"hidden_size": 12, "num_hidden_layers": 1, "num_attention_heads": 3}
    tokens = {"vocab_size": 20, "pad_token_id": 3, "cls_token_id": 1, "sep_token_id": 2}
    config = transformers.ModernBertConfig(
        **sizes, **tokens, intermediate_size=10, bos_token_id=1, eos_token_id=2
    )
    network = transformers.ModernBertForMaskedLM(config)
    network.save_pretrained(tmp_path)
    write_tokenizer(tmp_path / "tokenizer.json")
    model = huggingface(classes=2, path=tmp_path)
    assert torch.equal(model.network.head.dense.weight, network.head.dense.weight)
    assert "no 'classifier.bias', 'classifier.weight': these begin at random" in (
        capsys.readouterr().err
    )


def test_weights_of_a_classifier_are_given_by_their_public_names(folders):
    folder, _ = folders["mixtral"]
    model = huggingface(classes=2, path=folder).eval()
    expected = logits(model, CODES)
    state = read_weights(folder)
    assert "model.layers.0.block_sparse_moe.experts.0.w1.weight" in state  # as public ones are
    for parameter in model.parameters():
        parameter.data.zero_()
    load_into(model, state, "model.safetensors")
    assert np.array_equal(logits(model, CODES), expected)
    load_into(model, model.state_dict(), "own names")
    assert np.array_equal(logits(model, CODES), expected)


def test_a_mixture_of_experts_jumps_and_no_path_of_gradients_adds_up(folders):
    model = huggingface(classes=2, path=folders["mixtral"][0]).eval()
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    with pytest.raises(NotApplicable, match=r"jumps \(each token goes to 2 of 3 experts\)"):
        integrated_gradients(ExplainedView(model), inputs, torch.tensor([1]))
    assert not huggingface(classes=2, path=folders["bert"][0]).jumps


@pytest.mark.parametrize("name", CONFIGS)
def test_a_layer_without_its_heads_puts_out_what_its_projection_makes_of_nothing(name, folders):
    model = huggingface(classes=2, path=folders[name][0]).eval()
    projections = model.output_projections()
    assert len(projections) == 2
    heads = [AttentionHead(1, head) for head in range(3)]
    given = []
    handle = projections[1].register_forward_hook(lambda *call: given.append(call[2]))
    with without_heads(model, heads, count=3), torch.no_grad():
        model(model.encode(torch.from_numpy(CODES[:1])))
    handle.remove()
    bias = getattr(projections[1], "bias", None)
    expected = torch.zeros_like(given[0]) if bias is None else bias.expand_as(given[0])
    torch.testing.assert_close(given[0], expected)


@pytest.mark.parametrize("name", CONFIGS)
def test_heads_put_out_what_they_mix_of_the_values(name, folders):
    model = huggingface(classes=2, path=folders[name][0]).eval()
    inputs, entered = model.encode(torch.from_numpy(CODES[:1])), []
    if name == "gpt2":  # queries, keys and values are one module
        with pytest.raises(NotApplicable, match="gpt2: it is not known which modules make its val"):
            model.values(inputs)
        return
    handle = model.output_projections()[1].register_forward_pre_hook(
        lambda module, given: entered.append(given[0])
    )
    with torch.no_grad():
        mixed = model.attentions(inputs)[:, 1] @ model.values(inputs)[:, 1]
    handle.remove()
    torch.testing.assert_close(mixed.transpose(1, 2).flatten(2), entered[0])


def test_a_network_whose_projections_are_called_otherwise_says_so(folders):
    model = huggingface(classes=2, path=folders["bert"][0])
    model.network.config.num_hidden_layers = 3
    with pytest.raises(NotApplicable, match="bert: it is not known which modules its heads enter"):
        model.output_projections()


def test_asking_for_attention_leaves_the_model_as_it_was_found(folders):
    model = huggingface(classes=2, path=folders["bert"][0]).eval()
    model.requires_grad_(False)
    with unchanged(model, "attentions"):
        model.attentions(model.encode(torch.from_numpy(CODES[:1])))


# What is wrong with a folder


def change_config(folder: Path, **changed) -> None:
    file = folder / "config.json"
    config = {**json.loads(file.read_text()), **changed}
    file.write_text(json.dumps({name: each for name, each in config.items() if each != "absent"}))


def change_weights(folder: Path, change) -> None:
    state = load_file(folder / "model.safetensors")
    change(state)
    save_file(state, folder / "model.safetensors")


QUERY = "bert.encoder.layer.0.attention.self.query.weight"
WRONG = {
    "no config": (
        lambda folder: (folder / "config.json").unlink(),
        "bert: expected a folder with config.json, weights and a tokenizer",
    ),
    "no json": (
        lambda folder: (folder / "config.json").write_text("{"),
        "config.json: cannot be read",
    ),
    "no type": (
        lambda folder: change_config(folder, model_type="absent"),
        "config.json: expected a mapping that names its model_type",
    ),
    "unknown type": (
        lambda folder: change_config(folder, model_type="dna_net"),
        r"config.json: transformers \S+ has no 'dna_net'",
    ),
    "no classifier": (
        lambda folder: change_config(folder, model_type="mamba"),
        "config.json: 'mamba' of transformers does not classify sequences",
    ),
    "code of its own": (
        lambda folder: change_config(folder, auto_map={"AutoModel": "bert_layers.BertModel"}),
        r"names code of its own \(auto_map\), and no code .* name it with use: dnabert2",
    ),
    "quantised": (
        lambda folder: change_config(folder, quantization_config={"quant_method": "gptq"}),
        "config.json: its weights are quantised, and nothing can be explained through those",
    ),
    "wrong sizes": (
        lambda folder: change_config(folder, num_attention_heads=5),
        "bert: .*not a multiple of the number of attention heads",
    ),
    "wrong kind of size": (
        lambda folder: change_config(folder, hidden_size="many"),
        "config.json: .*hidden_size",
    ),
    "other sizes": (
        lambda folder: change_config(folder, vocab_size=21),
        r"word_embeddings.weight' is \(20, 12\) in the file and \(21, 12\) by the configuration$",
    ),
    "no weights": (
        lambda folder: (folder / "model.safetensors").unlink(),
        "bert: holds no weights; expected model.safetensors or pytorch_model.bin",
    ),
    "missing": (
        lambda folder: change_weights(folder, lambda state: state.pop(QUERY)),
        f"bert: does not fit config.json: missing '{QUERY}'",
    ),
    "unexpected": (
        lambda folder: change_weights(folder, lambda s: s.update({"bert.gate": torch.ones(1)})),
        "bert: does not fit config.json: unexpected 'bert.gate'",
    ),
    "half a head": (
        lambda folder: change_weights(folder, lambda state: state.pop("classifier.bias")),
        "missing 'classifier.bias'",
    ),
    "cut short": (
        lambda folder: (folder / "model.safetensors").write_bytes(
            (folder / "model.safetensors").read_bytes()[:-100]
        ),
        "model.safetensors: .* or a file cut short",
    ),
    "a pickle that runs code": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            torch.save({"run": Path("x")}, folder / "pytorch_model.bin"),
        ),
        "pytorch_model.bin: holds a pickled .*, which runs code when it is read",
    ),
    "a part elsewhere": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text(
                json.dumps({"weight_map": {"a": "../other/model.safetensors"}})
            ),
        ),
        "lists '../other/model.safetensors', which is not in the folder",
    ),
    "an index that is none": (
        lambda folder: (
            (folder / "model.safetensors").unlink(),
            (folder / "model.safetensors.index.json").write_text("{}"),
        ),
        "model.safetensors.index.json: expected a weight_map",
    ),
    "no tokenizer": (
        lambda folder: (folder / "tokenizer.json").unlink(),
        "bert: has no tokenizer; expected tokenizer.json, or vocab.txt with all k-mers of one k",
    ),
    "another tokenizer": (
        lambda folder: write_tokenizer(folder / "tokenizer.json", size=30),
        "the tokenizer has 30 tokens and the network embeddings of 20",
    ),
    "words of a language": (
        lambda folder: (
            (folder / "tokenizer.json").unlink(),
            (folder / "vocab.txt").write_text("[PAD]\n[UNK]\nthe\nAT\n"),
        ),
        "vocab.txt: expected all k-mers of one k.* got 1 of A, C, G and T among 4 tokens",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_with_a_folder_is_one_line(name, bert):
    spoil, message = WRONG[name]
    spoil(bert)
    with pytest.raises(UsageError, match=message) as raised:
        huggingface(classes=2, path=bert)
    assert "\n" not in str(raised.value)


def test_where_data_have_no_labels_the_folder_says_how_many_classes_there_are(bert):
    change_config(bert, id2label={"0": "closed", "1": "open"})
    assert logits(huggingface(classes=1, path=bert).eval(), CODES).shape == (5, 2)
    change_config(bert, id2label={"0": "a", "1": "b", "2": "c"})
    with pytest.raises(UsageError, match=r"'classifier.bias' is \(2,\) in the file and \(3,\)"):
        huggingface(classes=1, path=bert)


def test_another_number_of_classes_is_one_line(bert):
    with pytest.raises(UsageError, match=r"'classifier.bias' is \(2,\) in .* has the data as many"):
        huggingface(classes=3, path=bert)


def test_a_network_that_needs_more_than_embeddings_is_refused(tmp_path):
    """T5 looks for a token that ends the sequence, which DNA has not."""
    from transformers import T5Config, T5ForSequenceClassification

    sizes = {"d_model": 12, "d_kv": 4, "d_ff": 10, "num_layers": 1, "num_heads": 3}
    config = T5Config(vocab_size=20, decoder_start_token_id=3, pad_token_id=3, **sizes)
    T5ForSequenceClassification(config).save_pretrained(tmp_path)
    write_tokenizer(tmp_path / "tokenizer.json")
    with pytest.raises(UsageError, match="t5: does not classify sequences of tokens by their emb"):
        huggingface(classes=2, path=tmp_path)


def test_a_network_that_does_more_with_numbers_of_tokens_is_refused(bert, monkeypatch):
    from transformers import BertForSequenceClassification

    forward = BertForSequenceClassification.forward

    def with_numbers(self, input_ids, **options):
        outputs = forward(self, input_ids=input_ids, **options)
        outputs.logits = outputs.logits + 0.1 * input_ids.float().mean(1, keepdim=True)
        return outputs

    monkeypatch.setattr(BertForSequenceClassification, "forward", with_numbers)
    with pytest.raises(UsageError, match="bert: does more with a token than look up its embedding"):
        huggingface(classes=2, path=bert)


def test_a_network_without_attention_of_every_token_says_so(folders, monkeypatch):
    model = huggingface(classes=2, path=folders["bert"][0])
    inputs = model.encode(torch.from_numpy(CODES[:1]))
    monkeypatch.setattr(model, "_passed", lambda *call, **options: {})
    with pytest.raises(NotApplicable, match="bert gives no attention of every token"):
        model.attentions(inputs)


def test_a_sequence_of_too_many_tokens_is_refused_or_truncated(folders):
    folder, _ = folders["esm"]
    assert huggingface(classes=2, path=folder).tokenizer.longest == 60 - 4  # [PAD] is number 3
    short = huggingface(classes=2, path=folder, longest=5)
    with pytest.raises(ModelError, match=r"at most 5 tokens per sequence, got 9"):
        logits(short, CODES)
    cut = huggingface(classes=2, path=folder, longest=5, too_long="truncate")
    assert token_sites(cut, CODES).counts.tolist() == [5, 5, 5, 5, 3]
    with pytest.raises(UsageError, match="longest: expected at most 56, as the network takes, got"):
        huggingface(classes=2, path=folder, longest=57)


def test_without_the_library_the_command_that_installs_it_is_said(bert, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UsageError, match=r"needs the library transformers: pip install 'xaibench"):
        huggingface(classes=2, path=bert)


# Which bytes a folder holds, and the Hub


def test_every_file_of_a_folder_is_part_of_what_a_model_is(bert):
    plugin = load("models", "huggingface", ())

    def named():
        return by_content(plugin, {"path": str(bert)}, "")["path"]

    seen = {named()}
    for file in ("config.json", "tokenizer.json", "model.safetensors"):
        content = (bert / file).read_bytes()
        (bert / file).write_bytes(content + b" ")
        seen.add(named())
    assert len(seen) == 4


@pytest.fixture
def served(folders, monkeypatch):
    """The Hub has one model; gives what was asked of it."""
    import huggingface_hub

    asked = []

    def snapshot_download(repository, *, revision, allow_patterns):
        asked.append((repository, revision, allow_patterns))
        if repository != "some/dna-bert":
            raise OSError("404 Client Error\nRepository Not Found")
        return str(folders["bert"][0])

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    hub.from_hub.cache_clear()
    yield asked
    hub.from_hub.cache_clear()


def test_a_model_of_the_hub_is_fetched_once_and_known_by_its_bytes(served, folders):
    plugin = load("models", "huggingface", ())
    here = by_content(plugin, {"path": str(folders["bert"][0])}, "")
    for _ in range(2):
        there = by_content(plugin, {"path": "hub:some/dna-bert@v1.0"}, "")
        assert there == here
    ((repository, revision, patterns),) = served
    assert (repository, revision) == ("some/dna-bert", "v1.0")
    assert not any(pattern.endswith((".py", "*")) for pattern in patterns)
    assert "pytorch_model*.bin" not in patterns  # there are safetensors


def test_what_the_hub_does_not_have_is_one_line(served):
    plugin = load("models", "huggingface", ())
    with pytest.raises(UsageError, match=r"hub:no/model: cannot be fetched \(.*copy the folder"):
        by_content(plugin, {"path": "hub:no/model"}, "")
    with pytest.raises(UsageError, match="no file 'no/model'"):
        by_content(plugin, {"path": "no/model"}, "")
    assert len(served) == 1


def test_a_model_of_the_hub_without_safetensors_is_fetched_as_it_is(served, bert, monkeypatch):
    (bert / "model.safetensors").unlink()
    monkeypatch.setattr(
        "huggingface_hub.snapshot_download", lambda *names, **how: (served.append(how), bert)[1]
    )
    assert hub.from_hub("hub:some/dna-bert") == bert
    assert "pytorch_model*.bin" in served[1]["allow_patterns"]


def test_the_hub_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UsageError, match=r"needs the library huggingface_hub: pip install"):
        hub.from_hub("hub:some/other")
