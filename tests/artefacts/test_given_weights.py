"""Models that come with their weights: one file per replicate, known by its bytes."""

import re
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from small_run import work_of
from torch import nn

from xaibench.artefacts.artefact import Memory, ensure
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.given_weights import replicate_names
from xaibench.artefacts.model_checks import unusable_models
from xaibench.artefacts.models import model_artefact, model_spec, stored_classifier
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import UsageError
from xaibench.nn.inference import logits
from xaibench.runs.pipeline import run
from xaibench.storage.artefacts import key

CODE = '''
import torch
from torch import nn

import torch.nn.functional as F


class Net(nn.Module):
    """One logit for two classes, as people have it."""

    def __init__(self, width: int = 6):
        super().__init__()
        self.conv = nn.Conv1d(4, width, 8)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(F.relu(self.conv(x)).amax(2))


def first(outputs):
    return outputs[:, 0]
'''

PLAN = """
dataset: {name: planted, train: 60, test: 20, length: 40}
models:
  mine: {use: Net, weights: [fold0.safetensors, fold1.pt]}
attribution: [saliency, random]
sequences: 5
metrics: {deletion: {}, auprc: {}, random_label_similarity: {}, cascading_randomisation: {}}
operators: [n]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: []
reports: [markdown]
"""


class Net(nn.Module):
    """As in ``CODE``."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, width, 8)
        self.head = nn.Linear(width, 1)

    def forward(self, x):
        return self.head(nn.functional.relu(self.conv(x)).amax(2))


def network(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return Net()


def brought(place):
    """The files of somebody who brings a module and three sets of weights."""
    (place / "mine.py").write_text(CODE)
    save_file(network(0).state_dict(), place / "fold0.safetensors")
    for seed in (1, 2):
        torch.save(network(seed).state_dict(), place / f"fold{seed}.pt")
    return place


@pytest.fixture
def folder(tmp_path):
    return brought(tmp_path)


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """The work of the plan, with both reports, and how it ended."""
    work = work_in(brought(tmp_path_factory.mktemp("ran")), changes=("reports=[markdown, html]",))
    return work, finish(work)


def work_in(folder, *, name="run", text=PLAN, changes=()):
    return work_of(folder / name, text=text, changes=changes, plugins=(str(folder / "mine.py"),))


def finish(work):
    return run(work, jobs=0, threads=1, command="")


def test_the_weights_in_a_file_are_those_of_the_model(ran):
    work, _ = ran
    codes = work.chosen.codes
    for seed in (0, 1):
        with torch.inference_mode():
            one_hot = torch.eye(5)[codes.astype(np.int64)][:, :, :4].transpose(1, 2)
            expected = network(seed)(one_hot)[:, 0].numpy()
        got = logits(stored_classifier(work, TrainedModel("mine", seed)), codes)
        np.testing.assert_allclose(got[:, 1] - got[:, 0], expected, rtol=1e-5, atol=1e-6)


def test_nothing_is_trained_and_metrics_of_training_do_not_apply(ran):
    work, outcome = ran
    assert outcome.failures == []
    records = (work.job.folder / "report.md").read_text()
    assert "is not trained here" in records
    assert "| Method | fold0 | fold1 |" in records
    assert len((work.job.folder / "training.csv").read_text().splitlines()) == 1


def test_a_file_that_is_added_computes_only_itself(ran, folder):
    shutil.copytree(ran[0].job.folder, folder / "run")
    changes = ("models.mine.weights=[fold2.pt, fold0.safetensors, fold1.pt]",)
    work = work_in(folder, changes=changes)
    outcome = finish(work)
    per_replicate = outcome.tasks // 3
    assert outcome.computed == per_replicate


def test_other_weights_under_the_same_name_are_other_weights(folder):
    work = work_in(folder)
    before = model_spec(work, TrainedModel("mine", 1))
    torch.save(network(7).state_dict(), folder / "fold1.pt")
    assert key(model_spec(work_in(folder), TrainedModel("mine", 1))) != key(before)


def test_a_file_that_an_option_names_is_known_by_its_bytes(folder):
    (folder / "mine.py").write_text(
        CODE + "\n\nfrom pathlib import Path\n\n\ndef read(*, table: Path):\n    return Net()\n"
    )
    (folder / "table.txt").write_text("1")
    text = PLAN.replace("use: Net,", "use: read, table: table.txt,")
    before = explained_spec(work_in(folder, text=text), TrainedModel("mine", 0), "saliency")
    (folder / "table.txt").write_text("2")
    after = explained_spec(work_in(folder, text=text), TrainedModel("mine", 0), "saliency")
    assert key(before) != key(after)


def test_a_path_is_opened_where_it_was_checked(folder, monkeypatch, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    torch.save(network(9).state_dict(), elsewhere / "fold1.pt")
    monkeypatch.chdir(elsewhere)
    beside_plan = model_spec(work_in(folder), TrainedModel("mine", 1))
    monkeypatch.chdir(folder)
    assert model_spec(work_in(folder), TrainedModel("mine", 1)) == beside_plan


def test_a_copy_is_no_other_replicate(folder):
    (folder / "again.pt").write_bytes((folder / "fold1.pt").read_bytes())
    with pytest.raises(UsageError, match=r"fold1.pt and again.pt hold the same bytes; a copy"):
        work_in(folder, changes=("models.mine.weights=[fold1.pt, again.pt]",))


def test_replicates_are_called_by_their_files(folder):
    assert replicate_names(work_in(folder).plan, "mine") == ("fold0", "fold1")
    (folder / "a").mkdir()
    (folder / "b").mkdir()
    for seed, name in ((3, "a"), (4, "b")):
        torch.save(network(seed).state_dict(), folder / name / "best.pt")
    work = work_in(folder, changes=("models.mine.weights=[a/best.pt, b/best.pt]",))
    assert replicate_names(work.plan, "mine") == ("a/best", "b/best")


@pytest.mark.parametrize(
    "pattern", ["fold*.pt", "fold{seed}.pt", "[fold1.pt, 'fold[!1]*.pt', fold10.pt]"]
)
def test_files_that_match_a_pattern_are_replicates_in_the_order_of_their_numbers(folder, pattern):
    torch.save(network(3).state_dict(), folder / "fold10.pt")
    (folder / "fold10_last.txt").write_text("fold{seed}.pt and fold*.pt are no such file")
    given = pattern if pattern.startswith("[") else f"'{pattern}'"
    plan = work_in(folder, changes=(f"models.mine.weights={given}",)).plan
    assert replicate_names(plan, "mine")[-2:] == ("fold2", "fold10")
    assert "fold10_last" not in replicate_names(plan, "mine")


def test_a_pattern_that_matches_no_file_is_named(folder):
    with pytest.raises(UsageError, match=r"^models.mine.weights: no file matches 'rs\{seed\}.pt'"):
        work_in(folder, changes=("models.mine.weights='rs{seed}.pt'",))


@pytest.mark.parametrize(
    ("weights", "reason"),
    [
        ({"other": torch.zeros(3)}, "missing 'conv.weight', 'conv.bias', 'head.weight' and 1 more"),
        (Net(9).state_dict(), r"'conv.weight' is \(9, 4, 8\) in the file and \(6, 4, 8\)"),
        (Net(), "which runs code when it is read"),
    ],
)
def test_weights_that_do_not_fit_fail_alone(folder, weights, reason):
    torch.save(weights, folder / "fold1.pt")
    outcome = finish(work_in(folder))
    assert len(outcome.failures) >= 1
    assert re.search(reason, " ".join(outcome.failures))
    assert outcome.failures[0].startswith("mine, weights fold1, ")  # it was never trained
    assert (folder / "run" / "report.md").exists()


def test_a_function_of_the_plugin_file_chooses_what_is_explained(folder):
    work = work_in(folder, changes=("models.mine.explain={function: first}",))
    classifier = stored_after_run(work)
    assert logits(classifier, work.chosen.codes).shape == (5, 1)


def stored_after_run(work):
    ensure(model_artefact(work, TrainedModel("mine", 0)), Memory(work))
    return stored_classifier(work, TrainedModel("mine", 0))


def test_an_unknown_function_is_refused_before_anything_runs(folder):
    with pytest.raises(UsageError, match="no models named 'frist'; did you mean 'first'"):
        work_in(folder, changes=("models.mine.explain={function: frist}",))


def test_a_training_that_changes_nothing_makes_no_replicates(folder):
    """The same weights under seeds 0 and 3 are one network, whatever the plan says."""
    (folder / "mine.py").write_text(
        CODE
        + "\n\ndef fixed():\n    torch.manual_seed(0)\n    return Net()\n"
        + "\n\ndef as_it_is(model, splits):\n    return []\n"
    )
    text = PLAN.replace("use: Net, weights: [fold0.safetensors, fold1.pt]", "use: fixed")
    work = work_in(folder, text=f"seeds: [0, 3]\ntraining: as_it_is\n{text}")
    outcome = finish(work)
    assert outcome.failures == []
    reason = "mine, seed 3 is left out: has the weights of seed 0, and a copy is no other replicate"
    assert unusable_models(work) == [reason]
    estimates = pd.read_csv(folder / "run" / "estimates.csv")
    assert estimates["seeds"].max() == 1


def test_models_with_more_replicates_than_others_are_judged_by_those_that_exist(folder):
    other = "  other: {use: Net, width: 4, weights: [other.pt]}\n"
    torch.manual_seed(5)
    torch.save(Net(4).state_dict(), folder / "other.pt")
    metrics = "metrics: {cross_model_deletion: {}}\n"
    text = re.sub("metrics: .*\n", metrics, PLAN).replace("attribution:", f"{other}attribution:")
    outcome = finish(work_in(folder, text=text))
    assert outcome.failures == []
    records = pd.read_parquet(folder / "run" / "results.parquet")
    judged = records[records["metric"].astype(str).str.startswith("cross_model")]
    of_mine = judged[(judged["model"] == "mine") & (judged["method"] == "saliency")]
    assert set(of_mine[of_mine["seed"] == 0]["status"]) == {"ok"}
    assert set(of_mine[of_mine["seed"] == 1]["status"]) == {"not applicable"}
    assert "fewer replicates than mine" in of_mine[of_mine["seed"] == 1]["reason"].iloc[0]
    assert set(judged[judged["model"] == "other"]["status"]) == {"ok"}
