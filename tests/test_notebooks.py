"""The notebooks of docs/notebooks run from top to bottom, each in this process."""

import json
import runpy
from pathlib import Path
from time import process_time

import pytest

FOLDER = Path(__file__).parent.parent / "docs" / "notebooks"
executed = runpy.run_path(str(FOLDER / "execute.py"))["executed"]
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))


def test_there_are_three():
    names = ["first_steps", "my_own_method", "my_own_model"]
    assert [path.stem for path in NOTEBOOKS] == names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_and_shows_what_it_was_saved_with(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    began = process_time()
    again = executed(path)
    assert process_time() - began < 20
    for cell, saved in zip(again["cells"], json.loads(path.read_text())["cells"], strict=True):
        assert kinds_of(cell) == kinds_of(saved), "run docs/notebooks/execute.py"
    assert not list(tmp_path.iterdir())


def kinds_of(cell):
    """What is shown below a cell: text, a table, a figure."""
    return [sorted(output.get("data", output)) for output in cell.get("outputs", [])]


def test_a_cell_that_raises_is_named(tmp_path):
    path = tmp_path / "wrong.ipynb"
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": "x = 1\nx.no"}]}))
    with pytest.raises(AttributeError, match="'int' object has no attribute 'no'") as caught:
        executed(path)
    assert "<wrong, cell 1>" in str(caught.traceback[-1])
