"""A run that was stopped tells what there is, and goes on as if nothing had been."""

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import stopped_run
from stopped_run import TASKS, finished, moved, own, stopped, work_of

from xaibench.artefacts import explanations, models
from xaibench.errors import UsageError
from xaibench.plan.schema import dump, read_back, read_plan
from xaibench.results.manifest import begun_in, mark, relative_to_current, relative_to_run
from xaibench.results.reading import read_results
from xaibench.runs import workers
from xaibench.runs.elapsed import seconds_of
from xaibench.runs.reporting import report
from xaibench.storage.lock import alone

PLAN = stopped_run.PLAN.replace("[html, markdown]", "[markdown]")
"""The page of HTML takes as long as all else, and one test reads it."""

SAID = {"ok", "not computed", "not applicable"}

MISSING = [
    *(("model", True), ("model", False), ("predictions", False), ("oracle", True)),
    *(("effects", True), ("explained", False), ("curve", True), ("curve", False), ("floor", True)),
]
"""A kind of artefact, and whether all of it is missing or one."""


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    """Stopped where both models are trained, and one of them is explained by one method."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("halfway") / "run"
        yield stopped(folder, monkeypatch, after=7, plan_text=PLAN)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same run, not stopped."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert finished(folder, PLAN).failures == []
    return folder


@pytest.fixture
def nothing_computed(monkeypatch):
    """No test of a report may train or explain."""

    def refuse(*_, **__):
        raise AssertionError("computed")

    for module, name in [
        (workers, "compute"),
        (models, "learnt"),
        (models, "trivial_baselines"),
        (explanations, "explain"),
    ]:
        monkeypatch.setattr(module, name, refuse)


@pytest.mark.usefixtures("nothing_computed")
def test_a_stopped_run_reports_what_there_is_and_says_so_at_the_top(halfway):
    written, failures = report(halfway, own(halfway), formats=("html", "markdown"))
    assert failures == []
    assert {"report.html", "report.md"} <= {path.name for path in written}
    told = read_results(halfway)
    assert told.environment["unfinished"] == {"done": 7, "tasks": TASKS}
    for name in ("report.html", "report.md"):
        text = (halfway / name).read_text()
        assert f"7 of {TASKS} tasks" in text
        assert text.index(f"7 of {TASKS} tasks") < text.index("How good are the models?")


@pytest.mark.usefixtures("nothing_computed")
def test_a_run_that_is_under_way_reports_what_there_is(halfway, tmp_path):
    folder = moved(halfway, tmp_path)
    with alone(folder / "store"):
        _, failures = report(folder, own(folder), formats=("markdown",))
    assert failures == []
    told = read_results(folder).environment
    assert told["unfinished"] == {"done": 7, "tasks": TASKS}
    assert told["seconds"] == seconds_of(folder) > 0


@pytest.mark.usefixtures("nothing_computed")
def test_what_was_not_computed_is_said_and_did_not_fail(halfway):
    report(halfway, own(halfway), formats=("markdown",))
    records = read_results(halfway).records
    assert {"ok", "not computed"} <= set(records["status"]) <= SAID
    lacking = records[records["status"] == "not computed"]
    assert {"own", "random"} <= set(lacking["method"])
    assert lacking["value"].isna().all()
    kept = records[(records["method"] == "saliency") & (records["status"] == "ok")]
    assert set(kept["seed"]) == {0}
    assert {"deletion_logit_difference", "auprc"} <= set(kept["metric"])
    assert "not computed" in (halfway / "report.md").read_text()


@pytest.mark.usefixtures("nothing_computed")
@pytest.mark.parametrize(("kind", "every"), MISSING)
def test_whatever_artefacts_are_missing_the_rest_is_reported(whole, tmp_path, kind, every):
    folder = moved(whole, tmp_path)
    kept = sorted((folder / "store").glob(f"{kind}-*"))
    assert kept
    for path in kept if every else kept[:1]:
        shutil.rmtree(path)
    work = work_of(folder, PLAN)
    mark(work, {"command": "xaibench run tiny.yaml"})
    _, failures = report(folder, own(folder), formats=("markdown",))
    assert failures == []
    assert set(read_results(folder).records["status"]) <= SAID


def test_the_same_report_twice_is_the_same_to_the_byte(halfway):
    def digests():
        report(halfway, own(halfway), formats=("html", "markdown", "latex"))
        files = [
            path for path in halfway.rglob("*") if path.is_file() and "store" not in path.parts
        ]
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    assert digests() == digests()


def test_the_run_goes_on_after_a_report_and_ends_as_one_that_was_not_stopped(
    tmp_path, halfway, whole
):
    folder = moved(halfway, tmp_path)
    report(folder, own(folder), formats=("markdown",))
    outcome = finished(folder, PLAN)
    assert (outcome.computed, outcome.tasks, outcome.failures) == (TASKS - 7, TASKS, [])
    assert begun_in(folder) is None
    again = read_results(folder)
    assert "unfinished" not in again.environment
    pd.testing.assert_frame_equal(again.records, read_results(whole).records)
    assert "Unfinished" not in (folder / "report.md").read_text()


def test_the_folder_tells_no_place_of_the_machine(halfway):
    begun = json.loads((halfway / "store" / "begun.json").read_text())
    assert begun["source"] == "../tiny.yaml"
    assert begun["plugins"] == ["../own.py"]
    assert str(halfway.parent) not in (halfway / "plan.yaml").read_text()


@pytest.mark.parametrize("grid", ["[0, 0.5, 1]", "log", "linear"])
def test_a_plan_read_back_names_the_same_artefacts(grid, tmp_path):
    """Their names are hashes of the plan's words, and 0 and 0.0 are two words."""
    plan = read_plan("demo", changes=(f"fractions={grid}",))
    path = tmp_path / "plan.yaml"
    path.write_text(dump(plan))
    again = read_back(str(path), source="demo", plugins=())
    assert json.dumps(again.model_dump(mode="json")) == json.dumps(plan.model_dump(mode="json"))


def test_a_file_far_from_the_run_is_known_by_its_name_alone(tmp_path, monkeypatch):
    own = tmp_path / "own.py"
    own.touch()
    assert relative_to_run(tmp_path / "runs" / "one", str(own)) == "../../own.py"
    assert relative_to_run(Path("/xaibench/runs"), str(own)) == "own.py"
    assert relative_to_run(tmp_path, "my_package.methods") == "my_package.methods"
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "ada")
    assert relative_to_run(tmp_path / "bob" / "run", str(own)) == "own.py"


def test_the_environment_names_the_plug_ins_that_were_given(halfway, whole):
    """The report prints the command with them; these files lie outside of the current folder."""
    report(halfway, own(halfway), formats=("markdown",))
    for folder in (halfway, whole):
        assert read_results(folder).environment["plugins"] == ["own.py"]


def test_a_plug_in_is_named_without_the_folders_around_the_current_one(tmp_path, monkeypatch):
    here = tmp_path / "here"
    (here / "mine").mkdir(parents=True)
    for file in (here / "mine" / "own.py", tmp_path / "other.py"):
        file.touch()
    monkeypatch.chdir(here)
    assert relative_to_current("mine/own.py") == "mine/own.py"
    assert relative_to_current(str(here / "mine" / "own.py")) == "mine/own.py"
    assert relative_to_current("../other.py") == "other.py"
    assert relative_to_current("my_package.methods") == "my_package.methods"


def test_tables_from_before_are_not_taken_for_those_of_the_plan_that_began(whole, tmp_path):
    """Both would be read as one run, though the plan has changed since."""
    folder = moved(whole, tmp_path)
    mark(work_of(folder, PLAN), {})
    with pytest.raises(UsageError, match=r"unfinished run.*xaibench report"):
        read_results(folder)


def test_a_run_on_data_that_changed_is_refused(halfway, tmp_path):
    folder = moved(halfway, tmp_path)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("train: 64", "train: 65"))
    with pytest.raises(UsageError, match="holds a run on other data"):
        report(folder, own(folder))


def test_a_spoilt_mark_is_told_in_one_line(halfway, tmp_path):
    folder = moved(halfway, tmp_path)
    (folder / "store" / "begun.json").write_text("{")
    with pytest.raises(UsageError, match=r"begun.json: unreadable, .*; run the command .* again"):
        report(folder, own(folder))


def test_a_plug_in_that_lies_elsewhere_now_can_be_given(halfway, tmp_path):
    folder = moved(halfway, tmp_path)
    (tmp_path / "own.py").rename(tmp_path / "other.py")
    with pytest.raises(UsageError, match=r"no attribution named 'own'"):
        report(folder)
    _, failures = report(folder, plugins=(str(tmp_path / "other.py"),), formats=("markdown",))
    assert failures == []
