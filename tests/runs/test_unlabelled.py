"""Runs on data that only want explaining: no train, no classes, and models that are given."""

import json
import re

import pandas as pd
import pytest

from tests.small_run import finished, work_of
from xaibench.artefacts import job
from xaibench.runs import timing
from xaibench.runs.forecast import forecast
from xaibench.values import N

PLUGIN = """
import torch
from torch import nn

class Given(nn.Module):
    '''A network whose weights are there from the start.'''

    def __init__(self, *, classes, outputs: int = 1):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 3, 7, padding=3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
            nn.Linear(3, outputs),
        )
        generator = torch.Generator().manual_seed(5)
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator)

    def encode(self, codes):
        return nn.functional.one_hot(codes.long(), 5)[..., :4].float().transpose(1, 2)

    def forward(self, inputs):
        return self.body(inputs)

def as_given(model, splits):
    return []
"""
PLAN = """
dataset: {name: file, path: %s%s}
seeds: [0]
training: as_given
models: {mine: {use: Given, outputs: %d}}
attribution: [saliency, input_x_gradient, random]
sequences: 9
metrics: {deletion: {}, road: {}, effective_positions: {}}
operators: [background, uniform]
fractions: [0, 0.3, 1]
random_draws: 2
controlled: 5
controls: [rotated]
reports: [html, markdown]
"""
LETTERS = [
    "".join("ACGT"[(row * place + place // 3 + row) % 4] for place in range(1, 41 + row % 3))
    for row in range(14)
]
FILES = {
    "unlabelled": ("t.fa", "".join(f">s{row}\n{seq}\n" for row, seq in enumerate(LETTERS)), "", 1),
    "measured": (
        "t.csv",
        "sequence,level\n" + "".join(f"{seq},{row / 2}\n" for row, seq in enumerate(LETTERS)),
        ", response: level",
        1,
    ),
    "test alone": (
        "t.csv",
        "sequence,label,split\n"
        + "".join(f"{seq},{'ab'[row % 2]},test\n" for row, seq in enumerate(LETTERS)),
        "",
        2,
    ),
}


@pytest.fixture(scope="module", params=FILES)
def case(request, tmp_path_factory):
    """The name of a case, its work, and its run as it ended."""
    folder = tmp_path_factory.mktemp("unlabelled")
    name, text, options, outputs = FILES[request.param]
    (folder / name).write_text(text)
    (folder / "plugin.py").write_text(PLUGIN)
    made = {"text": PLAN % (folder / name, options, outputs)}
    made["plugins"] = (str(folder / "plugin.py"),)
    with pytest.MonkeyPatch.context() as patch:
        for module in (job, timing):  # as one with weights is not
            patch.setattr(module, "is_trained", lambda plan, model: False)
        work, outcome = finished(folder / "run", **made)
        yield request.param, work, outcome


def table(work, name):
    return pd.read_csv(work.job.folder / name)


def report(work):
    return (work.job.folder / "report.md").read_text()


def environment(work):
    return json.loads((work.job.folder / "environment.json").read_text())


def test_all_is_explained_and_nothing_fails(case):
    _, work, outcome = case
    assert outcome.failures == []
    assert not work.splits.has_train
    assert len(work.splits.test) == 14
    gaps = table(work, "estimates.csv")
    gaps = gaps[(gaps["question"] == "against random") & (gaps["operator"] == "background")]
    assert gaps["mean"].notna().any()
    assert (work.job.folder / "report.html").stat().st_size > 10_000


def test_the_report_says_what_is_not_known(case):
    name, work, _ = case
    text = report(work)
    assert "OVERLAP WITH TRAIN: not known: no train split." in text
    assert "none; base composition and Markov chains are those of test" in text
    assert "trained elsewhere and applied to 14 sequences" in text
    assert "k-mer model of the test sequences" in text
    assert not re.search(r"trained (under .* seed|on [\d,]+ sequences)", text)
    if name == "test alone":
        assert "What trivial baselines reach is not known: no train split." in text


def test_there_are_no_trivial_baselines(case):
    _, work, _ = case
    assert environment(work)["floor"] == []
    assert environment(work)["dataset"]["sizes"]["train"] == 0


def test_accuracy_is_known_where_there_are_classes(case):
    name, work, _ = case
    records = pd.read_parquet(work.job.folder / "results.parquet")
    accuracy = records[records["metric"] == "accuracy"]
    if name == "test alone":
        assert set(accuracy["value"]) <= {0, 1}
        assert len(accuracy) == 14
        return
    assert accuracy["status"].tolist() == ["not applicable"]
    assert accuracy["reason"].tolist() == ["the data have no classes"]
    assert "is right on" not in report(work)
    metrics = set(table(work, "classification.csv")["metric"])
    assert not metrics & {"auroc", "auprc", "mcc"}


def test_examples_show_an_output_where_there_are_no_classes(case):
    name, work, _ = case
    examples = json.loads((work.job.folder / "examples.json").read_text())
    assert len(examples) == 6
    for example in examples:
        prediction = example["models"]["mine"]
        assert ("output" in prediction) == (name != "test alone")
        assert example["label"] == "" if name == "unlabelled" else example["label"]
    page = (work.job.folder / "report.html").read_text()
    assert ("True class" in page) == (name == "test alone")
    assert ("<dt>Measured</dt>" in page) == (name == "measured")


def test_a_forecast_counts_no_training_set(case, tmp_path):
    _, work, _ = case
    fresh = work_of(
        tmp_path / "other",
        text=(work.job.folder.parent / "run.yaml").read_text(),
        plugins=work.job.plugins,
    )
    seen = forecast(fresh)
    assert seen.tasks == len(seen.todo) > 0


def test_the_background_is_that_of_test(case):
    _, work, _ = case
    codes = work.splits.background.codes
    assert codes is work.splits.test.codes
    assert (codes < N).any()
