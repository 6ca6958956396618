"""TF-MoDISco, as its users call it, finds the planted motif in what an export gives it."""

import subprocess
import sys

import numpy as np
import pytest
from small_run import finished

h5py = pytest.importorskip("h5py")
pytest.importorskip("modiscolite")

TEXT = """
dataset: {name: planted, train: 3000, test: 500}
seeds: [0]
training: {epochs: 4}
models: {cnn: {filters: [16, 32, 32]}}
attribution: [deeplift]
sequences: 300
metrics: [auprc]
operators: [n]
fractions: [0, 1]
random_draws: 2
controlled: 0
controls: []
reports: [markdown]
"""

CTCF = "AGGGGGC"
"""The middle of MA0139.1, in which nearly every site agrees."""


def test_modisco_finds_the_planted_motif(tmp_path, call):
    work, _ = finished(tmp_path / "run", text=TEXT)
    code, _, err = call("explain", work.job.folder, "-o", tmp_path / "out", "--format", "modisco")
    assert code == 0, err
    words = ["-s", "ohe.npz", "-a", "shap.npz", "-n", "2000", "-w", "200", "-o", "motifs.h5"]
    modisco = [sys.executable, "-c", "from modiscolite.cli import cli; cli()", "motifs", *words]
    done = subprocess.run(modisco, cwd=tmp_path / "out", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    with h5py.File(tmp_path / "out" / "motifs.h5") as file:
        patterns = [pattern["contrib_scores"][:] for pattern in file["pos_patterns"].values()]
    letters = ["".join("ACGT"[base] for base in np.abs(each).argmax(1)) for each in patterns]
    other_strand = CTCF[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert any(CTCF in each or other_strand in each for each in letters), letters
