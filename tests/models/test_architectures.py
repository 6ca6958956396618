import numpy as np
import pytest
import torch

from xaibench.errors import UsageError
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.genomic_benchmarks_cnn import GenomicBenchmarksCNN
from xaibench.models.kmer import KmerCounts
from xaibench.models.masking import NONE, Masking, masked_codes
from xaibench.models.transformer import Transformer
from xaibench.protocols import HasAttention, HasAttentions
from xaibench.values import N

SIZES = {"classes": 3, "length": 29, "filters": (5, 6), "kernels": (7, 3)}
CODES = torch.from_numpy(np.random.default_rng(0).integers(5, size=(2, 29)).astype(np.uint8))
LONG = torch.from_numpy(np.random.default_rng(0).integers(5, size=(2, 61)).astype(np.uint8))
EVERY = [CNN, AttnGen, GenomicBenchmarksCNN, KmerCounts, Transformer]


def parameters(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("architecture", EVERY)
def test_a_model_gives_a_logit_for_each_class(architecture):
    model = architecture(classes=3, length=61).eval()
    inputs = model.encode(LONG)
    assert inputs.shape == (2, 4, 61)
    assert model(inputs).shape == (2, 3)


@pytest.mark.parametrize("architecture", EVERY)
def test_no_model_masks_by_default_but_attngen(architecture):
    masking = architecture(classes=3, length=61).masking
    assert masking == (Masking(policy="low_attention") if architecture is AttnGen else NONE)


@pytest.mark.parametrize("architecture", EVERY)
def test_what_an_unknown_base_hides_does_not_matter(architecture):
    """Four sequences that differ in one base: as they are, and with what differs hidden."""
    model = architecture(classes=3, length=61).eval()
    codes = LONG[:1].repeat(4, 1).numpy()
    codes[:, 30] = range(4)
    hidden = np.zeros(codes.shape, bool)
    hidden[:, 30] = True
    shown = masked_codes(Masking(), codes, hidden, np.random.default_rng(0))
    looks = [model, *([model.attention] if isinstance(model, HasAttention) else [])]
    for look in looks:
        apart, alike = (look(model.encode(torch.from_numpy(each))) for each in (codes, shown))
        assert (apart[1:] - apart[:1]).abs().max() > 1e-5
        assert torch.allclose(alike, alike[:1].expand_as(alike), rtol=0, atol=1e-6)
    # and the unknown base itself adds nothing
    assert (model.encode(torch.full((1, 61), N, dtype=torch.uint8)) == 0).all()


@pytest.mark.parametrize("architecture", [CNN, AttnGen])
def test_the_two_share_the_trunk_and_differ_in_the_head(architecture):
    shapes = {
        name: tuple(tensor.shape)
        for name, tensor in architecture(**SIZES).state_dict().items()
        if name.startswith("trunk")
    }
    assert shapes == {
        name: tuple(tensor.shape)
        for name, tensor in CNN(**SIZES).state_dict().items()
        if name.startswith("trunk")
    }
    assert len(shapes) == 2 * 7


@pytest.mark.parametrize("architecture", [CNN, AttnGen])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"length": 5}, r"the widest of \(7, 3\) is longer than the sequences \(5 nt\)"),
        ({"kernels": (7, 4)}, r"expected odd widths, got \(7, 4\)"),
        ({"kernels": (7,)}, r"expected equally many, got \(5, 6\) and \(7,\)"),
    ],
)
def test_sizes_that_cannot_be_are_rejected(architecture, sizes, message):
    with pytest.raises(UsageError, match=message):
        architecture(**{**SIZES, **sizes})


@pytest.mark.parametrize("architecture", [AttnGen, Transformer])
def test_a_masked_model_has_the_parameters_of_its_twin_without_masking(architecture):
    masked, twin = (
        architecture(classes=2, length=61, masking=Masking(policy=policy))
        for policy in ("low_attention", "none")
    )
    assert parameters(masked) == parameters(twin)


def test_masking_changes_nothing_of_what_a_seed_initialises():
    states = []
    for policy in ("low_attention", "none"):
        torch.manual_seed(5)
        states.append(AttnGen(**SIZES, masking=Masking(policy=policy)).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


# attngen


def test_attention_weighs_every_position_and_sums_to_one():
    model = AttnGen(**SIZES).eval()
    weights = model.attention(model.encode(CODES))
    assert weights.shape == (2, 29)
    assert (weights > 0).all()
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert isinstance(model, HasAttention)
    assert not isinstance(CNN(**SIZES), HasAttention)


def test_the_logits_are_what_the_attention_says():
    """The forward pass by hand: attended features beside mean features."""
    model = AttnGen(**SIZES).eval()
    inputs = model.encode(CODES)
    features = model.trunk(inputs)
    attended = (model.attention(inputs)[:, None] * features).sum(2)
    pooled = torch.cat([attended, features.mean(2)], 1)
    by_hand = pooled @ model.classify.weight.T + model.classify.bias
    assert torch.allclose(model(inputs), by_hand, atol=1e-6)
    (for_training,) = model.training_logits(inputs)
    assert torch.equal(for_training, model(inputs))


def test_a_scorer_looks_on_while_a_plain_cnn_classifies():
    cnn = CNN(**SIZES).eval()
    scorer = AttnGen(**SIZES, attention_as="scorer").eval()
    missing, _ = scorer.load_state_dict(cnn.state_dict(), strict=False)
    assert {name.partition(".")[0] for name in missing} == {"energy", "score"}
    inputs = cnn.encode(CODES)
    assert torch.equal(scorer(inputs), cnn(inputs))


def test_what_a_scorer_learns_stops_before_the_trunk():
    scorer = AttnGen(**SIZES, attention_as="scorer").eval()
    logits, of_scorer = scorer.training_logits(scorer.encode(CODES))
    of_scorer.square().sum().backward(retain_graph=True)
    moved = {name for name, p in scorer.named_parameters() if p.grad is not None}
    assert {name.partition(".")[0] for name in moved} == {"energy", "score"}
    scorer.zero_grad()
    logits.square().sum().backward()
    moved = {name for name, p in scorer.named_parameters() if p.grad is not None}
    assert {name.partition(".")[0] for name in moved} == {"trunk", "classify"}


# kmer


def test_a_k_mer_is_counted_wherever_it_begins():
    """A slow twin with strings."""
    codes = np.random.default_rng(3).integers(5, size=(3, 23)).astype(np.uint8)
    model = KmerCounts(classes=2, length=23, k=2).eval()
    found = model.occurs(model.match(model.encode(torch.from_numpy(codes)))).sum(2)
    for row, sequence in zip(found, codes, strict=True):
        letters = "".join("ACGTN"[code] for code in sequence)
        pairs = [letters[start : start + 2] for start in range(22)]
        counts = [float(pairs.count(first + second)) for first in "ACGT" for second in "ACGT"]
        assert row.tolist() == counts


def test_only_the_regression_of_k_mers_is_learnt():
    model = KmerCounts(classes=3, length=23, k=2)
    assert parameters(model) == 3 * 16 + 3
    assert {name for name, _ in model.named_parameters()} == {"classify.weight", "classify.bias"}


def test_counts_are_standardised_by_what_training_saw():
    model = KmerCounts(classes=2, length=29, k=1)
    model.standardise.momentum = 1.0  # the last batch is all that it remembers
    inputs = model.encode(CODES)
    model.train()(inputs)
    shares = inputs.mean(2)
    by_hand = (shares - shares.mean(0)) / (shares.var(0) + 1e-8).sqrt()
    expected = by_hand @ model.classify.weight.T + model.classify.bias
    assert torch.allclose(model.eval()(inputs), expected, atol=1e-5)


def test_a_position_can_change_a_count_so_it_has_a_gradient():
    model = KmerCounts(classes=2, length=29, k=1).eval()
    inputs = model.encode(CODES).requires_grad_()
    model(inputs)[:, 0].sum().backward()
    assert ((inputs.grad != 0) == (inputs != 0)).all()


def test_k_mers_longer_than_the_sequences_are_rejected():
    with pytest.raises(UsageError, match=r"k: 5 is longer than the sequences \(4 nt\)"):
        KmerCounts(classes=2, length=4)


# genomic_benchmarks_cnn


def test_the_package_has_as_many_parameters_but_for_its_vocabulary():
    """genomic-benchmarks 1.0 itself, whose embedding has a row for each of 8 letters and marks."""
    from genomic_benchmarks.models.torch import CNN as Published

    for classes, as_published in ((2, True), (3, False)):
        published = Published(classes, vocab_size=8, embedding_dim=100, input_len=61, device="cpu")
        ours = GenomicBenchmarksCNN(classes=classes, length=61, as_published=as_published)
        assert parameters(published) - 4 * 100 == parameters(ours)


def test_as_published_the_forward_pass_is_the_package_s():
    from genomic_benchmarks.models.torch import CNN as Published

    published = Published(2, vocab_size=4, embedding_dim=100, input_len=61, device="cpu")
    ours = GenomicBenchmarksCNN(classes=2, length=61, as_published=True)
    state = dict(zip(ours.state_dict(), published.state_dict().values(), strict=True))
    state["embed.weight"] = published.embeddings.weight.T.unsqueeze(2)
    ours.load_state_dict(state)
    codes = torch.from_numpy(np.random.default_rng(0).integers(4, size=(5, 61)).astype(np.uint8))
    probabilities = published.eval()(codes.long())
    logits = ours.eval()(ours.encode(codes))
    assert torch.allclose(torch.softmax(logits, 1)[:, 1:], probabilities, atol=1e-6)


def test_as_published_training_takes_the_sigmoid_twice():
    model = GenomicBenchmarksCNN(classes=2, length=61, as_published=True).train()
    logits = model(model.encode(LONG))
    probabilities = logits[:, 1:] - logits[:, :1]
    assert ((probabilities > 0) & (probabilities < 1)).all()
    labels = torch.tensor([1, 0])
    theirs = torch.nn.functional.binary_cross_entropy_with_logits(
        probabilities, labels.float().unsqueeze(1)
    )
    assert torch.allclose(torch.nn.functional.cross_entropy(logits, labels), theirs)


def test_what_the_package_cannot_do_is_rejected():
    with pytest.raises(UsageError, match="as_published: expected 2 classes, got 3"):
        GenomicBenchmarksCNN(classes=3, length=61, as_published=True)
    GenomicBenchmarksCNN(classes=2, length=57)
    with pytest.raises(UsageError, match="expected sequences of 57 nt or more, got 56"):
        GenomicBenchmarksCNN(classes=2, length=56)


# transformer


def test_the_attention_of_a_transformer_weighs_every_position_and_sums_to_one():
    model = Transformer(classes=2, length=29).eval()
    inputs = model.encode(CODES)
    weights = model.attention(inputs)
    assert weights.shape == (2, 29)
    assert torch.allclose(weights.sum(1), torch.ones(2))
    assert isinstance(model, HasAttention)
    assert isinstance(model, HasAttentions)


def test_every_head_of_every_layer_has_attention_that_sums_to_one():
    model = Transformer(classes=2, length=29, layers=3, heads=4).eval()
    layers = model.attentions(model.encode(CODES))
    assert layers.shape == (2, 3, 4, 29, 29)
    assert torch.allclose(layers.sum(4), torch.ones(2, 3, 4, 29))


def test_a_layer_is_what_torch_calls_attention():
    """torch's own multi-head attention as the oracle, on sequences too short for the penalty."""
    torch.manual_seed(0)
    layer = Transformer(classes=2, length=29, width=6, heads=2).layers[0].eval()
    layer.slopes.zero_()
    oracle = torch.nn.MultiheadAttention(6, 2, batch_first=True).eval()
    parts = (layer.query, layer.key, layer.value)
    oracle.in_proj_weight.data = torch.cat([part.weight for part in parts])
    oracle.in_proj_bias.data = torch.cat([part.bias for part in parts])
    oracle.out_proj.load_state_dict(layer.gather.state_dict())
    sites = torch.randn(3, 7, 6)
    normalised = layer.before_attention(sites)
    expected, weights = oracle(*[normalised] * 3, average_attn_weights=False)
    assert torch.allclose(layer.weights(sites), weights, atol=1e-6)
    gathered = layer.gather(layer.attend(normalised).transpose(1, 2).flatten(2))
    assert torch.allclose(gathered, expected, atol=1e-6)


def test_attention_is_less_to_what_is_further_away():
    layer = Transformer(classes=2, length=29).layers[0].eval()
    layer.query.weight.data.zero_()
    layer.query.bias.data.zero_()
    weights = layer.weights(torch.randn(1, 7, 32))[0, :, 0]
    assert (weights[:, :-1] > weights[:, 1:]).all()
    ratios = weights[:, 1:] / weights[:, :-1]
    assert torch.allclose(ratios, torch.exp(-layer.slopes[:, :, 0]).expand_as(ratios), rtol=1e-4)


def test_heads_that_do_not_divide_the_width_are_rejected():
    with pytest.raises(UsageError, match="heads: expected a divisor of the width 32, got 5"):
        Transformer(classes=2, length=29, heads=5)
