"""One small plan, through everything."""

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics
from small_run import BRIEF, BRIEF_REPORT, LEAN, finished, work_of

from xaibench import progress
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.models import model_spec, stored_classifier
from xaibench.artefacts.subsets import subset
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import UsageError
from xaibench.explanation.controls import RANDOM, random_maps
from xaibench.nn.inference import logits
from xaibench.randomness import identity, stream
from xaibench.runs.elapsed import SPENT
from xaibench.runs.forecast import forecast_text
from xaibench.runs.pipeline import OUTPUTS, begin, conclusion, planned, render_reports, run
from xaibench.storage.lock import alone

CENTRE = """
from torch import linspace

def centre(model, inputs, target):
    return (1 - linspace(-1, 1, inputs.shape[2]).abs()).expand(len(inputs), -1)

def careless(model, inputs, target):
    raise RuntimeError("no such luck")
"""


def records_of(folder):
    return pd.read_parquet(folder / "results.parquet")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "tiny"
    work, outcome = finished(folder)
    return work, outcome, folder


@pytest.fixture(scope="module")
def lean(tmp_path_factory):
    """The folder of a finished run of the brief plan."""
    folder = tmp_path_factory.mktemp("run") / "lean"
    assert ended(folder).failures == []
    return folder


@pytest.fixture
def copy(lean, tmp_path):
    return Path(shutil.copytree(lean, tmp_path / "copy"))


def ended(folder, *, text=BRIEF, plugins=(), **options):
    """The outcome of the brief plan, in a folder where it may be finished already."""
    report = folder.parent / "brief.py"
    report.write_text(BRIEF_REPORT)
    return finished(folder, text=text, plugins=(*plugins, str(report)), **options)[1]


def test_a_run_leaves_every_file_and_no_failure(whole):
    work, outcome, folder = whole
    assert outcome.failures == []
    assert outcome.computed == outcome.tasks == 2 * 2 * (1 + 2 + 4)
    for name in (*OUTPUTS, "report.html", "report.md"):
        assert (folder / name).stat().st_size > 0, name
    assert "report.html" in conclusion(work, outcome)


def test_every_question_has_its_records(whole):
    records = records_of(whole[2])
    records = records[records.control == ""]
    counts = records.groupby(["method", "metric", "operator"], observed=True).size()
    draws, seeds, models = 4, 2, 2
    assert counts[("", "accuracy", "")] == 50 * seeds * models
    for name in ("deletion_accuracy", "insertion_probability", "deletion_logit_difference"):
        assert counts[("saliency", name, "n")] == 11 * seeds * models
        assert counts[(RANDOM, name, "uniform")] == 11 * draws * seeds * models
    carriers = int(whole[0].chosen.inside_motif.any(axis=1).sum())
    assert 0 < carriers < 11
    assert counts[("deeplift", "auprc", "")] == carriers * seeds * models
    assert counts[(RANDOM, "relevance_mass", "")] == carriers * draws * seeds * models
    assert counts[("random", "substitution_sensitivity", "")] == 5 * seeds * models


def test_a_method_that_does_not_apply_is_a_record_with_its_reason(whole):
    records = records_of(whole[2])
    refused = records[(records.model == "cnn") & (records.method == "attention")]
    assert set(refused.status) == {"not applicable"}
    assert set(refused.reason) == {"the model has no attention"}
    assert refused.value.isna().all()
    used = records[(records.model == "attngen") & (records.method == "attention")]
    assert set(used.status) == {"ok"}


def test_deletion_equals_the_slow_way_for_one_sequence(whole):
    """Everything again by hand: scores, donor, order, edits, logits, area."""
    work, _, folder = whole
    row, seed = 4, 3
    model = stored_classifier(work, TrainedModel("cnn", seed))
    codes = work.chosen.codes[row]
    donor = stream(0, "donor uniform", identity(codes)).integers(4, size=60).astype(np.uint8)
    intact = logits(model, codes[None])[0]
    target = intact.argmax()
    inputs = model.encode(torch.from_numpy(codes[None])).requires_grad_()
    outputs = model(inputs)[0]
    (outputs[target] - outputs[1 - target]).backward()
    gradient = inputs.grad[0] - inputs.grad[0].mean(0)
    scores = gradient.abs().amax(0).numpy()
    jitter = stream(0, "ties", identity(codes)).random(60)
    order = sorted(range(60), key=lambda place: (-scores[place], jitter[place]))
    area, before = 0.0, None
    for fraction in work.plan.fractions:
        edited = codes.copy()
        for place in order[: int(fraction * 60 + 0.5)]:
            edited[place] = donor[place]
        here = logits(model, edited[None])[0]
        value = float(here[target] - here[1 - target])
        if before is not None:
            area += (fraction - before[0]) * (value + before[1]) / 2
        before = (fraction, value)
    records = records_of(folder)
    kept = records[
        (records.model == "cnn")
        & (records.seed == seed)
        & (records.method == "saliency")
        & (records.control == "")
        & (records.metric == "deletion_logit_difference")
        & (records.operator == "uniform")
        & (records.sequence == work.chosen.names[row])
    ]
    assert kept.value.tolist() == [pytest.approx(area, abs=1e-5)]


def test_the_random_control_is_the_same_for_every_seed_and_model(whole):
    work, _, folder = whole
    records = records_of(folder)
    chosen = records[(records.method == RANDOM) & (records.metric == "auprc")]
    by_model = chosen.groupby(["model", "seed"], observed=True).value.apply(list)
    assert len(by_model) == 4
    assert all(values == by_model.iloc[0] for values in by_model)
    assert random_maps(work.chosen, 4, 0).shape == (4, 11, 60)


def test_the_same_command_again_computes_nothing_and_touches_nothing(whole):
    folder = whole[2]
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again, outcome = finished(folder)
    assert outcome.computed == 0
    assert "nothing to compute" in conclusion(again, outcome)
    after = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    changed = {path.name for path in after if after[path] != before.get(path)}
    assert changed == {"data.json"}


def test_what_is_lost_is_made_again_the_same(copy, lean):
    for kind in ("explained", "model", "curve", "oracle"):
        shutil.rmtree(next((copy / "store").glob(f"{kind}-*")))
    outcome = ended(copy)
    assert 0 < outcome.computed < outcome.tasks
    pd.testing.assert_frame_equal(records_of(copy), records_of(lean))


def test_two_processes_give_the_same_tables_as_one_to_the_bit(whole, tmp_path):
    finished(tmp_path / "two", jobs=2, changes=("reports=[markdown]",))
    # the reports that were asked for, and the seconds that it took
    differ = {"plan.yaml", "environment.json", "cost.csv", "training.csv"}
    (floor,) = (path.relative_to(whole[2]) for path in whole[2].glob("store/floor-*/floor.json"))
    for name in (*sorted({*OUTPUTS} - differ), floor):
        assert (tmp_path / "two" / name).read_bytes() == (whole[2] / name).read_bytes(), name


def test_one_process_makes_the_same_tables_from_the_same_artefacts_as_several(lean, tmp_path):
    for jobs in (1, 2):
        folder = Path(shutil.copytree(lean, tmp_path / f"jobs{jobs}"))
        (folder / "estimates.csv").unlink()
        assert ended(folder, jobs=jobs).computed == 0
        for name in sorted({*OUTPUTS} - {"environment.json"}):
            assert (folder / name).read_bytes() == (lean / name).read_bytes(), (jobs, name)


def test_a_changed_plan_extends_the_run(copy):
    work = work_of(copy, text=LEAN, changes=("attribution.input_x_gradient={}",))
    _, todo = planned(work)
    assert {task.method for task in todo} == {"input_x_gradient"}
    assert "4 of 24 tasks to compute: 0 trainings" in forecast_text(work)


def test_a_new_metric_runs_no_model(copy):
    text = BRIEF.replace("  deletion: {}\n", "  deletion: {}\n  deletion again: {use: deletion}\n")
    outcome = ended(copy, text=text)
    assert outcome.computed == 0
    assert "deletion again_accuracy" in set(records_of(copy).metric)


def test_a_plugin_that_raises_is_a_failed_record_and_the_rest_goes_on(copy, tmp_path):
    plugin = tmp_path / "centre.py"
    plugin.write_text(CENTRE)
    changes = ("attribution.centre={}", "attribution.careless={}")
    outcome = ended(copy, text=LEAN, changes=changes, plugins=(str(plugin),))
    assert len(outcome.failures) == 4
    assert "careless" in outcome.failures[0]
    assert "RuntimeError: no such luck" in outcome.failures[0]
    records = records_of(copy)
    assert set(records[records.method == "centre"].status) == {"ok"}
    assert set(records[records.method == "careless"].status) == {"failed"}
    assert set(records[records.method == "saliency"].status) == {"ok"}


def test_a_run_that_finds_all_there_reads_no_table_and_tells_the_failures_again(copy, monkeypatch):
    changes = ("metrics.broken={}",)
    plugin = copy.parent / "broken.py"
    plugin.write_text("def broken(explained):\n    raise RuntimeError('no such luck')\n")
    outcome = ended(copy, changes=changes, plugins=(str(plugin),))
    assert "RuntimeError: no such luck" in outcome.failures[0]
    read_parquet = pd.read_parquet
    monkeypatch.setattr(pd, "read_parquet", None)
    again = ended(copy, changes=changes, plugins=(str(plugin),))
    assert (again.computed, again.failures) == (0, outcome.failures)
    monkeypatch.setattr(pd, "read_parquet", read_parquet)
    rendered = copy / "store" / "rendered.json"
    known = json.loads(rendered.read_text())
    rendered.write_text(json.dumps({**known, "failures": 1}))  # or none, as earlier versions wrote
    again = ended(copy, changes=changes, plugins=(str(plugin),))
    assert (again.computed, again.failures) == (0, outcome.failures)


def test_what_plan_and_data_decide_is_made_once_for_each_work(whole):
    work = whole[0]
    assert subset(work, "cnn", at_most=3) is subset(work, "cnn", at_most=3)
    assert model_spec(work, TrainedModel("cnn", 0)) is model_spec(work, TrainedModel("cnn", 0))
    some = replace(work, chosen=work.chosen.take(np.arange(3)))
    methods = [explained_spec(each, TrainedModel("cnn", 0), "saliency") for each in (work, some)]
    assert methods[0]["sequences"] != methods[1]["sequences"]


def test_an_installed_plugin_runs_like_our_own(copy):
    outcome = ended(copy, changes=("attribution.centre_of_package={}",))
    records = records_of(copy)
    assert outcome.failures == []
    assert set(records[records.method == "centre_of_package"].status) == {"ok"}


def test_one_seed_has_no_seed_interval_and_says_so(tmp_path):
    changes = ("seeds=[0]", "metrics.seed_agreement={}")
    outcome = ended(tmp_path / "one", text=LEAN, changes=changes)
    assert outcome.failures == []
    records = records_of(tmp_path / "one")
    agreement = records[records.metric == "seed_agreement"]
    assert set(agreement.status) == {"not applicable"}
    estimates = pd.read_csv(tmp_path / "one" / "estimates.csv")
    row = estimates[(estimates.metric == "accuracy") & (estimates.question == "value")].iloc[0]
    assert np.isnan(row.low)
    assert "one replicate" in row.reason
    assert row.sequences_low <= row["mean"] <= row.sequences_high


def test_a_folder_with_other_files_is_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(UsageError, match="expected a new folder or one of a run, got other files"):
        work_of(tmp_path / "mine")


def test_a_run_on_other_data_is_refused(copy):
    with pytest.raises(UsageError, match=r"holds a run on other data .* choose another folder"):
        work_of(copy, text=LEAN, changes=("data_seed=1",))


def test_a_kernel_longer_than_the_sequences_is_refused_before_anything_runs(tmp_path):
    with pytest.raises(UsageError, match=r"models\.cnn: kernels: the widest of \(61,\) is longer"):
        work_of(tmp_path / "new", changes=("models.cnn.kernels=[61]",))
    assert not (tmp_path / "new").exists()


def test_reports_are_rendered_again_from_the_tables_alone(whole, tmp_path):
    copy = Path(shutil.copytree(whole[2], tmp_path / "copy"))
    before = (copy / "report.html").read_bytes()
    shutil.rmtree(copy / "store")
    (copy / "report.html").unlink()
    paths, failures = render_reports(copy)
    written = {path.name for path in paths}
    assert failures == []
    assert {"report.html", "report.md"} <= written
    assert (copy / "report.html").read_bytes() == before


def test_no_file_names_this_machine(whole):
    for name in ("report.html", "report.md", "plan.yaml", "environment.json"):
        text = (whole[2] / name).read_text()
        assert str(whole[2].parent) not in text, name
    environment = json.loads((whole[2] / "environment.json").read_text())
    assert environment["command"] == "xaibench run tiny.yaml"
    assert environment["chance"]["relevance_mass"] == pytest.approx(19 / 60)


def test_a_plan_without_curves_runs(tmp_path):
    changes = ("metrics=[auprc]", "seeds=[0, 1]")
    work, outcome = finished(tmp_path / "plain", text=LEAN, changes=changes)
    assert outcome.failures == []
    assert set(records_of(tmp_path / "plain").metric) == {"accuracy", "auprc"}
    assert not any(path.name.startswith("curve-") for path in work.store.root.iterdir())


def test_a_run_that_was_stopped_while_it_rendered_renders_again(copy):
    (copy / "report.txt").unlink()
    outcome = ended(copy)
    assert outcome.computed == 0
    assert (copy / "report.txt").is_file()


def test_a_report_that_raises_fails_alone_and_is_tried_again(copy, tmp_path):
    plugin = tmp_path / "own_report.py"
    plugin.write_text("def bad(results):\n    raise RuntimeError('boom')\n")
    changes = ("reports=[bad, brief]",)
    for _ in range(2):
        (copy / "report.txt").unlink()
        outcome = ended(copy, changes=changes, plugins=(str(plugin),))
        assert outcome.failures == [f"report bad: {copy}: RuntimeError: boom"]
        assert (copy / "report.txt").is_file()


def test_an_edited_metric_is_measured_again(copy, tmp_path):
    plugin = tmp_path / "own_metric.py"
    for number in (1.0, 2.0):
        plugin.write_text(
            f"import numpy as np\n\ndef own(explained):\n"
            f"    return np.full(len(explained.sequences), {number})\n"
        )
        sys.modules.pop("xaibench_plugin_file_own_metric", None)
        ended(copy, changes=("metrics=[own]",), plugins=(str(plugin),))
        records = records_of(copy)
        assert set(records[records.metric == "own"].value.dropna()) == {number}


MODELS = """
import os
from torch import nn
from xaibench.errors import UsageError
from xaibench.nn.layers import one_hot

class Flaky(nn.Module):
    def __init__(self, *, classes, length):
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(4 * length, classes))

    def encode(self, codes):
        return one_hot(codes)

    def forward(self, inputs):
        if "FLAKY" in os.environ:
            raise RuntimeError("not today")
        return self.inner(inputs)

class Tied(Flaky):
    def __init__(self, *, classes, length):
        super().__init__(classes=classes, length=length)
        self.again = self.inner[1]
        self.weight = self.inner[1].weight

class Broken(nn.Module):
    def __init__(self, *, classes):
        raise RuntimeError("no such layer")

class Fixed(Flaky):
    def __init__(self, *, classes, length, shortest):
        if shortest < length:
            raise UsageError(f"expected sequences of one length, got {shortest} to {length}")
        super().__init__(classes=classes, length=length)
"""


@pytest.fixture
def models(tmp_path):
    path = tmp_path / "own_models.py"
    path.write_text(MODELS)
    return (str(path),)


def test_a_training_that_failed_is_tried_again_with_all_that_hangs_on_it(
    tmp_path, models, monkeypatch
):
    options = {"changes": ("models=[Flaky]", "seeds=[0, 1]"), "plugins": models}
    monkeypatch.setenv("FLAKY", "yes")
    outcome = ended(tmp_path / "flaky", **options)
    where = "raised by forward in evaluation mode, given float32 (N, 4, 60), N = 8"
    assert outcome.failures[0] == f"Flaky, 0, training, RuntimeError: not today ({where})"
    monkeypatch.delenv("FLAKY")
    outcome = ended(tmp_path / "flaky", **options)
    assert outcome.failures == []
    assert "deletion_accuracy" in set(records_of(tmp_path / "flaky").metric)


def test_a_model_that_is_broken_fails_alone(copy, models):
    outcome = ended(copy, text=LEAN, changes=("models.Broken={}",), plugins=models)
    assert len(outcome.failures) == 2
    assert "Broken, 0, training, Broken() raises RuntimeError: no such layer" in outcome.failures[0]
    records = records_of(copy)
    assert set(records[(records.model == "cnn") & (records.method == "saliency")].status) == {"ok"}


def test_a_model_for_one_length_refuses_others_before_anything_runs(tmp_path, models):
    letters = ["ACGTACGTAC", "TTTTTTTT", "GGGGCCCCAA", "ACACACACAC"] * 9
    rows = [
        f"{word},{row % 2},{'test' if row > 25 else 'train'}" for row, word in enumerate(letters)
    ]
    (tmp_path / "short.csv").write_text("sequence,label,split\n" + "\n".join(rows) + "\n")
    changes = ("dataset={name: file, path: short.csv}", "models=[Fixed]")
    with pytest.raises(UsageError, match=r"models\.Fixed: expected .* one length, got 8 to 10"):
        work_of(tmp_path / "new", changes=changes, plugins=models)


def test_a_dataset_that_raises_is_refused_in_one_line(tmp_path):
    plugin = tmp_path / "own_data.py"
    plugin.write_text("def mine(*, data_seed):\n    return 1 / 0\n")
    with pytest.raises(UsageError, match="dataset 'mine': ZeroDivisionError: division by zero"):
        work_of(tmp_path / "new", changes=("dataset=mine",), plugins=(str(plugin),))


def test_a_donor_that_is_no_dna_is_a_failed_record(copy, tmp_path):
    plugin = tmp_path / "own_operator.py"
    plugin.write_text("def seven(codes, generator):\n    return codes * 0 + 7\n")
    outcome = ended(copy, text=LEAN, changes=("operators=[seven, n]",), plugins=(str(plugin),))
    assert "expected a donor of codes 0 to 4" in outcome.failures[0]
    records = records_of(copy)
    assert set(records[(records.operator == "n") & (records.method == "saliency")].status) == {"ok"}


@pytest.mark.parametrize("content", ["", "{}", "[]", None])
def test_a_folder_whose_mark_is_broken_or_gone_is_known_by_what_else_it_tells(copy, content):
    mark = copy / "store" / "data.json"
    before = mark.read_text()
    mark.write_text(content) if content is not None else mark.unlink()
    outcome = ended(copy)
    assert outcome.computed == 0
    assert mark.read_text() == before
    mark.unlink()
    with pytest.raises(UsageError, match="holds a run on other data"):
        work_of(copy, text=LEAN.replace("train: 160", "train: 161"))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").touch()
    job = replace(work_of(tmp_path / "fine").job, folder=tmp_path / "file" / "run")
    with pytest.raises(UsageError, match=r"cannot be (written|used)"):
        run(begin(job), jobs=0, threads=1, command="")


def test_a_run_in_a_folder_where_another_is_under_way_is_refused_and_writes_nothing(tmp_path):
    work = work_of(tmp_path / "busy")
    with alone(work.store.root):
        with pytest.raises(UsageError, match="busy: another run is under way in this folder"):
            run(work, jobs=0, threads=1, command="")
        assert [path.name for path in work.store.root.iterdir()] == ["lock"]


def test_a_folder_that_another_run_took_meanwhile_is_refused(tmp_path):
    work = work_of(tmp_path / "taken")
    work.store.root.mkdir(parents=True)
    (work.store.root / "data.json").write_text('{"data": "0123456789"}')
    with pytest.raises(UsageError, match="holds a run on other data"):
        run(work, jobs=0, threads=1, command="")


def test_the_seconds_of_a_run_are_those_of_all_its_calls(copy):
    (copy / SPENT).write_text('{"seconds": 1000.0}')
    shutil.rmtree(next((copy / "store").glob("oracle-*")))
    ended(copy)
    environment = copy / "environment.json"
    told = environment.read_bytes()
    assert 1000 < json.loads(told)["seconds"] < 2000
    ended(copy)
    assert environment.read_bytes() == told


def test_what_is_done_where_no_task_is_is_said_and_only_then(copy, capsys):
    for floor in (copy / "store").glob("floor-*"):
        shutil.rmtree(floor)
    ended(copy)
    assert capsys.readouterr().err.splitlines() == [
        "xaibench: what trivial models reach",
        "xaibench: measuring",
        "xaibench: tables",
        "xaibench: reports (brief)",
    ]
    ended(copy)
    assert capsys.readouterr().err == ""


def test_reading_data_is_said_where_it_takes_long(tmp_path, capsys, monkeypatch):
    plugin = tmp_path / "slow_data.py"
    plugin.write_text(
        "import time\ndef slow(*, data_seed):\n    time.sleep(0.5)\n    return 1 / 0\n"
    )
    for seconds, said in [(60, ""), (0, "xaibench: reading the data\n")]:
        monkeypatch.setattr(progress, "SECONDS_OF_SILENCE", seconds)
        with pytest.raises(UsageError, match="division by zero"):
            work_of(tmp_path / "new", changes=("dataset=slow",), plugins=(str(plugin),))
        assert capsys.readouterr().err == said


def test_every_curve_begins_intact_and_ends_at_the_same_donor(whole):
    table = pd.read_csv(whole[2] / "curves.csv")
    ends = table[table.fraction.isin([0, 1])]
    groups = ends.groupby(["model", "operator", "quantity", "fraction"])["mean"]
    assert groups.size().min() > 3
    assert np.allclose(groups.max(), groups.min(), atol=1e-6)


def test_auroc_auprc_and_mcc_of_a_run_are_those_of_its_predictions(whole):
    folder = whole[2]
    predictions = pd.read_parquet(folder / "predictions.parquet")
    assert len(predictions) == 50 * 2 * 2
    table = pd.read_csv(folder / "classification.csv", keep_default_na=False)
    value = table[table.question == "value"].set_index(["model", "metric"])["mean"].astype(float)
    expected = {"auroc": [], "auprc": [], "mcc": []}
    for _, rows in predictions[predictions.model == "cnn"].groupby("seed"):
        odds = rows.logit_1 - rows.logit_0
        expected["auroc"].append(metrics.roc_auc_score(rows.label, odds))
        expected["auprc"].append(metrics.average_precision_score(rows.label, odds))
        expected["mcc"].append(metrics.matthews_corrcoef(rows.label, odds > 0))
    for measure, of_seeds in expected.items():
        assert value["cnn", measure] == pytest.approx(np.mean(of_seeds))
    differences = table[table.question == "between models"]
    assert list(differences.metric) == ["auroc", "auprc", "mcc"]
    difference = value["cnn", "auroc"] - value["attngen", "auroc"]
    assert abs(float(differences["mean"].iloc[0])) == pytest.approx(abs(difference))


def test_a_run_tells_the_classes_of_its_test_split_and_the_floor_by_every_measure(whole):
    told = json.loads((whole[2] / "environment.json").read_text())
    assert sum(told["dataset"]["test_counts"]) == 50
    majority = told["floor"][0]
    assert (majority["auroc"], majority["mcc"]) == (0.5, 0)
    assert majority["auprc"] == told["dataset"]["test_counts"][1] / 50


def test_a_run_from_before_auroc_gets_it_by_its_command_without_training_anew(copy):
    for name in ("classification.csv", "predictions.parquet"):
        (copy / name).unlink()
    outcome = ended(copy)
    assert (outcome.computed, outcome.failures) == (0, [])
    assert (copy / "classification.csv").stat().st_size > 0
    assert len(pd.read_parquet(copy / "predictions.parquet")) == 50 * 2 * 2
