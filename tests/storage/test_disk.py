"""A run whose disk goes away or fills up ends with one line, and its command goes on later."""

import errno
import os
import re
import resource
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from stopped_run import BRIEF, COMMAND, finished, own, work_of

from xaibench.errors import Halted, UsageError
from xaibench.runs import workers
from xaibench.runs.pipeline import OUTPUTS, run
from xaibench.runs.reporting import report

PLAN = BRIEF.replace("[brief]", "[brief, large]")
SAME = ("results.parquet", "estimates.csv", "tests.csv", "examples.json")


def finish(folder: Path):
    return finished(folder, PLAN)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert finish(folder).failures == []
    return folder


def same(folder: Path, whole: Path) -> None:
    for name in SAME:
        assert (folder / name).read_bytes() == (whole / name).read_bytes(), name


@contextmanager
def happening(monkeypatch, what, *, after: int):
    """Something happens once so many tasks are done."""
    compute, done = workers.compute, []

    def late(*words):
        if len(done) == after:
            what()
        done.append(words)
        compute(*words)

    with monkeypatch.context() as patched:
        patched.setattr(workers, "compute", late)
        yield done


GONE = {
    "renamed": lambda folder: folder.rename(folder.with_name("renamed")),
    "deleted": shutil.rmtree,
    "store deleted": lambda folder: shutil.rmtree(folder / "store"),
    "data.json deleted": lambda folder: (folder / "store" / "data.json").unlink(),
}


@pytest.mark.parametrize("gone", GONE.values(), ids=GONE)
@pytest.mark.parametrize("after", [0, 5], ids=["training", "explaining"])
def test_a_run_whose_folder_goes_away_stops_and_does_not_make_it_again(
    tmp_path, whole, monkeypatch, gone, after
):
    folder = tmp_path / "run"
    with happening(monkeypatch, lambda: gone(folder), after=after) as done:
        with pytest.raises(Halted, match=rf"{folder}: the folder of this run is gone") as raised:
            finish(folder)
    assert raised.value.code == 1
    assert len(done) <= after + 1
    if gone in (GONE["renamed"], GONE["deleted"]):
        assert not folder.exists()
    else:
        assert finish(folder).failures == []
        same(folder, whole)


@contextmanager
def largest(size: int):
    """No file may become larger; as on a full disk, writing fails in the middle of it."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("size", [10, 600, 6000, 15_000, 60_000])
def test_files_that_cannot_be_written_end_a_run_in_one_line(tmp_path, whole, size):
    folder = tmp_path / "run"
    work = work_of(folder, PLAN)
    with largest(size):
        try:  # where reports alone do not fit, each has its line
            lines = run(work, jobs=0, threads=1, command=COMMAND).failures
        except UsageError as error:
            lines = [str(error)]
    for line in lines:
        assert re.fullmatch(r"(report \w+: )?/\S+: .*File too large.*", line)
    assert lines
    assert finish(folder).failures == []
    same(folder, whole)
    assert not list(folder.rglob(".making-*"))


REFUSED = [
    *(("spec.json", errno.ENOSPC), ("seconds.json", errno.EDQUOT), ("begun.json", errno.EIO)),
    *(("tests.csv", errno.ENOSPC), ("environment.json", errno.EROFS), ("report.md", errno.EACCES)),
    *(("rendered.json", errno.ENOSPC), ("data.json", errno.ENOSPC)),
]


@pytest.mark.parametrize(("name", "number"), REFUSED)
def test_wherever_the_disk_refuses_the_run_goes_on_later(
    tmp_path, whole, monkeypatch, name, number
):
    """The second time that a file of this name is written, or the only one."""
    folder, times = tmp_path / "run", []
    only = name not in ("spec.json", "seconds.json", "begun.json")

    def refuse(path):
        times.append(path.name)
        if path.name == name and (only or times.count(name) > 1):
            raise OSError(number, os.strerror(number), str(path))

    replaced = Path.replace
    work = work_of(folder, PLAN)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", lambda path, to: (refuse(to), replaced(path, to))[1])
        try:
            failures = run(work, jobs=0, threads=1, command=COMMAND).failures
        except UsageError as error:
            failures = [str(error)]
    assert os.strerror(number) in failures[0]
    assert str(folder) in failures[0]
    assert finish(folder).failures == []
    same(folder, whole)


@pytest.mark.parametrize("name", ["estimates.csv", "environment.json", "store/seconds.json"])
def test_a_table_that_is_a_folder_is_one_line(tmp_path, whole, name):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / name).unlink()
    (folder / name / "inside").mkdir(parents=True)
    (folder / "store" / "rendered.json").unlink()
    with pytest.raises(Halted, match=rf"{folder / name}: is a folder, expected a file; move it"):
        finish(folder)
    shutil.rmtree(folder / name)
    assert finish(folder).failures == []
    same(folder, whole)


def test_a_report_that_is_a_folder_is_one_line_and_the_others_are_written(tmp_path, whole):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    (folder / "large.txt").unlink()
    (folder / "large.txt").mkdir()
    written, failures = report(folder, own(whole))
    reason = "is a folder, expected a file; move it away"
    assert failures == [f"report large: {folder / 'large.txt'}: {reason}"]
    assert folder / "report.md" in written
    assert finish(folder).failures == failures


def test_a_report_on_a_full_disk_names_what_is_missing(tmp_path, whole):
    folder = Path(shutil.copytree(whole, tmp_path / "run"))
    with largest(50):
        written, failures = report(folder, own(whole))
    assert written == []
    assert [line.rpartition(": ")[2] for line in failures] == ["File too large"] * 2


def test_whatever_a_run_says_it_did_is_there(whole):
    assert all((whole / name).is_file() for name in (*OUTPUTS, "large.txt", "report.md"))
