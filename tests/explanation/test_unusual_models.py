"""What is unusual in a network is either of no consequence, or refused by name with its mend."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaibench
from tests import unusual_models as unusual
from xaibench.errors import UsageError
from xaibench.nn.adapted import in_layout
from xaibench.nn.layers import one_hot

CODES = np.random.default_rng(0).integers(0, 4, (5, unusual.LENGTH)).astype(np.uint8)


def difference(outputs: Tensor) -> Tensor:
    return outputs[:, 1] - outputs[:, 0]


class Unusual(NamedTuple):
    """A network, its options, and the number that is explained, of what it returns."""

    make: Callable[[], nn.Module]
    options: Mapping[str, Any] = MappingProxyType({})
    number: Callable[[Any], Tensor] = difference


def called_once() -> nn.Module:
    network = unusual.Lazy()
    network(torch.zeros(2, 4, unusual.LENGTH))
    return network


def of_state_dict() -> nn.Module:
    network = unusual.Lazy()
    network.load_state_dict(called_once().state_dict())
    return network


def two_dimensional(layout: str) -> Unusual:
    options = {"layout": layout, "explain": {"output": 2}}
    return Unusual(lambda: unusual.TwoDimensional(layout), options, lambda given: given[:, 2])


NESTED = {"explain": {"output": ["human", "dnase", 1]}}
BINS = {"explain": {"output": 2, "position": [1, 3], "reduce": "sum"}}
WORKING: dict[str, Unusual] = {
    "tied layers": Unusual(unusual.TiedLayers),
    "nested parts": Unusual(
        unusual.NestedParts, NESTED, lambda given: given["human"]["dnase"][:, 1]
    ),
    "dataclass": Unusual(
        unusual.InDataclass,
        {"explain": {"output": "logits"}},
        lambda given: difference(given.logits),
    ),
    "lazy, called": Unusual(called_once),
    "lazy, of a state dict": Unusual(of_state_dict),
    "parametrised": Unusual(unusual.Parametrised),
    "norms by hooks": Unusual(unusual.HookedNorms),
    "non-persistent buffer": Unusual(unusual.NonPersistentBuffer),
    **{layout: two_dimensional(layout) for layout in ("N41L", "N4L1", "N14L", "N1L4")},
    "in training mode": Unusual(unusual.InTrainingMode),
    "float64": Unusual(lambda: unusual.Plain().double()),
    "float16": Unusual(lambda: unusual.Plain().half().float()),
    "its own device": Unusual(unusual.OwnDevice),
    # axis 1 is that of the bins, and the last that of the tracks
    "tracks in bins": Unusual(unusual.Bins, BINS, lambda given: given[:, 2, 1:3].sum(1)),
    "both strands": Unusual(unusual.BothStrands),
    "ensemble": Unusual(unusual.Ensemble),
    "pads inside": Unusual(unusual.PadsInside),
    "gru": Unusual(unusual.Gru),
    "transformer": Unusual(unusual.Transformer),
    "writes to its input": Unusual(unusual.WritesToItsInput),
    "checkpointing": Unusual(unusual.Checkpointing),
}


def made(kind: Unusual) -> nn.Module:
    torch.manual_seed(1)
    return kind.make()


@pytest.mark.parametrize("kind", WORKING.values(), ids=WORKING)
def test_scores_are_those_of_plain_autograd_and_the_model_is_left_as_found(kind):
    network = made(kind)
    check = xaibench.check_model(network, CODES, methods=["saliency"], **kind.options)
    assert check.sound, check
    modes = [module.training for module in network.modules()]
    explained = xaibench.explain(network, CODES, method="input_x_gradient", **kind.options)
    assert [module.training for module in network.modules()] == modes
    expected = by_autograd(network.eval(), kind)
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(
        explained.scores, expected, rtol=1e-3, atol=1e-5 * np.abs(expected).max()
    )


def by_autograd(network: nn.Module, kind: Unusual) -> np.ndarray:
    """Input x gradient of the number, corrected for the simplex, by torch alone."""
    dtype = next(network.parameters()).dtype
    inputs = one_hot(torch.from_numpy(CODES)).to(dtype).requires_grad_()
    given = in_layout(inputs, kind.options.get("layout", "N4L"))
    (gradient,) = torch.autograd.grad(kind.number(network(given.clone())).sum(), inputs)
    centred = gradient - gradient.mean(1, keepdim=True)
    return (centred * inputs).sum(1).detach().numpy()


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "lazy, never called": (unusual.Lazy, "no weights yet.*call the network once"),
    "more arguments": (unusual.WantsMore, "'signal'.*give its other arguments a default"),
    "embedding": (unusual.Embedding, "by number.*multiply the one-hot input with the table"),
    "another device": (unusual.OnCuda, "take devices such as .cuda.. out of forward"),
    "another layout": (lambda: unusual.TwoDimensional("N4L1"), "check-model names the layout"),
    "a cast": (unusual.CastsItsInput, "take casts such as .half.. out of forward"),
    "an assertion": (unusual.AssertsItsInput, "AssertionError.*check-model names the layout"),
    "parts": (unusual.InDataclass, "choose the tensor of logits in it by explain"),
}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a network that wants a card has one")
@pytest.mark.parametrize(("make", "mend"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_explained_is_one_line_that_ends_in_the_mend(make, mend):
    with pytest.raises(UsageError, match=mend) as error:
        xaibench.explain(make(), CODES, method="saliency")
    assert "\n" not in str(error.value)
    assert not xaibench.check_model(make(), CODES, methods=[]).sound


def test_dropout_that_is_always_on_is_found_before_anything_is_explained():
    check = xaibench.check_model(unusual.Always(), CODES, methods=["saliency"])
    assert [each.name for each in check.problems] == ["repeated call"]
    assert check["methods"].sentence.startswith("not tried")


@pytest.mark.parametrize("layout", ["N41L", "N4L1", "N14L", "N1L4"])
def test_check_model_names_the_layout_that_a_network_runs_with(layout):
    check = xaibench.check_model(unusual.TwoDimensional(layout), CODES, methods=[])
    assert f"it runs with layout={layout}" in check["input"].sentence
