"""``xaibench heads`` on a run."""

import re
from pathlib import Path

import pandas as pd
import pytest

from xaibench.results.columns import other_columns
from xaibench.results.schema import HEAD_TABLES

PAGE = (Path(__file__).parents[2] / "docs" / "heads.md").read_text()

PLAN = """
dataset: {name: planted, train: 40, test: 30, length: 40}
seeds: [0, 1]
training: {epochs: 1}
models:
  transformer: {width: 6, heads: 2, layers: 1, hidden: 4, kernel: 5}
  cnn: {filters: [2], kernels: [7]}
attribution: [saliency]
metrics: [effective_positions]
sequences: 2
controlled: 0
reports: [markdown]
"""


def test_a_run_to_tables_pages_and_maps(call, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.yaml").write_text(PLAN)
    assert call("run", "mine.yaml", "--jobs", 1)[0] == 0
    command = re.search(r"^xaibench (heads .*)$", PAGE, flags=re.MULTILINE)[1]
    code, out, err = call(*command.split())
    assert code == 1  # the CNN has no heads, and says so
    assert "failed: cnn, seed 0; cnn, seed 1: the model does not give its attention" in err
    folder = tmp_path / "runs" / "mine" / "heads"
    heads = pd.read_csv(folder / "heads.csv", dtype={"replicate": str})
    assert heads[["model", "replicate", "layer", "head", "track"]].to_numpy().tolist() == [
        ["transformer", seed, 0, head, track]
        for seed in ("0", "1")
        for head in (0, 1)
        for track in ("gc", "TATAAA", "truth")
    ]
    assert (heads["sequences"] <= 30).all()
    assert heads["mean"].abs().max() <= 1
    tests = pd.read_csv(folder / "ablation_tests.csv")
    assert set(tests["heads"]) == {1}
    assert set(tests.loc[tests["by"] == "strength", "replicates"]) == {2}
    by_relevance = pd.read_csv(folder / "relevance_tests.csv")
    assert {"gc", "AttnLRP"} < set(tests["track"]) == {*by_relevance["track"], "AttnLRP"}
    assert set(by_relevance.loc[by_relevance["by"] == "strength", "replicates"]) == {2}
    page = (folder / "heads.md").read_text()
    assert page.count("\n- transformer, ") == 4
    written = {path.name for path in folder.iterdir()}
    assert {"ablations.csv", "head_map_6.svg", "head_map_6.png"} <= written
    assert {"claims.csv", "heads.html"} <= written
    for table in HEAD_TABLES:
        if table.name == "changes":
            continue  # of states
        path = tmp_path / "runs" / "mine" / table.file
        read = pd.read_csv(path, dtype=dict.fromkeys(table.texts, "str"), keep_default_na=False)
        assert list(read.columns[: len(table.columns)]) == table.names
        assert other_columns(table, read) == ""
    assert {line.rpartition("/")[2] for line in out.splitlines()} == written
    again = (folder / "ablations.csv").read_bytes()
    call(*command.split(), "--model", "transformer")
    assert (folder / "ablations.csv").read_bytes() == again
    changed_along_training_and_out_of_context(call, tmp_path)


def changed_along_training_and_out_of_context(call, tmp_path):
    (command,) = re.findall(r"^xaibench (heads .*--state .*)$", PAGE, flags=re.MULTILINE)
    given = ("--model", "transformer", "--track", "gc", "-o", "states")
    assert call(*command.replace("pretrained", "random").split(), *given)[0] == 0
    changes = pd.read_csv(tmp_path / "states" / "changes.csv", dtype={"replicate": str})
    steps = changes[["before", "after"]].drop_duplicates().to_numpy().tolist()
    assert ["random", "epoch:1"] in steps
    assert ["epoch:1", "trained"] in steps
    assert ["trained", "trained, shuffled around truth"] in steps
    assert ["random", "trained"] in steps
    last = changes[changes["before"].eq("epoch:1") & changes["after"].eq("trained")]
    assert (last["change"] == 0).all()  # the training has one epoch
    assert not last["changed"].any()
    assert (changes.loc[changes["after"] == "epoch:1", "change"] != 0).any()
    heads = pd.read_csv(tmp_path / "states" / "heads.csv")
    assert heads["state"].unique().tolist() == ["random", "epoch:1", "trained"]


def test_an_endpoint_without_a_model_is_one_line_before_anything_is_computed(call, tmp_path):
    code, out, err = call("heads", tmp_path / "nothing", "--summarise", "http://localhost:1/v1")
    assert (code, out) == (2, "")
    assert "--summarise URL and --summarise-model NAME" in err


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--state", "epoch:0"], r"--state epoch:0: expected random, pretrained, trained, epoch:N"),
        (["--shuffle-around", "TBP"], "--shuffle-around TBP: expected a --track, gc, cpg, truth"),
    ],
)
def test_a_state_or_a_context_that_is_none_is_one_line(call, tmp_path, given, message):
    plan = tmp_path / "plan.yaml"
    plan.write_text(PLAN.replace("seeds: [0, 1]", "seeds: [0]"))
    code, out, err = call("heads", tmp_path, *given)
    assert (code, out) == (2, "")
    assert message in err


def test_what_cannot_be_is_one_line_before_anything_is_computed(call, tmp_path):
    code, out, err = call("heads", tmp_path / "nothing")
    assert (code, out) == (2, "")
    assert len(err.strip().splitlines()) == 1
