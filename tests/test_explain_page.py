"""What docs/explain.md says must work as it is typed."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_run import finished

from xaibench.plugins.registry import available

PAGE = (Path(__file__).parent.parent / "docs" / "explain.md").read_text()
COMMANDS = [line for line in PAGE.splitlines() if line.startswith("xaibench explain ")]

MODEL = """
from torch import nn


def build():
    return nn.Sequential(nn.Conv1d(4, 3, 5), nn.ReLU(), nn.Flatten(), nn.Linear(3 * 26, 1))
"""

PLAN = """
dataset: {name: planted, train: 80, test: 40, length: 40}
seeds: [0]
training: {epochs: 1, batch_size: 32}
models: {cnn: {filters: [4], kernels: [9]}}
attribution: [deeplift]
sequences: 5
metrics: [auprc]
operators: [n]
fractions: [0, 1]
random_draws: 2
controlled: 0
controls: []
reports: [markdown]
"""

TABLE = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.*?) \|", PAGE, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """The folder of somebody who has a model with its weights, peaks, a genome, and the run of the
    demo."""
    place = tmp_path_factory.mktemp("page")
    (place / "my_model.py").write_text(MODEL)
    namespace = {}
    exec(MODEL, namespace)
    save_file(namespace["build"]().state_dict(), place / "fold0.safetensors")
    torch.save(namespace["build"]().state_dict(), place / "fold1.pt")
    rng = np.random.default_rng(0)
    letters = ["".join(row) for row in rng.choice(list("ACGT"), (5, 40))]
    (place / "new.fa").write_text("".join(f">{row}\n{each}\n" for row, each in enumerate(letters)))
    (place / "hg38.fa").write_text(f">chr1\n{''.join(letters)}\n")
    (place / "peaks.bed").write_text(
        "".join(f"chr1\t{start}\t{start + 30}\tpeak{start}\n" for start in (0, 20, 90))
    )
    (place / "runs").mkdir()
    finished(place / "runs" / "demo", text=PLAN)
    return place


def files_of(*formats):
    """The names of files that the table of the page has for these formats."""
    cells = [files for names, files in TABLE if {*re.findall(r"\w+", names)} & {*formats}]
    return re.findall(r"`([^`]+)`", " ".join(cells))


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_the_page_writes_the_files_of_its_formats(
    command, place, call, monkeypatch
):
    if "bigwig" in command:
        pytest.importorskip("pybigtools")
    monkeypatch.chdir(place)
    _, *words = shlex.split(command)
    code, out, err = call(*words)
    assert code == 0, err
    formats = [words[at + 1] for at, word in enumerate(words) if word == "--format"]
    expected = files_of(*(formats or ("scores", "parquet", "html")))
    expected = [name for name in expected if name != "scores.bedgraph"]
    assert expected
    for folder in map(Path, out.split()):
        assert folder.is_relative_to(words[words.index("-o") + 1])
        for name in expected:
            assert list(folder.glob(name)), f"{folder} has no {name}"


def test_the_page_shows_every_way_in_and_every_format():
    assert len(COMMANDS) >= 4
    shown = {name for names, _ in TABLE for name in re.findall(r"\w+", names)}
    assert shown == set(available("exports"))
