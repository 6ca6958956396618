"""``xaibench check-model``: a model by its name, and one line for whatever is wrong with it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

CODE = """
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self, width: int = 6, outputs: int = 2):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, width, 8), nn.Linear(width, outputs)

    def forward(self, x):
        return self.out(F.relu(self.conv(x)).amax(2))


class PositionsFirst(Net):
    def forward(self, x):
        return super().forward(x.transpose(1, 2))


def build(width: int = 6, outputs: int = 2):
    return Net(width, outputs)


def raising(width: int = 6):
    raise RuntimeError("no such width")


def nothing():
    return {"layers": []}


def second(outputs):
    return outputs[:, 1]
"""


class Net(nn.Module):
    """As in ``CODE``."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, width, 8), nn.Linear(width, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_model.py").write_text(CODE)
    torch.manual_seed(3)
    torch.save(Net().state_dict(), "fold0.pt")
    torch.save({f"module.{key}": each for key, each in Net().state_dict().items()}, "fold1.pt")
    torch.save(Net(7).state_dict(), "wider.pt")
    torch.save({"weight": torch.zeros(1)}, "other.pt")
    (tmp_path / "cut.pt").write_bytes((tmp_path / "fold0.pt").read_bytes()[:300])
    torch.save(Net(), "module.pt")
    return tmp_path


@pytest.fixture
def checked(call, folder):
    """Calls the command on a model, with a short length and one method."""

    def run(*words):
        given = ("--plugin", "my_model.py", "--method", "saliency")
        length = () if "--length" in words or "--sequences" in words else ("--length", 30)
        return call("check-model", *words, *given, *length)

    return run


def test_the_page_has_a_line_per_finding(checked):
    code, out, err = checked("build", "--weights", "fold0.pt")
    heading, on, *lines = out.splitlines()
    assert (code, err) == (0, "")
    assert (heading, on) == ("build with fold0.pt", "on 8 random sequences of 30 nt")
    assert lines[0].split() == [
        "ok",
        "input",
        "one-hot,",
        "channels",
        "ACGT,",
        "float32",
        "(N,",
        "4,",
        "30)",
    ]
    assert any("saliency" in line and "ms per sequence" in line for line in lines)


def test_a_problem_makes_the_exit_code_1(checked):
    code, out, err = checked("PositionsFirst", "--weights", "fold0.pt")
    assert code == 1
    assert "PROBLEM  input" in out
    assert "it runs with layout=NL4" in out
    assert err == "failed: PositionsFirst with fold0.pt: input\n"
    assert checked("PositionsFirst", "--weights", "fold0.pt", "--set", "layout=NL4")[0] == 0


def test_every_file_of_weights_is_checked(checked):
    weights = ("--weights", "fold0.pt", "--weights", "wider.pt")
    code, out, err = checked("build", *weights)
    assert (code, out.splitlines()[0]) == (2, "build with fold0.pt")
    assert "wider.pt: does not fit the model: 'conv.weight' is (7, 4, 8)" in err


def test_options_are_those_of_a_plan(checked):
    choose = ("--set", "outputs=5", "--set", "explain.output=3")
    assert "one number per sequence of output 3" in checked("build", *choose)[1]
    assert (
        "what second makes of the outputs"
        in checked("build", "--set", "explain.function=second")[1]
    )
    assert "logits of 5 classes" in checked("build", "--set", "outputs=5", "--classes", 5)[1]
    assert checked("build", "--weights", "fold1.pt", "--set", "strip_prefix=module.")[0] == 0
    assert "with fold0.pt" in checked("build", "--set", "weights=fold0.pt")[1]


def test_sequences_of_a_file_are_taken_with_their_labels(checked, folder):
    rows = np.random.default_rng(1).choice(list("ACGT"), (40, 35))
    table = [f"{''.join(row)},{number % 2},test" for number, row in enumerate(rows)]
    (folder / "mine.csv").write_text("\n".join(["sequence,label,split", *table]))
    out = checked("build", "--sequences", "mine.csv")[1]
    assert "on 8 of 40 sequences of 35 nt" in out
    assert "on 40 labelled sequences" in out
    (folder / "mine.fa").write_text(
        "".join(f">s{n}\n{''.join(row)}\n" for n, row in enumerate(rows))
    )
    out = checked("build", "--sequences", "mine.fa")[1]
    assert "one number per sequence, the second output less the first" in out
    assert "labelled" not in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "build --weights wider.pt",
            "does not fit the model: 'conv.weight' is (7, 4, 8) in the file",
        ),
        ("build --weights fold1.pt", "missing 'conv.weight', .*say strip_prefix: 'module.'"),
        ("build --weights other.pt", "missing 'conv.weight', .*unexpected 'weight'"),
        ("build --weights cut.pt", "cut.pt: cannot be read.*is it cut short?"),
        ("build --weights module.pt", "runs code when it is read.*torch.save(model.state_dict()"),
        ("build --weights none.pt", "no file 'none.pt'"),
        ("raising", "raising(width=6) raises RuntimeError: no such width, expected a torch.nn"),
        ("nothing", "expected it to return a torch.nn.Module, got a dict"),
        ("buidl", "no models named 'buidl'; did you mean 'build'?"),
        ("build --set layout=NLC", "build.layout: input should be '', 'N4L', 'NL4', 'N41L'"),
        ("build --set explain.outputs=1", "unknown key 'outputs'; did you mean 'output'?"),
        ("build --set explain.function=third", "no models named 'third'"),
        ("build --set width=wide", "build.width: input should be a valid integer"),
        ("torchscript", "torchscript: expects --weights FILE, the program itself"),
        ("build --device tpu", "device: torch has no 'tpu' on this machine"),
        ("build --method salience", "no attribution named 'salience'; did you mean 'saliency'?"),
    ],
)
def test_what_cannot_be_checked_is_one_line(checked, words, message):
    code, _, err = checked(*words.split())
    assert code == 2
    assert err.count("\n") == 1
    parts = message.split(".*")
    assert all(part in err for part in parts), err
