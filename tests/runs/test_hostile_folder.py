"""A run folder from a stranger is read, and nothing of it is run and nothing outside it is touched.

Each folder here would leave a mark: a file that its code writes, or that changes through its link.
"""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import yaml
from hostile_place import SECRET, Place, emptied, line_of
from safetensors.numpy import save
from stopped_run import LEAN, finished, own

from xaibench.comparison.side_by_side import compare
from xaibench.data.genomic_benchmarks import reading
from xaibench.errors import UsageError
from xaibench.results.manifest import begun_in
from xaibench.runs import series_folder
from xaibench.runs.reporting import report
from xaibench.storage.artefacts import _blake2, _canonical, verify

Damage = Callable[[Path, Place], object]

MARK = "open({!r}, 'w').write('x')\n\n\ndef own(model, inputs, target):\n    return inputs[:, 0]\n"


def with_evil(place: Place, folder: Path, name: str) -> None:
    """The folder names a plug-in, which lies in it too."""
    for file in (folder / "evil.py", folder.parent / "evil.py"):
        file.write_text(MARK.format(str(place.mark)))
    path = folder / "store" / "begun.json"
    begun = json.loads(path.read_text())
    path.write_text(json.dumps({**begun, "plugins": [name.format(folder)]}))


def series(place: Place, runs: Mapping[str, Path | None], **others: str) -> Path:
    """The folder of a series of these runs; of ``others`` there is a reason why there is none."""
    folder = place.folder / "series"
    folder.mkdir()
    for label, run in runs.items():
        if run is not None:
            shutil.copytree(run, folder / label)
    mark = {"name": "s", "datasets": {**dict.fromkeys(runs, ""), **others}}
    (folder / "series.json").write_text(json.dumps(mark))
    return folder


@pytest.mark.parametrize("name", ["evil.py", "../evil.py", "{}/evil.py", "evil"])
def test_no_plug_in_that_a_folder_names_is_imported(halfway, place, monkeypatch, name):
    folder = place.copy(halfway)
    with_evil(place, folder, name)
    monkeypatch.syspath_prepend(str(folder))
    with pytest.raises(UsageError, match=r"no attribution named 'own'.*xaibench report \S+run"):
        report(folder)
    assert not (folder / "report.md").exists()


def test_the_command_that_is_named_makes_the_report(halfway, place):
    folder = place.copy(halfway)
    with pytest.raises(UsageError) as raised:
        report(folder)
    command = str(raised.value).partition(": xaibench ")[2].split()
    assert command == ["report", str(folder), "--plugin", str(folder / "../own.py")]
    assert report(folder, (command[-1],))[1] == []


def test_a_folder_without_use_for_its_plug_in_is_reported_without_it(halfway, place):
    folder = place.copy(halfway)
    with_evil(place, folder, "evil.py")
    assert report(folder, own(halfway))[1] == []


def test_a_series_imports_nothing_either(halfway, place):
    folder = series(place, {"got": halfway})
    with_evil(place, folder / "got", "evil.py")
    _, failures = series_folder.render_series(folder)
    assert any("--plugin" in failure for failure in failures)


def test_a_finished_run_with_a_report_of_its_own_names_the_command(whole, place):
    folder = place.copy(whole)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text().replace("use: markdown", "use: mine"))
    (folder / "store" / "rendered.json").unlink()
    with pytest.raises(UsageError, match=r"no reports named 'mine'.*--plugin own.py"):
        report(folder)


def test_comparing_imports_nothing(whole, halfway, place):
    folder = place.copy(halfway)
    with_evil(place, folder, "evil.py")
    with pytest.raises(UsageError, match="unfinished run"):
        compare([whole, folder])


@pytest.mark.parametrize("name", ["report.md", ".making-report.md", ".making-accuracy.csv"])
def test_a_link_is_not_written_through(whole, place, name):
    folder = place.copy(whole)
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(place.victim)
    assert report(folder)[1] == []
    assert not (folder / "report.md").is_symlink()


def test_a_link_for_a_folder_of_a_report_is_named(whole, place):
    folder = place.copy(whole)
    (folder / "tables").symlink_to(place.elsewhere)
    _, failures = report(folder, formats=("latex",))
    assert len(failures) == 1
    assert "tables: is a link" in failures[0]


@pytest.mark.parametrize("label", ["../victim run", "..", "/abs", "a/b", ".hidden"])
def test_a_label_that_leads_out_of_a_series_is_refused(place, label):
    folder = series(place, {}, **{label: ""})
    line = line_of(lambda: series_folder.render_series(folder))
    assert line.startswith(f"{folder / 'series.json'}: ")
    assert "labels that can name folders" in line


def index_row(folder: Path, label: str) -> str:
    """What the page of a series says of a run."""
    rows = (folder / "overview.csv").read_text().splitlines()
    return "".join(row for row in rows if row.startswith(f"{label},"))


def with_environment(key: str, value: object) -> Damage:
    def damage(run: Path, _: Place) -> None:
        (run / "store" / "rendered.json").unlink()
        path = run / "environment.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))

    return damage


HOSTILE_RUNS: dict[str, tuple[Damage, str]] = {
    "gone": (lambda run, _: emptied(run), "got no folder"),
    "a link": (lambda run, place: emptied(run).symlink_to(place.elsewhere), "is a link"),
    "a link to the series": (lambda run, _: emptied(run).symlink_to("."), "is a link"),
    "a link to itself": (lambda run, _: emptied(run).symlink_to(run.name), "is a link"),
    "a pipe": (lambda run, _: os.mkfifo(emptied(run)), "got a file"),
    "an empty folder": (lambda run, _: emptied(run).mkdir(), "the folder is empty"),
    "versions that are a number": (with_environment("versions", 7), "environment.json: versions"),
    "what only the page trips over": (
        with_environment("floor", [{"accuracy": None}]),
        "is not as a run writes it: TypeError",
    ),
}


@pytest.mark.parametrize(("damage", "problem"), HOSTILE_RUNS.values(), ids=HOSTILE_RUNS)
def test_a_hostile_run_of_a_series_is_named_and_the_others_are_shown(whole, place, damage, problem):
    folder = series(place, {"bad": whole, "good": whole})
    damage(folder / "bad", place)
    written, failures = series_folder.render_series(folder)
    assert {line.partition(": ")[0] for line in failures} == {"bad"}
    assert problem in failures[-1]
    assert problem.partition(": ")[2] in index_row(folder, "bad")
    assert index_row(folder, "good").startswith("good,cnn,0.")
    assert folder / "index.html" in written


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_run_of_a_series_does_not_go_through_a_link(place, call, dry):
    folder = series(place, {})
    (folder / "bad").symlink_to(place.elsewhere)
    plan = place.folder / "tiny.yaml"
    plan.write_text(LEAN.replace(", own]", "]").replace("dataset:", "datasets:\n  bad:"))
    code, out, err = call("run", plan, "-o", folder, "--jobs", 1, *dry)
    reason = "is a link, expected the folder of a run; move it here"
    assert (code, out, err) == (2, "", f"xaibench: bad: {folder / 'bad'}: {reason}\n")


def test_a_run_that_a_series_says_is_not_there_is_no_failure(whole, place):
    folder = series(place, {"good": whole}, absent="no file 'x.csv' <script>")
    assert series_folder.render_series(folder)[1] == []
    assert "<script>" not in (folder / "index.html").read_text()


MARKS = {
    **{
        text: text
        for text in ("", "null", "[]", "7", '{"name": "s"}', '{"name": 1, "datasets": {}}')
    },
    "datasets that are a list": '{"name": "s", "datasets": ["a"]}',
    "pairs": '{"name": "s", "datasets": [["a", ""]]}',
    "a reason that is none": '{"name": "s", "datasets": {"a": null}}',
    "no datasets": '{"name": "s", "datasets": {}}',
    "half a pair": '{"name": "s", "datasets": {"\\ud800": ""}}',
    "deep": "[" * 100_000,
    "a long number": "1" * 6000,
    "a long label": json.dumps({"name": "s", "datasets": {"a" * 300: ""}}),
    "very many": json.dumps({"name": "s", "datasets": {f"d{k}": "" for k in range(100_000)}}),
}


@pytest.mark.parametrize("text", MARKS.values(), ids=MARKS)
def test_a_mark_of_a_series_that_holds_anything_is_one_line(place, text):
    folder = series(place, {})
    (folder / "series.json").write_text(text)
    line = line_of(lambda: series_folder.render_series(folder))
    assert line.startswith(f"{folder / 'series.json'}: ")
    assert line.endswith("; run the command of the series again")
    assert "\n" not in line


NO_MARKS: dict[str, Damage] = {
    "link": lambda path, place: emptied(path).symlink_to(place.victim),
    "dangling link": lambda path, _: emptied(path).symlink_to("absent"),
    "link to itself": lambda path, _: emptied(path).symlink_to(path.name),
    "folder": lambda path, _: emptied(path).mkdir(),
    "pipe": lambda path, _: os.mkfifo(emptied(path)),
}


@pytest.mark.parametrize("damage", NO_MARKS.values(), ids=NO_MARKS)
def test_a_mark_of_a_series_that_is_no_file_is_one_line(place, damage):
    folder = series(place, {})
    damage(folder / "series.json", place)
    assert series_folder.is_series(folder)
    line = line_of(lambda: series_folder.render_series(folder))
    assert line.startswith(f"{folder / 'series.json'}: is ")


@pytest.mark.parametrize("name", ["index.html", "overview.csv"])
def test_the_page_of_a_series_is_not_written_through_a_link_nor_into_a_folder(whole, place, name):
    folder = series(place, {"good": whole})
    (folder / name).symlink_to(place.victim)
    assert series_folder.render_series(folder)[1] == []
    emptied(folder / name).mkdir()
    written, failures = series_folder.render_series(folder)
    assert failures == [f"overview: {folder / name}: is a folder, expected a file; move it away"]
    assert {*written} & {folder / "index.html", folder / "overview.csv"}


READ = [
    *("plan.yaml", "environment.json", "results.parquet", "estimates.csv", "tests.csv"),
    "examples.json",
]


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_what_is_no_file_is_neither_read_nor_waited_for(whole, place, name, kind):
    folder = place.copy(whole)
    (folder / name).unlink()
    if kind == "link":
        (folder / name).symlink_to(place.victim)
    else:
        os.mkfifo(folder / name)
    with pytest.raises(UsageError, match=rf"{name}: .*(is a link|is no regular file)"):
        report(folder)


@pytest.mark.parametrize("text", ["extends: outside.yaml\n", "datasets: [planted]\n"])
def test_a_plan_that_reads_other_files_is_refused(halfway, place, text):
    folder = place.copy(halfway)
    (folder / "outside.yaml").write_text("seeds: [1]\n")
    plan = folder / "plan.yaml"
    plan.write_text(text + plan.read_text())
    with pytest.raises(UsageError, match=r"plan\.yaml: expected the resolved plan of a run"):
        report(folder, own(halfway))


def test_a_plan_with_a_tag_of_yaml_makes_nothing(halfway, place):
    folder = place.copy(halfway)
    plan = folder / "plan.yaml"
    plan.write_text(plan.read_text() + f"x: !!python/object/apply:os.mkdir ['{place.mark}']\n")
    with pytest.raises(UsageError, match=r"plan\.yaml: is no YAML"):
        report(folder, own(halfway))


@pytest.mark.parametrize("stands_in", [False, True])
def test_a_set_that_is_not_here_is_not_fetched_for_a_report(halfway, place, monkeypatch, stands_in):
    monkeypatch.setattr(reading, "fetch_set", lambda *_, **__: pytest.fail("fetched"))
    folder = place.copy(halfway)
    path = folder / "plan.yaml"
    absent = {"name": "genomic_benchmarks", "dataset": "human_nontata_promoters"}
    absent["root"] = str(place.elsewhere)
    dataset = {**absent, "fallback": absent} if stands_in else absent
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "dataset": dataset}))
    with pytest.raises(UsageError, match="download is off"):
        report(folder, own(halfway))


def test_a_mark_that_is_a_link_is_named(halfway, place):
    folder = place.copy(halfway)
    path = folder / "store" / "begun.json"
    path.rename(path.with_name("moved"))
    path.symlink_to("moved")
    with pytest.raises(UsageError, match=r"begun\.json: unreadable"):
        begun_in(folder)


@pytest.mark.parametrize(
    "files",
    [
        [1],
        "arrays.safetensors",
        {"arrays.safetensors": None},
        {"arrays.safetensors": {"bytes": 9}},
        {"../../../outside/victim": {"bytes": len(SECRET), "digest": _blake2([SECRET.encode()])}},
        {"{victim}": {"bytes": len(SECRET), "digest": _blake2([SECRET.encode()])}},
        {"a\0": {"bytes": len(SECRET), "digest": ""}},
    ],
)
def test_an_artefact_that_names_files_elsewhere_is_damaged(halfway, place, files):
    path = sorted((place.copy(halfway) / "store").glob("*-*/spec.json"))[0]
    if isinstance(files, dict):
        files = {name.format(victim=place.victim): held for name, held in files.items()}
    record = {**json.loads(path.read_text()), "files": files}
    del record["digest"]
    path.write_text(json.dumps({**record, "digest": _blake2([_canonical(record)])}))
    assert not verify(path.parent)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("tables", 7, "environment.json: tables: input should be a valid list, got 7"),
        ("tables", [["x"]], "which is not known here"),
        ("plugins", 7, "environment.json: plugins: input should be a valid list, got 7"),
        ("plugins", [{}], "environment.json: plugins.0: input should be an instance of str"),
        ("versions", "x", "environment.json: versions: input should be a valid dictionary"),
        ("versions", {"xaibench": []}, "environment.json: versions.xaibench: input should be an"),
        ("dataset", {"sizes": {"train": "7"}}, "environment.json: dataset.sizes.train: input"),
        ("unfinished", {}, "environment.json: unfinished.done: field required"),
    ],
)
def test_an_environment_of_other_types_is_a_line_that_names_it_and_the_key(
    whole, place, key, value, problem
):
    run = place.copy(whole)
    with_environment(key, value)(run, place)
    for command in (lambda: report(run), lambda: compare([whole, run])):
        line = line_of(command)
        assert problem in line
        assert "run its command again" in line


NO_ARRAYS = (2**60).to_bytes(8, "little")


def forge(path: Path, content: bytes) -> None:
    """A file of an artefact with other content, and the digests that belong to it."""
    path.write_bytes(content)
    spec = path.with_name("spec.json")
    record = json.loads(spec.read_text())
    record["files"][path.name] = {"bytes": len(content), "digest": _blake2([content])}
    del record["digest"]
    spec.write_text(json.dumps({**record, "digest": _blake2([_canonical(record)])}))
    assert verify(path.parent)


@pytest.mark.parametrize(
    ("kind", "name", "content"),
    [
        ("curve", "arrays.safetensors", NO_ARRAYS),
        ("predictions", "arrays.safetensors", save({"x": np.zeros(3, np.float32)})),
        ("model", "card.json", b"[]"),
    ],
)
def test_an_artefact_that_was_forged_with_its_digest_is_no_traceback(
    halfway, place, kind, name, content
):
    folder = place.copy(halfway)
    forge(sorted((folder / "store").glob(f"{kind}-*/{name}"))[0], content)
    for command in (lambda: report(folder, own(halfway)), lambda: finished(folder, LEAN)):
        with pytest.raises(UsageError, match="cannot be made from what its store holds"):
            command()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("explained-*/arrays.safetensors", NO_ARRAYS),
        ("model-*/weights.safetensors", save({"x": np.zeros(3, np.float32)})),
    ],
)
def test_explanations_that_were_forged_are_a_line_each_and_no_file(
    whole, place, call, name, content
):
    run = place.copy(whole)
    for path in (run / "store").glob(name):
        forge(path, content)
    code, out, err = call("explain", run, "--plugin", *own(run), "-o", run / "exported")
    lines = err.splitlines()
    assert (code, out, len(lines)) == (1, "", 4)  # of two methods under two seeds
    assert all(line.startswith("failed: cnn, seed ") for line in lines)
