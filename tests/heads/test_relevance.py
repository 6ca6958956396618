"""What heads mix, how much of it arrives, and how much of what is explained passes them."""

import numpy as np
import pytest
import torch
from small_tokenizer import write_tokenizer
from torch import nn

from xaibench.dna.encoding import to_codes
from xaibench.errors import ModelError, NotApplicable
from xaibench.heads.attention import head_scores
from xaibench.heads.relevance import relevance_of_heads, relevance_of_sites
from xaibench.models.dnabert2 import DNABert2
from xaibench.models.families import dnabert, mistral_dna, nucleotide_transformer
from xaibench.models.transformer import Transformer
from xaibench.nn.heads import AttentionHead, head_values, value_norms, without_heads
from xaibench.nn.inference import logits
from xaibench.nn.layers import one_hot
from xaibench.nn.sites import commonest
from xaibench.nn.view import encoded
from xaibench.values import Sequences

SIZES = {"width": 12, "layers": 2, "hidden": 8}
CODES = np.random.default_rng(0).integers(0, 4, (7, 30)).astype(np.uint8)


@pytest.fixture(
    scope="module",
    params=["transformer", "dnabert2", "dnabert", "nucleotide_transformer", "mistral"],
)
def model(request, tmp_path_factory):
    tokenizer = write_tokenizer(tmp_path_factory.mktemp("tokens") / "tokenizer.json")
    make = {
        "transformer": lambda: Transformer(classes=2, length=30, kernel=5, heads=3, **SIZES),
        "dnabert2": lambda: DNABert2(classes=2, tokenizer=tokenizer, heads=3, **SIZES),
        "dnabert": lambda: dnabert(classes=2, kmer=3, heads=3, **SIZES),
        "nucleotide_transformer": lambda: nucleotide_transformer(
            classes=2, kmer=3, heads=3, **SIZES
        ),
        "mistral": lambda: mistral_dna(classes=2, tokenizer=tokenizer, heads=3, experts=2, **SIZES),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = make[request.param]()
        for weights in made.parameters():
            weights.data += 0.2 * torch.randn_like(weights)
    return made.eval()


@pytest.fixture(scope="module")
def codes(model):
    return CODES[commonest(model, CODES)]


def test_the_values_of_a_model_are_what_its_heads_mix(model, codes):
    inputs, entered = encoded(model, codes), []
    handles = [
        each.register_forward_pre_hook(lambda module, given: entered.append(given[0]))
        for each in model.output_projections()
    ]
    logits(model, codes)
    for handle in handles:
        handle.remove()
    with torch.no_grad():
        mixed = model.attentions(inputs) @ head_values(model, inputs)
    side_by_side = mixed.transpose(2, 3).flatten(3)
    torch.testing.assert_close(side_by_side, torch.stack(entered, 1), atol=1e-5, rtol=1e-4)


def test_a_norm_is_that_of_a_head_alone_behind_the_projection(model, codes):
    """The slow way: everything is masked out but the value of one head at one site."""
    inputs = encoded(model, codes[:1])
    norms, values = value_norms(model, inputs), head_values(model, inputs)
    layer, head, site = 1, 2, 3
    projection = model.output_projections()[layer]
    alone = torch.zeros(1, 12)
    alone[0, 4 * head : 4 * head + 4] = values[0, layer, head, site]
    with torch.no_grad():
        expected = (alone @ projection.weight.T).norm()
    assert norms[0, layer, head, site].item() == pytest.approx(expected.item(), rel=1e-4)


def test_scores_by_norm_are_the_mean_attention_times_it(model, codes):
    norms = value_norms(model, encoded(model, codes[:1]))[0]
    (mean,) = head_scores(model, examples_of(codes[:1]), received="mean")
    (scored,) = head_scores(model, examples_of(codes[:1]), received="value_norm")
    covered = np.isin(np.arange(norms.shape[2]), np.flatnonzero(_inside(model, codes[:1])))
    np.testing.assert_allclose(scored.scores, mean.scores * norms[..., covered].numpy(), rtol=1e-5)


def examples_of(codes):
    return Sequences(codes, np.zeros(len(codes), np.int64), ("s",) * len(codes), ("a", "b"))


def _inside(model, codes):
    if not hasattr(model, "token_sites"):
        return np.ones(codes.shape[1], bool)
    spans = model.token_sites(torch.from_numpy(codes)).spans[0]
    return spans[:, 1] > spans[:, 0]


def test_the_relevance_of_sites_sums_to_that_of_the_head(model, codes):
    inputs = encoded(model, codes)
    with torch.no_grad():
        weights = model.attentions(inputs)
    of_sites = relevance_of_sites(model, inputs, weights).sum(3)
    whole = relevance_of_heads(model, codes, heads=3)
    assert whole.shape == (len(codes), 2, 3)
    assert np.abs(whole).max() > 1e-4
    np.testing.assert_allclose(of_sites.numpy(), whole, rtol=1e-3, atol=1e-6)


class Linear(nn.Module):
    """What is explained is linear in what three heads put out: nothing else adds to it."""

    def __init__(self, size=12):
        super().__init__()
        self.value, self.project = nn.Linear(4, size, bias=False), nn.Linear(size, 5, bias=False)
        self.read = nn.Linear(5, 2, bias=False)

    def encode(self, codes):
        return one_hot(codes)

    def attentions(self, inputs):
        place = torch.arange(inputs.shape[2], dtype=torch.float32)
        energies = torch.stack([(place * slope).expand(len(place), -1) for slope in (0, 0.1, -0.2)])
        return energies.softmax(2).expand(len(inputs), 1, -1, -1, -1)

    def values(self, inputs):
        return self.value(inputs.transpose(1, 2)).unflatten(2, (3, -1)).transpose(1, 2)[:, None]

    def output_projections(self):
        return [self.project]

    def forward(self, inputs):
        mixed = (self.attentions(inputs) @ self.values(inputs))[:, 0].transpose(1, 2).flatten(2)
        return self.read(self.project(mixed).mean(1))


def test_the_relevance_of_a_head_is_what_its_loss_takes_where_all_is_linear():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Linear().eval()
    intact = logits(model, CODES)
    target = intact.argmax(1)
    rows = np.arange(len(CODES))
    relevance = relevance_of_heads(model, CODES, heads=3)
    for head in range(3):
        with without_heads(model, [AttentionHead(0, head)], count=3):
            lost = logits(model, CODES)
        drop = (intact - lost)[rows, target] - (intact - lost)[rows, 1 - target]
        np.testing.assert_allclose(relevance[:, 0, head], drop, rtol=1e-4, atol=1e-6)


def test_a_model_that_does_not_show_what_is_asked_for_says_so():
    codes = to_codes(["ACGTAC"])
    with pytest.raises(ModelError, match="expected inputs of 5 heads side by side, got 12"):
        relevance_of_heads(Linear().eval(), codes, heads=5)
    with pytest.raises(NotApplicable, match=r"what its heads mix: expected values\(inputs\)"):
        value_norms(nn.Identity(), one_hot(torch.from_numpy(codes)))


def test_a_module_that_runs_twice_has_no_one_relevance():
    class Twice(Linear):
        def forward(self, inputs):
            return super().forward(inputs) + super().forward(inputs)

    with pytest.raises(NotApplicable, match="expected each Linear of a layer to run once, got 2"):
        relevance_of_heads(Twice().eval(), CODES, heads=3)
