"""Runs on data that only want explaining: no train, no classes, and models that are given."""

import json
import re
from dataclasses import replace

import pandas as pd
import pytest
import torch

from tests.small_run import finished
from xaibench.runs.forecast import describe, forecast
from xaibench.runs.pipeline import begin
from xaibench.values import N

PLUGIN = """
from torch import nn

def build(*, outputs: int = 1):
    return nn.Sequential(
        nn.Conv1d(4, 3, 7, padding=3), nn.ReLU(), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(3, outputs),
    )
"""
PLAN = """
dataset: {name: file, path: %s%s}
models: {mine: {use: build, weights: weights.pt, outputs: %d}}
attribution: [saliency, input_x_gradient, random]
sequences: 9
metrics:
  deletion: {}
  road: {}
  roar: {operator: uniform, fractions: [0.5]}
  effective_positions: {}
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


def save_weights(path, outputs):
    """Of the module that the plug-in builds, under the names of its ``state_dict``."""
    generator = torch.Generator().manual_seed(5)
    shapes = {"0.weight": (3, 4, 7), "0.bias": (3,), "4.weight": (outputs, 3), "4.bias": (outputs,)}
    torch.save(
        {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}, path
    )


@pytest.fixture(scope="module", params=FILES)
def case(request, tmp_path_factory):
    """The name of a case, its work, and its run as it ended."""
    folder = tmp_path_factory.mktemp("unlabelled")
    name, text, options, outputs = FILES[request.param]
    (folder / name).write_text(text)
    (folder / "plugin.py").write_text(PLUGIN)
    save_weights(folder / "weights.pt", outputs)
    made = {"text": PLAN % (folder / name, options, outputs)}
    made["plugins"] = (str(folder / "plugin.py"),)
    work, outcome = finished(folder / "run", **made)
    return request.param, work, outcome


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
    fresh = begin(replace(work.job, folder=tmp_path / "other", begun=False))
    seen = forecast(fresh)
    assert seen.tasks == len(seen.todo) > 0
    assert re.search(r" tasks to compute: 0 trainings, \d+ expl", describe(fresh, seen, jobs=1))


def test_what_trains_again_is_not_applicable(case):
    _, work, _ = case
    records = pd.read_parquet(work.job.folder / "results.parquet")
    roar = records[records["metric"] == "roar"]
    assert set(roar["status"]) == {"not applicable"}
    assert set(roar["reason"]) == {"mine was given with its weights and is not trained here"}


def test_the_background_is_that_of_test(case):
    _, work, _ = case
    codes = work.splits.background.codes
    assert codes is work.splits.test.codes
    assert (codes < N).any()
