"""``xaibench init``: what it sees in data, and that a run takes the plan that it writes."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from xaibench.artefacts.job import Job, prepare
from xaibench.plan.schema import read_plan

RANDOM = np.random.default_rng(0)


def drawn(count, length=30):
    return ["".join(letters) for letters in RANDOM.choice([*"ACGT"], (count, length))]


def fasta(path, sequences, header="{}"):
    lines = [f">{header.format(row)}\n{letters}\n" for row, letters in enumerate(sequences)]
    path.write_text("".join(lines))


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def prepared(plan, plugins=()):
    """A run begins with the plan: its data are read, its models suit them."""
    return prepare(Job(read_plan(plan, plugins=plugins), plan, plugins, Path("run")))


def write_table(path, count=40, copies=0):
    sequences = drawn(count)
    sequences[-copies or count :] = sequences[:copies]
    rows = [
        f"{letters},{'ab'[row % 2]},{'test' if row >= 30 else 'train'}"
        for row, letters in enumerate(sequences)
    ]
    path.write_text("\n".join(["seq,class,fold", *rows]))


def test_a_table_with_other_names_becomes_a_plan_that_a_run_takes(here, call):
    write_table(here / "peaks.v2.csv")
    code, out, _ = call("init", "peaks.v2.csv")
    assert (code, out.splitlines()) == (
        0,
        [
            "peaks.yaml: 40 sequences of 30 nt, classes a (20) and b (20): train 30, test 10",
            "next: xaibench run peaks.yaml",
        ],
    )
    plan = yaml.safe_load((here / "peaks.yaml").read_text())
    named = {"sequence": "seq", "split": "fold", "label": "class"}
    assert plan["dataset"] == {"name": "file", "path": "peaks.v2.csv", **named}
    assert len(prepared("peaks.yaml").splits.train) < 30, "validation is cut from it"


def test_what_repeats_train_is_left_out_and_counted(here, call):
    write_table(here / "peaks.csv", copies=4)
    assert call("init", "peaks.csv")[0] == 0
    text = (here / "peaks.yaml").read_text()
    assert "deduplicated: true    # 4 sequences of test repeat train" in text
    assert len(prepared("peaks.yaml").splits.test) == 6


def test_a_plan_elsewhere_finds_the_files_and_a_plan_that_is_there_stays(here, call):
    write_table(here / "peaks.csv")
    assert call("init", "peaks.csv", "-o", "plans/mine.yaml")[0] == 0
    assert len(prepared("plans/mine.yaml").splits.test) == 10
    before = (here / "plans" / "mine.yaml").read_text()
    code, out, err = call("init", "peaks.csv", "-o", "plans/mine.yaml")
    assert (code, out) == (2, "")
    assert "plans/mine.yaml: is there already; remove it, or name another by -o" in err
    assert (here / "plans" / "mine.yaml").read_text() == before


def test_a_folder_of_classes_becomes_a_plan_that_a_run_takes(here, call):
    (here / "pets").mkdir()
    fasta(here / "pets" / "cat.fa", drawn(20))
    fasta(here / "pets" / "dog.fa", drawn(25))
    assert "classes cat (20) and dog (25)" in call("init", "pets")[1]
    assert prepared("pets.yaml").splits.train.class_names == ("cat", "dog")


def test_intervals_and_a_genome_become_a_plan(here, call):
    rows = [f"chr{row % 3}\t{10 * row}\t{10 * row + 30}\t{'ab'[row % 2]}" for row in range(40)]
    (here / "peaks.bed").write_text("\n".join(rows))
    fasta(here / "genome.fa", drawn(3, 500), header="chr{0}")
    assert "expected their genome: --set genome=FILE" in call("init", "peaks.bed")[2]
    assert call("init", "peaks.bed", "--genome", "genome.fa")[0] == 0
    assert prepared("peaks.yaml").plan.dataset.use == "intervals"


NET = """
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(120, 2)

    def forward(self, inputs):
        return self.layer(inputs.flatten(1))
"""


def test_an_own_network_needs_no_labels(here, call):
    import torch

    fasta(here / "enhancers.fa", drawn(12))
    code, _, err = call("init", "enhancers.fa")
    assert code == 2
    assert "no model can be trained on it; name the column by --set label=COLUMN, or" in err
    (here / "my_model.py").write_text(NET)
    names = {}
    exec(NET, names)
    for fold in range(2):
        torch.save(names["Net"]().state_dict(), here / f"fold{fold}.pt")
    words = ("--model", "Net", "--plugin", "my_model.py", "--weights", "fold*.pt")
    code, out, err = call("init", "enhancers.fa", *words, "-o", "sub/mine.yaml")
    assert code == 0, err
    assert out.splitlines()[-1] == "next: xaibench run sub/mine.yaml --plugin my_model.py"
    plan = prepared("sub/mine.yaml", ("my_model.py",)).plan
    assert plan.models["Net"].options["weights"] == ["../fold0.pt", "../fold1.pt"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("demo",), "demo: is a plan already; run it: xaibench run demo"),
        (("nothing.csv",), "no file 'nothing.csv'"),
        (("peaks.csv", "--weights", "a.pt"), "--weights: expected --model with it"),
        (("peaks.csv", "--model", "Net"), "no models named 'Net'"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(here, call, words, message):
    write_table(here / "peaks.csv")
    code, out, err = call("init", *words)
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert message in err
    assert list(here.glob("*.yaml")) == []


def test_of_many_classes_the_number_is_said(here, call):
    rows = [f"{letters},class {row % 7}" for row, letters in enumerate(drawn(70))]
    (here / "cells.csv").write_text("\n".join(["sequence,label", *rows]))
    assert "70 sequences of 30 nt, 7 classes: train" in call("init", "cells.csv")[1]
