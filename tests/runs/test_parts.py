"""A run that takes a few sequences at a time, with all arrays on the disk, is the same run."""

from mmap import mmap

import pytest
from small_run import finished

from xaibench.artefacts import explanations
from xaibench.nn import inference
from xaibench.storage import arrays, files

PLAN = """
dataset: {name: planted, train: 60, test: 40, length: 60}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [6], kernels: [19]}
attribution: [saliency, deeplift]
sequences: 13
metrics:
  deletion: {}
  insertion: {}
  road: {}
  entropy: {}
operators: [n, uniform]
fractions: [0, 0.5, 1]
random_draws: 3
controlled: 7
controls: [mean map]
reports: [brief]
"""


@pytest.fixture(scope="module")
def run_of(tmp_path_factory):
    report = tmp_path_factory.mktemp("plug-in") / "brief.py"
    report.write_text("def brief(results):\n    return {'report.txt': ''}\n")

    def made():
        folder = tmp_path_factory.mktemp("run") / "run"
        _, outcome = finished(folder, text=PLAN, plugins=(str(report),))
        assert outcome.failures == []
        return folder

    return made


def test_a_run_in_parts_is_the_same_to_the_bit(run_of, monkeypatch):
    monkeypatch.setattr(inference, "EXPLAINED_ROWS", 2)
    monkeypatch.setattr(inference, "ROWS", 4)
    whole, seen = run_of(), []

    def mapped(content):
        seen.append(isinstance(content, mmap))
        return arrays.unpacked(content)

    monkeypatch.setattr("xaibench.artefacts.artefact.unpacked", mapped)
    for module in (arrays, files):
        monkeypatch.setattr(module, "MAPPED", 0)
    monkeypatch.setattr(arrays, "PART_POSITIONS", 1)
    monkeypatch.setattr(explanations, "BATCHES_LENT", 1)
    parts = run_of()
    assert seen
    assert all(seen)
    tables = ("estimates.csv", "tests.csv", "curves.csv", "agreement.csv", "operators.csv")
    for name in ("results.parquet", *tables):
        assert (parts / name).read_bytes() == (whole / name).read_bytes(), name
