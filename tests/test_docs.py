"""What the pages in docs/ say must work as it is typed."""

import gzip
import os
import re
import runpy
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xaibench.cli import main as command_line
from xaibench.data.resolving import audited
from xaibench.data.synthetic.planted import planted
from xaibench.plan.schema import read_plan
from xaibench.plugins.registry import available, load
from xaibench.testing.contract import check_attribution

DOCS = Path(__file__).parent.parent / "docs"
PLANS = sorted((DOCS / "results").glob("*.yaml"))
SPLITS = ("train", "train", "test")


def blocks(language: str, page: str = "plugins.md") -> list[str]:
    text = (DOCS / page).read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def test_the_planted_rule_of_the_page_can_be_drawn(tmp_path):
    (block,) = [block for block in blocks("yaml", "data.md") if "rule:" in block]
    options = yaml.safe_load(block)["dataset"]
    del options["name"]
    splits = planted(data_seed=0, train=20, test=10, **options)
    assert splits.facts["rule"] == options["rule"]


@pytest.mark.parametrize(
    "command",
    [
        line
        for block in blocks("sh", "data.md")
        for line in block.splitlines()
        if line.startswith("xaibench data ") and " fetch " not in line
    ],
)
def test_the_commands_of_the_page_run(command, tmp_path, monkeypatch, capsys):
    if "--deep" in command:
        pytest.importorskip("seqleak")
    monkeypatch.chdir(tmp_path)
    rows = [f"{'ACGT'[row % 4] * 30}GATC,{row % 2},{SPLITS[row % 3]}" for row in range(24)]
    with gzip.open("ctcf_vs_pu1.csv.gz", "wt") as table:
        table.write("\n".join(["sequence,label,split", *rows]))
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit, match="0"):
        command_line()
    assert capsys.readouterr().out


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
@pytest.mark.parametrize(
    "shown", [block for block in blocks("text", "data.md") if block.startswith("AUDIT")]
)
def test_the_audits_of_the_page_are_as_shown(shown):
    (name,) = re.findall(r"sequences of (\S+), split by the file", shown)
    assert list(audited(name, changes=(), plugins=())) == shown.splitlines()


def test_the_methods_of_the_page_are_ones_that_a_plan_can_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (block,) = blocks("yaml", "attribution.md")
    Path("plan.yaml").write_text(f"dataset: planted\nmodels: [cnn]\n{block}")
    assert read_plan("plan.yaml").attribution["deeplift"].options["strands"] == "both"


def test_the_layers_and_heads_of_the_page_are_of_the_shapes_that_it_says() -> None:
    block = next(each for each in blocks("python", "attribution.md") if "head_relevance" in each)
    exec(block, names := {"__name__": "page"})
    assert {each.shape for each in names["layers"].values()} == {(1, 40, 16)}
    assert names["heads"]["layer.self_attn"].shape == (1, 2, 40, 8)
    assert names["of_each_head"].shape == (1, 2)


def test_every_method_stands_on_the_page() -> None:
    page = (DOCS / "attribution.md").read_text()
    ours = set(available("attribution")) - {"centre_of_package", "broken"}
    assert {name for name in ours if f"| `{name}` |" not in page} == set()


def test_the_five_lines_are_checked_as_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("centre.py").write_text(blocks("python")[0])
    command = next(line for line in blocks("sh") if line.startswith("xaibench check"))
    monkeypatch.setattr("sys.argv", command.split())
    with pytest.raises(SystemExit, match="0"):
        command_line()
    assert capsys.readouterr().out == blocks("text")[0]


def test_the_method_with_an_option_is_sound(tmp_path):
    source = tmp_path / "noisy.py"
    source.write_text(blocks("python")[1])
    method = load("attribution", "noisy_gradient", (str(source),)).call
    assert all(check.held is not False for check in check_attribution(method))


def test_a_broken_method_is_named_and_ends_with_exit_code_one(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("flat.py").write_text("def flat(model, inputs, target):\n    return inputs[:, 0] * 0\n")
    monkeypatch.setattr("sys.argv", ["xaibench", "check", "flat", "--plugin", "flat.py"])
    with pytest.raises(SystemExit, match="1"):
        command_line()
    out, err = capsys.readouterr()
    assert "BROKEN  tells positions apart" in out
    assert err == "failed: tells positions apart\n"


def test_the_metric_and_the_operator_of_the_page_run(tmp_path, monkeypatch):
    source = tmp_path / "mine.py"
    source.write_text(next(block for block in blocks("python") if "@metric" in block))
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "dataset: {name: planted, train: 64, test: 20, length: 40}\nseeds: [0]\n"
        "training: {epochs: 1}\nmodels: {cnn: {filters: [4], kernels: [19]}}\nsequences: 6\n"
        "attribution: [saliency]\noperators: [transition]\nmetrics: [kept_at_half]\n"
        "controlled: 6\nreports: [markdown]\n"
    )
    command = ["xaibench", "run", str(plan), "-o", str(tmp_path / "run"), "--plugin", str(source)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="0"):
        command_line()
    selftest = pd.read_csv(tmp_path / "run" / "selftest.csv")
    assert selftest[["metric", "operator"]].to_numpy().tolist() == [["kept_at_half", "transition"]]


def test_the_model_of_the_page_runs(tmp_path, monkeypatch):
    source = tmp_path / "shallow.py"
    source.write_text(next(block for block in blocks("python") if "class Shallow" in block))
    plan = tmp_path / "plan.yaml"
    plan.write_text(
        "dataset: {name: planted, train: 64, test: 20, length: 40}\nseeds: [0]\n"
        "training: {epochs: 1}\nmodels: {Shallow: {filters: 4}}\nsequences: 6\n"
        "attribution: [saliency]\nmetrics: [auprc]\ncontrolled: 6\nreports: [markdown]\n"
    )
    command = ["xaibench", "run", str(plan), "-o", str(tmp_path / "run"), "--plugin", str(source)]
    monkeypatch.setattr("sys.argv", command)
    with pytest.raises(SystemExit, match="0"):
        command_line()


def test_the_snippets_for_python_run_one_after_the_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    page = tmp_path / "page.py"  # functions are known by their source
    page.write_text("\n".join(blocks("python", "python.md")))
    found = runpy.run_path(str(page))
    assert found["explained"].hypothetical.shape == (3, 4, 20)
    assert (tmp_path / "explained" / "shap.npz").exists()
    assert set(found["measured"].to_frame()["method"]) >= {"deeplift", "mine"}
    assert len(found["run"].leaderboard) == 2
    assert found["run"].report == Path("runs/small/report.html")
    assert found["contract"].held
    assert found["contract"].to_frame()["name"].tolist()[0] == "runs"


def test_every_metric_and_operator_stands_on_the_page() -> None:
    page = (DOCS / "metrics.md").read_text()
    ours = [*available("metrics"), *available("operators")]
    missing = [name for name in ours if "package" not in name and f"`{name}`" not in page]
    assert missing == []


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
@pytest.mark.parametrize(
    "plan", sorted({*PLANS} - {PLANS[0].with_name("heads.yaml")}), ids=lambda path: path.stem
)  # heads.yaml has no data: other plans extend it
def test_the_plan_of_a_page_of_results_can_be_read(plan):
    pytest.importorskip("tokenizers")
    assert read_plan(str(plan)).models
