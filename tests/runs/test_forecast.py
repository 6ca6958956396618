"""What a dry run counts must be what the run then does."""

from collections import Counter
from dataclasses import replace

import pytest
import torch
from small_run import BRIEF_REPORT, work_of

from xaibench.artefacts.artefact import Cost, Memory, ensure
from xaibench.artefacts.retraining import NOTHING_REMOVED, retrained_artefacts
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.errors import UsageError
from xaibench.plan.schema import Use
from xaibench.runs.forecast import (
    FOLDER_BYTES,
    TIME_KINDS,
    Forecast,
    forecast,
    forecast_text,
    in_all,
)
from xaibench.runs.pipeline import planned, run
from xaibench.runs.tasks import Task, TaskKind
from xaibench.runs.timing import ModelTiming, timings

PLAN = """
dataset: {name: planted, train: 160, test: 50, length: 60}
seeds: [0, 3]
training: {epochs: 2, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
  attngen: {filters: [5], kernels: [19], masking: {warm_up: 0, ramp: 1}}
attribution: [attention, saliency, deeplift]
sequences: 11
metrics:
  deletion: {}
  insertion: {}
  cross_model_deletion: {}
  substitution_agreement: {sequences: 4}
  infidelity: {sequences: 3, draws: 2, fractions: [0.1, 0.3, 0.5]}
  substitution_sensitivity: {sequences: 5, draws: 3}
operators: [n, uniform]
random_draws: 4
controlled: 7
controls: [rotated]
reports: [markdown]
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The forecast of a run, and its work before anything was computed."""
    folder = tmp_path_factory.mktemp("told")
    (folder / "brief.py").write_text(BRIEF_REPORT)
    work = work_of(
        folder / "tiny",
        text=PLAN,
        changes=("reports=[brief]",),
        plugins=(str(folder / "brief.py"),),
    )
    return work, forecast(work, jobs=2)


@pytest.fixture(scope="module")
def ran(told):
    """The run that was forecast: bytes of its arrays, sequences explained, passes by purpose."""
    work, foreseen = told
    run(work, jobs=0, threads=1, command="")
    return work, foreseen


@pytest.fixture
def known(monkeypatch):
    """Models of which is known how long everything takes, in seconds."""
    each = dict.fromkeys(("saliency", "deeplift", "attention"), 0.5)
    models = {"cnn": ModelTiming(0.25, 100.0, each), "attngen": ModelTiming(0.125, 200.0, each)}
    monkeypatch.setattr("xaibench.runs.forecast.timings", lambda work, **_: models)


def amounts(foreseen):
    """All that is to be done, by the name of what is done."""
    passes = Counter()
    for amount in foreseen.todo.values():
        for (_, purpose), count in amount.passes.items():
            passes[purpose] += count
    return passes


def test_a_forecast_writes_nothing_and_leaves_nothing_out(told):
    work, foreseen = told
    every, todo = planned(work)
    assert not work.job.folder.exists()
    assert list(foreseen.todo) == todo == every
    assert foreseen.tasks == 2 * 2 * (1 + 2 + 3)
    assert min(foreseen.by_kind.values()) > 0
    assert 0 < foreseen.seconds < sum(foreseen.by_kind.values())


def test_passes_are_counted_as_a_person_would(told):
    passes = amounts(told[1])
    cells, points, length = 2 * 2, 15, 60
    assert passes["the test split"] == cells * 50
    own = 2 * 2 * 11 + 2 * 7  # operators x orders, and one control of a few under each operator
    judged = 2 * 11  # by one other model, most relevant first
    oracle = 2 * 2 * 2 * 7  # operators x orders x (itself, blurred); negated is the reverse
    judged_oracle = 2 * 3 * 7  # operators x (itself, negated, blurred)
    random = 2 * 4 * 11
    methods = (2 * 2 * 2 + 2) * (own + judged)  # attention applies to one of two models
    assert passes["curves"] == points * (methods + cells * (oracle + judged_oracle + random))
    tried_one_by_one = 4 * 7 * length  # two operators, each for the predicted class and the label
    effects = 4 * 3 * length + 3 * (2 * 3 + length)
    assert passes["the oracle and true effects"] <= cells * (tried_one_by_one + effects)


def test_a_method_that_does_not_apply_is_nothing_to_do(told):
    amount = told[1].todo[Task(TrainedModel("cnn", 0), TaskKind.METHOD, "attention")]
    assert amount == Cost()
    assert (
        told[1].todo[Task(TrainedModel("attngen", 0), TaskKind.METHOD, "attention")].explained > 11
    )


def test_guards_and_changes_are_counted_among_the_explained(told):
    """Guards explain eight again; three draws of five sequences have a base substituted."""
    for task, amount in told[1].todo.items():
        if task.method in ("saliency", "deeplift"):
            assert amount.explained == 11 + 8 + 3 * 5


def test_the_bytes_of_all_arrays_are_counted(ran):
    work, foreseen = ran
    arrays = folders = 0
    for path in work.store.root.glob("*/"):
        kept = [*path.glob("*.safetensors")]
        arrays += sum(file.stat().st_size for file in kept)
        folders += bool(kept)
    counted = foreseen.stored - FOLDER_BYTES * folders
    assert counted == pytest.approx(arrays, rel=0.2)  # headers of files this small are much of them


def test_what_is_there_is_not_counted_again(ran):
    work, _ = ran
    again = forecast(work)
    assert (again.todo, again.seconds, again.stored) == ({}, 0.0, 0)
    assert "forward passes: none" in forecast_text(work)
    assert "on disk" not in forecast_text(work)
    assert in_all([again], jobs=1) == "all 1 together: nothing to compute"


def test_only_what_a_wider_metric_needs_is_counted(ran, known):
    work, _ = ran
    wider = dict(work.plan.metrics)
    options = {**wider["substitution_agreement"].options, "sequences": 6}
    wider["substitution_agreement"] = Use(use="substitution_agreement", options=options)
    plan = work.plan.model_copy(update={"metrics": wider})
    foreseen = forecast(replace(work, job=replace(work.job, plan=plan)))
    assert {task.kind for task in foreseen.todo} == {TaskKind.ORACLE}
    passes = amounts(foreseen)
    assert passes == {"the oracle and true effects": 2 * 2 * 3 * 6 * 60}
    assert foreseen.seconds == 2 * 3 * 6 * 60 * (0.25 + 0.125)


def test_seconds_are_counts_times_what_each_takes(tmp_path, known):
    work = work_of(tmp_path / "new", text=PLAN, changes=("metrics=[auprc]", "controlled=0"))
    one = forecast(work, jobs=1)
    training = 2 * (100 + 200)
    explaining = 2 * 2 * 3 * (11 + 8) * 0.5
    passes = 2 * 50 * (0.25 + 0.125)
    assert one.by_kind == {"training": training, "explaining": explaining, "passes": passes}
    assert one.seconds == training + explaining + passes


def test_no_number_of_processes_is_faster_than_the_longest_task(tmp_path, known):
    work = work_of(tmp_path / "new", text=PLAN, changes=("metrics=[auprc]", "controlled=0"))
    longest_training, longest_of_the_others = 200 + 50 * 0.125, (11 + 8) * 0.5
    assert forecast(work, jobs=100).seconds == longest_training + longest_of_the_others
    assert forecast(work, jobs=2).seconds == forecast(work, jobs=1).seconds / 2


RETRAINING = PLAN.replace("cross_model_deletion: {}", "roar: {fractions: [0.5], train: 36}")


def test_retrainings_learn_from_as_much_as_they_are_given(tmp_path, known):
    work = work_of(tmp_path / "new", text=RETRAINING)
    todo = forecast(work).todo
    train = len(work.splits.train)
    assert todo[Task(TrainedModel("cnn", 0))].trained == 1 + 36 / train
    assert todo[Task(TrainedModel("cnn", 0), TaskKind.METHOD, "saliency")].trained == 36 / train
    beside = len(work.splits.validation) + 11
    assert (
        todo[Task(TrainedModel("cnn", 0), TaskKind.METHOD, "saliency")].explained
        == 11 + 8 + 3 * 5 + 36 + beside
    )
    retrainings = 2 * 2 * (1 + 1 + 3)  # nothing removed, at random, by each method
    assert f"4 trainings and {retrainings} retrainings" in forecast_text(work)


def test_retrainings_that_are_there_are_not_counted_again(ran, known):
    """What removes nothing is learnt once, whatever else is removed."""
    work, _ = ran

    def asked(*fractions):
        options = {"operator": "n", "train": 36, "sequences": None, "fractions": list(fractions)}
        metrics = {**work.plan.metrics, "roar": Use(use="roar", options=options)}
        plan = work.plan.model_copy(update={"metrics": metrics})
        return replace(work, job=replace(work.job, plan=plan))

    one, sources = asked(0.5), 1 + 3  # at random and by each method
    assert f"0 trainings and {2 * 2 * (1 + sources)} retrainings" in forecast_text(one)
    for model in work.plan.models:
        for artefact in retrained_artefacts(one, TrainedModel(model, 0), NOTHING_REMOVED):
            ensure(artefact, Memory(one))
    assert f"0 trainings and {2 * 2 * (1 + sources) - 2} retrainings" in forecast_text(one)
    todo = forecast(asked(0.5, 0.7)).todo
    assert sum(each.retrainings for each in todo.values()) == 2 * 2 * (1 + 2 * sources) - 2


def test_a_series_sums_what_its_runs_take():
    runs = [
        Forecast(
            3, {Task(TrainedModel("cnn", seed)): Cost(stored=4_000_000)}, {"training": taken}, *told
        )
        for seed, (taken, *told) in enumerate([(200.0, 100.0, 1.0, 1.5), (40.0, 20.0, 2.0, 2.5)])
    ]
    runs = [replace(run, by_kind={"explaining": 0.0, "passes": 0.0, **run.by_kind}) for run in runs]
    first, second = in_all(runs, jobs=2).splitlines()
    assert first == (
        "all 2 together: about 2 minutes, perhaps 60 seconds to 4 minutes, on 2 processes; "
        "8 MB on disk"
    )
    assert second.startswith("of one process: training 4 minutes (tried here for 3.0 s); without")


def test_a_busy_processor_is_said():
    run = Forecast(
        1, {Task(TrainedModel("cnn", 0)): Cost()}, dict.fromkeys(TIME_KINDS, 9.0), 27.0, 1.0, 3.9
    )
    assert "by the clock it may take 4 times as long" in in_all([run], jobs=1)


BROKEN = """
from torch import nn

class Broken(nn.Module):
    def __init__(self, *, classes):
        super().__init__()
        raise RuntimeError("no such luck")
"""


def test_a_model_that_is_broken_takes_no_time(tmp_path):
    own = tmp_path / "own.py"
    own.write_text(BROKEN)
    work = work_of(tmp_path / "new", changes=("models.Broken={}",), plugins=(str(own),))
    assert timings(work, threads=1)["Broken"] == ModelTiming()


def test_a_training_that_cannot_be_is_refused_by_a_dry_run(tmp_path):
    work = work_of(tmp_path / "new", changes=("training.device=abacus",))
    with pytest.raises(UsageError, match="device: torch has no 'abacus' on this machine"):
        forecast_text(work)


def test_a_trial_leaves_no_trace_in_torchs_randomness(told):
    work, _ = told
    torch.manual_seed(3)
    before = torch.get_rng_state()
    timings(work, threads=1)
    assert torch.equal(torch.get_rng_state(), before)
