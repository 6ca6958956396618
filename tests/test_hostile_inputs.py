"""Whatever comes in: a line that says what is wrong, exit code 2, and nothing is written or run."""

import shutil
import sys

import pytest
from hostile_inputs import ROWS
from stopped_run import lean

from xaibench.cli import main

BESIDE = ("xaibench: reading the data", "Error when opening")
"""How lines begin that are no complaint of ours: progress, and pybigtools of a broken bigWig."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of the folders of all rows, with a finished run."""
    return lean(tmp_path_factory).parent


def contents(folder):
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ROWS)
def test_a_hostile_input_is_one_line_and_nothing_else(place, capfd, monkeypatch, name):
    """Of the process, not of Python: libraries write to its streams too."""
    row = ROWS[name]
    (folder := place / str([*ROWS].index(name))).mkdir()  # a plug-in of one path is loaded once
    try:
        row.make(folder)
        monkeypatch.chdir(folder)
        monkeypatch.setattr(sys, "argv", ["xaibench", *row.words.split()])
        before = contents(place)
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capfd.readouterr()
        said = [line for line in err.splitlines() if not line.startswith(BESIDE)]
        assert (ended.value.code, out, len(said)) == (2, "", 1), err
        assert row.line in said[0]
        assert said[0].isprintable()
        assert contents(place) == before
    finally:
        monkeypatch.chdir(place)
        shutil.rmtree(folder)


def test_the_table_is_as_long_as_was_promised():
    assert len(ROWS) >= 120
