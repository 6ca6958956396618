"""A run folder from a stranger is read, and nothing of it is run and nothing outside it is touched.

Each folder here would leave a mark: a file that its code writes, or that changes through its link.
"""

import json
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import yaml
from safetensors.numpy import save
from stopped_run import LEAN, finished, lean, lean_halfway, own

from xaibench.comparison.side_by_side import compare
from xaibench.data.genomic_benchmarks import reading
from xaibench.errors import UsageError
from xaibench.results.manifest import begun_in
from xaibench.results.reading import read_results
from xaibench.runs import series_folder
from xaibench.runs.reporting import report
from xaibench.storage.artefacts import _blake2, _canonical, verify

MARK = "open({!r}, 'w').write('x')\n\n\ndef own(model, inputs, target):\n    return inputs[:, 0]\n"


@pytest.fixture(scope="module")
def halfway(tmp_path_factory):
    return lean_halfway(tmp_path_factory)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return lean(tmp_path_factory)


@pytest.fixture
def place(tmp_path):
    """Where the folder comes to lie, beside somebody's file."""
    (tmp_path / "victim").write_text("untouched")
    (tmp_path / "elsewhere").mkdir()
    return tmp_path


@pytest.fixture(autouse=True)
def untouched(place):
    """After every test: nothing was run, and nothing came into being beside the folder."""
    yield
    assert not (place / "PWNED").exists()
    assert (place / "victim").read_text() == "untouched"
    assert list((place / "elsewhere").iterdir()) == []


def got(folder: Path, place: Path) -> Path:
    return Path(shutil.copytree(folder, place / "got", symlinks=True))


def with_evil(folder: Path, name: str) -> None:
    """The folder names a plug-in, which lies in it too."""
    for file in (folder / "evil.py", folder.parent / "evil.py"):
        file.write_text(MARK.format(str(folder.parent / "PWNED")))
    path = folder / "store" / "begun.json"
    begun = json.loads(path.read_text())
    path.write_text(json.dumps({**begun, "plugins": [name.format(folder)]}))


@pytest.mark.parametrize("name", ["evil.py", "../evil.py", "{}/evil.py", "evil"])
def test_no_plug_in_that_a_folder_names_is_imported(halfway, place, monkeypatch, name):
    folder = got(halfway, place)
    with_evil(folder, name)
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(UsageError, match=r"no attribution named 'own'.*xaibench report \S+got"):
        report(folder)
    assert not (folder / "report.md").exists()


def test_the_command_that_is_named_makes_the_report(halfway, place):
    folder = got(halfway, place)
    shutil.copy(halfway.parent / "own.py", place)
    with pytest.raises(UsageError) as raised:
        report(folder)
    command = str(raised.value).partition(": xaibench ")[2].split()
    assert command == ["report", str(folder), "--plugin", str(folder / "../own.py")]
    assert report(folder, (command[-1],))[1] == []


def test_a_folder_without_use_for_its_plug_in_is_reported_without_it(halfway, place):
    folder = got(halfway, place)
    with_evil(folder, "evil.py")
    assert report(folder, own(halfway))[1] == []


def test_a_series_imports_nothing_either(halfway, place):
    folder = got(halfway, place / "series")
    with_evil(folder, "evil.py")
    mark = {"name": "s", "datasets": {"got": ""}}
    (folder.parent / "series.json").write_text(json.dumps(mark))
    _, failures = series_folder.render_series(folder.parent)
    assert any("--plugin" in failure for failure in failures)


def test_a_finished_run_with_a_report_of_its_own_names_the_command(whole, place):
    folder = got(whole, place)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("use: markdown", "use: mine"))
    (folder / "store" / "rendered.json").unlink()
    with pytest.raises(UsageError, match=r"no reports named 'mine'.*--plugin own.py"):
        report(folder)


def test_comparing_imports_nothing(whole, halfway, place):
    folder = got(halfway, place)
    with_evil(folder, "evil.py")
    with pytest.raises(UsageError, match="unfinished run"):
        compare([whole, folder])


@pytest.mark.parametrize("name", ["report.md", ".making-report.md", ".making-accuracy.csv"])
def test_a_link_is_not_written_through(whole, place, name):
    folder = got(whole, place)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(place / "victim")
    assert report(folder)[1] == []
    assert not (folder / "report.md").is_symlink()


def test_a_link_for_a_folder_of_a_report_is_named(whole, place):
    folder = got(whole, place)
    (folder / "tables").symlink_to(place / "elsewhere")
    _, failures = report(folder, formats=("latex",))
    assert len(failures) == 1
    assert "tables: is a link" in failures[0]


@pytest.mark.parametrize("label", ["../victim run", "..", "/abs", "a/b", ".hidden"])
def test_a_label_that_leads_out_of_a_series_is_refused(place, label):
    (place / "series").mkdir()
    mark = json.dumps({"name": "s", "datasets": {label: ""}})
    (place / "series" / "series.json").write_text(mark)
    with pytest.raises(UsageError, match=r"series\.json: .*labels that can name folders"):
        series_folder.render_series(place / "series")


def test_a_run_of_a_series_that_is_a_link_is_named(whole, place):
    (place / "series").mkdir()
    (place / "series" / "got").symlink_to(got(whole, place))
    before = (place / "got" / "report.md").stat().st_mtime_ns
    mark = json.dumps({"name": "s", "datasets": {"got": ""}})
    (place / "series" / "series.json").write_text(mark)
    _, failures = series_folder.render_series(place / "series")
    assert any("is a link" in failure for failure in failures)
    assert (place / "got" / "report.md").stat().st_mtime_ns == before


READ = [
    *("plan.yaml", "environment.json", "results.parquet", "estimates.csv", "tests.csv"),
    "examples.json",
]


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_neither_read_nor_waited_for(whole, place, name, kind):
    folder = got(whole, place)
    (folder / name).unlink()
    if kind == "link":
        (folder / name).symlink_to(place / "victim")
    else:
        os.mkfifo(folder / name)
    signal.alarm(60)
    try:
        with pytest.raises(UsageError, match=rf"{name}: .*(is a link|is no regular file)"):
            report(folder)
    finally:
        signal.alarm(0)


@pytest.mark.parametrize("text", ["extends: ../outside.yaml\n", "datasets: [planted]\n"])
def test_a_plan_that_reads_other_files_is_refused(halfway, place, text):
    folder = got(halfway, place)
    (place / "outside.yaml").write_text("seeds: [1]\n")
    plan = folder / "plan.yaml"
    plan.write_text(text + plan.read_text())
    with pytest.raises(UsageError, match=r"plan\.yaml: expected the resolved plan of a run"):
        report(folder, own(halfway))


def test_a_plan_with_a_tag_of_yaml_makes_nothing(halfway, place):
    folder = got(halfway, place)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text() + f"x: !!python/object/apply:os.mkdir ['{place}/PWNED']\n")
    with pytest.raises(UsageError, match=r"plan\.yaml: is no YAML"):
        report(folder, own(halfway))


@pytest.mark.parametrize("stands_in", [False, True])
def test_a_set_that_is_not_here_is_not_fetched_for_a_report(halfway, place, monkeypatch, stands_in):
    monkeypatch.setattr(reading, "fetch_set", lambda *_, **__: pytest.fail("fetched"))
    folder = got(halfway, place)
    path = folder / "plan.yaml"
    absent = {"name": "genomic_benchmarks", "dataset": "human_nontata_promoters"}
    absent["root"] = str(place / "elsewhere")
    dataset = {**absent, "fallback": absent} if stands_in else absent
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "dataset": dataset}))
    with pytest.raises(UsageError, match="download is off"):
        report(folder, own(halfway))


def test_a_mark_that_is_a_link_is_named(halfway, place):
    folder = got(halfway, place)
    path = folder / "store" / "begun.json"
    path.rename(place / "begun.json")
    path.symlink_to(place / "begun.json")
    with pytest.raises(UsageError, match=r"begun\.json: unreadable"):
        begun_in(folder)


@pytest.mark.parametrize(
    "files",
    [
        [1],
        "arrays.safetensors",
        {"arrays.safetensors": None},
        {"arrays.safetensors": {"bytes": 9}},
        {"../../../victim": {"bytes": 9, "digest": _blake2(b"untouched")}},
        {"{place}/victim": {"bytes": 9, "digest": _blake2(b"untouched")}},
        {"a\0": {"bytes": 9, "digest": ""}},
    ],
)
def test_an_artefact_that_names_files_elsewhere_is_damaged(halfway, place, files):
    path = sorted((got(halfway, place) / "store").glob("*-*/spec.json"))[0]
    if isinstance(files, dict):
        files = {name.format(place=place): held for name, held in files.items()}
    record = {**json.loads(path.read_text()), "files": files}
    del record["digest"]
    path.write_text(json.dumps({**record, "digest": _blake2(_canonical(record))}))
    assert not verify(path.parent)


@pytest.mark.parametrize(("tables", "problem"), [(7, ""), ([["x"]], "which is not known here")])
def test_an_environment_that_names_no_tables_is_no_traceback(whole, place, tables, problem):
    path = got(whole, place) / "environment.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tables": tables}))
    if problem:
        with pytest.raises(UsageError, match=problem):
            read_results(path.parent)
    else:
        assert len(read_results(path.parent).records)


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("curve", "arrays.safetensors", (2**60).to_bytes(8, "little")),
        ("predictions", "arrays.safetensors", save({"x": np.zeros(3, np.float32)})),
        ("model", "card.json", b"[]"),
    ],
)
def test_an_artefact_that_was_forged_with_its_digest_is_no_traceback(
    halfway, place, kind, name, content
):
    path = sorted((got(halfway, place) / "store").glob(f"{kind}-*/{name}"))[0]
    path.write_bytes(content)
    spec = path.with_name("spec.json")
    record = json.loads(spec.read_text())
    record["files"][name] = {"bytes": len(content), "digest": _blake2(content)}
    del record["digest"]
    spec.write_text(json.dumps({**record, "digest": _blake2(_canonical(record))}))
    assert verify(path.parent)
    folder = place / "got"
    for command in (lambda: report(folder, own(halfway)), lambda: finished(folder, LEAN)):
        with pytest.raises(UsageError, match="cannot be made from what its store holds"):
            command()
