"""``xaibench explain``, from the words of the command line to what its files hold."""

import json
import mmap
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from elsewhere import Elsewhere
from explained import npz_of
from safetensors.numpy import load_file
from safetensors.torch import save_file
from small_run import LEAN, finished

from xaibench.artefacts.artefact import arrays_of
from xaibench.artefacts.explanations import explained_spec
from xaibench.artefacts.trained_models import TrainedModel
from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.export import computing, explain
from xaibench.export.request import _on_device

LENGTH = 12

MODULE = """
from torch import nn


def linear(outputs: int = 1) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(4 * 12, outputs))


def twelfth() -> nn.Module:
    class Power(nn.Module):
        def forward(self, number):
            return number**12

    return nn.Sequential(*linear(), Power())


def raising(width: int = 6) -> nn.Module:
    raise RuntimeError(f"no width {width}")


def unsteady() -> nn.Module:
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4 * 12, 1)

        def forward(self, inputs):
            noise = inputs.new_empty(len(inputs), 1).normal_()
            return self.layer(inputs.flatten(1)) + noise

    return Noisy()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with a linear model, the weights of two replicates, and seven sequences."""
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(MODULE)
    for seed in range(2):
        torch.manual_seed(seed)
        weights = {"1.weight": torch.randn(1, 4 * LENGTH), "1.bias": torch.randn(1)}
        save_file(weights, f"fold{seed}.safetensors")
    torch.manual_seed(2)
    save_file({"1.weight": torch.randn(3, 48), "1.bias": torch.randn(3)}, "three.safetensors")
    letters = np.random.default_rng(0).choice(list("ACGT"), (7, LENGTH))
    lines = [f">s{row}\n{''.join(each)}\n" for row, each in enumerate(letters)]
    Path("some.fa").write_text("".join(lines))
    return tmp_path


def contributions(weights: str, output: int = 0) -> np.ndarray:
    """``(7, 12)`` in closed form: the weight of the own base minus the mean of those of the
    position."""
    rows = load_file(weights)["1.weight"]
    if len(rows) > 1:
        rows = (rows - rows.mean(0)) * len(rows) / (len(rows) - 1)
    weight = rows[output].reshape(4, LENGTH)
    corrected = weight - weight.mean(0)
    records = Path("some.fa").read_text().split()
    codes = to_codes(records[1::2])
    return corrected[codes, np.arange(LENGTH)]


OWN = ("explain", "linear", "some.fa", "--plugin", "own.py", "--method", "input_x_gradient")


def test_a_model_of_ones_own_is_explained_in_closed_form(place, call):
    code, out, err = call(*OWN, "--weights", "fold0.safetensors", "-o", "out")
    assert (code, out) == (0, "out\n"), err
    read = npz_of("out/scores.npz")
    assert read["scores"] == pytest.approx(contributions("fold0.safetensors"), abs=1e-5)
    assert read["names"].tolist() == [f"s{row}" for row in range(7)]
    table = pd.read_parquet("out/scores.parquet")
    assert table["target"].unique().tolist() == ["output"]
    assert "linear, weights fold0" in Path("out/explanations.html").read_text()
    assert not Path("out/.parts").exists()


def test_each_replicate_and_method_has_a_folder_of_its_own(place, call):
    weights = ("--weights", "fold0.safetensors", "--weights", "fold1.safetensors")
    code, out, _ = call(*OWN, *weights, "--method", "deeplift", "-o", "out", "--format", "scores")
    folders = [
        f"out/linear/fold{k}/{method}"
        for k in (0, 1)
        for method in ("input_x_gradient", "deeplift")
    ]
    assert (code, out.split()) == (0, folders)
    read = npz_of("out/linear/fold1/input_x_gradient/scores.npz")
    assert read["scores"] == pytest.approx(contributions("fold1.safetensors"), abs=1e-5)


def test_a_note_names_the_method_it_is_about(place, call):
    words = ("--weights", "fold0.safetensors", "-o", "out", "--format", "modisco")
    projected = "modisco: the method gives no hypothetical contributions"
    _, _, err = call(
        *OWN, *words, "--method", "deeplift", "--set", "attribution.deeplift.strands=both"
    )
    (line,) = (line for line in err.splitlines() if line.startswith(projected))
    assert line.endswith(" (linear/fold0/input_x_gradient)")
    _, _, err = call(*OWN, *words)
    (line,) = (line for line in err.splitlines() if line.startswith(projected))
    assert line.endswith("at the other three")


@pytest.mark.parametrize(("most", "said"), [(0, True), (1000, False)])
def test_passes_that_a_limit_ended_are_said(place, call, most, said):
    """Kronrod's points integrate a polynomial of degree 11 exactly, and Gauss's, which estimate the
    error, do not."""
    words = ["explain", "twelfth", *OWN[2:5], "--method", "integrated_gradients", "-o", "out"]
    for option in ("steps=12", f"most_added={most}"):
        words += ["--set", f"attribution.integrated_gradients.{option}"]
    code, _, err = call(*words, "--weights", "fold0.safetensors", "--format", "scores")
    assert code == 0
    line = "twelfth, weights fold0, integrated_gradients: 7 of 7 sequences had all the passes"
    assert (line in err) == said


def test_a_function_that_raises_is_named_with_its_options(place, call):
    code, _, err = call("explain", "raising", *OWN[2:], "--weights", "fold0.safetensors")
    assert code == 2
    assert "raising(width=6) raises RuntimeError: no width 6, expected a torch.nn.Module" in err


def test_codes_are_mapped_and_the_memory_of_a_block_is_given_back(place, call, monkeypatch):
    looked_at = []
    release = computing.release
    monkeypatch.setattr(explain, "COPIED", 0)
    monkeypatch.setattr(computing, "BLOCK", 3)
    monkeypatch.setattr(
        computing, "release", lambda codes: looked_at.append(codes) or release(codes)
    )
    code, _, err = call(*OWN, "--weights", "fold0.safetensors", "-o", "out")
    assert code == 0, err
    assert {type(codes.base.base.obj) for codes in looked_at} == {mmap.mmap}
    assert npz_of("out/scores.npz")["scores"] == pytest.approx(
        contributions("fold0.safetensors"), abs=1e-5
    )


@pytest.mark.parametrize("target", [0, 2])
def test_an_output_is_explained_by_its_number(place, call, target):
    several = ("--weights", "three.safetensors", "--set", "models.linear.outputs=3")
    code, _, err = call(*OWN, *several, "--target", target, "-o", "out", "--format", "scores")
    assert code == 0, err
    read = npz_of("out/scores.npz")
    assert read["scores"] == pytest.approx(contributions("three.safetensors", target), abs=1e-5)
    assert read["targets"].tolist() == [target] * 7
    assert read["outputs"].shape == (7, 3)


def test_a_stopped_export_goes_on_elsewhere_and_writes_the_same_bytes(place, call, monkeypatch):
    monkeypatch.setattr(computing, "BLOCK", 3)
    monkeypatch.setattr("xaibench.export.explain.BLOCK", 3)
    words = (*OWN, "--weights", "fold0.safetensors", "--format", "scores", "--format", "parquet")
    assert call(*words, "-o", "whole")[0] == 0
    made, explained = [], computing._explained

    def stopping(explaining, codes, *rest, **options):
        if len(made) == 2 and not Path("stopped").exists():
            Path("stopped").touch()
            raise KeyboardInterrupt
        made.append(len(codes))
        return explained(explaining, codes, *rest, **options)

    monkeypatch.setattr(computing, "_explained", stopping)
    assert call(*words, "-o", "half")[0] == 130
    assert made == [3, 3]  # the first block, and again for the guards
    assert len(list(Path("half/.parts").glob("explainedblock-*"))) == 1
    with Elsewhere():  # what is stored is of no device
        assert call(*words, "-o", "half", "--device", "cuda")[0] == 0
    assert made == [3, 3, 3, 1]
    for name in ("scores.npz", "scores.parquet"):
        assert Path("half", name).read_bytes() == Path("whole", name).read_bytes()
    half, whole = (json.loads(Path(at, "about.json").read_text()) for at in ("half", "whole"))
    assert half == {**whole, "device": "cuda (Pretended)"}


def test_a_method_that_does_not_apply_is_a_line_and_the_others_are_written(place, call):
    weights = ("--weights", "fold0.safetensors", "-o", "out", "--format", "scores")
    code, out, err = call(*OWN, "--method", "attention", *weights)
    assert (code, out) == (1, "out/linear/fold0/input_x_gradient\n")
    assert "failed: linear, weights fold0, attention: the model has no attention" in err


def test_all_is_computed_on_the_device_that_is_named(place, call):
    words = (*OWN, "--weights", "fold0.safetensors", "--format", "scores", "-o", "out")
    with Elsewhere() as device:
        code, _, err = call(*words, "--device", "cuda")
    assert code == 0, err
    assert device.sent["pinned"] == device.sent["uint8"] > 0
    assert device.sent["stayed"] == 0  # nothing is computed on the CPU
    read = npz_of("out/scores.npz")
    assert read["scores"] == pytest.approx(contributions("fold0.safetensors"), abs=1e-5)
    assert json.loads(Path("out/about.json").read_text())["device"] == "cuda (Pretended)"


def test_a_model_that_draws_numbers_is_not_explained(place, call):
    torch.manual_seed(0)
    save_file(
        {"layer.weight": torch.randn(1, 48), "layer.bias": torch.zeros(1)}, "noisy.safetensors"
    )
    words = ("explain", "unsteady", *OWN[2:], "--weights", "noisy.safetensors", "-o", "out")
    code, _, err = call(*words)
    assert code == 1
    assert "failed: unsteady, weights noisy, input_x_gradient: " in err
    assert not Path("out/scores.npz").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("explain", "linear"),
            "no such folder of a run; for a model of your own give sequences too",
        ),
        (("explain", "linear", "some.fa"), "expected the weights of the model, --weights FILE"),
        (
            (*OWN[:-2], "--weights", "fold0.safetensors"),
            "--method: expected one, as --method deeplift",
        ),
        (
            (*OWN, *OWN[-2:], "--weights", "fold0.safetensors"),
            "each once, got 'input_x_gradient' twice",
        ),
        ((*OWN, "--weights", "gone.safetensors"), "no file 'gone.safetensors'"),
        ((*OWN, "--weights", "fold0.safetensors", "--format", "bigwg"), "did you mean 'bigwig'"),
        (
            (*OWN, "--weights", "fold0.safetensors", "--format", "bedgraph"),
            "got sequences without intervals; give BED",
        ),
        ((*OWN, "--weights", "fold0.safetensors", "--target", "b"), "--target b: .* one of output"),
        ((*OWN, "--weights", "fold0.safetensors", "--seed", "0"), "--seed: is for a run"),
        ((*OWN, "--weights", "fold0.safetensors", "--set", "dataset.path=b"), "are given before"),
        (
            ("explain", "linear", "peaks.bed", *OWN[3:], "--weights", "fold0.safetensors"),
            "--genome FILE",
        ),
        ((*OWN[:-1], "sality", "--weights", "fold0.safetensors"), "did you mean 'saliency'"),
        (
            (*OWN, "--weights", "fold0.safetensors", "--device", "cuda:1"),
            "device: torch has no 'cuda:1' on this machine, which has cpu; name one of these",
        ),
        (
            (*OWN, "--weights", "peaks.bed", "--weights", "genes.bed"),
            "weights peaks: .* expected weights as .*; nor can the other 1 be loaded",
        ),
        (("explain", "."), "expected the folder of a run, got one without plan.yaml"),
    ],
)
def test_what_cannot_be_explained_is_said_in_a_line_with_the_mend(place, call, words, message):
    Path("genes.bed").write_text("chr1\t1\t13\tgene\n")
    Path("peaks.bed").write_text("chr1\t0\t12\tpeak\n")
    code, out, err = call(*words, "-o", "out")
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
    assert not Path("out").exists()


@pytest.mark.parametrize(("target", "names"), [("7", "0, 1, 2"), ("label", "no labels")])
def test_a_target_that_does_not_exist_is_answered_with_those_that_do(place, call, target, names):
    several = ("--weights", "three.safetensors", "--set", "models.linear.outputs=3")
    code, _, err = call(*OWN, *several, "--target", target, "-o", "out")
    assert code == 2
    assert f"--target {target}: " in err
    assert names in err


# Of a run


def test_a_run_of_a_device_that_is_not_there_is_explained_on_another(run_folder):
    job = run_folder.job
    there = replace(job, plan=job.plan.model_copy(update={"device": "cuda"}))
    with pytest.raises(UsageError, match=r"tiny: the run has the device: .* as --device cpu"):
        _on_device(there, None)
    assert _on_device(there, "cpu").plan == job.plan


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    methods = "{deeplift: {}, saliency: {}, random: {}, attention: {}, both: {use: saliency, "
    options = "strands: both, sequences: 2}}"
    text = LEAN.replace("[saliency, random]", methods + options)
    work, _ = finished(tmp_path_factory.mktemp("run") / "tiny", text=text)
    return work


def test_a_run_gives_the_explanations_that_it_has(run_folder, call, tmp_path):
    words = ("explain", run_folder.job.folder, "--model", "cnn", "--method", "saliency")
    code, out, err = call(*words, "-o", tmp_path / "out", "--format", "scores")
    assert code == 0, err
    assert [Path(line).relative_to(tmp_path).as_posix() for line in out.split()] == [
        "out/cnn/0/saliency",
        "out/cnn/3/saliency",
    ]
    spec = explained_spec(run_folder, TrainedModel("cnn", 3), "saliency")
    own = arrays_of(run_folder, spec)
    read = npz_of(tmp_path / "out/cnn/3/saliency/scores.npz")
    assert np.array_equal(read["scores"], own["scores"])
    assert np.array_equal(read["targets"], own["targets"])
    assert read["names"].tolist() == list(run_folder.chosen.names)
    assert read["target_names"].tolist() == list(run_folder.chosen.class_names)


@pytest.fixture
def run_with_plug_in(run_folder, tmp_path):
    """The run after a method of a file had been added to its plan."""
    folder = shutil.copytree(run_folder.job.folder, tmp_path / "more")
    plan = yaml.safe_load((folder / "plan.yaml").read_text())
    plan["attribution"]["centre"] = {"use": "centre"}
    (folder / "plan.yaml").write_text(yaml.safe_dump(plan, sort_keys=False))
    environment = json.loads((folder / "environment.json").read_text())
    environment["plugins"] = ["my files/centre.py"]
    (folder / "environment.json").write_text(json.dumps(environment))
    return folder


@pytest.mark.parametrize("method", ["saliency", "input_x_gradient"])  # one of the run, and another
def test_a_method_of_a_plug_in_that_nobody_asks_for_needs_no_file(
    method, run_with_plug_in, call, tmp_path
):
    (tmp_path / "some.fa").write_text(">a\nTTGACGTCATTTACGGACCT\n>b\nACGGA\n")
    words = ("explain", run_with_plug_in, "--model", "cnn", "--seed", 0, "--method", method)
    code, _, err = call(*words[:2], tmp_path / "some.fa", *words[2:], "-o", tmp_path / "out")
    assert code == 0, err
    code, _, err = call(*words, "-o", tmp_path / "own")
    assert code == (0 if method == "saliency" else 2), err
    assert code == 0 or "--method input_x_gradient: not in the run" in err


@pytest.mark.parametrize("words", [(), ("--method", "centre")])
def test_a_method_of_a_plug_in_that_is_asked_for_is_named_with_its_file(
    words, run_with_plug_in, call
):
    code, _, err = call("explain", run_with_plug_in, *words)
    assert code == 2
    assert "'centre'" in err
    assert err.endswith("; give the plug-ins of the run again: --plugin 'my files/centre.py'\n")
    (run_with_plug_in / "environment.json").unlink()
    assert call("explain", run_with_plug_in, *words)[2].endswith("run again: with --plugin\n")


def test_a_label_of_the_run_has_its_options_for_other_sequences(run_folder, call, tmp_path):
    """As the command has it that a report recommends."""
    (tmp_path / "some.fa").write_text(">a\nTTGACGTCATTTACGGACCT\n>b\nACGGA\n>c\nTTTACGGACCTA\n")
    words = ("explain", run_folder.job.folder, tmp_path / "some.fa", "--seed", 0, "--model", "cnn")
    changed = ("--method", "saliency", "--set", "attribution.saliency.strands=both")
    scores = []
    for given in (("--method", "both"), changed, ("--method", "saliency")):
        code, _, err = call(*words, *given, "-o", tmp_path / str(len(scores)), "--format", "scores")
        assert code == 0, err
        scores.append(npz_of(tmp_path / str(len(scores)) / "scores.npz")["scores"])
    assert len(scores[0]) == 3
    assert np.array_equal(scores[0], scores[1])
    assert not np.allclose(scores[0], scores[2])


def test_hypothetical_contributions_of_a_run_are_those_of_its_scores(run_folder, call, tmp_path):
    words = (
        "explain",
        run_folder.job.folder,
        "--model",
        "cnn",
        "--seed",
        0,
        "--method",
        "deeplift",
    )
    code, _, err = call(*words, "-o", tmp_path, "--format", "modisco", "--format", "scores")
    assert code == 0, err
    one_hot, bases = (npz_of(tmp_path / name)["arr_0"] for name in ("ohe.npz", "shap.npz"))
    spec = explained_spec(run_folder, TrainedModel("cnn", 0), "deeplift")
    own = arrays_of(run_folder, spec)["scores"]
    assert (one_hot * bases).sum(1) == pytest.approx(own, abs=1e-5)
    assert not np.allclose(bases[one_hot == 0], 0)


def test_models_without_attention_are_lines_in_the_export_of_a_run(run_folder, call, tmp_path):
    words = ("explain", run_folder.job.folder, "--method", "attention", "--seed", 0)
    code, out, err = call(*words, "-o", tmp_path, "--format", "scores")
    assert (code, out.split()) == (1, [str(tmp_path / "attngen/0/attention")])
    assert "failed: cnn, seed 0, attention: the model has no attention" in err


def test_other_sequences_are_explained_by_the_models_of_a_run(run_folder, call, tmp_path):
    letters = np.random.default_rng(1).choice(list("ACGT"), (4, 60))
    table = pd.DataFrame({"sequence": ["".join(row) for row in letters]})
    positive = run_folder.chosen.class_names[1]
    table["label"] = [positive, run_folder.chosen.class_names[0], positive, positive]
    table.to_csv(tmp_path / "new.csv", index=False)
    words = ("explain", run_folder.job.folder, tmp_path / "new.csv", "--model", "cnn", "--seed", 3)
    for target, expected in ((positive, [positive] * 4), ("label", list(table["label"]))):
        out = tmp_path / str(target)
        code, _, err = call(*words, "--method", "deeplift", "--target", target, "-o", out)
        assert code == 0, err
        written = pd.read_parquet(out / "scores.parquet")
        assert written["target"].tolist() == expected
        assert written["sequence"].tolist() == list(table["sequence"])
    assert json.loads((out / "about.json").read_text())["model"] == "cnn, seed 3"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "cn"), "--model cn: not in the run; did you mean 'cnn'"),
        (("--seed", "7"), "--seed: no model of .* has 7"),
        (("--method", "lrp"), "--method lrp: not in the run; known: deeplift"),
        (("--weights", "a.pt"), "is a run and has its own"),
        (("--target", "label"), "the run explained what is predicted"),
        (("--device", "cuda"), "torch has no 'cuda' on this machine, which has cpu"),
        (("--set", "attribution.deeplift.strands=both"), "expected sequences to explain, got none"),
    ],
)
def test_what_a_run_does_not_have_is_said_in_a_line(run_folder, call, tmp_path, words, message):
    code, _, err = call("explain", run_folder.job.folder, *words, "-o", tmp_path / "out")
    assert code == 2
    assert len(err.splitlines()) == 1
    assert re.search(message, err), err
