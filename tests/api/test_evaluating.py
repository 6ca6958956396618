"""Explanations of a module at hand, measured as a run does it."""

from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from elsewhere import DEVICE, Elsewhere
from safetensors.torch import save_file
from small_run import work_of
from torch import nn

import xaibench
from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import UsageError
from xaibench.nn.inference import device_of
from xaibench.protocols import metric
from xaibench.runs.pipeline import run as run_plan

CODES = np.random.default_rng(0).integers(0, 4, (9, 30)).astype(np.uint8)

FEW = {
    "metrics": ["deletion"],
    "operators": ["n"],
    "controls": [],
    "fractions": [0, 0.5, 1],
    "random_draws": 2,
    "controlled": 3,
}

CODE = """
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.relu = nn.Conv1d(4, 6, 8), nn.ReLU()
        self.pool, self.head = nn.AdaptiveMaxPool1d(1), nn.Linear(6, 2)

    def forward(self, inputs):
        return self.head(self.pool(self.relu(self.conv(inputs))).squeeze(2))
"""

PLAN = """
dataset: {name: file, path: test.csv}
models:
  Net: {use: Net, weights: model.safetensors}
attribution: [deeplift, saliency, random]
sequences: 9
metrics: {deletion: {}, substitution_agreement: {}, effective_positions: {}}
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 5
controls: [rotated]
reports: [markdown]
"""

SAME = {
    "metrics": ["deletion", "substitution_agreement", "effective_positions"],
    "operators": "uniform",
    "fractions": [0, 0.5, 1],
    "random_draws": 2,
    "controlled": 5,
    "controls": ["rotated"],
}


class Net(nn.Module):
    """As in ``CODE``."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.conv, self.relu = nn.Conv1d(4, 6, 8), nn.ReLU()
        self.pool, self.head = nn.AdaptiveMaxPool1d(1), nn.Linear(6, outputs)

    def forward(self, inputs):
        return self.head(self.pool(self.relu(self.conv(inputs))).squeeze(2))


def made(seed: int = 0, outputs: int = 2) -> Net:
    torch.manual_seed(seed)
    return Net(outputs)


@cache
def evaluated() -> xaibench.Evaluation:
    """A few methods, of several kinds."""
    net = made(outputs=3)

    def own(model, inputs, target):
        return inputs[:, 0] - inputs[:, 1]

    def largest(explained):
        return np.abs(explained.scores).max(1)

    explanations = {
        "deeplift": xaibench.explain(net, CODES),
        "reversed": -xaibench.explain(net, CODES).scores,
        "own": own,
        "theirs": "captum.attr:Saliency",
    }
    metrics = ["deletion", largest]
    return xaibench.evaluate(
        net, CODES, explanations, **{**FEW, "metrics": metrics, "controlled": 9}
    )


@pytest.fixture(scope="module")
def by_command(tmp_path_factory):
    """The work of a plan with weights of its own, and its records."""
    folder = tmp_path_factory.mktemp("plan")
    (folder / "mine.py").write_text(CODE)
    save_file(made().state_dict(), folder / "model.safetensors")
    letters = ["".join("ACGT"[code] for code in codes) for codes in CODES]
    table = pd.DataFrame({"sequence": letters, "label": [0, 1, 0, 1, 1, 0, 1, 0, 1]})
    table.assign(split="test").to_csv(folder / "test.csv", index=False)
    work = work_of(folder / "plan", text=PLAN, plugins=(str(folder / "mine.py"),))
    assert run_plan(work, jobs=0, threads=1, command="").failures == []
    return work, pd.read_parquet(folder / "plan" / "results.parquet"), table


@pytest.mark.parametrize("method", ["deeplift", "saliency"])
def test_scores_are_those_of_the_command_line_to_the_bit(by_command, method):
    work, _, _ = by_command
    stored = arrays_of(work, explained_spec(work, TrainedModel("Net", 0), method))
    with one_thread():
        explained = xaibench.explain(made(), work.chosen.codes, method=method, classes=2)
    np.testing.assert_array_equal(explained.scores, stored["scores"])
    np.testing.assert_array_equal(explained.targets, stored["targets"])


def one_thread():
    from xaibench.runs.workers import on_threads

    return on_threads(1)


def test_values_are_those_of_the_command_line(by_command):
    _, records, table = by_command
    with one_thread():
        given = {
            "deeplift": xaibench.explain(made(), table),
            "saliency": "saliency",
            "random": "random",
        }
    got = xaibench.evaluate(made(), table, given, **SAME).records
    keys = ["method", "control", "metric", "operator", "repeat"]
    texts = {"sequence": "str", **dict.fromkeys(keys[:-1], "str")}
    got, expected = got.astype(texts), records.astype(texts)
    by = [*keys, "sequence"]
    both = expected[[*by, "value"]].merge(got[[*by, "value"]], on=by, suffixes=("", "_got"))
    assert len(both) == len(expected) == len(got) > 300
    np.testing.assert_array_equal(both["value"], both["value_got"])


def test_every_kind_of_explanation_has_a_row_with_an_interval():
    frame = evaluated().to_frame()
    rows = frame[frame["metric"] == "deletion_logit_difference"].set_index("method")
    methods = {"deeplift", "reversed", "own", "theirs"}
    assert set(rows.index) == {*methods, "random control", "oracle"}
    of_methods = rows.loc[[*methods]]
    assert (of_methods["low"] < of_methods["mean"]).all()
    assert (of_methods["mean"] < of_methods["high"]).all()
    assert (of_methods["gap_low"] < of_methods["gap_high"]).all()
    assert rows.loc["deeplift", "gap"] > 0 > rows.loc["reversed", "gap"]


def test_a_metric_may_be_a_function():
    frame = evaluated().to_frame()
    rows = frame[frame["metric"] == "largest"].set_index("method")
    scores = xaibench.explain(made(outputs=3), CODES).scores
    assert rows.loc["deeplift", "mean"] == pytest.approx(np.abs(scores).max(1).mean(), rel=1e-6)


def test_without_labels_there_is_no_accuracy():
    metrics = set(evaluated().records["metric"])
    assert "deletion_probability" in metrics
    assert not metrics & {"accuracy", "deletion_accuracy"}
    assert not len(evaluated().results.classification)


def test_the_leaderboard_is_the_reports_and_so_is_the_figure():
    board = evaluated().leaderboard
    assert board["mean"].is_monotonic_decreasing
    assert board["method"].tolist()[-1] == "reversed"
    texts = {text.get_text() for text in evaluated().plot().texts}
    assert {"deeplift", "reversed", "own", "theirs"} <= texts
    assert evaluated().plot("scores").axes
    with pytest.raises(UsageError, match="no figure 'gap'; did you mean 'gaps'"):
        evaluated().plot("gap")


def test_a_notebook_shows_the_table():
    page = evaluated()._repr_html_()
    assert page.count("<tr") == len(evaluated().to_frame()) + 1


def test_the_model_is_left_as_found_and_nothing_is_printed(capfd):
    net = made().train()
    net.conv.weight.requires_grad_(False)
    state = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    xaibench.evaluate(net, CODES, ["saliency"], **{**FEW, "metrics": ["gini"]})
    assert net.training
    assert not net.conv.weight.requires_grad
    assert all(torch.equal(state[name], tensor) for name, tensor in net.state_dict().items())
    assert capfd.readouterr() == ("", "")


def test_folds_are_replicates_and_intervals_are_over_them():
    folds = [made(seed) for seed in range(3)]
    got = xaibench.evaluate(folds, CODES, ["input_x_gradient"], labels=CODES[:, 0] > 1, **FEW)
    rows = got.to_frame().set_index(["metric", "method"])
    row = rows.loc["deletion_logit_difference", "input_x_gradient"]
    assert (row["replicates"], row["sequences"]) == (3, 9)
    assert row["low"] < row["mean"] < row["high"]
    assert "accuracy" in set(got.records["metric"])


def test_scores_that_are_given_cannot_follow_changes_and_what_fails_says_why():
    def failing(model, inputs, target):
        raise ValueError("not today")

    scores = xaibench.explain(made(), CODES, method="input_x_gradient").scores
    got = xaibench.evaluate(
        made(),
        CODES,
        {"given": scores, "failing": failing},
        **{**FEW, "metrics": ["reverse_complement_consistency", "gini"]},
    )
    reasons = got.missing.set_index("method")["reason"]
    assert "cannot follow changed sequences" in reasons["given"]
    assert set(reasons["failing"]) == {"ValueError: not today"}
    assert "gini" in set(got.to_frame()["metric"])


@metric(family="own", better="higher", range=(-np.inf, np.inf), of="explanation", target="label")
def first_of_label(explained):
    """The score of the first position, for the label."""
    return explained.scores[:, 0].astype(float)


def of_labels(outputs: int) -> xaibench.Evaluation:
    """Given scores beside the method that they are from, where no label is what is predicted."""
    explained = xaibench.explain(
        made(outputs=outputs), CODES, method="input_x_gradient", classes=outputs
    )
    return xaibench.evaluate(
        made(outputs=outputs),
        CODES,
        {"given": explained, "called": "input_x_gradient"},
        labels=(explained.targets + 1) % outputs,
        **{**FEW, "metrics": ["gini", first_of_label]},
    )


def test_given_scores_for_the_other_of_two_classes_have_the_other_sign():
    records = of_labels(2).records
    values = {
        method: rows["value"].to_numpy()
        for method, rows in records[records["metric"] == "first_of_label"].groupby(
            "method", observed=True
        )
    }
    np.testing.assert_allclose(values["given"], values["called"], rtol=1e-5, atol=1e-8)
    assert np.abs(values["given"]).max() > 1e-3


def test_given_scores_of_one_of_three_classes_say_nothing_of_the_label():
    got = of_labels(3)
    missing = got.missing.set_index("method")
    assert missing.loc["given", "metric"] == "first_of_label"
    assert missing.loc["given", "status"] == "not applicable"
    rows = got.to_frame().set_index(["method", "metric"])
    assert np.isfinite(rows.loc[("given", "gini"), "mean"])


def test_without_labels_two_outputs_are_one_number_in_every_function():
    net, number = made(), xaibench.explain(made(), CODES, method="input_x_gradient")
    second = xaibench.explain(net, CODES, method="input_x_gradient", target=1)
    assert (number.origin.target_names, number.outputs.shape) == (("output",), (9, 1))
    np.testing.assert_allclose(number.scores, second.scores, rtol=1e-5, atol=1e-8)
    few = {**FEW, "metrics": ["deletion", first_of_label]}
    given = {"number": number, "second": second, "called": "input_x_gradient"}
    unlabelled = xaibench.evaluate(net, CODES, given, **few).records
    assert "not applicable" in set(
        unlabelled[unlabelled["metric"] == "deletion_probability"]["status"]
    )
    labelled = xaibench.evaluate(net, CODES, given, labels=np.arange(9) % 2, **few).records
    for records in (unlabelled, labelled):
        rows = records[(records["metric"] == "first_of_label") & (records["control"] == "")]
        values = {
            name: each["value"].to_numpy() for name, each in rows.groupby("method", observed=True)
        }
        np.testing.assert_allclose(values["number"], values["called"], rtol=1e-5, atol=1e-8)
        np.testing.assert_allclose(values["second"], values["called"], rtol=1e-5, atol=1e-8)


def test_one_output_needs_no_classes():
    got = xaibench.evaluate(made(outputs=1), CODES, ["input_x_gradient"], **FEW)
    assert "deletion_logit_difference" in set(got.to_frame()["metric"])


def test_measured_numbers_are_compared_with_the_output():
    measured = np.linspace(-1, 1.1, 9)
    got = xaibench.evaluate(made(outputs=1), CODES, ["input_x_gradient"], labels=measured, **FEW)
    assert "pearson" in set(got.results.classification["metric"])


def test_a_part_of_what_a_model_returns_has_classes():
    class Named(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = made()

        def forward(self, inputs):
            return {"logits": self.net(inputs), "other": inputs.mean((1, 2))}

    takes = {"explain": {"output": "logits"}, "classes": 2}
    got = xaibench.evaluate(Named(), CODES, ["saliency"], **takes, **FEW)
    alone = xaibench.evaluate(made(), CODES, ["saliency"], classes=2, **FEW)
    np.testing.assert_allclose(got.records["value"], alone.records["value"], rtol=1e-5)


@pytest.mark.parametrize(
    ("explanations", "options", "message"),
    [
        ({"a": np.zeros((9, 29))}, {}, r"explanations\['a'\]: expected scores \(9, 30\), got"),
        (["salency"], {}, "no attribution named 'salency'; did you mean 'saliency'"),
        (["saliency"], {"metrics": ["deletoin"]}, "no metrics named 'deletoin'; did you mean"),
        (["saliency"], {"operators": ["unifrm"]}, "no operators named 'unifrm'; did you mean"),
        (["saliency"], {"fractoins": [0, 1]}, "unknown key 'fractoins'; did you mean 'fractions'"),
        (["saliency"], {"labels": [1, 2]}, "labels: expected 9"),
        ({"a": {"use": "occlusion", "windw": 3}}, {}, "attribution.a: unknown key 'windw'"),
    ],
)
def test_a_mistake_is_one_line(explanations, options, message):
    with pytest.raises(UsageError, match=message) as caught:
        xaibench.evaluate(made(), CODES, explanations, **{**FEW, **options})
    assert "\n" not in str(caught.value)


def test_scores_of_other_sequences_are_refused():
    other = xaibench.explain(made(), CODES[::-1], method="saliency")
    with pytest.raises(UsageError, match="expected scores of these sequences in their order"):
        xaibench.evaluate(made(), CODES, {"a": other}, **FEW)


def test_a_model_on_another_device_is_evaluated_there_and_stays_there():
    here = made()
    scores = xaibench.explain(here, CODES, method="saliency").scores
    named = {"given": scores, "saliency": "saliency"}
    expected = xaibench.evaluate(here, CODES, named, **FEW)
    with Elsewhere() as device:
        there = made().to("cuda")
        found = xaibench.evaluate(there, CODES, named, **FEW)
        assert device_of(there) == DEVICE
    assert device.sent["uint8"] > 10
    pd.testing.assert_frame_equal(found.to_frame(), expected.to_frame(), rtol=1e-4)
