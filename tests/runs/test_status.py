"""How far a run is, read from its folder alone."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from hostile_place import emptied
from stopped_run import LEAN, finished, work_of

from xaibench.errors import Died, UsageError
from xaibench.runs import task_log, workers
from xaibench.runs.forecast import foreseen_apart
from xaibench.runs.status import Status, status_fields, status_lines, status_of
from xaibench.runs.task_log import TASKS, LoggedTasks, read_log
from xaibench.storage.lock import alone

OF_ALL = 2 * (1 + 2 + 2)


@pytest.fixture
def copied(tmp_path):
    return lambda folder: Path(shutil.copytree(folder, tmp_path / "copy"))


def test_a_run_that_was_stopped_says_what_is_done_and_about_what_is_left(halfway):
    found = status_of(halfway)
    assert (found.state, found.tasks, found.done, found.failed) == ("stopped", OF_ALL, 7, 0)
    assert found.running == 0
    assert found.seconds > 0
    # one method of one model was not timed under any seed
    assert found.seconds_left is None
    (first, second), _ = status_lines(halfway)
    assert first == f"{halfway}: stopped, 7 of 10 tasks done; the same command goes on"
    assert second.endswith("so far, what is left is not known yet")


def test_a_run_that_is_under_way_says_how_many_processes_it_has(halfway):
    with alone(halfway / "store"):
        found = status_of(halfway)
    assert (found.state, found.running) == ("under way", 1)


def test_a_finished_run_has_nothing_left(whole):
    found = status_of(whole)
    assert (found.state, found.tasks, found.done) == ("finished", OF_ALL, OF_ALL)
    assert (found.running, found.failed, found.seconds_left) == (0, 0, 0.0)
    assert (found.failures, found.damaged) == ((), ())
    assert status_fields(whole)[0]["done"] == OF_ALL


def test_a_task_that_fails_is_counted_and_says_why(tmp_path, monkeypatch):
    compute = workers.compute

    def failing(work, task, epoch):
        if task.method == "own":
            raise ZeroDivisionError("by hand")
        compute(work, task, epoch)

    monkeypatch.setattr(workers, "compute", failing)
    finished(tmp_path / "run", LEAN.replace("[markdown]", "[brief]"))
    found = status_of(tmp_path / "run")
    assert (found.state, found.done, found.failed) == ("finished", OF_ALL - 2, 2)
    assert all("ZeroDivisionError: by hand" in line for line in found.failures)
    assert any("own" in line for line in found.failures)


@pytest.mark.parametrize("name", ["estimates.csv", "report.md"])
def test_a_table_or_report_that_was_changed_is_named(whole, copied, name):
    folder = copied(whole)
    (folder / name).write_text("x")
    (line,) = status_of(folder).damaged
    assert line == f"{folder / name}: is not as its run wrote it; its command makes it again"
    assert f"  damaged: {line}" in status_lines(folder)[0]


@pytest.mark.parametrize("name", ["../victim", "/etc/passwd", "a\0b", ""])
def test_a_file_outside_the_folder_is_not_read(whole, copied, name, monkeypatch):
    folder = copied(whole)
    monkeypatch.setattr("xaibench.runs.folder.digest_of_file", lambda path: pytest.fail(str(path)))
    (folder / "store" / "rendered.json").write_text(json.dumps({"digests": {name: "x"}}))
    assert len(status_of(folder).damaged) == 1


LOGS = {
    "empty": "",
    "garbage": "\x80\x04\n[]\n{\n",
    "deep": "[" * 10_000,
    "types": '{"task": 1, "like": [], "state": {}}\n{"jobs": -3}\n{"foreseen": {"a": "b"}}\n',
    "no number": '{"task": "a", "like": "b", "state": "to do"}\n{"foreseen": {"b": NaN}}\n',
}


@pytest.mark.parametrize("text", LOGS.values(), ids=LOGS)
def test_a_log_that_holds_anything_tells_nothing(halfway, copied, text):
    folder = copied(halfway)
    (folder / TASKS).write_text(text)
    found = status_of(folder)
    assert (found.state, found.done, found.seconds_left) == ("stopped", 0, None)


def test_a_line_that_was_cut_is_passed_over(halfway, copied):
    folder = copied(halfway)
    path = folder / TASKS
    path.write_bytes(path.read_bytes()[:-9])
    assert status_of(folder).done == 6


def test_labels_of_a_stranger_move_no_cursor(halfway, copied, call):
    folder = copied(halfway)
    line = {"task": "\x1b[2J", "state": "failed", "reason": "x"}
    (folder / TASKS).write_text(json.dumps(line))
    code, said, _ = call("status", folder)
    assert code == 0
    assert "\x1b" not in said
    assert "  failed: \\x1b[2J: x" in said


@pytest.mark.parametrize("name", [str(TASKS), "store/begun.json", "store/seconds.json"])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_read_nor_waited_for(halfway, place, name, kind):
    path = emptied(place.copy(halfway) / name)
    if kind == "link":
        path.symlink_to(place.victim)
    elif kind == "folder":
        path.mkdir()
    else:
        os.mkfifo(path)
    if name == "store/begun.json":
        with pytest.raises(UsageError, match=r"begun\.json: unreadable"):
            status_of(place.folder / "run")
    else:
        assert status_of(place.folder / "run").state == "stopped"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda path: None, "expected the folder of a run or a series, got no folder"),
        (lambda path: path.touch(), "got a file"),
        (lambda path: path.mkdir(), "no run has begun here"),
        (lambda path: (path.mkdir(), (path / "store").symlink_to("/tmp")), "store: is a link"),
    ],
)
def test_a_folder_of_no_run_is_one_line(tmp_path, content, message):
    content(tmp_path / "run")
    with pytest.raises(UsageError, match=message):
        status_of(tmp_path / "run")


def test_a_series_tells_of_each_run_and_why_one_is_not_there(whole, halfway, tmp_path, call):
    for label, folder in {"one": whole, "two": halfway}.items():
        shutil.copytree(folder, tmp_path / label)
    runs = {"one": "", "two": "", "three": "no data", "four": ""}
    (tmp_path / "series.json").write_text(json.dumps({"name": "s", "datasets": runs}))
    (tmp_path / "four").symlink_to(whole)
    code, said, failed = call("status", tmp_path)
    assert code == 1
    assert f"{tmp_path / 'one'}: finished, 10 of 10" in said
    assert f"{tmp_path / 'two'}: stopped, 7 of 10" in said
    assert "failed: three: no data" in failed
    assert "failed: four: " in failed
    code, said, _ = call("status", tmp_path, "--json")
    assert {label: run["state"] for label, run in json.loads(said)["runs"].items()} == {
        "one": "finished",
        "two": "stopped",
    }


def test_it_is_read_without_torch(halfway):
    ask = (
        "import atexit, sys; from xaibench.cli import main; "
        "atexit.register(lambda: print('torch' in sys.modules)); main()"
    )
    words = [sys.executable, "-c", ask, "status", str(halfway)]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "False"


# What is left

TIMED = LoggedTasks(
    jobs=2,
    likes={"a 0": "a", "a 1": "a", "a 2": "a", "b 0": "b"},
    states={"a 0": "done", "a 1": "to do", "a 2": "to do", "b 0": "to do"},
    taken={"a": [3.0, 5.0]},
    foreseen={"a": 100.0, "b": 20.0},
)


def test_what_was_taken_counts_before_what_was_foreseen_and_no_less_than_the_longest():
    assert TIMED.seconds_left() == 20.0  # (2 x 4 + 20) / 2 is less than the longest
    assert replace(TIMED, jobs=1).seconds_left() == 28.0
    assert replace(TIMED, foreseen={}).seconds_left() is None
    assert replace(TIMED, states={}).seconds_left() == 0.0


@pytest.mark.parametrize(
    ("state", "left", "told"),
    [
        ("under way", 250.0, "4 seconds so far, about 4 minutes of tasks left"),
        ("under way", 3.0, "4 seconds so far, less than 10 seconds of tasks left"),
        ("finished", 0.0, "4 seconds"),
    ],
)
def test_seconds_are_told_in_words(monkeypatch, state, left, told):
    found = Status("run", state, 7, 3, 2, 0, seconds=4.2, seconds_left=left)
    monkeypatch.setattr("xaibench.runs.status.status_of", lambda _: found)
    assert status_lines(Path("run"))[0][1] == f"  {told}"


def test_once_a_run_has_taken_a_while_it_foresees_the_rest(tmp_path, monkeypatch):
    """In a process of its own, once."""
    monkeypatch.setattr(task_log, "FORESEEN_AFTER", 0.0)
    work = work_of(tmp_path / "run", LEAN)
    every = foreseen_apart(work, threads=1)
    labels = {"training", "random control", "oracle", "saliency", "own"}
    assert {*every} == {f"cnn, {label}" for label in labels}
    assert all(seconds > 0 for like, seconds in every.items() if "oracle" not in like)
    calls = []
    monkeypatch.setattr(
        "xaibench.runs.pipeline.foreseen_apart",
        lambda *_, **__: calls.append(1) or {"cnn, own": 7.0},
    )
    with monkeypatch.context() as patched:
        patched.setattr("xaibench.runs.pipeline.perform", _only_some)
        with pytest.raises(KeyboardInterrupt):
            _run(work)
    assert calls == [1]
    assert read_log(tmp_path / "run").foreseen == {"cnn, own": 7.0}


def _run(work):
    from xaibench.runs.pipeline import run

    run(work, jobs=1, threads=1, command="")


def _only_some(work, tasks, *, progress, **_):
    """The tasks of the first stage are said to be done, and then a key is pressed."""
    for task in tasks:
        progress.done(task.described(work.plan), 1.5)
    raise KeyboardInterrupt


def test_a_process_that_dies_foresees_nothing(monkeypatch):
    answers = (pair for pair in [("forecast", Died("the worker died"))])
    engine = SimpleNamespace(answers=lambda *_, **__: answers)
    monkeypatch.setattr("xaibench.runs.forecast.local", lambda _: engine)
    assert foreseen_apart(None, threads=1) == {}
