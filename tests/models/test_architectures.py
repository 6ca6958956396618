import numpy as np
import pytest
import torch

from xaibench.errors import UsageError
from xaibench.models.attngen import AttnGen
from xaibench.models.cnn import CNN
from xaibench.protocols import HasAttention

SIZES = {"classes": 3, "length": 29, "filters": (5, 6), "kernels": (7, 3)}
CODES = torch.from_numpy(np.random.default_rng(0).integers(5, size=(2, 29)).astype(np.uint8))


@pytest.mark.parametrize("architecture", [CNN, AttnGen])
def test_a_model_gives_a_logit_for_each_class(architecture):
    model = architecture(**SIZES).eval()
    inputs = model.encode(CODES)
    assert inputs.shape == (2, 4, 29)
    assert model(inputs).shape == (2, 3)


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
        ({"kernels": (7, 4)}, r"wanted odd widths, got \(7, 4\)"),
        ({"kernels": (7,)}, r"wanted equally many, got \(5, 6\) and \(7,\)"),
    ],
)
def test_sizes_that_cannot_be_are_refused(architecture, sizes, message):
    with pytest.raises(UsageError, match=message):
        architecture(**{**SIZES, **sizes})


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
