"""scGPT from its published folder."""

import json

import numpy as np
import pytest
import torch
from small_cells import GENES, HEADS, HIDDEN, LAYERS, WIDTH, counts_of_cells, write_scgpt
from torch import nn

from xaibench.errors import NotApplicable, UsageError
from xaibench.models.scgpt import ScGPT


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_scgpt(tmp_path_factory.mktemp("scgpt") / "model")


@pytest.fixture
def copy(tmp_path):
    return write_scgpt(tmp_path / "model")


def test_it_computes_what_torchs_own_encoder_does(folder):
    """The published code has ``nn.TransformerEncoder`` where there is no flash attention."""
    model = ScGPT(path=folder, genes=GENES).eval()
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, HIDDEN, batch_first=True)
    encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False).eval()
    state = torch.load(folder / "best_model.pt", weights_only=True)
    start = "transformer_encoder."
    encoder.load_state_dict(
        {
            name.removeprefix(start).replace("Wqkv.", "in_proj_"): tensor
            for name, tensor in state.items()
            if name.startswith(start)
        }
    )
    counts = torch.from_numpy(counts_of_cells(3)[0])
    sites = model.token_sites(counts)
    inputs, valid = model.encode(counts), torch.from_numpy(sites.valid)
    expected = encoder(inputs.transpose(1, 2), src_key_padding_mask=~valid)[:, 0]
    with torch.no_grad():
        torch.testing.assert_close(
            model(inputs, valid), model.cls_decoder(expected), atol=1e-5, rtol=1e-4
        )
        weights = model.attentions(inputs[:1, :, : sites.counts[0]])
    assert weights.shape == (1, LAYERS, HEADS, sites.counts[0], sites.counts[0])
    torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]))


def test_a_token_is_a_gene_with_counts_in_the_vocabulary(folder):
    genes = ("G7", "unheard of", "G2", "G3", "G5")
    model = ScGPT(path=folder, genes=genes)
    counts = torch.tensor([[4.0, 9.0, 0.0, 2.0, 3.0], [0.0, 0.0, 8.0, 0.0, 0.0]])
    sites = model.token_sites(counts)
    assert sites.spans[0].tolist() == [[0, 0], [0, 1], [3, 4], [4, 5]]
    assert sites.valid.tolist() == [[True] * 4, [True, True, False, False]]
    tokens = model._tokens(counts)
    assert tokens.numbers[0].tolist() == [49, 7, 3, 5]  # <cls> is the last but one
    assert tokens.values[0].tolist() == [0, 20, 1, 10]  # of 21 bins: 0 is for no count
    # only the order of counts matters, and no other cell
    np.testing.assert_array_equal(model._tokens(torch.log1p(counts)).values, tokens.values)
    np.testing.assert_array_equal(model._tokens(counts[:1]).values, tokens.values[:1])


def test_of_too_many_genes_the_same_stay_in_every_cell(tmp_path):
    model = ScGPT(path=write_scgpt(tmp_path, args={"max_seq_len": 11}), genes=GENES)
    spans = model.token_sites(torch.ones(2, len(GENES))).spans
    assert spans.shape == (2, 11, 2)
    np.testing.assert_array_equal(spans[0], spans[1])


def test_names_of_other_versions_of_attention_are_known(copy):
    state = torch.load(copy / "best_model.pt", weights_only=True)
    renamed = {name.replace("Wqkv.", "in_proj_"): each for name, each in state.items()}
    counts = torch.from_numpy(counts_of_cells(2)[0])
    logits = []
    for written in (state, renamed, {"model_state_dict": state}):
        torch.save(written, copy / "best_model.pt")
        model = ScGPT(path=copy, genes=GENES).eval()
        logits.append(model(model.encode(counts)).detach())
    torch.testing.assert_close(logits[1], logits[0], atol=0, rtol=0)
    torch.testing.assert_close(logits[2], logits[0], atol=0, rtol=0)


def test_a_checkpoint_without_a_classifier_gives_attention_and_no_logits(tmp_path):
    model = ScGPT(path=write_scgpt(tmp_path, classes=0), genes=GENES).eval()
    inputs = model.encode(torch.ones(1, len(GENES)))
    assert model.classes is None
    assert model.attentions(inputs).shape[1:3] == (LAYERS, HEADS)
    assert model._tokens(torch.ones(1, len(GENES))).values[0, 0] == -2  # <cls> as in pre-training
    with pytest.raises(NotApplicable, match="no cls_decoder"):
        model(inputs)


def changed_args(**changes):
    def change(folder):
        args = json.loads((folder / "args.json").read_text())
        (folder / "args.json").write_text(json.dumps({**args, **changes}))

    return change


def with_tensor(name):
    def change(folder):
        state = torch.load(folder / "best_model.pt", weights_only=True)
        torch.save({**state, name: torch.zeros(3)}, folder / "best_model.pt")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "args.json").unlink(), "has no args.json"),
        (lambda folder: (folder / "vocab.json").write_text("{"), "vocab.json: cannot be read"),
        (lambda folder: (folder / "vocab.json").write_text("[]"), "expected a mapping, got a list"),
        (lambda folder: (folder / "vocab.json").write_text('{"G1": 99}'), "below the 51 embedd"),
        (lambda folder: (folder / "best_model.pt").unlink(), "cannot read best_model.pt"),
        (changed_args(nheads="two"), "expected a count under 'nheads'"),
        (changed_args(nheads=3), "nheads that divide embsize 16"),
        (changed_args(input_emb_style="category"), "values that are continuous"),
        (changed_args(d_hid=21), "'transformer_encoder.layers.0.linear1.weight' is"),
        (with_tensor("dsbn.bns.0.weight"), "apart for each batch of cells"),
        (with_tensor("encoder.embedding.weight"), "encoder.embedding.weight .gene, embsize."),
        (with_tensor("unheard_of.weight"), "unexpected 'unheard_of.weight'"),
    ],
)
def test_what_is_no_scgpt_is_one_line(copy, change, message):
    change(copy)
    with pytest.raises(UsageError, match=message) as raised:
        ScGPT(path=copy, genes=GENES)
    assert "\n" not in str(raised.value)


def test_cells_without_a_known_gene_are_refused(folder):
    with pytest.raises(UsageError, match=r"none of the 2 genes .* 'ENSG01', of such as 'G0'"):
        ScGPT(path=folder, genes=("ENSG01", "ENSG02"))
    with pytest.raises(UsageError, match="reads cells, not DNA"):
        ScGPT(path=folder)
