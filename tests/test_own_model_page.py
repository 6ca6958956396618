"""What docs/own-model.md says must work as it is typed."""

import json
import re
import shlex
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml

from xaibench.cli import main as command_line
from xaibench.plan.schema import read_plan
from xaibench.plugins.harness_options import Explain
from xaibench.plugins.registry import load

PAGE = (Path(__file__).parent.parent / "docs" / "own-model.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """The folder of somebody who has done what the page says."""
    monkeypatch.chdir(tmp_path)
    Path("my_model.py").write_text(blocks("python")[0])
    Path("plan.yaml").write_text(blocks("yaml")[0])
    network = load("models", "Net", ("my_model.py",)).call
    for fold in range(3):
        torch.manual_seed(fold)
        torch.save(network().state_dict(), f"fold{fold}.pt")
    letters = np.array(list("ACGT"))[np.random.default_rng(0).integers(0, 4, (24, 40))]
    rows = {"sequence": ["".join(row) for row in letters], "label": [0, 1] * 12}
    pd.DataFrame(rows).to_csv("peaks.csv", index=False)
    return tmp_path


def test_the_plan_of_the_page_names_three_replicates(here):
    plan = read_plan("plan.yaml", plugins=("my_model.py",))
    assert len(plan.models["mine"].options["weights"]) == 3


def test_the_run_of_the_page_ends_in_a_report_over_the_files(here, monkeypatch):
    command = next(line for line in blocks("sh")[0].splitlines() if "xaibench run" in line)
    few = ["--limit", "4", "-o", "run", "--set", "metrics=[deletion]", "--set", "operators=[n]"]
    few += ["--jobs", "1", "--set", "attribution=[saliency, random]", "--set", "controls=[]"]
    few += ["--set", "reports=[html, markdown, latex]"]
    monkeypatch.setattr(sys, "argv", [*shlex.split(command), *few])
    with pytest.raises(SystemExit, match="0"):
        command_line()
    written = [here / "run" / "report.html", *(here / "run" / "tables").glob("*.tex")]
    report = (here / "run" / "report.md").read_text()
    for text in (report, *(path.read_text() for path in written)):
        assert "retrain" not in text.lower()
    assert "95 % interval over replicates (weight files)" in report
    assert "over replicates (weight files)" in (here / "run/tables/methods.tex").read_text()
    assert not {"training", "seeds"} & {*yaml.safe_load((here / "run/plan.yaml").read_text())}
    assert "| Method | fold0 | fold1 | fold2 |" in report
    assert "trained elsewhere" in report


@pytest.mark.parametrize(
    "choice",
    [each for each in re.findall(r"^\| `explain: (\{.*?\})` \|", PAGE, flags=re.MULTILINE)],
)
def test_every_choice_of_the_page_is_one_that_a_plan_can_make(choice):
    Explain.model_validate_json(json.dumps(yaml.safe_load(choice)))


def test_what_is_explained_is_shown_in_several_ways():
    assert len(re.findall(r"^\| `explain: ", PAGE, flags=re.MULTILINE)) > 6


def test_scores_made_elsewhere_are_measured_as_the_page_says(here, monkeypatch):
    (section,) = (each for each in blocks("yaml") if "use: scores" in each)
    letters = pd.read_csv("peaks.csv")["sequence"]
    for fold in range(3):
        scores = np.random.default_rng(fold).normal(size=(24, 40))
        np.savez(f"fold{fold}.npz", sequences=letters.to_numpy(str), attributions=scores)
    plan = yaml.safe_load(blocks("yaml")[0]) | yaml.safe_load(section)
    Path("plan.yaml").write_text(yaml.safe_dump(plan))
    few = ["--limit", "4", "-o", "run", "--set", "metrics=[deletion]", "--set", "operators=[n]"]
    few += ["--jobs", "1", "--set", "controls=[]", "--set", "reports=[markdown]"]
    monkeypatch.setattr(
        sys, "argv", ["xaibench", "run", "plan.yaml", *few, "--plugin", "my_model.py"]
    )
    with pytest.raises(SystemExit, match="0"):
        command_line()
    records = pd.read_parquet(here / "run" / "results.parquet")
    assert set(records[records["method"] == "theirs"]["status"]) == {"ok"}
    assert "scores of theirs were computed elsewhere" in (here / "run" / "report.md").read_text()


def test_the_check_of_the_page_finds_no_problem(here, monkeypatch, capsys):
    (command,) = blocks("sh")[1].splitlines()
    monkeypatch.setattr(sys, "argv", [*shlex.split(command), "--method", "saliency"])
    with pytest.raises(SystemExit, match="0"):
        command_line()
    lines = capsys.readouterr().out.splitlines()
    table = PAGE.partition("| finding |")[2].partition("\n\n")[0]
    named = {
        name
        for row in re.findall(r"^\| ([^|]*) \|", table, re.MULTILINE)
        for name in row.split(", ")
    }
    assert {re.split(r"\s{2,}", line)[1] for line in lines[2:]} - {"saliency"} <= named
