"""``xaibench heads`` on models outside of runs: the commands of the page."""

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("transformers")

from small_networks import write_network
from small_tokenizer import write_tokenizer

from xaibench.dna.encoding import to_letters
from xaibench.models.dnabert2 import DNABert2

PAGE = (Path(__file__).parents[2] / "docs" / "heads.md").read_text()
COMMANDS = re.findall(r"^xaibench (heads .*)$", PAGE.partition("## A model of your own")[2], re.M)

NET = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.project = nn.Conv1d(4, 6, 1)
        self.attend = nn.MultiheadAttention(6, 2, batch_first=True)
        self.gather = nn.Linear(6, 6)
        self.classify = nn.Linear(6, 2)

    def attentions(self, inputs):
        sites = self.project(inputs).transpose(1, 2)
        return self.attend(sites, sites, sites, average_attn_weights=False)[1][:, None]

    def output_projections(self):
        return [self.gather]

    def forward(self, inputs):
        sites = self.project(inputs).transpose(1, 2)
        return self.classify(self.gather(self.attend(sites, sites, sites)[0]).mean(1))

class Raising(Net):
    def forward(self, inputs):
        raise RuntimeError("no such kernel")

class Fused(Net):
    attentions = output_projections = None

    def __getattribute__(self, name):
        if name in ("attentions", "output_projections"):
            raise AttributeError(name)
        return super().__getattribute__(name)
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """What the commands of the page name."""
    folder = tmp_path_factory.mktemp("own")
    codes = np.random.default_rng(0).integers(0, 4, (30, 24)).astype(np.uint8)
    codes[:, 9:15] = [3, 0, 3, 0, 0, 0]
    letters = to_letters(codes)
    table = pd.DataFrame({"sequence": letters, "label": ["a", "b"] * 15})
    table.to_csv(folder / "sequences.csv", index=False)
    fasta = "".join(f">s{row}\n{line}\n" for row, line in enumerate(letters))
    (folder / "sequences.fa").write_text(fasta)
    (folder / "my_classifier").mkdir()
    write_network(folder / "my_classifier", "bert")
    (folder / "my_model.py").write_text(NET)
    names: dict = {}
    exec(NET, names)
    for fold in (0, 1):
        torch.manual_seed(fold)  # a head orders four bases, which two by chance do alike
        torch.save(names["Net"]().state_dict(), folder / f"fold{fold}.pt")
    (folder / "FOLDER").mkdir()
    tokenizer = write_tokenizer(folder / "FOLDER" / "tokenizer.json")
    sizes = {"width": 12, "layers": 2, "heads": 3, "hidden": 8}
    made = DNABert2(classes=2, tokenizer=tokenizer, **sizes)
    torch.save(made.bert.state_dict(), folder / "FOLDER" / "pytorch_model.bin")
    return folder


def heads_of(folder):
    table = pd.read_csv(folder / "heads.csv")
    return table.groupby(["model", "state", "track"]).size().to_dict()


def test_a_folder_of_transformers_and_the_loss_of_its_heads(call, place, monkeypatch):
    monkeypatch.chdir(place)
    command = next(each for each in COMMANDS if "my_classifier" in each)
    code, out, err = call(*command.split(), "--ablate", 20)
    assert (code, err) == (0, "")
    assert heads_of(place / "heads") == {
        ("huggingface", "as built", track): 6 for track in ("gc", "TATAAA")
    }
    assert set(pd.read_csv(place / "heads" / "ablations.csv")["heads"]) == {0, 1}
    assert set(out.splitlines()) == {f"heads/{each.name}" for each in (place / "heads").iterdir()}


def test_a_model_of_ones_own_with_its_files_of_weights(call, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    command = next(each for each in COMMANDS if " Net " in each)
    assert call(*command.split(), "-o", tmp_path)[0] == 0
    assert heads_of(tmp_path) == {("Net", "trained", "gc"): 4}
    replicates = pd.read_csv(tmp_path / "heads.csv")["replicate"]
    assert replicates.tolist() == ["fold0"] * 2 + ["fold1"] * 2
    raising = command.replace("Net", "Raising").replace(".fa", ".csv").split()
    code, _, err = call(*raising, "--ablate", 50, "-o", tmp_path / "raising")
    assert code == 1
    assert "Raising, weights fold1: RuntimeError: no such kernel" in err
    fused = [word.replace("Net", "Fused") for word in command.split()]
    code, _, err = call(*fused, "-o", tmp_path)
    assert code == 1
    assert err.startswith("failed: Fused, weights fold0; Fused, weights fold1: the model does not")
    assert err.count("attn_implementation='eager'") == 1


def test_a_folder_and_its_network_with_random_weights(call, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    asked = ["heads", "my_classifier", "sequences.csv", "--track", "gc"]
    assert call(*asked, "-o", tmp_path / "alone")[0] == 0
    states = ["--state", "random", "--state", "pretrained"]
    assert call(*asked, *states, "-o", tmp_path)[0] == 0
    read = pd.read_csv(tmp_path / "heads.csv")
    means = {state: rows["mean"].to_numpy() for state, rows in read.groupby("state")}
    alone = pd.read_csv(tmp_path / "alone" / "heads.csv")["mean"]
    np.testing.assert_array_equal(means["pretrained"], alone)
    assert np.abs(means["random"] - means["pretrained"]).max() > 0.01
    changes = pd.read_csv(tmp_path / "changes.csv")
    steps = changes[["before", "after"]].drop_duplicates().to_numpy().tolist()
    assert steps == [["random", "pretrained"]]


def test_files_of_weights_and_the_network_with_random_ones(call, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    command = next(each for each in COMMANDS if " Net " in each).split()
    states = [word for each in ("random", "pretrained", "trained") for word in ("--state", each)]
    code, _, err = call(*command, *states, "-o", tmp_path)
    assert code == 1
    without = "Net, weights fold0, pretrained; Net, weights fold1, pretrained"
    assert f"failed: {without}: Net does not begin from pre-trained weights" in err
    read = pd.read_csv(tmp_path / "heads.csv")
    assert read[["replicate", "state"]].drop_duplicates().to_numpy().tolist() == [
        [fold, state] for fold in ("fold0", "fold1") for state in ("random", "trained")
    ]
    means = read.groupby(["state", "replicate"])["mean"].first()
    assert len(means.unique()) == 4
    changes = pd.read_csv(tmp_path / "changes.csv")
    assert set(changes["replicate"]) == {"fold0", "fold1"}


def test_a_checkpoint_and_random_weights_by_the_name_of_a_model(call, place, monkeypatch, tmp_path):
    monkeypatch.chdir(place)
    command = next(each for each in COMMANDS if "heads dnabert2 " in each)
    sizes = {"width": 12, "layers": 2, "heads": 3, "hidden": 8}
    sized = [
        word for name, size in sizes.items() for word in ("--set", f"models.dnabert2.{name}={size}")
    ]
    assert call(*command.split(), *sized, "-o", tmp_path / "one")[0] == 0
    assert heads_of(tmp_path / "one") == {
        ("dnabert2", "as built", track): 6 for track in ("gc", "cpg")
    }
    fresh = [word for word in command.split() if "pretrained" not in word]
    fresh.pop(fresh.index("--set"))
    call(*fresh, *sized, "-o", tmp_path / "two")
    one, two = (pd.read_csv(tmp_path / name / "heads.csv") for name in ("one", "two"))
    assert not np.allclose(one["mean"], two["mean"])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dnabert", ["kmer=3"]),
        ("nucleotide_transformer", ["kmer=3"]),
        ("mistral_dna", ["experts=3", "tokenizer=FOLDER/tokenizer.json"]),
    ],
)
def test_every_family_has_heads_to_ask(call, place, monkeypatch, tmp_path, name, options):
    monkeypatch.chdir(place)
    sizes = ["width=12", "layers=2", "heads=3", "hidden=10", *options]
    given = [word for each in sizes for word in ("--set", f"models.{name}.{each}")]
    code, _, err = call(
        *("heads", name, "sequences.csv", "--track", "gc", "--ablate", 20, "-o", tmp_path), *given
    )
    assert (code, err) == (0, "")
    assert heads_of(tmp_path) == {(name, "as built", "gc"): 6}
    assert len(pd.read_csv(tmp_path / "ablation_tests.csv"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "sequences.fa"], "no models named 'nowhere'"),
        (["my_classifier", "missing.fa"], "no file 'missing.fa'"),
        (["FOLDER", "sequences.fa"], "expected a folder with config.json"),
        (["my_classifier", "sequences.fa", "--model", "x"], "--model: is for a run"),
        (["my_classifier", "sequences.fa", "--state", "epoch:1"], "--state epoch:1: is for a run"),
        (["my_classifier", "--weights", "x.pt"], "--weights: is for a model of your own"),
        (["my_classifier"], "expected the folder of a run"),
        (["run", "sequences.fa"], "run: is a run, which has its own sequences"),
    ],
)
def test_what_cannot_be_asked_is_one_line(call, place, monkeypatch, arguments, message):
    monkeypatch.chdir(place)
    (place / "run").mkdir(exist_ok=True)
    (place / "run" / "plan.yaml").touch()
    code, out, err = call("heads", *arguments)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.strip().splitlines()) == 1


def test_a_folder_with_code_of_its_own_names_the_model_that_reads_it(call, place, tmp_path):
    config = json.loads((place / "my_classifier" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "auto_map": {"AutoModel": "x.X"}}))
    code, _, err = call("heads", tmp_path, place / "sequences.fa")
    assert code == 2
    assert "name it with use: dnabert2" in err
