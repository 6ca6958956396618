"""A run of a model in half precision on sequences with N: what the report cautions of."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from xaibench.analysis.description import _of_shuffles
from xaibench.artefacts.job import Job
from xaibench.dna import shuffling
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run
from xaibench.values import N

MODEL = """
import torch
from torch import nn
from torch.nn import functional


class half(nn.Module):
    def __init__(self, *, classes: int):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 7, padding=3), nn.Linear(6, classes)
        self.to(torch.bfloat16)

    def encode(self, codes):
        bases = torch.arange(4, dtype=codes.dtype)[:, None]
        return (codes.unsqueeze(1) == bases).to(self.out.weight.dtype)

    def forward(self, inputs):
        return self.out(functional.relu(self.conv(inputs)).sum(2))
"""

PLAN = """
dataset: {name: file, path: data.csv, sequence: sequence, label: label, split: split}
seeds: [0]
training: {epochs: 1, batch_size: 16, learning_rate: 0.01}
models: {half: {}, cnn: {filters: [4], kernels: [7]}}
attribution: {integrated_gradients: {}, deeplift: {}, lrp: {}, saliency: {}}
sequences: 6
controlled: 2
metrics: {deletion: {}}
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
controls: []
reports: [markdown]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("half")
    letters = np.random.default_rng(0).choice(list("ACGT"), (48, 40))
    letters[:, ::9] = "N"
    table = pd.DataFrame(
        {
            "sequence": ["".join(row) for row in letters],
            "label": np.arange(48) % 2,
            "split": np.where(np.arange(48) < 32, "train", "test"),
        }
    )
    table.to_csv(place / "data.csv", index=False)
    (place / "half.py").write_text(MODEL)
    path, plugins = place / "plan.yaml", (str(place / "half.py"),)
    path.write_text(PLAN.replace("data.csv", str(place / "data.csv")))
    job = Job(read_plan(str(path), changes=(), plugins=plugins), str(path), plugins, place / "run")
    run(begin(job), jobs=0, threads=1, command="xaibench run plan.yaml")
    return job.folder


def test_methods_explain_the_weights_in_float32_or_say_why_not(folder: Path) -> None:
    cost = pd.read_csv(folder / "cost.csv").set_index(["model", "method"])
    assert {"integrated_gradients", "lrp", "saliency"} <= set(cost.loc["half"].index)
    errors = cost.loc["half"].loc[["integrated_gradients", "lrp"], "completeness_error"]
    assert errors["integrated_gradients"] <= 1e-2
    assert errors["lrp"] <= 1e-4


def test_the_report_cautions_of_half_precision_and_of_what_shuffles_keep(folder: Path) -> None:
    cautions = json.loads((folder / "environment.json").read_text())["cautions"]
    (narrow,) = [each for each in cautions if "bfloat16" in each]
    assert narrow.startswith("The weights of half are bfloat16: it is explained with the same")
    assert any("first and the last of every stretch of known bases" in each for each in cautions)
    assert narrow in (folder / "report.md").read_text()


def _sequences(*, unknown: bool) -> np.ndarray:
    codes = np.random.default_rng(0).integers(0, 4, (5, 60)).astype(np.uint8)
    if unknown:
        codes[:, 10::12] = N
    return codes


def test_positions_that_all_shuffles_keep_are_counted() -> None:
    codes = _sequences(unknown=True)
    shuffles = shuffling.shuffled_references(codes, 20, 0)
    same = known = 0
    for row, position in np.argwhere(codes < N):
        known += 1
        same += all(shuffle[position] == codes[row, position] for shuffle in shuffles[row])
    assert same >= 2 * 6 * len(codes)  # the ends of six stretches
    (caution,) = _of_shuffles(shuffles, codes)
    assert caution.startswith(f"{same / known:.1%} of the known positions")


def test_the_two_ends_of_a_sequence_need_no_caution() -> None:
    codes = _sequences(unknown=False)
    assert _of_shuffles(shuffling.shuffled_references(codes, 20, 0), codes) == []
