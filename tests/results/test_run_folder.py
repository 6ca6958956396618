"""docs/run-folder.md tells every file and every column of a run folder, and no other."""

import re
from pathlib import Path
from runpy import run_path

import pandas as pd
import pytest

from xaibench.results.compatibility import BEGUN
from xaibench.results.schema import COLUMNS
from xaibench.runs.pipeline import OUTPUTS

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "run-folder.md").read_text()
RECORDS = [
    *(("planted", "cnn", 0, "saliency", "", "auprc", "", 0, "a", 0.5, "ok", ""),),
    *(("planted", "cnn", 1, "saliency", "", "auprc", "", 0, "a", 0.75, "ok", ""),),
    *(("planted", "cnn", 1, "saliency", "rotated", "auprc", "", 0, "a", 0.1, "ok", ""),),
    *(("planted", "cnn", 1, "lrp", "", "auprc", "", 0, "", None, "failed", "no rule"),),
]


def documented(name: str) -> list[list[str]]:
    """The rows of the table of one file."""
    section = PAGE.partition(f"\n## `{name}`\n")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `.*$", section, flags=re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_page_says_of_every_column_what_the_schema_says():
    renewed = run_path(str(DOCS / "run_folder.py"))["renewed"]
    assert renewed(PAGE) == PAGE, "the tables of the page are made by: python docs/run_folder.py"


@pytest.mark.parametrize("name", COLUMNS)
def test_every_column_of_a_table_is_on_the_page_with_all_that_is_to_be_said(name):
    rows = documented(name)
    assert [row[0].strip("`") for row in rows] == list(COLUMNS[name])
    assert all(len(row) == 5 and all(row) for row in rows)


def test_every_file_of_a_run_is_on_the_page():
    overview = PAGE.partition("\n## ")[0]
    assert [name for name in OUTPUTS if f"| `{name}` |" not in overview] == []
    assert set(COLUMNS) <= set(OUTPUTS)
    assert f"`{BEGUN.as_posix()}`" in overview


def test_the_example_of_the_page_runs_as_it_stands(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len([line for line in example.splitlines() if line]) == 5
    monkeypatch.chdir(tmp_path)
    Path("runs/demo").mkdir(parents=True)
    table = pd.DataFrame(RECORDS, columns=list(COLUMNS["results.parquet"]))
    table.to_parquet("runs/demo/results.parquet")
    exec(example, {})
    assert re.search(r"cnn\s+saliency\s+0\.62", capsys.readouterr().out)
