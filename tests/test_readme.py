"""What the README and the page of commands say must work as it is typed."""

import re
import shlex
from pathlib import Path

import pandas as pd
import pytest
import typer
from shown import blocks, typed

from xaibench.cli import app
from xaibench.cli import main as command_line
from xaibench.plan.listing import LISTED
from xaibench.plan.schema import read_plan
from xaibench.plugins.registry import available

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
PAGE = (ROOT / "docs" / "commands.md").read_text()
COMMANDS = typer.main.get_command(app).commands
TINY = """
dataset: {name: planted, train: 60, test: 20, length: 60}
seeds: [0]
training: {epochs: 1}
models: {cnn: {filters: [5, 6, 7], kernels: [5, 5, 5]}}
attribution: [random]
sequences: 3
metrics: [deletion]
operators: [n]
"""


def options(command: str) -> set[str]:
    """Every spelling of every option of a command."""
    params = COMMANDS[command].params
    spellings = {each for option in params for each in (*option.opts, *option.secondary_opts)}
    return {each for each in spellings if each.startswith("-")}


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_plan_of_the_page_of_plans_is_one_that_can_be_run(here, monkeypatch):
    (text,) = [block for block in blocks("yaml", "docs/plans.md") if "standin" in block]
    (here / "plan.yaml").write_text(text)
    (here / "data").mkdir()
    (here / "data" / "human_or_worm_standin.csv.gz").touch()
    monkeypatch.setenv("XAIBENCH_DATA", str(here / "data"))
    plan = read_plan("plan.yaml")
    assert list(plan.models) == ["cnn", "attngen", "attention only"]
    assert plan.models["attention only"].options["masking"]["policy"] == "none"
    assert len(plan.seeds) == 5


def test_the_plug_in_runs_through_the_whole_harness(here, monkeypatch, capsys):
    (code,) = blocks("python", "README.md")
    (here / "centre.py").write_text(code)
    (here / "tiny.yaml").write_text(TINY)
    (given,) = [line for line in typed("README.md") if "run demo --plugin" in line]
    words = shlex.split(given.replace("run demo", "run tiny.yaml"))
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit, match="0"):
        command_line()
    assert capsys.readouterr().out.splitlines()[-1] == "runs/tiny/report.html"
    records = pd.read_parquet("runs/tiny/results.parquet")
    scored = records[(records["method"] == "centre") & (records["status"] == "ok")]
    assert scored["sequence"].nunique() == 3
    assert "centre" in Path("runs/tiny/report.md").read_text()


def test_the_readme_is_a_screen_and_a_half_and_names_the_tests():
    assert len(README.splitlines()) <= 80
    (test,) = re.findall("^make ([a-z]+) ", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert f"`make {test}`" in README
    assert "(docs/commands.md)" in README


def test_every_page_is_one_link_away_from_the_readme():
    assert "(docs/contents.md)" in README
    linked = re.findall(r"\]\(([\w/-]+\.md)\)", (ROOT / "docs" / "contents.md").read_text())
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    made_of_docstrings = {page for page in pages if page.startswith("reference/")}
    assert {*linked} == pages - {"contents.md"} - made_of_docstrings


def test_every_option_named_is_one_of_a_command():
    named = set(re.findall(r"`(-{1,2}[a-z][a-z-]*)", PAGE))
    assert len(named) >= 7
    assert named <= {"--help", "--install-completion"}.union(*map(options, COMMANDS))


def test_every_option_of_run_is_named():
    unnamed = {option for option in options("run") if f"`{option}" not in PAGE}
    assert unnamed == {"--output"}, "it stands there as -o"


def test_every_command_and_every_kind_is_named():
    assert {name for name in COMMANDS if not re.search(rf"`xaibench {name}[` ]", PAGE)} == set()
    (row,) = [line for line in PAGE.splitlines() if line.startswith("| `xaibench list")]
    assert set(re.findall(r"\w+", row.split("|")[2])) == set(LISTED)


def test_the_defaults_are_those_of_the_plan(here):
    (here / "plan.yaml").write_text("dataset: planted\nmodels: [cnn]\n")
    plan = read_plan("plan.yaml")
    assert plan.seeds == (0, 1, 2)
    assert len(plan.attribution) == 6
    assert set(plan.attribution) < set(available("attribution"))
    assert len(plan.metrics) == 11
    assert set(plan.metrics) < set(available("metrics"))
    assert len(plan.operators) == 2
