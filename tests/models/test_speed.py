import numpy as np
import pytest
import torch
from torch import nn

from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.models.kmer import KmerCounts
from xaibench.models.speed import faster
from xaibench.models.transformer import Transformer
from xaibench.nn.layers import WeightedSum

CODES = torch.from_numpy(np.random.default_rng(0).integers(5, size=(6, 41)).astype(np.uint8))
SIZES = {"classes": 3, "length": 41}
MODELS = {
    "cnn": lambda: CNN(**SIZES),
    "attngen": lambda: AttnGen(**SIZES),
    "scorer": lambda: AttnGen(**SIZES, attention_as="scorer"),
    "kmer": lambda: KmerCounts(**SIZES, k=2),
    "transformer": lambda: Transformer(**SIZES, dropout=0.0),
}


def stepped(model):
    """Logits in training, gradients of weights and inputs, and statistics after one step."""
    torch.manual_seed(0)  # dropout
    inputs = model.encode(CODES).double().requires_grad_()
    logits = model.train()(inputs)
    logits.sin().sum().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {"logits": logits, "inputs": inputs.grad, **gradients, **dict(model.named_buffers())}


def made(name):
    torch.manual_seed(1)
    return MODELS[name]().double()


@pytest.mark.parametrize("name", MODELS)
def test_a_step_of_training_is_the_same_to_rounding(name):
    plain, fast = made(name), made(name)
    expected = stepped(plain)
    with faster(fast):
        found = stepped(fast)
    assert found.keys() == expected.keys()
    for part, value in expected.items():
        assert found[part].dtype == value.dtype
        assert torch.allclose(found[part], value, rtol=1e-9, atol=1e-9), part


@pytest.mark.parametrize("name", MODELS)
def test_afterwards_the_model_is_as_it_was_also_after_an_error(name):
    model = made(name)
    before = [set(vars(module)) for module in model.modules()]
    with faster(model):
        assert [set(vars(module)) for module in model.modules()] != before
    with pytest.raises(RuntimeError, match="channels"), faster(model):
        model(torch.zeros(2, 3, 41).double())
    assert [set(vars(module)) for module in model.modules()] == before


def test_features_have_channels_last():
    model = made("cnn")
    with faster(model):
        features = model.trunk(model.encode(CODES).double())
    assert features.shape == (6, 64, 41)
    assert features.transpose(1, 2).is_contiguous()


def test_a_model_that_does_not_say_it_takes_any_strides_is_left_alone():
    """``view`` wants strides that it can walk."""

    class Viewing(nn.Module):
        def __init__(self):
            super().__init__()
            self.convolve = nn.Conv1d(4, 5, 3)

        def forward(self, inputs):
            return self.convolve(inputs).view(len(inputs), -1)

    model, inputs = Viewing(), torch.randn(2, 4, 7)
    with faster(model):
        expected = model(inputs)
    assert torch.equal(model(inputs), expected)
    model.any_strides = True
    with faster(model), pytest.raises(RuntimeError, match="view size is not compatible"):
        model(inputs)


@pytest.mark.parametrize(
    ("layer", "inputs"),
    [
        (nn.Conv1d(4, 6, 3, padding="same"), torch.randn(3, 4, 9)),
        (nn.Conv1d(4, 6, 3, padding=1, padding_mode="circular"), torch.randn(3, 4, 9)),
        (nn.Conv1d(4, 6, 3, stride=2, dilation=2, groups=2), torch.randn(3, 4, 9)),
        (nn.AdaptiveMaxPool1d(2), torch.randn(3, 4, 9)),
        (nn.AdaptiveAvgPool1d(3), torch.randn(3, 4, 9)),
        (nn.BatchNorm1d(4), torch.randn(3, 4)),
    ],
)
def test_layers_of_other_kinds_give_what_they_gave(layer, inputs):
    whole = nn.Sequential(layer)
    whole.any_strides = True
    expected = whole(inputs)
    with faster(whole):
        assert torch.allclose(whole(inputs), expected, atol=1e-6)


def test_a_weighted_sum_is_one_either_way_round():
    whole = nn.ModuleList([WeightedSum()])
    whole.any_strides = True
    weights, features = torch.rand(3, 9), torch.randn(3, 4, 9)
    expected = whole[0](weights, features)
    with faster(whole):
        assert torch.allclose(whole[0](weights, features), expected, atol=1e-6)
