"""A folder that its reader has no right to is one line that names what, for one who is not root."""

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from hostile_place import line_of
from stopped_run import LEAN, finished, moved, own, work_of

from xaibench import plan
from xaibench.comparison.side_by_side import compare
from xaibench.runs import pipeline, series_folder
from xaibench.runs.reporting import report

NOBODY = 65534
PRESETS = Path(plan.__file__).parent / "presets"
"""Files of the package, which commands read late."""

Command = Callable[[Path, Path], object]
"""Of a run, and of another that can be read."""


@contextmanager
def not_as_root() -> Iterator[None]:
    """In here this process has the rights of an ordinary user."""
    if os.geteuid() != 0:
        yield
        return
    try:
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    except OSError:
        os.setegid(0)
        pytest.skip("root cannot become another user here")
    try:
        if not os.access(PRESETS, os.R_OK, effective_ids=True):
            pytest.skip("xaibench is installed where only root may read")
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def planned(run: Path, _: Path) -> object:
    return pipeline.planned(work_of(run, LEAN))


COMMANDS: dict[str, Command] = {
    "report": lambda run, _: report(run, own(run)),
    "compare": lambda run, other: compare([other, run]),
    "run": lambda run, _: finished(run, LEAN),
    "dry run": planned,
}


@pytest.fixture(scope="module")
def readable(whole: Path) -> Iterator[Path]:
    """A run that everyone may read, not in pytest's folder, into which nobody else may look.

    Each command was called once: what it imports need not be where others may read.
    """
    with tempfile.TemporaryDirectory() as name:
        run = moved(whole, Path(name))
        for command in COMMANDS.values():
            command(run, whole)
        opened(Path(name))
        yield run


@pytest.fixture
def run_of(readable: Path) -> Iterator[Callable[[Path], Path]]:
    """Copies a run to where others may look, with every right for everyone."""
    with tempfile.TemporaryDirectory() as name:
        yield lambda run: moved(run, Path(name))
        opened(Path(name))


def opened(folder: Path) -> Path:
    """The folder, after every right in it was given to everyone."""
    folder.chmod(0o777)
    for path in folder.iterdir():
        opened(path) if path.is_dir() else path.chmod(0o666)
    return folder


READ = ("report", "compare")
CLOSED = {
    "the folder": (".", 0o000, COMMANDS),
    "the folder, but for its names": (".", 0o444, COMMANDS),
    "the store": ("store", 0o000, COMMANDS),
    "the store, but for its names": ("store", 0o444, COMMANDS),
    "a plan": ("plan.yaml", 0o000, READ),
    "an environment": ("environment.json", 0o000, READ),
    "records": ("results.parquet", 0o000, READ),
    "examples": ("examples.json", 0o000, READ),
    "a lock": ("store/lock", 0o000, ("run",)),
}


@pytest.mark.parametrize(("name", "mode", "commands"), CLOSED.values(), ids=CLOSED)
def test_what_may_not_be_read_is_one_line(whole, readable, run_of, name, mode, commands):
    run = run_of(whole)
    opened(run.parent)
    (run / name).chmod(mode)
    for command in commands:
        with not_as_root():
            line = line_of(partial(COMMANDS[command], run, readable))
        assert line.startswith(str(run / name)), (command, line)
        assert "Permission denied" in line
        assert "\n" not in line


ARTEFACTS = {
    "an artefact": ("curve-*", 0o000),
    "an artefact, but for its names": ("curve-*", 0o444),
    "what it is": ("model-*/spec.json", 0o000),
}


@pytest.mark.parametrize(("name", "mode"), ARTEFACTS.values(), ids=ARTEFACTS)
def test_an_artefact_that_may_not_be_read_is_neither_absent_nor_made_again(
    halfway, readable, run_of, name, mode
):
    run = run_of(halfway)
    opened(run.parent)
    path = sorted((run / "store").glob(name))[0]
    path.chmod(mode)
    for command in ("report", "run", "dry run"):
        with not_as_root():
            line = line_of(partial(COMMANDS[command], run, readable))
        assert line.startswith(str(path)), (command, line)
        assert line.endswith(f"chmod -R g+rwX {run}")
    opened(run.parent)
    assert not (run / "store" / ".damaged").exists()


def test_where_nothing_may_be_written_reports_have_a_line_each_and_a_run_is_one(
    whole, readable, run_of
):
    run = run_of(whole)
    opened(run.parent)
    for path in (run, run / "store"):
        path.chmod(0o555)
    (run / "store" / "lock").chmod(0o444)
    with not_as_root():
        assert report(run) == ([], [f"report markdown: {run / 'report.md'}: Permission denied"])
        assert compare([readable, run]).pairs
        line = line_of(partial(COMMANDS["run"], run, readable))
    assert line == f"{run / 'store' / 'lock'}: cannot be written: Permission denied"


@pytest.mark.parametrize("name", ["series.json", "closed"])
def test_a_series_names_what_may_not_be_read_and_shows_the_others(whole, readable, run_of, name):
    run = run_of(whole)
    folder = run.parent
    shutil.copytree(run, folder / "closed")
    mark = {"name": "s", "datasets": {"run": "", "closed": ""}}
    (folder / "series.json").write_text(json.dumps(mark))
    opened(folder)
    (folder / name).chmod(0o000)
    with not_as_root():
        if name == "series.json":
            line = line_of(partial(series_folder.render_series, folder))
        else:
            written, (line, *_) = series_folder.render_series(folder)
            assert {folder / "run" / "report.md", folder / "index.html"} <= {*written}
            assert line.startswith("closed: ")
    assert f"{folder / name}" in line
    assert "Permission denied" in line
