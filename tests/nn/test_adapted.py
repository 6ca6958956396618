"""Any module as a classifier of one-hot DNA: what it is given, and what comes back."""

import numpy as np
import pytest
import torch
from torch import nn

from xaibench.errors import ModelError
from xaibench.nn.adapted import AdaptedModel, adapted, alphabet_table
from xaibench.nn.layers import one_hot

LENGTH = 7
CODES = torch.tensor(
    np.random.default_rng(0).integers(0, 5, (3, LENGTH)), dtype=torch.uint8
)  # 3 sequences, 4 bases and N, 7 positions


class Seen(nn.Module):
    """Keeps what it was given."""

    def __init__(self, outputs: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.outputs = outputs

    def forward(self, inputs):
        self.given = inputs
        total = (inputs * self.weight).flatten(1).sum(1, keepdim=True)
        return total * torch.arange(1, self.outputs + 1)


def given_to(network, **options):
    model = adapted(network, classes=2, length=LENGTH, **options)
    model(model.encode(CODES))
    return network.given.detach()


def test_a_bare_module_is_given_one_hot_dna():
    assert torch.equal(given_to(Seen()), one_hot(CODES))


def test_layouts_move_the_axes_and_nothing_else():
    assert torch.equal(given_to(Seen(), layout="NL4"), one_hot(CODES).transpose(1, 2))
    assert torch.equal(given_to(Seen(), layout="N41L"), one_hot(CODES)[:, :, None])


def test_an_alphabet_orders_the_channels():
    given = given_to(Seen(), alphabet="AGCT")
    assert torch.equal(given, one_hot(CODES)[:, [0, 2, 1, 3]])


def test_an_alphabet_with_n_has_a_channel_for_it():
    given = given_to(Seen(), alphabet="ACGTN")
    assert given.shape == (3, 5, LENGTH)
    assert torch.equal(given[:, 4] == 1, CODES == 4)
    assert torch.equal(given.sum(1), torch.ones(3, LENGTH))


def test_a_module_in_double_precision_is_given_doubles():
    assert given_to(Seen().double()).dtype == torch.float64


@pytest.mark.parametrize("alphabet", ["ACG", "ACGTA", "ACGX", "NACGTN"])
def test_an_alphabet_without_the_four_bases_is_rejected(alphabet):
    with pytest.raises(ModelError, match="expected the letters A, C, G and T"):
        alphabet_table(alphabet)


class FiveChannels(Seen):
    def encode(self, codes):
        return torch.cat([one_hot(codes), (codes == 4).float()[:, None]], 1)


class PositionsFirst(Seen):
    def encode(self, codes):
        return one_hot(codes).transpose(1, 2)


class Embedded(Seen):
    """Three numbers per base, the same at every position."""

    def encode(self, codes):
        table = torch.linspace(-1, 1, 15).reshape(5, 3)
        return table[codes.long()].transpose(1, 2)


class WithPosition(Seen):
    def encode(self, codes):
        return one_hot(codes) * torch.linspace(0, 1, codes.shape[1])


@pytest.mark.parametrize("network", [FiveChannels(), PositionsFirst(), Embedded()])
def test_an_encode_that_looks_bases_up_is_explained_by_base(network):
    model = adapted(network, classes=2, length=LENGTH)
    assert isinstance(model, AdaptedModel)
    inputs = model.encode(CODES)
    assert torch.equal(inputs, one_hot(CODES))
    model(inputs)
    torch.testing.assert_close(network.given, network.encode(CODES))


def test_the_numbers_between_bases_are_linear():
    """Half of one base and half of another is given as the mean of both."""
    network = Embedded()
    model = adapted(network, classes=2, length=LENGTH)
    first, second = one_hot(CODES % 4), one_hot((CODES + 1) % 4)
    given = [model.arranged(inputs) for inputs in (first, second, (first + second) / 2)]
    torch.testing.assert_close(given[2], (given[0] + given[1]) / 2)


def test_a_classifier_of_one_hot_dna_is_left_as_it_is():
    class Plain(Seen):
        def encode(self, codes):
            return one_hot(codes)

    network = Plain(outputs=2)
    assert adapted(network, classes=2, length=LENGTH) is network


def test_an_encode_that_knows_positions_is_left_as_it_is():
    network = WithPosition(outputs=2)
    assert adapted(network, classes=2, length=LENGTH) is network


def test_a_layout_beside_an_encode_is_rejected():
    with pytest.raises(ModelError, match="layout: the network has an encode of its own"):
        adapted(FiveChannels(), classes=2, length=LENGTH, layout="NL4")


def test_weights_have_the_names_that_the_network_gave_them():
    network = Seen()
    model = adapted(network, classes=2, length=LENGTH)
    assert list(model.state_dict()) == ["weight"]
    model.load_state_dict({"weight": torch.tensor([3.0])})
    assert network.weight.item() == 3


def test_attention_of_a_network_is_of_the_same_input():
    class Attentive(Seen):
        def attention(self, inputs):
            return inputs.sum(2).softmax(1)

    model = adapted(Attentive(), classes=2, length=LENGTH, layout="NL4")
    weights = model.attention(model.encode(CODES))
    assert weights.shape == (3, LENGTH)
    assert not hasattr(adapted(Seen(), classes=2, length=LENGTH), "attention")


def test_a_classifier_of_data_without_classes_gives_one_number():
    class Plain(Seen):
        def encode(self, codes):
            return one_hot(codes)

    model = adapted(Plain(outputs=2), classes=1, length=LENGTH)
    assert model(model.encode(CODES)).shape == (3, 1)
