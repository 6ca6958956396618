"""One device for everything: a run on another device has the records of one on the CPU."""

import json
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
import torch
from elsewhere import DEVICE, Elsewhere
from small_run import finished, work_of

from xaibench.artefacts.models import stored_classifier
from xaibench.artefacts.networks import fresh
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import UsageError
from xaibench.models import training
from xaibench.nn.inference import device_of
from xaibench.plan.schema import dump, read_back, read_plan
from xaibench.runs.forecast import forecast
from xaibench.runs.pipeline import run

PLAN = """
dataset: {name: planted, train: 60, test: 20, length: 40}
seeds: [0]
training: {epochs: 1, batch_size: 16, keep: last}
models:
  attngen: {filters: [6], kernels: [9], masking: {warm_up: 0, ramp: 1}}
attribution:
  saliency: {}
  grad_cam: {}
  random: {}
sequences: 5
metrics:
  deletion: {}
  auprc: {}
  roar: {operator: n, fractions: [0.5]}
  substitution_sensitivity: {sequences: 3, draws: 1, of: 3}
  cascading_randomisation: {sequences: 3}
  substitution_agreement: {sequences: 3}
operators: [n]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: [rotated]
reports: [markdown]
"""


def records(work):
    table = pd.read_parquet(work.job.folder / "results.parquet")
    assert set(table["status"]) <= {"ok", "not applicable"}, table[table["status"] == "failed"]
    keys = ["model", "method", "control", "metric", "operator", "repeat", "sequence"]
    return table.set_index(keys)["value"].sort_index()


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """A run on the CPU and one on the other device, whose layers are its own in training too."""
    folder = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "faster", nullcontext)
        here, _ = finished(folder / "here", text=PLAN)
        with Elsewhere() as device:
            there, _ = finished(folder / "there", text=PLAN, changes=("device=cuda",))
    return here, there, device


def test_a_run_on_another_device_has_the_records_of_one_on_the_cpu(both):
    here, there, _ = both
    one, other = records(here), records(there)
    assert len(one) > 100
    pd.testing.assert_index_equal(one.index, other.index)
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_sequences_get_to_a_device_as_codes_from_pinned_memory(both):
    _, _, device = both
    assert device.sent["pinned"] == device.sent["uint8"] > 100
    assert device.sent["stayed"] == 0  # nothing is computed on the CPU


def test_a_run_folder_says_on_which_device_it_was_computed(both):
    here, there, _ = both
    devices = [
        json.loads((work.job.folder / "environment.json").read_text())["device"]
        for work in (here, there)
    ]
    assert devices == ["cpu", "cuda (Pretended)"]
    assert "| Device | cuda (Pretended) |" in (there.job.folder / "report.md").read_text()


def test_models_are_where_the_plan_says(both):
    here, there, _ = both
    trained = TrainedModel("attngen", 0)
    with Elsewhere():
        for model in (stored_classifier(there, trained), fresh(there, "attngen")):
            assert device_of(model) == DEVICE
    assert device_of(stored_classifier(here, trained)) == torch.device("cpu")


# The plan


def plan_of(tmp_path, text=PLAN, changes=(), plugins=()):
    path = tmp_path / "plan.yaml"
    path.write_text(text)
    return read_plan(str(path), changes=changes, plugins=plugins)


def test_training_follows_the_device_of_the_plan(tmp_path):
    plan = plan_of(tmp_path, changes=("device=cuda:1",))
    assert (plan.device, plan.training.options["device"]) == ("cuda:1", "cuda:1")
    (tmp_path / "resolved.yaml").write_text(dump(plan))
    again = read_back(str(tmp_path / "resolved.yaml"), source="plan.yaml", plugins=())
    assert again == plan


def test_a_training_that_names_its_device_stays_there(tmp_path):
    plan = plan_of(tmp_path, changes=("device=cuda:1", "training.device=cpu"))
    assert (plan.device, plan.training.options["device"]) == ("cuda:1", "cpu")


def test_a_training_without_a_device_takes_none(tmp_path):
    own = tmp_path / "own.py"
    own.write_text("def nothing(model, splits, *, seed):\n    return []\n")
    changes = ("device=cuda:1", "training=nothing")
    plan = plan_of(tmp_path, changes=changes, plugins=(str(own),))
    assert plan.device == "cuda:1"
    assert "device" not in plan.training.options


def test_a_plan_on_the_cpu_reads_as_it_did_before_there_was_a_choice(tmp_path):
    assert "\ndevice:" not in dump(plan_of(tmp_path))
    assert "\ndevice: cuda\n" in dump(plan_of(tmp_path, changes=("device=cuda",)))


@pytest.mark.parametrize("name", ["abacus", "cuda:7", "meta", "cuda:x"])
def test_a_device_that_is_not_there_is_one_line_that_lists_those_that_are(tmp_path, name):
    with pytest.raises(
        UsageError, match=r"^device: torch has no .* on this machine, which has cpu"
    ):
        work_of(tmp_path / "new", text=PLAN, changes=(f"device={name}",))
    with Elsewhere(), pytest.raises(UsageError, match=r"which has cpu, cuda:0 \(Pretended\); name"):
        work_of(tmp_path / "new", text=PLAN, changes=("device=abacus",))


# Processes


def test_a_device_has_one_process(tmp_path, monkeypatch, capsys):
    used = []

    class Over(Exception):
        """Nothing more is to be seen."""

    def used_here(*given, count, **named):
        used.append(count)
        raise Over

    monkeypatch.setattr("xaibench.runs.engines.in_processes", used_here)
    with Elsewhere():
        work = work_of(tmp_path / "new", text=PLAN, changes=("device=cuda",))
        with pytest.raises(Over):
            run(work, jobs=4, threads=1, command="")
    assert used == [1]
    assert "cuda is one device: 1 process computes on it, not 4" in capsys.readouterr().err


def test_a_forecast_counts_one_process_on_a_device(tmp_path):
    with Elsewhere():
        work = work_of(tmp_path / "new", text=PLAN, changes=("device=cuda",))
        foreseen = forecast(work, jobs=4)
    assert foreseen.seconds == pytest.approx(sum(foreseen.by_kind.values()))
