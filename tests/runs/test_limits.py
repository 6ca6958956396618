"""``seeds`` and ``sequences`` of models, methods and operators: how much is looked at."""

import shutil

import pandas as pd
import pytest

from xaibench.artefacts.job import Job
from xaibench.artefacts.models import model_spec
from xaibench.artefacts.subsets import subset
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, planned, run

PLAN = """
dataset: {name: planted, train: 90, test: 30, length: 40}
seeds: [0, 3, 5]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
  attngen: {filters: [5], kernels: [19], seeds: 2, sequences: 7}
  only trained: {use: cnn, filters: [4], kernels: [19], sequences: 0}
attribution:
  saliency: {}
  deeplift: {sequences: 4}
sequences: 9
controlled: 5
fractions: [0, 0.1, 0.5, 1]
random_draws: 3
controls: [rotated, mean map]
reports: [markdown]
operators: {uniform: {}, n: {sequences: 6}}
metrics:
  deletion: {}
  auprc: {}
  substitution_agreement: {sequences: 8}
  seed_agreement: {}
  substitution_sensitivity: {sequences: 5}
"""


def work_of(folder, text=PLAN):
    path = folder.parent / "plan.yaml"
    path.write_text(text)
    return begin(Job(read_plan(str(path)), str(path), (), folder))


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    folder = tmp_path_factory.mktemp("limits") / "run"
    work = work_of(folder)
    return work, run(work, jobs=0, threads=1, command="xaibench run plan.yaml"), folder


@pytest.fixture(scope="module")
def records(ran):
    return pd.read_parquet(ran[2] / "results.parquet")


def of(records, **wanted):
    for column, word in wanted.items():
        records = records[records[column] == word]
    return records


def counted(records, **wanted):
    """Sequences with a value, of the map itself."""
    rows = of(records, control="", status="ok", seed=0, **wanted)
    return rows["sequence"].nunique()


def test_nothing_fails_and_a_second_run_has_nothing_to_do(ran):
    work, outcome, _ = ran
    assert outcome.failures == []
    assert planned(work)[1] == []


def test_a_model_has_the_first_of_the_seeds(records):
    assert set(of(records, model="attngen")["seed"]) == {0, 3}
    assert set(of(records, model="cnn")["seed"]) == {0, 3, 5}


@pytest.mark.parametrize(
    ("wanted", "sequences"),
    [
        ({"model": "cnn", "method": "saliency", "operator": "uniform"}, 9),
        ({"model": "cnn", "method": "saliency", "operator": "n"}, 6),
        ({"model": "cnn", "method": "deeplift", "operator": "n"}, 4),
        ({"model": "attngen", "method": "saliency", "operator": "uniform"}, 7),
        ({"model": "attngen", "method": "random control", "operator": "n"}, 6),
        ({"model": "cnn", "method": "oracle", "operator": "uniform"}, 5),
    ],
)
def test_curves_look_at_the_fewest_that_anything_asks_for(records, wanted, sequences):
    metric = "deletion_logit_difference"
    assert counted(records, metric=metric, **wanted) == sequences


@pytest.mark.parametrize(
    ("metric", "method", "sequences"),
    [
        ("substitution_agreement", "saliency", 8),
        ("substitution_agreement", "deeplift", 4),
        ("substitution_sensitivity", "deeplift", 4),
        ("seed_agreement", "deeplift", 4),
    ],
)
def test_so_do_other_metrics(records, metric, method, sequences):
    assert counted(records, model="cnn", metric=metric, method=method) == sequences


def test_a_model_that_is_only_trained_has_its_accuracy_and_nothing_else(records):
    assert set(of(records, model="only trained")["metric"]) == {"accuracy"}


def test_values_are_those_of_the_plan_without_limits(records, ran, tmp_path):
    """The first sequences are the same, and so is all that is drawn for them."""
    text = PLAN.replace("deeplift: {sequences: 4}", "deeplift: {}")
    shutil.copytree(ran[2], tmp_path / "run")
    run(work_of(tmp_path / "run", text), jobs=0, threads=1, command="")
    both = ["model", "seed", "method", "control", "metric", "operator", "repeat", "sequence"]
    # a mean map, and that of another sequence, are made of all maps there are
    own = of(records, method="deeplift", control="", status="ok")
    every = pd.read_parquet(tmp_path / "run" / "results.parquet")
    joined = own.merge(every, on=both, suffixes=("", "_every"))
    assert len(joined) == len(own) > 0
    assert (joined["value"] - joined["value_every"]).abs().max() < 1e-5  # other batches


def test_limits_do_not_change_what_a_model_is(ran, tmp_path):
    without = work_of(tmp_path / "run", PLAN.replace(", seeds: 2, sequences: 7", ""))
    assert model_spec(without, TrainedModel("attngen", 0)) == model_spec(
        ran[0], TrainedModel("attngen", 0)
    )


def test_the_fewest_of_what_is_asked_for_are_looked_at(ran):
    work = ran[0]
    assert len(subset(work, "attngen", "deeplift", "n")) == 4
    assert len(subset(work, "cnn", "saliency")) == 9
