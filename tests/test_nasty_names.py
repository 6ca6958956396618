"""A real run in which every text that a person or a file may bring is code for a page, a table or a
terminal, whose model fails to train and whose method raises."""

import csv
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
import yaml

from xaibench.cli import main


def code(number: int) -> str:
    """What leaves an attribute, a text or a script of a page, if it is written there as it is."""
    return f"\"'></script><svg onload=alert({number})>"


LONG = "a_method_whose_name_has_eighty_letters_".ljust(80, "x")
FILE, PLAN_FILE = f"{code(1).replace('/', '')}.csv", f"{code(2).replace('/', '')}.yaml"
CLASSES = (f"=1+1{code(3)}", f"@x\x1b[2J\u202e{code(4)}")
MODEL, METHOD, METRIC, OPERATOR = map(code, (5, 6, 7, 8))
PLAN = {
    "dataset": {"name": "file", "path": FILE},
    "seeds": [0],
    "training": {"epochs": 1, "batch_size": 16},
    "models": {
        MODEL: {"use": "cnn", "filters": [4], "kernels": [5]},
        "broken & 100%": {"use": "broken"},
    },
    "attribution": {
        LONG: {"use": "saliency"},
        METHOD: {"use": "input_x_gradient"},
        "a|b *c* [d](e)": {"use": "careless"},
    },
    "sequences": 6,
    "metrics": {METRIC: {"use": "deletion"}, "gini": {}},
    "operators": {OPERATOR: {"use": "uniform"}},
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


class Handlers(HTMLParser):
    """The attributes of a page that run code."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name.startswith("on") or "javascript:" in (value or "").lower():
                self.found.append((tag, name))


def computed(path: Path) -> set[str]:
    """The cells of a table that a spreadsheet computes."""
    with path.open(newline="") as opened:
        cells = {cell for row in csv.reader(opened) for cell in row if len(cell) > 1}
    return {cell for cell in cells if cell[0] in "=+-@\t\r" and not is_number(cell)}


def is_number(cell: str) -> bool:
    try:
        return bool(float(cell)) or True
    except ValueError:
        return False


def require_harmless(folder: Path) -> set[str]:
    """Of all files of a folder that are text; gives their suffixes."""
    paths = [path for path in folder.rglob("*") if path.suffix in (".html", ".md", ".csv", ".svg")]
    for path in paths:
        text = path.read_text()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text), path
        if path.suffix == ".csv":
            assert not computed(path), path
        if path.suffix == ".md":
            text = re.sub("(?m)^    .*$", "", text)  # code of Markdown, which is shown as it is
        assert Handlers(text if path.suffix != ".csv" else "").found == [], path
    return {path.suffix for path in paths}


@pytest.fixture
def called(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    letters = [
        f"{'ACGT'[k % 4] * 3}{'GATTACA' * 3}{'TGCA'[k % 3] * 4}{'AC' * (k % 5)}" for k in range(60)
    ]
    rows = {
        "name": [f"={k}{code(9)}" for k in range(60)],
        "sequence": [word[:24] for word in letters],
        "label": [CLASSES[k % 2] for k in range(60)],
        "group": [f"={k % 6}{code(10)}" for k in range(60)],
        "split": ["test" if k % 3 == 0 else "train" for k in range(60)],
    }
    pd.DataFrame(rows).to_csv(FILE, index=False)
    Path(PLAN_FILE).write_text(yaml.safe_dump(PLAN, sort_keys=False))
    Path("own.py").write_text(OWN)

    def call(*words):
        monkeypatch.setattr("sys.argv", ["xaibench", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", out + err)
        return ended.value.code, out, err

    return call


def test_runs_with_failures_and_names_that_are_code_end_in_every_form(called):
    code, _, err = called("run", PLAN_FILE, "-o", "run", "--jobs", "1", "--plugin", "own.py")
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
    assert "no such luck &lt;b&gt;" in page
    assert "/home/ada" not in page
    assert LONG in page
    assert "alert(5)" in page
    assert "no such luck &lt;b&gt;" in Path("run/report.md").read_text()
    assert require_harmless(Path("run")) == {".html", ".md", ".csv", ".svg"}

    explained = ["--model", MODEL, "--method", LONG, "--plugin", "own.py"]
    explained += [word for form in ("html", "logos", "scores") for word in ("--format", form)]
    assert called("explain", "run", "-o", "explained", *explained)[0] == 0
    assert ".html" in require_harmless(Path("explained"))

    Path("other").mkdir()
    shutil.copytree("run", "other/run")
    assert called("compare", "run", "other/run", "-o", "compared")[0] == 0
    assert require_harmless(Path("compared")) == {".html", ".csv"}
    called("data", "audit", FILE)
