"""Networks that share no code with ours, from files of weights through a run: its scores are those
of plain autograd, and what cannot be explained says how it could."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import torch
from small_run import finished
from torch import Tensor, nn

import xaibench
from tests import outside_models as outside
from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.job import Work
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.dna.shuffling import shuffled_references
from xaibench.nn.explained_output import weighted_profile
from xaibench.nn.layers import one_hot

LENGTH, SEQUENCES = 600, 3

SITE = "GATTACA"


class Outside(NamedTuple):
    """A network, its options in a plan, and the number that is explained, of what it returns."""

    make: Callable[[], nn.Module]
    number: Callable[[Any], Tensor]
    options: Mapping[str, Any] = MappingProxyType({})


def difference(outputs: Tensor) -> Tensor:
    return outputs[:, 1] - outputs[:, 0]


PROFILE = {"output": "profile", "reduce": "profile"}
OUTSIDE: dict[str, Outside] = {
    "profile": Outside(
        outside.ProfileAndCountsByName,
        lambda given: weighted_profile(given["profile"].flatten(1)),
        {"explain": PROFILE},
    ),
    "counts": Outside(
        outside.ProfileAndCounts, lambda given: given[1][:, 0], {"explain": {"output": 1}}
    ),
    "normalised": Outside(outside.Normalised, difference),
    "in_dict": Outside(
        outside.InDict, lambda given: difference(given["logits"]), {"explain": {"output": "logits"}}
    ),
    "five_tasks": Outside(outside.FiveTasks, lambda given: given[:, 3], {"explain": {"output": 3}}),
    "one_logit": Outside(outside.OneLogit, lambda given: given[:, 0]),
    "regression": Outside(outside.Regression, lambda given: given),
    "lstm": Outside(outside.Recurrent, difference),
    "attention": Outside(outside.Attending, difference),
    "positions_first": Outside(outside.PositionsFirst, difference, {"layout": "NL4"}),
}

PLAN = """
dataset: {{name: file, path: {folder}/test.fa, test_fraction: 1}}
attribution: {{input_x_gradient: , deeplift: , lrp: , attnlrp: {{use: lrp, rule: attnlrp}}}}
sequences: 3
metrics: [deletion]
operators: [n]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 0
controls: []
reports: [none_at_all]
"""
REPORT = "def none_at_all(results):\n    return {'none.txt': ''}\n"
"""In place of a page, whose pairs of ten models take longer than all the rest."""


def network(name: str) -> nn.Module:
    torch.manual_seed(3)
    return OUTSIDE[name].make().eval()


@pytest.fixture(scope="module")
def run_of_all(tmp_path_factory: pytest.TempPathFactory) -> tuple[Work, pd.DataFrame]:
    """One run of every network with its weights from a file, on sequences without labels."""
    folder = tmp_path_factory.mktemp("outside")
    letters = np.random.default_rng(5).choice(list("ACGT"), (SEQUENCES, LENGTH))
    lines = [f">s{number}\n{''.join(row)}\n" for number, row in enumerate(letters)]
    (folder / "test.fa").write_text("".join(lines))
    models = {}
    for name, each in OUTSIDE.items():
        torch.save(network(name).state_dict(), folder / f"{name}.pt")
        weights = str(folder / f"{name}.pt")
        models[name] = {"use": each.make.__name__, "weights": weights, **each.options}
    (folder / "report.py").write_text(REPORT)
    plugins = (outside.__file__, str(folder / "report.py"))
    text = PLAN.format(folder=folder) + f"models: {models}\n"
    work, _ = finished(folder / "run", text=text, plugins=plugins)
    return work, pd.read_parquet(folder / "run" / "results.parquet")


def by_autograd(name: str, codes: np.ndarray) -> np.ndarray:
    """Input x gradient of the number, corrected for the simplex, by torch alone."""
    inputs = one_hot(torch.from_numpy(codes)).requires_grad_()
    given = inputs.transpose(1, 2) if "layout" in OUTSIDE[name].options else inputs
    numbers = OUTSIDE[name].number(network(name)(given))
    (gradient,) = torch.autograd.grad(numbers.sum(), inputs)
    centred = gradient - gradient.mean(1, keepdim=True)
    return (centred * inputs).sum(1).detach().numpy()


@pytest.mark.parametrize("name", OUTSIDE)
def test_the_scores_of_the_run_are_those_of_plain_autograd(run_of_all, name):
    work, records = run_of_all
    stored = arrays_of(work, explained_spec(work, TrainedModel(name, 0), "input_x_gradient"))
    expected = by_autograd(name, work.chosen.codes)
    largest = np.abs(expected).max()
    assert largest > 0
    np.testing.assert_allclose(stored["scores"], expected, rtol=1e-3, atol=1e-5 * largest)
    own = records[(records["model"] == name) & (records["method"] == "input_x_gradient")]
    measured = own[own["metric"] == "deletion_logit_difference"]
    assert (set(measured["status"]), len(measured)) == ({"ok"}, SEQUENCES)


@pytest.mark.parametrize("name", OUTSIDE)
def test_explain_gives_the_scores_of_the_run(run_of_all, name):
    work, _ = run_of_all
    explained = xaibench.explain(
        network(name), work.chosen.codes, method="input_x_gradient", **OUTSIDE[name].options
    )
    stored = arrays_of(work, explained_spec(work, TrainedModel(name, 0), "input_x_gradient"))
    np.testing.assert_allclose(explained.scores, stored["scores"], rtol=1e-3, atol=1e-7)
    assert explained.outputs.shape == (SEQUENCES, 1)


@pytest.mark.parametrize("method", ["deeplift", "lrp", "attnlrp"])
def test_what_cannot_be_explained_soundly_says_by_name_why_and_how_it_could(run_of_all, method):
    _, records = run_of_all
    measured = records["metric"] == "deletion_logit_difference"
    rows = records[(records["method"] == method) & measured]
    assert set(rows["model"]) == set(OUTSIDE)
    refused = rows[rows["status"] != "ok"].drop_duplicates("model").set_index("model")["reason"]
    for name, reason in refused.items():
        assert method in reason, name
        assert any(mend in reason for mend in ("module", "rules=", "profile")), (name, reason)
    assert "one_logit" not in refused.index
    if method != "lrp":  # functions have rules
        assert {*refused.index} == {"lstm"}


def test_deeplift_sums_to_the_change_from_its_references(run_of_all):
    work, _ = run_of_all
    stored = arrays_of(work, explained_spec(work, TrainedModel("one_logit", 0), "deeplift"))
    codes = work.chosen.codes
    references = shuffled_references(codes, 20, work.plan.data_seed)
    with torch.no_grad():
        here = network("one_logit")(one_hot(torch.from_numpy(codes)))[:, 0]
        there = network("one_logit")(one_hot(torch.from_numpy(references.reshape(-1, LENGTH))))
    change = here - there.reshape(SEQUENCES, -1).mean(1)
    np.testing.assert_allclose(stored["scores"].sum(1), change, rtol=1e-3, atol=1e-6)


def test_integrated_gradients_of_a_network_with_functions_sum_to_the_change():
    codes = np.random.default_rng(1).integers(0, 4, (2, 40)).astype(np.uint8)
    net = outside.Normalised().eval()
    explained = xaibench.explain(net, codes, method="integrated_gradients", target=1)
    with torch.no_grad():
        here = net(one_hot(torch.from_numpy(codes)))
        even = net(torch.full((1, 4, 40), 0.25))
    change = difference(here) - difference(even)
    np.testing.assert_allclose(explained.scores.sum(1), change, rtol=1e-2, atol=1e-4)


def test_a_planted_motif_has_the_weights_that_were_given_to_it():
    """A filter of ones for a motif, and a head that takes its largest match times 2."""
    net = outside.OneLogit().eval()
    conv, head = net.body[0], net.body[4]
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    with torch.no_grad():
        for place, letter in enumerate(SITE):
            conv.weight[0, "ACGT".index(letter), place] = 1
        head.weight[0, 0] = 2
    sequence = "C" * 11 + SITE + "C" * 13
    explained = xaibench.explain(net, [sequence], method="input_x_gradient")
    assert explained.outputs.tolist() == [[2 * len(SITE)]]
    inside = np.zeros(len(sequence), bool)
    inside[11 : 11 + len(SITE)] = True
    # the gradient of a base is 2, and its mean over the four bases 1/2
    np.testing.assert_allclose(explained.scores[0][inside], 1.5)
    assert not explained.scores[0][~inside].any()
