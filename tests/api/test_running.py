"""A plan, run from Python."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from small_run import LEAN, finished
from torch import nn

import xaibench
from xaibench.errors import UsageError

SMALL = {
    **yaml.safe_load(LEAN),
    "seeds": (0,),
    "training": {"epochs": 1},
    "models": {"cnn": {"filters": [4], "kernels": [19]}},
}


def test_a_mapping_is_run_as_the_same_plan_in_a_file(tmp_path):
    changes = {"seeds": [0], "training.epochs": 1, "models.cnn.filters": [4]}
    written = yaml.safe_load(LEAN)
    del written["models"]["attngen"]
    by_mapping = xaibench.run(written, folder=tmp_path / "a", changes=changes, quiet=True)
    text = yaml.safe_dump(written, sort_keys=False)
    words = ("seeds=[0]", "training.epochs=1", "models.cnn.filters=[4]")
    finished(tmp_path / "b", text=text, changes=words)
    expected = xaibench.Run.read(tmp_path / "b")
    pd.testing.assert_frame_equal(by_mapping.records, expected.records)
    assert by_mapping.report == tmp_path / "a" / "report.md"
    assert by_mapping.failures == ()
    assert by_mapping.leaderboard["method"].tolist()[0] in ("saliency", "random")
    assert "deletion_probability" in by_mapping._repr_html_()


def test_functions_stand_where_names_do(tmp_path, capfd):
    class Tiny(nn.Module):
        def __init__(self, *, classes: int, width: int = 3) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(4, width, 5), nn.Linear(width, classes)

        def forward(self, inputs):
            return self.head(self.conv(inputs).relu().amax(2))

    def first_base(model, inputs, target):
        return inputs[:, 0] + inputs[:, 1] / 2

    def share(explained, *, of: float = 0.5):
        return (explained.scores > of).mean(1)

    def wobbling(codes, generator):
        return (codes + 1) % 4

    plan = {
        **SMALL,
        "models": {"tiny": {"use": Tiny, "width": 4}},
        "attribution": [first_base, "saliency"],
        "metrics": {"deletion": {}, "positive": {"use": share, "of": 0.7}},
        "operators": [wobbling],
    }
    done = xaibench.run(plan, folder=tmp_path / "run", quiet=True)
    assert capfd.readouterr() == ("", "")
    frame = done.to_frame().set_index(["metric", "method"])
    assert frame.loc[("positive", "first_base"), "mean"] > 0
    assert set(done.leaderboard["method"]) == {"first_base", "saliency"}
    again = xaibench.run(plan, folder=tmp_path / "run", quiet=True)
    pd.testing.assert_frame_equal(again.records, done.records)
    with pytest.raises(UsageError, match="known to this process alone"):
        xaibench.run(plan, folder=tmp_path / "run", jobs=2)


def test_a_mistake_is_one_line(tmp_path):
    with pytest.raises(UsageError, match="unknown key 'sequnces'; did you mean 'sequences'"):
        xaibench.run({**SMALL, "sequnces": 3}, folder=tmp_path / "run")
    with pytest.raises(UsageError, match="no plan or preset 'demmo'; did you mean 'demo'"):
        xaibench.run("demmo", folder=tmp_path / "run")
    with pytest.raises(UsageError, match="got a Linear; name its file of weights, or call eval"):
        xaibench.run({**SMALL, "models": {"mine": nn.Linear(1, 1)}}, folder=tmp_path / "run")
    two = {**SMALL, "datasets": {"a": "planted", "b": "planted"}}
    del two["dataset"]
    with pytest.raises(UsageError, match="datasets: expected one, got a, b"):
        xaibench.run(two, folder=tmp_path / "run")
    with pytest.raises(UsageError, match="no run of xaibench here"):
        xaibench.Run.read(tmp_path)
    assert not Path(tmp_path / "run").exists()


def test_a_mapping_may_extend_a_preset(tmp_path):
    plan = {"extends": "quick", **{name: SMALL[name] for name in ("dataset", "models", "seeds")}}
    plan |= {"training": {"epochs": 1}, "attribution": ["saliency"], "metrics": ["gini"]}
    done = xaibench.run(plan, folder=tmp_path / "run", quiet=True, limit=4)
    assert done.results.plan["sequences"] == 4
    assert set(done.to_frame()["metric"]) == {"gini"}
