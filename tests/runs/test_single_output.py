"""A model of one number per sequence goes through everything: what needs classes says so."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from small_run import finished, work_of

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.trained_models import TrainedModel

PLUGIN = '''
"""One output per sequence, of weights that are as they are."""

from torch import nn


class Single(nn.Module):
    single_output = True

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv1d(4, 5, 7), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(5, 1)
        )

    def encode(self, codes):
        return nn.functional.one_hot(codes.long(), 5)[..., :4].transpose(1, 2).float()

    def forward(self, inputs):
        return self.body(inputs)


def single():
    """A network of one output."""
    return Single()


def as_brought(model, splits):
    """No training."""
    return []
'''

PLAN = """
dataset: DATASET
seeds: [0, 3]
training: as_brought
models: {net: {use: single}}
attribution: [saliency, lrp, deeplift, random]
sequences: 9
target: label
metrics:
  deletion: {}
  flip_rate: {}
  auprc: {}
  infidelity: {}
  seed_agreement: {}
operators: [uniform]
fractions: [0, 0.2, 0.5, 1]
random_draws: 2
controlled: 4
controls: [rotated]
reports: [html, markdown, latex]
"""
PLANTED = "{name: planted, train: 60, test: 40, length: 60}"
NO_CLASSES = "the model gives one number per sequence and no classes"


def folder_of(tmp: Path, dataset: str) -> Path:
    (tmp / "brought.py").write_text(PLUGIN)
    text, plugin = PLAN.replace("DATASET", dataset), str(tmp / "brought.py")
    finished(tmp / "run", text=text, plugins=(plugin,))
    return tmp / "run"


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With two classes in the data."""
    return folder_of(tmp_path_factory.mktemp("labelled"), PLANTED)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a measured number in their place."""
    tmp = tmp_path_factory.mktemp("measured")
    path = tmp / "activity.csv"
    path.write_text("\n".join(["sequence,activity,split", *_rows()]))
    return folder_of(tmp, f"{{name: file, path: {path}, response: activity}}")


def _rows() -> Iterator[str]:
    generator = np.random.default_rng(0)
    for place in range(60):
        letters = "".join(generator.choice(list("ACGT"), 60))
        activity = letters.count("GC") + generator.normal()
        yield f"{letters},{activity:.3f},{'test' if place % 2 else 'train'}"


def statuses(folder: Path) -> dict[str, set[tuple[str, str]]]:
    records = pd.read_parquet(folder / "results.parquet").astype({"metric": str})
    return {
        str(metric): {*zip(rows["status"].astype(str), rows["reason"].astype(str), strict=True)}
        for metric, rows in records.groupby("metric")
    }


def test_what_needs_classes_is_not_applicable_and_the_rest_is_measured(labelled: Path) -> None:
    found = statuses(labelled)
    for metric in ("accuracy", "deletion_probability", "deletion_accuracy", "flip_rate"):
        assert found[metric] == {("not applicable", NO_CLASSES)}, metric
    for metric in ("deletion_logit_difference", "infidelity", "auprc", "seed_agreement"):
        assert found[metric] == {("ok", "")}, metric


def test_the_target_is_the_output_whatever_the_label(labelled: Path, tmp_path: Path) -> None:
    plugin = str(labelled.parent / "brought.py")
    work = work_of(labelled, text=PLAN.replace("DATASET", PLANTED), plugins=(plugin,))
    arrays = arrays_of(work, explained_spec(work, TrainedModel("net", 0), "deeplift"))
    assert set(work.chosen.labels.tolist()) == {0, 1}
    assert arrays["targets"].tolist() == [0] * 9
    np.testing.assert_array_equal(arrays["scores"], arrays["scores_of_label"])


def test_the_report_speaks_of_an_output_and_of_no_predicted_class(labelled: Path) -> None:
    text = (labelled / "report.md").read_text()
    assert "The single output of net" in text
    assert "predicted class" not in text
    page = (labelled / "report.html").read_text()
    assert "<dt>Output</dt>" in page
    assert "<dt>Predicted</dt>" not in page
    (first, *_) = json.loads((labelled / "examples.json").read_text())
    assert [*first["models"]["net"]] == ["output"]
    assert json.loads((labelled / "environment.json").read_text())["single_output"] == ["net"]


def test_predictions_are_in_place_of_the_first_logit(labelled: Path) -> None:
    table = pd.read_parquet(labelled / "predictions.parquet")
    assert table["logit_0"].notna().all()
    assert table["logit_1"].isna().all()
    assert pd.read_csv(labelled / "classification.csv").empty
    assert "AUROC, AUPRC and MCC are missing" not in (labelled / "report.md").read_text()


def test_correlations_with_measured_numbers_are_those_of_scipy(measured: Path) -> None:
    rows = pd.read_csv(measured / "classification.csv").set_index("metric")
    assert [*rows.index] == ["pearson", "spearman", "mse"]
    activity = pd.read_csv(measured.parent / "activity.csv")
    responses = dict(enumerate(activity["activity"][activity["split"] == "test"]))
    table = pd.read_parquet(measured / "predictions.parquet")
    by_seed = [rows["logit_0"].to_numpy() for _, rows in table.groupby("seed")]
    truth = np.array([*responses.values()])
    expected = np.mean([stats.spearmanr(each, truth).statistic for each in by_seed])
    assert rows["mean"]["spearman"] == pytest.approx(expected, abs=1e-12)
    assert rows["mean"]["mse"] == pytest.approx(
        np.mean([((each - truth) ** 2).mean() for each in by_seed])
    )
    assert (rows["sequences"] == 30).all()
    _, shown = (measured / "report.md").read_text().split("| Model | Pearson")
    assert f"| net | {rows['mean']['pearson']:.3f}".replace("-", "\N{MINUS SIGN}") in shown


def test_data_of_numbers_have_no_accuracy_and_curves_all_the_same(measured: Path) -> None:
    found = statuses(measured)
    assert found["accuracy"] == {("not applicable", "the data have no classes")}
    assert found["deletion_logit_difference"] == {("ok", "")}
    assert found["flip_rate"] == {("not applicable", NO_CLASSES)}
