"""A training as a run keeps it: the weights, the card, and nothing beside them."""

import json

import pandas as pd
import pytest
import torch

from xaibench.artefacts import models
from xaibench.artefacts.artefact import Memory, ensure
from xaibench.artefacts.job import Job
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.models import masks
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run

PLAN = """
dataset: {name: planted, train: 90, test: 30, length: 40}
seeds: [0]
training: {epochs: 3, batch_size: 32}
models:
  attngen: {filters: [5], kernels: [19], masking: {policy: random, warm_up: 1, ramp: 1}}
attribution: {saliency: {}}
sequences: 7
controlled: 5
fractions: [0, 0.5, 1]
random_draws: 2
reports: [markdown]
operators: {uniform: {}}
metrics:
  deletion: {}
  roar: {fractions: [0.5], operator: uniform}
"""


class Killed(BaseException):
    """No Exception, as a kill is none."""


def work_of(folder):
    path = folder.parent / f"{folder.name}.yaml"
    path.write_text(PLAN)
    return begin(Job(read_plan(str(path)), str(path), (), folder))


def train(work):
    """The epochs that were told of."""
    told = []
    artefact = models.model_artefact(work, TrainedModel("attngen", 0))
    ensure(artefact, Memory(work, lambda epoch, *_: told.append(epoch)))
    return told


def checkpoints(work):
    return [path.name for path in work.store.root.glob(".training-*")]


def test_a_run_leaves_no_checkpoint_and_a_table_without_masks(tmp_path):
    work = work_of(tmp_path / "run")
    outcome = run(work, jobs=0, threads=1, command="xaibench run plan.yaml")
    assert outcome.failures == []
    assert list(work.store.root.glob("retrained-*"))
    assert checkpoints(work) == []
    table = pd.read_csv(tmp_path / "run" / "training.csv")
    assert table["mask_ratio"].tolist() == [0, 0.15, 0.15]
    assert "masks" not in table
    (card,) = work.store.root.glob("model-*/card.json")
    kept = masks.read_masks(json.loads(card.read_text())["history"], work.splits.train.codes)
    # 15 % of 40 positions
    assert [sorted(set(epoch.sum(axis=1))) for epoch in kept] == [[0], [0, 6], [0, 6]]


def test_killed_before_its_weights_are_kept_a_training_is_not_made_again(tmp_path, monkeypatch):
    undisturbed, work = work_of(tmp_path / "undisturbed"), work_of(tmp_path / "killed")
    assert train(undisturbed) == [1, 2, 3]

    def kill(*given):
        raise Killed

    with monkeypatch.context() as cut:
        cut.setattr(models, "_files", kill)
        with pytest.raises(Killed):
            train(work)
    assert len(checkpoints(work)) == 1
    assert train(work) == []
    assert checkpoints(work) == []
    weights = [
        models.stored_classifier(each, TrainedModel("attngen", 0)).state_dict()
        for each in (undisturbed, work)
    ]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_training_that_could_not_be_kept_is_there_when_it_is_tried_again(tmp_path, monkeypatch):
    work = work_of(tmp_path / "run")

    def full(*given):
        raise OSError("no space left")

    with monkeypatch.context() as cut:
        cut.setattr(models, "_files", full)
        assert train(work) == [1, 2, 3]
    spec = models.model_spec(work, TrainedModel("attngen", 0))
    assert work.store.outcome(spec) == ("failed", "OSError: no space left")
    assert train(work) == []
    assert work.store.outcome(spec) == ("ok", "")
