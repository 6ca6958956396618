"""What is added to all logits changes no probability, so it must change no map, curve or drop."""

import copy
from typing import Any

import numpy as np
import pytest
import torch
import toy
from torch import Tensor, nn

from xaibench.artefacts.oracle import drops_by_donor
from xaibench.dna.replacement import replacement_counts, replacement_ranks, with_replaced
from xaibench.explanation.method_call import explain
from xaibench.metrics.faithfulness import deletion
from xaibench.metrics.localisation import auprc
from xaibench.nn.inference import logits
from xaibench.nn.outputs import quantity
from xaibench.plugins.registry import load
from xaibench.randomness import streams
from xaibench.values import Curves, Explained, N, Sequences

NAMES = (
    *("saliency", "input_x_gradient", "smooth_grad", "integrated_gradients", "gradient_shap"),
    *("expected_integrated_gradients", "deeplift", "lrp", "grad_cam", "in_silico_mutagenesis"),
    *("occlusion", "random", "captum.attr:Saliency", "captum.attr:FeatureAblation"),
)
METHODS = {name: load("attribution", name, ()).call for name in NAMES}
CODES = toy.sequences()
REFERENCES = toy.random_references(CODES)
TARGETS = np.array([2, 0, 1])
FRACTIONS = np.array([0, 0.1, 0.25, 0.5, 1])


def network(classes: int) -> Any:
    torch.manual_seed(classes)
    layers = [nn.Conv1d(4, 6, 5), nn.ReLU(), nn.Conv1d(6, 7, 3), nn.ReLU(), nn.Flatten()]
    return toy.Toy(nn.Sequential(*layers, nn.Linear(7 * (toy.LENGTH - 6), classes))).double().eval()


class Shared(toy.Toy):
    """The logits of a network, all of them plus a large function of the input."""

    def __init__(self, body: nn.Module, size: float) -> None:
        super().__init__(body)
        self.size = size
        torch.manual_seed(99)
        self.branch = nn.Sequential(
            nn.Conv1d(4, 5, 4), nn.ReLU(), nn.Flatten(), nn.Linear(5 * (toy.LENGTH - 3), 1)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        own: Tensor = self.body(inputs)
        return own + self.size * self.branch(inputs)


def shared(net: Any, size: float) -> Any:
    return Shared(net.body, size).double().eval()


def folded(net: Any, size: float) -> Any:
    """The same in one layer: every row of the last weights, and every bias, plus the same."""
    last = net.body[-1]
    again = network(last.out_features)
    with torch.no_grad():
        generator = torch.manual_seed(7)
        change = torch.randn(last.in_features, dtype=torch.float64, generator=generator)
        again.body[-1].weight += size * change
        again.body[-1].bias += size
    return again


class Centred(toy.Toy):
    """The same probabilities by logits less their mean."""

    def forward(self, inputs: Tensor) -> Tensor:
        own: Tensor = self.body(inputs)
        return own - own.mean(1, keepdim=True)


def scores(method: Any, model: Any, **options: Any) -> Any:
    return explain(
        method,
        model,
        CODES,
        TARGETS,
        options=options,
        seed=0,
        component="toy",
        references=REFERENCES,
    ).scores


def assert_same(one: Any, other: Any) -> None:
    # float32 scores of float64 passes beside a shared part that is some 50 times as large
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-6 * np.abs(other).max())


@pytest.mark.parametrize("classes", [3, 5])
@pytest.mark.parametrize("name", METHODS)
def test_what_all_logits_share_changes_no_map(name: str, classes: int) -> None:
    net = network(classes)
    # LRP hands a sum of branches on from each logit by itself: the branch is there, and gives 0
    alone = shared(net, 0.0)
    assert_same(scores(METHODS[name], shared(net, 50.0)), scores(METHODS[name], alone))
    assert_same(scores(METHODS[name], folded(net, 50.0)), scores(METHODS[name], net))


@pytest.mark.parametrize("rule", ["epsilon", "gamma", "z_plus"])
@pytest.mark.parametrize("classes", [3, 5])
def test_lrp_starts_from_what_is_explained_under_every_rule(rule: str, classes: int) -> None:
    net = network(classes)
    found = scores(METHODS["lrp"], net, rule=rule)
    assert_same(scores(METHODS["lrp"], folded(net, 50.0), rule=rule), found)
    for row, target in enumerate(TARGETS):
        of_one = explain(
            METHODS["lrp"],
            against_zero(net, target),
            CODES[[row]],
            np.array([0]),
            options={"rule": rule},
            seed=0,
            component="toy",
        )
        assert_same(of_one.scores[0], found[row])


def against_zero(net: Any, target: int) -> Any:
    """A network of two classes: what is explained of ``net`` for the target, and 0."""
    last, body = net.body[-1], copy.deepcopy(net.body)
    others = [place for place in range(last.out_features) if place != target]
    body[-1] = nn.Linear(last.in_features, 2).double()
    with torch.no_grad():
        for new, old in ((body[-1].weight, last.weight), (body[-1].bias, last.bias)):
            new.zero_()[0] = old[target] - old[others].mean(0)
    return toy.Toy(body).double().eval()


def curve_of(model: Any, ranked: Any, donor: Any) -> Any:
    steps = replacement_counts(tuple(FRACTIONS), CODES < N)
    outputs = np.stack([logits(model, with_replaced(CODES, donor, ranked, each)) for each in steps])
    return quantity("logit_difference", outputs, TARGETS, TARGETS)


@pytest.mark.parametrize("classes", [3, 5])
def test_what_all_logits_share_changes_no_curve_and_no_drop(classes: int) -> None:
    net = network(classes)
    donor = CODES[:, ::-1].copy()
    ranked = replacement_ranks(
        scores(METHODS["deeplift"], net), CODES < N, streams(0, "ties", CODES)
    )
    sequences = Sequences(CODES, TARGETS, ("a", "b", "c"), tuple(map(str, range(classes))))
    for other in (shared(net, 50.0), folded(net, 50.0)):
        one, two = curve_of(net, ranked, donor), curve_of(other, ranked, donor)
        np.testing.assert_allclose(one, two, rtol=0, atol=1e-4)
        np.testing.assert_allclose(
            drops_by_donor(net, sequences, donor, TARGETS),
            drops_by_donor(other, sequences, donor, TARGETS),
            rtol=0,
            atol=1e-4,
        )


def test_the_same_probabilities_have_the_same_figures() -> None:
    net = network(3)
    by_logits, centred = (
        figures(each) for each in (shared(net, 50.0), Centred(shared(net, 50.0)).double())
    )
    assert by_logits["saliency"][0] != by_logits["input_x_gradient"][0]
    for name, expected in centred.items():
        assert by_logits[name] == pytest.approx(expected, abs=1e-4), name


def figures(model: Any) -> dict[str, tuple[float, float, int]]:
    """By method the means of AUPRC and of deletion, and how many maps are flat."""
    evidence = np.full(CODES.shape, -1, np.int8)
    for row, target in enumerate(TARGETS):
        evidence[row, 8:11] = target
    names = ("a", "b", "c")
    sequences = Sequences(CODES, TARGETS, names, names, evidence=evidence)
    found = {}
    for name in ("input_x_gradient", "saliency", "deeplift"):
        maps = scores(METHODS[name], model)
        ranked = replacement_ranks(maps, CODES < N, streams(0, "ties", CODES))
        curve = curve_of(model, ranked, CODES[:, ::-1].copy())
        found[name] = (
            float(auprc(Explained(sequences, maps, TARGETS, signed=True)).mean()),
            float(deletion(Curves(FRACTIONS, curve)).mean()),
            int((np.ptp(maps, axis=1) == 0).sum()),
        )
    return found
