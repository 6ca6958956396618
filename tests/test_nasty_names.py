"""One real run whose names are code, whose model fails to train and whose method raises."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from xaibench.cli import main

SCRIPT = "<script>alert(1)</script>"
LONG = "a_method_whose_name_has_eighty_letters_".ljust(80, "x")
PLAN = {
    "dataset": {"name": "file", "path": "seen.csv"},
    "seeds": [0],
    "training": {"epochs": 1, "batch_size": 16},
    "models": {
        SCRIPT: {"use": "cnn", "filters": [4], "kernels": [5]},
        "broken & 100%": {"use": "broken"},
    },
    "attribution": {LONG: {"use": "saliency"}, "a|b *c* [d](e)": {"use": "careless"}},
    "sequences": 6,
    "metrics": {"deletion": {}, "gini": {}},
    "operators": ["uniform"],
    "random_draws": 2,
    "controlled": 4,
    "controls": ["rotated"],
    "reports": ["markdown"],
}
OWN = '''
from torch import nn

class broken(nn.Module):
    """A model that cannot be trained."""
    def __init__(self, *, classes, length, shortest):
        super().__init__()
        raise RuntimeError("no such luck <b>")

def careless(model, inputs, target):
    """A method that raises."""
    raise RuntimeError("/home/ada/own.py: 5% of a_b")
'''


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    letters = [
        f"{'ACGT'[k % 4] * 3}{'GATTACA' * 3}{'TGCA'[k % 3] * 4}{'AC' * (k % 5)}" for k in range(60)
    ]
    rows = {
        "sequence": [word[:24] for word in letters],
        "label": [SCRIPT if k % 2 else "a&b" for k in range(60)],
        "split": ["test" if k % 3 == 0 else "train" for k in range(60)],
    }
    pd.DataFrame(rows).to_csv("seen.csv", index=False)
    Path("plan.yaml").write_text(yaml.safe_dump(PLAN, sort_keys=False))
    Path("own.py").write_text(OWN)

    def call(*words):
        monkeypatch.setattr("sys.argv", ["xaibench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code, *capsys.readouterr()

    return call


def test_a_run_with_failures_and_names_that_are_code_ends_in_every_form(called):
    code, _, err = called("run", "plan.yaml", "-o", "run", "--jobs", "1", "--plugin", "own.py")
    assert code == 1
    assert "no such luck <b>" in err
    assert "5% of a_b" in err
    forms = [
        word for form in ("html", "markdown", "latex", "figures") for word in ("--format", form)
    ]
    code, out, err = called("report", "run", *forms)
    assert (code, err) == (0, "")
    assert {"run/report.html", "run/report.md", "run/tables/accuracy.tex"} <= set(out.split("\n"))
    page = Path("run/report.html").read_text()
    assert "<script>alert" not in page
    assert "no such luck &lt;b&gt;" in page
    assert "/home/ada" not in page
    assert LONG in page
    assert "no such luck &lt;b&gt;" in Path("run/report.md").read_text()
