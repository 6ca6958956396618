"""Models with some of their layers re-initialised."""

import numpy as np
import pytest
import torch
from torch import nn
from toy import MODELS

from xaibench.errors import NotApplicable
from xaibench.nn.reinitialise import layers, reinitialised

NAMES = ["3", "2.1", "2.0", "0"]


def network() -> nn.Sequential:
    """Convolution, normalisation and linear layers that no draw gave their weights."""
    inner = nn.Sequential(nn.Conv1d(7, 5, 3), nn.BatchNorm1d(5))
    model = nn.Sequential(nn.Conv1d(4, 7, 3), nn.ReLU(), inner, nn.Linear(11, 2))
    with torch.no_grad():
        for index, tensor in enumerate([*model.parameters(), *model.buffers()]):
            tensor.fill_(10 + index)
    return model.eval()


def state(model: nn.Module) -> dict[str, list]:
    return {name: tensor.tolist() for name, tensor in model.state_dict().items()}


def changed(before: nn.Module, after: nn.Module) -> set[str]:
    """The modules whose parameters or buffers differ."""
    old, new = state(before), state(after)
    return {name.rpartition(".")[0] for name in old if old[name] != new[name]}


def test_layers_are_modules_with_parameters_of_their_own_output_first() -> None:
    assert layers(network()) == NAMES
    assert layers(nn.Sequential(nn.ReLU(), nn.Flatten())) == []


def test_layers_of_attention_and_of_the_model_itself_are_there() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 12)
    assert layers(model)[-2:] == ["self_attn.out_proj", "self_attn"]
    model.register_parameter("token", nn.Parameter(torch.zeros(8)))
    assert layers(model)[-1] == ""


@pytest.mark.parametrize("names", [NAMES[:1], NAMES[:3], NAMES, [NAMES[1]], [NAMES[3]], []])
def test_the_named_layers_change_and_no_others(names) -> None:
    model = network()
    fresh = reinitialised(model, names, np.random.default_rng(0))
    assert changed(model, fresh) == set(names)


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_of_every_toy_can_be_drawn_anew(name) -> None:
    model = MODELS[name]()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(3)
    for layer in layers(model):
        assert changed(model, reinitialised(model, [layer], np.random.default_rng(0))) == {layer}


def test_normalisation_starts_again_with_its_statistics() -> None:
    for names in (["2.1"], ["2.0"]):
        fresh = reinitialised(network(), names, np.random.default_rng(0)).get_submodule("2.1")
        assert (fresh.running_mean.tolist() == [0.0] * 5) == (names == ["2.1"])


def test_the_model_given_and_the_global_stream_are_left_alone() -> None:
    model, before = network(), state(network())
    global_state = torch.get_rng_state()
    fresh = reinitialised(model, NAMES, np.random.default_rng(0))
    assert state(model) == before
    assert torch.equal(torch.get_rng_state(), global_state)
    assert not {*map(id, model.parameters())} & {*map(id, fresh.parameters())}
    assert not fresh.training
    assert all(parameter.requires_grad for parameter in fresh.parameters())


def test_a_copy_depends_on_the_generator_and_on_nothing_else() -> None:
    first = reinitialised(network(), NAMES, np.random.default_rng(0))
    torch.manual_seed(7)
    again = reinitialised(network(), NAMES, np.random.default_rng(0))
    other = reinitialised(network(), NAMES, np.random.default_rng(1))
    assert state(first) == state(again)
    assert changed(first, other) == {"3", "2.0", "0"}  # normalisation starts from fixed values


def test_the_first_of_more_layers_are_drawn_alike() -> None:
    two, four = (reinitialised(network(), NAMES[:k], np.random.default_rng(0)) for k in (2, 4))
    assert changed(two, four) == {"2.0", "0"}


def test_new_weights_are_those_that_torch_gives_a_new_layer() -> None:
    model = nn.Sequential(nn.Linear(300, 200))
    with torch.no_grad():
        model[0].weight.fill_(5)
    weights = reinitialised(model, ["0"], np.random.default_rng(0))[0].weight
    # uniform within one over the root of the inputs: 60,000 of them come close to both ends
    bound = 300**-0.5
    assert 0.999 * bound < weights.max() <= bound
    assert -bound <= weights.min() < -0.999 * bound


def test_attention_is_drawn_anew_without_what_stands_inside_it() -> None:
    model = nn.TransformerEncoderLayer(8, 2, 12)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(3)
    for layer in layers(model):
        assert changed(model, reinitialised(model, [layer], np.random.default_rng(0))) == {layer}


class Whole(nn.Module):
    """Draws everything in it anew, as models of others do."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.scale = nn.Linear(3, 5), nn.Parameter(torch.full((5,), 4.0))

    def reset_parameters(self) -> None:
        self.inside.reset_parameters()
        nn.init.normal_(self.scale)


def test_a_module_that_resets_its_children_too_changes_alone() -> None:
    model = Whole()
    fresh = reinitialised(model, [""], np.random.default_rng(0))
    assert changed(model, fresh) == {""}


def test_a_shared_parameter_is_drawn_anew_by_either_name() -> None:
    model = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU(), nn.Linear(3, 3, bias=False))
    model[2].weight = model[0].weight
    for name in ("0", "2"):
        fresh = reinitialised(model, [name], np.random.default_rng(0))
        assert fresh[0].weight is fresh[2].weight
        assert not torch.equal(fresh[0].weight, model[0].weight)


class Scaled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))


class Careless(Scaled):
    def reset_parameters(self) -> None:
        self.other = 1


def test_a_module_that_cannot_be_drawn_anew_is_named() -> None:
    model = nn.Sequential(nn.Linear(7, 3), Scaled())
    with pytest.raises(NotApplicable, match=r"^1 \(Scaled\) .*: it has no reset_parameters"):
        reinitialised(model, ["1", "0"], np.random.default_rng(0))
    with pytest.raises(
        NotApplicable, match=r"^the model itself \(Scaled\) cannot be re-initialised"
    ):
        reinitialised(Scaled(), [""], np.random.default_rng(0))


def test_a_reset_that_leaves_a_parameter_as_it_was_is_seen() -> None:
    with pytest.raises(NotApplicable, match=r"its reset_parameters leaves scale"):
        reinitialised(nn.Sequential(Careless()), ["0"], np.random.default_rng(0))
    normalised = torch.nn.utils.parametrizations.weight_norm(nn.Linear(7, 3))
    with pytest.raises(NotApplicable, match=r"parametrizations.weight \(Parametrization"):
        reinitialised(normalised, layers(normalised), np.random.default_rng(0))
