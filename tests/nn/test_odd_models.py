"""A run with models that are not as expected: one failed record each, and the rest goes on."""

import json

import numpy as np
import pandas as pd
import pytest

from xaibench.artefacts.job import Job
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run
from xaibench.runs.reporting import report

PLAN = """
dataset: {name: planted, train: 90, test: 30, length: 40}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models: {cnn: {filters: [5], kernels: [19]}}
attribution: {saliency: {}, random: {}}
sequences: 6
controlled: 3
fractions: [0, 0.5, 1]
random_draws: 2
controls: [rotated]
reports: [markdown]
operators: {uniform: {}}
metrics: {deletion: {}, auprc: {}, cross_model_deletion: {}}
"""

MODELS = """
import torch
from torch import nn
from torch.nn import functional
from xaibench.nn.layers import one_hot

class Net(nn.Module):
    def __init__(self, *, classes: int, length: int):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 9, padding=4), nn.Linear(6, classes)

    def encode(self, codes):
        return one_hot(codes)

    def features(self, inputs):
        return self.conv(inputs).relu().amax(2)

    def forward(self, inputs):
        return self.out(self.features(inputs))

class five_outputs(Net):
    def __init__(self, *, classes: int, length: int):
        super().__init__(classes=5, length=length)

class in_a_dict(Net):
    def forward(self, inputs):
        return {"logits": super().forward(inputs)}

class always_dropout(Net):
    def forward(self, inputs):
        return self.out(functional.dropout(self.features(inputs), 0.5))

class centred(Net):
    def forward(self, inputs):
        features = self.features(inputs)
        return self.out(features - features.mean(0))

class softmaxed(Net):
    def forward(self, inputs):
        return super().forward(inputs).softmax(1)

class tokens(nn.Module):
    def __init__(self, *, classes: int):
        super().__init__()
        self.embed, self.out = nn.Embedding(5, 6), nn.Linear(6, classes)

    def encode(self, codes):
        return codes.long()

    def forward(self, inputs):
        return self.out(self.embed(inputs).mean(1))

class unregistered(Net):
    def __init__(self, *, classes: int, length: int):
        super().__init__(classes=classes, length=length)
        self.rest = [nn.Linear(6, 6)]

    def forward(self, inputs):
        return self.out(self.rest[0](self.features(inputs)))

class only_in_training(Net):
    def forward(self, inputs):
        if self.training:
            raise RuntimeError("not while training")
        return super().forward(inputs)

class without_parameters(Net):
    def __init__(self, *, classes: int):
        nn.Module.__init__(self)

    def forward(self, inputs):
        return (inputs * torch.arange(inputs.shape[2])).sum(2)[:, :2]

class detached(Net):
    def forward(self, inputs):
        return super().forward(inputs).detach()

class made_anew(Net):
    def forward(self, inputs):
        return 2 * nn.Parameter(super().forward(inputs))

class with_extra_state(Net):
    def get_extra_state(self):
        return {"version": 1}

    def set_extra_state(self, state):
        pass

class tied(Net):
    def __init__(self, *, classes: int, length: int):
        super().__init__(classes=classes, length=length)
        self.again = self.conv

class remembering(Net):
    table = None

    def forward(self, inputs):
        if self.table is None:
            self.table = torch.linspace(0, 1, inputs.shape[2])
        return self.out((self.conv(inputs) * self.table).relu().amax(2))

def untrained(model, splits):
    return []

def weights_of_infinity(model, splits):
    with torch.no_grad():
        model.out.weight.fill_(float("inf"))
    return []
"""

FAILING = {
    "five_outputs": "expected logits (N, 2), got (N, 5)",
    "in_a_dict": "expected logits (N, 2), got a dict of 'logits'",
    "always_dropout": "is random",
    "centred": "depends on what else is in the batch",
    "tokens": "expected inputs (N, channels, 40) in floating point from encode, got int64 (N, 40)",
    "unregistered": "is not made again by its weights",
    "only_in_training": "RuntimeError: not while training (raised by forward in training mode",
    "without_parameters": "expected parameters to train, got none",
    "with_extra_state": "expected a state_dict of tensors, got a dict under '_extra_state'",
    "detached": "expected logits that depend on the weights",
    "made_anew": "expected logits that depend on the weights",
}


def finished(folder, *changes, jobs=0):
    (folder / "plan.yaml").write_text(PLAN)
    (folder / "own.py").write_text(MODELS)
    plugins = (str(folder / "own.py"),)
    plan = read_plan(str(folder / "plan.yaml"), changes=changes, plugins=plugins)
    work = begin(Job(plan, str(folder / "plan.yaml"), plugins, folder / "run"))
    outcome = run(work, jobs=jobs, threads=1, command="xaibench run plan.yaml")
    return outcome, pd.read_parquet(folder / "run" / "results.parquet")


def listed(names):
    return (
        "models={cnn: {filters: [5], kernels: [19]}, "
        + ", ".join(f"{n}: {{}}" for n in names)
        + "}"
    )


@pytest.mark.parametrize(
    ("jobs", "names", "seeds"), [(0, FAILING, [3]), (2, ("five_outputs", "always_dropout"), [0, 3])]
)
def test_each_odd_model_is_a_failed_record_per_seed_and_the_good_one_is_whole(
    tmp_path, capsys, jobs, names, seeds
):
    changes = (listed(names), "metrics={deletion: {}, auprc: {}}", f"seeds={seeds}")
    outcome, records = finished(tmp_path, *changes, jobs=jobs)
    words = capsys.readouterr().err
    for name in names:
        rows = records[records.model == name]
        assert {*rows.metric, *rows.status} == {"training", "failed"}
        assert list(rows.seed) == seeds
        assert FAILING[name] in rows.reason.iloc[0]
        left_out = words.index(f"{name} is left out: {FAILING[name]}")
        assert left_out < words.index(f"cnn, seed {seeds[0]}, saliency")
    assert len(outcome.failures) == len(seeds) * len(names)
    good = records[records.model == "cnn"]
    assert set(good.status) == {"ok"}
    assert {"accuracy", "deletion_accuracy", "auprc"} <= set(good.metric)
    trained = pd.read_csv(tmp_path / "run" / "training.csv")
    assert set(trained.model) == {"cnn"}
    assert (tmp_path / "run" / "report.md").is_file()
    if not jobs:
        return
    # the same command again tries the failed models again, and nothing else
    again, repeated = finished(tmp_path, *changes)
    assert again.failures == outcome.failures
    pd.testing.assert_frame_equal(repeated, records)
    assert report(tmp_path / "run")[1] == []


def test_models_that_share_weights_or_remember_their_first_pass_run(tmp_path):
    outcome, records = finished(tmp_path, listed(["tied", "remembering"]))
    assert outcome.failures == []
    assert set(records[records.method == "saliency"].status) == {"ok"}


def test_other_models_cannot_be_judged_by_one_that_was_left_out(tmp_path):
    outcome, records = finished(tmp_path, listed(["five_outputs"]))
    judged = records[(records.model == "cnn") & (records.metric.str.startswith("cross_model"))]
    assert set(judged[judged.method == "saliency"].status) == {"failed"}
    assert "the model five_outputs cannot predict: expected logits (N, 2)" in judged.reason.iloc[-1]
    assert set(records[(records.model == "cnn") & (records.metric == "auprc")].status) == {"ok"}
    assert outcome.failures


def test_tokens_are_trained_and_tested_where_nothing_is_explained(tmp_path):
    outcome, records = finished(
        tmp_path,
        "models={cnn: {filters: [5], kernels: [19]}, tokens: {sequences: 0}}",
        "metrics={deletion: {}}",
    )
    assert outcome.failures == []
    assert set(records[records.model == "tokens"].metric) == {"accuracy"}


def test_probabilities_in_place_of_logits_are_said_before_training_and_in_the_report(
    tmp_path, capsys
):
    outcome, _ = finished(tmp_path, "models=[softmaxed]", "metrics={deletion: {}}")
    assert outcome.failures == []
    words = capsys.readouterr().err
    caution = "softmaxed gives probabilities (a softmax), not logits"
    assert words.count(caution) == 1
    assert words.index(caution) < words.index("softmaxed, seed 0, training")
    assert caution in (tmp_path / "run" / "report.md").read_text()
    environment = json.loads((tmp_path / "run" / "environment.json").read_text())
    assert any(caution in each for each in environment["cautions"])


@pytest.mark.parametrize("model", ["cnn", "transformer", "kmer", "attngen"])
def test_a_training_that_diverged_is_a_failed_record_of_the_model(tmp_path, model):
    changes = (f"models=[{model}]", "training.learning_rate=1.0e+30", "training.epochs=3")
    outcome, records = finished(tmp_path, *changes, "metrics={deletion: {}}")
    assert len(outcome.failures) == 2
    assert outcome.failures[0].startswith(f"{model}, 0, training, training diverged in epoch")
    assert set(records.metric) == {"training"}


def test_a_training_of_ones_own_that_leaves_no_numbers_is_a_failed_record(tmp_path):
    (tmp_path / "own.py").write_text(MODELS)
    changes = ("models=[Net]", "training={use: weights_of_infinity}", "metrics={deletion: {}}")
    outcome, records = finished(tmp_path, *changes)
    assert set(records.metric) == {"training"}
    assert "expected finite logits" in outcome.failures[0]


def test_a_model_without_parameters_runs_where_training_does_nothing(tmp_path):
    changes = ("models=[without_parameters]", "training={use: untrained}")
    outcome, records = finished(tmp_path, *changes, "metrics={deletion: {}}")
    assert outcome.failures == []
    assert {"accuracy", "deletion_accuracy"} <= set(records.metric)


def test_a_model_that_sees_padding_says_so_after_training_and_in_the_report(tmp_path, capsys):
    generator = np.random.default_rng(7)
    rows = [
        ("".join(generator.choice(list("ACGT"), length)), row % 2, "test" if row > 89 else "train")
        for row, length in enumerate(generator.integers(25, 41, 120))
    ]
    table = pd.DataFrame(rows, columns=["sequence", "label", "split"])
    table.to_csv(tmp_path / "data.csv", index=False)
    changes = ("dataset={name: file, path: data.csv}", "metrics={deletion: {}}")
    outcome, _ = finished(tmp_path, *changes, "models={transformer: {layers: 1}}")
    assert outcome.failures == []
    words = capsys.readouterr().err
    caution = "transformer sees padding: without it the logits of shorter sequences"
    assert words.index("transformer, seed 3, training") < words.index(caution)
    assert words.index(caution) < words.index("transformer, seed 0, saliency")
    assert caution in (tmp_path / "run" / "report.md").read_text()
