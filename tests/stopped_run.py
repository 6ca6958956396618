"""A small run that can be stopped anywhere, with a plug-in beside it."""

from pathlib import Path

import pytest

from xaibench.artefacts.job import Job
from xaibench.plan.schema import read
from xaibench.runs import tasks
from xaibench.runs.pipeline import begin, run

PLAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [4], kernels: [19]}
attribution: [saliency, own, random]
sequences: 7
metrics:
  deletion: {}
  auprc: {}
  seed_agreement: {}
  substitution_sensitivity: {sequences: 5, draws: 2}
  substitution_agreement: {sequences: 5}
operators: [uniform]
random_draws: 3
controlled: 5
controls: [mean map]
reports: [html, markdown]
"""
TASKS = 2 * (1 + 2 + 3)
"""Per seed: the training, the random control, the oracle and three methods."""

OWN = "def own(model, inputs, target):\n    return inputs[:, 0] + inputs[:, 2]\n"


def work_of(folder: Path):
    """The job of a plan that lies beside its run, with a plug-in that does too."""
    place = folder.parent
    plan, plugin = place / "tiny.yaml", place / "own.py"
    plan.write_text(PLAN)
    plugin.write_text(OWN)
    given = (str(plugin),)
    return begin(Job(read(str(plan), plugins=given), str(plan), given, folder))


def stopped(folder: Path, monkeypatch: pytest.MonkeyPatch, *, after: int) -> Path:
    """A run that a key interrupts after so many tasks."""
    compute, done = tasks.compute, []

    def once_more(*words):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(words)
        compute(*words)

    with monkeypatch.context() as patched:
        patched.setattr(tasks, "compute", once_more)
        with pytest.raises(KeyboardInterrupt):
            run(work_of(folder), jobs=0, threads=1, command="xaibench run tiny.yaml")
    return folder


def own(folder: Path) -> tuple[str, ...]:
    """The plug-in of a run, for a report of it."""
    return (str(folder.parent / "own.py"),)
