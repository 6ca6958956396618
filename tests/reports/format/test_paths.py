"""No report tells where its files lie."""

from dataclasses import replace

import pytest

from xaibench.reports.format.paths import last_part, shareable, without_folders
from xaibench.reports.html import html
from xaibench.reports.markdown import markdown

BLANK = "/mnt/lab/ada lovelace/data/x.csv"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/ada/x.csv", "x.csv"),
        ("path: '/home/ada/x.csv'", "path: 'x.csv'"),
        ("path:/home/ada/x.csv", "path:x.csv"),
        ("~/data/x.csv and C:\\Users\\ada\\x.csv", "x.csv and x.csv"),
        ("<b>/home/ada/x</b>", "<b>x</b>"),
        ("runs/demo, ../x.csv, 3/4", "runs/demo, ../x.csv, 3/4"),
        ("https://jaspar.elixir.no/matrix", "https://jaspar.elixir.no/matrix"),
        ("file:///home/ada/x.csv", "x.csv"),
        ("path: file:///home/ada/x.csv", "path: x.csv"),
        ("from file://server/share/x.csv", "from x.csv"),
        (f"no '{BLANK}' and no 'b/c'", "no 'x.csv' and no 'b/c'"),
        ('"C:\\my files\\x.csv"', '"x.csv"'),
        ("\\\\server\\share\\x.csv", "x.csv"),
        ("/home/Ada Lovelace/x.py: shapes 3/4", "x.py: shapes 3/4"),
        ("/Users/ada: no such folder", "~: no such folder"),
        ("~ada/data/x.csv", "x.csv"),
        ("run -o/home/ada/runs --plugin=/home/ada/x.py", "run -oruns --plugin=x.py"),
        ("it's /tmp/a/b/ for x's", "it's b/ for x's"),
    ],
)
def test_absolute_paths_lose_their_folders_and_nothing_else_changes(text, left):
    assert without_folders(text) == left


@pytest.mark.parametrize(
    ("option", "left"),
    [
        (BLANK, "x.csv"),
        ("/mnt/lab/my data.csv", "my data.csv"),
        ("file:///mnt/lab/ada lovelace/x.csv", "x.csv"),
        ("C:\\ada lovelace\\x.csv", "x.csv"),
        ("~/ada lovelace/x/", "x"),
        ("/home/ada", "~"),
        ("data/x.csv", "data/x.csv"),
        ("captum.attr:Saliency", "captum.attr:Saliency"),
        ("\\d+", "\\d+"),
        ("in /mnt/lab/x.csv", "in x.csv"),
    ],
)
def test_an_option_that_is_a_path_becomes_its_last_part_blanks_and_all(option, left):
    assert last_part(option) == left


def test_options_are_cut_however_deep_they_lie(run):
    plan = run.plan | {"models": {"cnn": {"weights": ["~/a b/w.pt", {"at": BLANK}, "/x.pt", 3]}}}
    told = shareable(replace(run, plan=plan))
    assert told.plan["models"]["cnn"]["weights"] == ["w.pt", {"at": "x.csv"}, "x.pt", 3]


@pytest.fixture
def located(make):
    """A run on a file below a folder with a blank, which its reasons and facts tell of."""
    results = make(models=("cnn",), quality=(("one", 0.9), ("attention", 0.2)), operators=("n",))
    reason = "OSError: /mnt/lab/ada lovelace/data/y.csv is gone"
    failed = results.records["status"] == "failed"
    return replace(
        results,
        plan=results.plan | {"dataset": {"name": "file", "path": BLANK}},
        environment=results.environment | {"command": f"xaibench run '{BLANK}'", "data": BLANK},
        records=results.records.assign(reason=results.records["reason"].mask(failed, reason)),
        estimates=results.estimates.assign(reason=reason, method="/home/ada/own.py"),
        selftest=results.selftest.assign(reason=reason, passed="no"),
    )


@pytest.mark.parametrize("report", [html, markdown])
def test_no_file_of_a_report_shows_a_folder(located, report):
    text = "".join(report(located).values())
    assert "lovelace" not in text
    assert "/tmp/rv" not in text
    assert "/home/ada" not in text
    assert "OSError: y.csv is gone" in text
