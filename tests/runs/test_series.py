"""Several datasets under one plan: each is an ordinary run, and one that fails fails alone."""

import json
import shutil

import pandas as pd
import pytest

from xaibench.errors import UsageError
from xaibench.plan.schema import read_plan
from xaibench.runs.series_folder import is_series, overview, render_series

PLAN = """
datasets:
  first: {name: planted, train: 120, test: 40, length: 40}
  the second: {name: composition, train: 130, test: 30, length: 50}
  absent: {name: file, path: no.csv}
seeds: [0, 1]
training: {epochs: 1}
models: {cnn: {filters: [4], kernels: [7]}}
attribution: [saliency, random]
metrics: [deletion]
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
sequences: 7
controlled: 5
controls: []
reports: [markdown]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Of a series that ran, one dataset of which is not there."""
    from xaibench.plan.schema import read_any
    from xaibench.runs import series
    from xaibench.runs.engines import local

    here = tmp_path_factory.mktemp("series")
    (here / "three.yaml").write_text(PLAN)
    source, said = str(here / "three.yaml"), []
    each = series.jobs_of(read_any(source), source, (), here / "out")
    failures = series.run(each, "three", engine=local(0), threads=1, command="", say=said.append)
    (here / "said.json").write_text(json.dumps({"failures": failures, "said": said}))
    return here / "out"


@pytest.fixture
def copy(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


@pytest.fixture
def plan(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "three.yaml").write_text(PLAN)
    return "three.yaml"


def test_every_dataset_has_an_ordinary_run_of_its_own(folder):
    for label, dataset in (("first", "planted"), ("the second", "composition")):
        resolved = read_plan(str(folder / label / "plan.yaml"))
        assert resolved.dataset.use == dataset
        assert (folder / label / "report.md").is_file()
    assert not (folder / "absent").exists()


def test_one_that_cannot_begin_stops_no_other_and_is_said_last(folder):
    told = json.loads((folder.parent / "said.json").read_text())
    assert len(told["failures"]) == 1
    assert told["failures"][0].startswith("absent: no file 'no.csv'")
    assert [line.split(":")[0] for line in told["said"][:2]] == ["first", "the second"]
    assert told["said"][-1] == str(folder / "index.html")


def test_the_table_has_a_row_for_every_model_and_every_failure(folder):
    table = pd.read_csv(folder / "overview.csv")
    assert table.dataset.tolist() == ["first", "the second", "absent"]
    assert table.model.tolist()[:2] == ["cnn", "cnn"]
    assert table.reason.tolist()[2].startswith("no file 'no.csv'")
    estimates = pd.read_csv(folder / "first" / "estimates.csv")
    accuracy = estimates[(estimates.question == "value") & (estimates.metric == "accuracy")]
    assert table.accuracy[0] == accuracy["mean"].iloc[0]


def test_a_series_goes_on_where_it_was(copy, plan, call, tmp_path):
    shutil.rmtree(copy / "the second")
    (copy / "index.html").unlink()
    code, out, err = call("run", plan, "-o", copy, "--jobs", 1)
    assert code == 1
    assert out.splitlines()[0] == "first: nothing to compute: all 10 tasks were there"
    assert "the second: 10 of 10 tasks computed" in out
    assert err.splitlines()[-1].startswith("failed: absent: no file 'no.csv'")
    assert (copy / "index.html").is_file()


def test_the_reports_of_a_series_are_rendered_again(copy, call):
    before = (copy / "index.html").read_text()
    for gone in ("index.html", "overview.csv", "first/report.md"):
        (copy / gone).unlink()
    code, out, _ = call("report", copy)
    assert code == 0
    assert (copy / "first" / "report.md").is_file()
    assert (copy / "index.html").read_text() == before
    assert str(copy / "index.html") in out.splitlines()


def test_a_run_that_is_broken_is_told_and_the_others_rendered(copy):
    (copy / "first" / "estimates.csv").write_text("no,such\n")
    _, failures = render_series(copy)
    assert [line.partition(":")[0] for line in failures] == ["first"]
    table = pd.read_csv(copy / "overview.csv")
    assert "expected the column" in table.reason[0]
    assert table.model[1] == "cnn"


def test_a_dry_run_sums_up_and_writes_nothing(plan, call, tmp_path):
    code, out, err = call("run", plan, "--dry-run", "--set", "datasets.first.train=99")
    assert code == 1
    assert "first: 1 models x 2 seeds" in out
    assert "(89 sequences each)" in out
    assert "all 2 together: less than 10 seconds on" in out
    assert err.startswith("failed: absent: no file 'no.csv'")
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_where_nothing_can_begin_it_is_one_line_and_exit_code_2(plan, call, tmp_path, dry):
    change = "datasets={a: {name: file, path: x.csv}, b: {name: file, path: y.csv}}"
    code, out, err = call("run", plan, "--set", change, *dry)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert err.startswith("xaibench: a: no file 'x.csv'")
    assert err.endswith("; nor b\n")
    assert not (tmp_path / "runs").exists()


def test_a_folder_with_other_files_is_refused(plan, call, tmp_path):
    code, _, err = call("run", plan, "-o", tmp_path)
    assert code == 2
    assert "expected a new folder or one of a series, got other files" in err


def test_a_folder_that_cannot_be_made_is_refused(plan, call, tmp_path):
    (tmp_path / "file").touch()
    code, _, err = call("run", plan, "-o", tmp_path / "file" / "out", "--jobs", 1)
    assert code == 2
    assert "cannot be" in err


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"name": "x", "datasets": 3}'])
def test_a_broken_mark_is_one_line(copy, content):
    (copy / "series.json").write_text(content)
    assert is_series(copy)
    with pytest.raises(UsageError, match=r"series\.json: unreadable"):
        render_series(copy)


def test_a_page_that_fails_is_a_line(copy, monkeypatch):
    def broken(kind, name):
        raise RuntimeError("boom")

    monkeypatch.setattr("xaibench.runs.series_folder.load", broken)
    assert overview(copy) == ([], ["overview: RuntimeError: boom"])
