"""TF-MoDISco and Fi-NeMo, as their users call them, find the planted motif in what an export gives
them."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from shown import typed
from small_run import finished

from xaibench.data.motifs import find_motif
from xaibench.export.explain import explain_into
from xaibench.export.request import Request

h5py = pytest.importorskip("h5py")
pytest.importorskip("modiscolite")

TEXT = """
dataset: {name: planted, train: 2500, test: 300}
seeds: [0]
training: {epochs: 4}
models: {cnn: {filters: [16, 32, 32]}}
attribution: [deeplift]
sequences: 150
metrics: [auprc]
operators: [n]
fractions: [0, 1]
random_draws: 2
controlled: 0
controls: []
reports: [markdown]
"""

PLANTED = find_motif("CTCF").matrix


def as_typed(command, instead):
    """The words of docs/explain.md after the name of the program, some replaced by others."""
    (line,) = [line for line in typed("docs/explain.md") if line.startswith(f"{command} ")]
    return [instead.get(word, word) for word in line.split()[1:]]


def called(command, *words, folder):
    """A command of another package, as its script calls it."""
    module, _, function = command.partition(":")
    code = f"from {module} import {function}; {function}()"
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    work, _ = finished(tmp_path_factory.mktemp("run") / "run", text=TEXT)
    return work


@pytest.fixture(scope="module")
def folder(work, tmp_path_factory):
    """An export of a run, and what TF-MoDISco finds in it."""
    folder = tmp_path_factory.mktemp("exported")
    (exported,) = explain_into(Request(str(work.job.folder)), folder, formats=("modisco", "finemo"))
    assert exported.folder == folder
    called("modiscolite.cli:cli", *as_typed("modisco motifs", {"2000": "1000"}), folder=folder)
    return folder


def resemblance(letters):
    """The largest correlation of the planted matrix with as many columns of another
    ``(position, base)``, on either strand."""
    width = len(PLANTED)
    return max(
        np.corrcoef(letters[start : start + width].ravel(), planted.ravel())[0, 1]
        for planted in (PLANTED, PLANTED[::-1, ::-1])
        for start in range(len(letters) - width + 1)
    )


def planted_pattern(folder):
    """The name of the pattern that is the planted motif."""
    with h5py.File(folder / "motifs.h5") as file:
        patterns = file["pos_patterns"]
        found = {name: resemblance(pattern["sequence"][:]) for name, pattern in patterns.items()}
    name = max(found, key=found.get)
    assert found[name] > 0.95, found
    return name


def test_modisco_finds_the_planted_motif(folder):
    planted_pattern(folder)


def test_the_report_of_modisco_shows_the_planted_motif(folder):
    """Of this motif alone, without examples: a logo takes a second."""
    name = planted_pattern(folder)
    with h5py.File(folder / "motifs.h5") as every, h5py.File(folder / "one.h5", "w") as one:
        every.copy(f"pos_patterns/{name}", one.create_group("pos_patterns"))
        one.attrs.update(every.attrs)
        seqlets = int(every[f"pos_patterns/{name}/seqlets/n_seqlets"][:].item())
    words = as_typed("modisco report", {"motifs.h5": "one.h5"})
    called("modiscolite.cli:cli", *words, "--n_examples", "0", folder=folder)
    page = (folder / "report" / "report.html").read_text()
    rows = re.findall(r"<tr>.*?</tr>", page, flags=re.DOTALL)
    (row,) = (each for each in rows if f"pos_patterns.{name}" in each)
    assert re.search(rf">{seqlets}<", row)
    assert (folder / "report" / "logos" / f"pos_patterns.{name}" / "cwm_logo.png").stat().st_size


def test_finemo_calls_its_hits_where_the_motif_was_planted(folder, work):
    pytest.importorskip("finemo", reason="Fi-NeMo is installed by hand: see docs/explain.md")
    called("finemo.main:cli", *as_typed("finemo call-hits", {}), folder=folder)
    hits = pd.read_csv(folder / "hits" / "hits_unique.tsv", sep="\t")
    hits = hits[hits["motif_name"] == f"pos_patterns.{planted_pattern(folder)}"]
    sites = work.chosen.inside_motif
    inside = [
        sites[row, start:end].all()
        for row, start, end in hits[["peak_id", "start", "end"]].itertuples(index=False)
    ]
    carrying = np.flatnonzero(sites.any(1))
    assert np.mean(inside) > 0.9
    assert len({*hits["peak_id"]} & {*carrying}) > 0.3 * len(
        carrying
    )  # the network is barely trained
