"""A small run that can be stopped anywhere, with a plug-in beside it."""

import shutil
from pathlib import Path

import pytest
from shared import made_once

from xaibench.artefacts.job import Job
from xaibench.plan.schema import read_plan
from xaibench.runs import workers
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

LEAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models:
  cnn: {filters: [4], kernels: [19]}
attribution: [saliency, own]
sequences: 5
metrics: {deletion: {}, auprc: {}}
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
controlled: 3
controls: []
reports: [markdown]
"""
"""The least that has artefacts of every kind, for tests that end a run again and again: most of
their time is that of its tables and reports."""

OWN = """
def own(model, inputs, target):
    return inputs[:, 0] + inputs[:, 2]

def large(results):
    return {"large.txt": "x" * 200_000}

def brief(results):
    return {"report.md": f"{len(results.records)} records\\n" * 9}
"""
"""A method, a report that is larger than any table, and one that costs nothing."""

BRIEF = LEAN.replace("[markdown]", "[brief]")
"""For tests of what is stored, which are not about the report: the page of Markdown would take half
of the time of a run that goes on."""

COMMAND = "xaibench run tiny.yaml"


def work_of(folder: Path, plan_text: str = PLAN):
    """The job of a plan that lies beside its run, with a plug-in that does too."""
    place = folder.parent
    plan, plugin = place / "tiny.yaml", place / "own.py"
    plan.write_text(plan_text)
    plugin.write_text(OWN)
    given = (str(plugin),)
    return begin(Job(read_plan(str(plan), plugins=given), str(plan), given, folder))


def finished(folder: Path, plan_text: str = PLAN):
    return run(work_of(folder, plan_text), jobs=0, threads=1, command=COMMAND)


def stopped(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, after: int, plan_text: str = PLAN
) -> Path:
    """A run that a key interrupts after so many tasks."""
    compute, done = workers.compute, []

    def once_more(*words):
        if len(done) == after:
            raise KeyboardInterrupt
        done.append(words)
        compute(*words)

    with monkeypatch.context() as patched:
        patched.setattr(workers, "compute", once_more)
        with pytest.raises(KeyboardInterrupt):
            finished(folder, plan_text)
    return folder


def own(folder: Path) -> tuple[str, ...]:
    """The plug-in of a run, for a report of it."""
    return (str(folder.parent / "own.py"),)


def moved(folder: Path, place: Path) -> Path:
    """A copy of a run with what lies beside it."""
    for name in ("tiny.yaml", "own.py"):
        shutil.copy(folder.parent / name, place)
    return Path(shutil.copytree(folder, place / "run"))


def lean(factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run of ``LEAN``."""
    return _finished_once(factory, "lean", LEAN)


def brief(factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished run of ``BRIEF``."""
    return _finished_once(factory, "brief", BRIEF)


def _finished_once(factory: pytest.TempPathFactory, name: str, plan_text: str) -> Path:
    def make(place: Path) -> None:
        assert finished(place / "run", plan_text).failures == []

    return moved(made_once(factory, name, make) / "run", factory.mktemp(name))


def lean_halfway(factory: pytest.TempPathFactory) -> Path:
    """The same run, stopped where both models are trained and one is explained by one method."""

    def make(place: Path) -> None:
        with pytest.MonkeyPatch.context() as monkeypatch:
            stopped(place / "run", monkeypatch, after=7, plan_text=LEAN)

    return moved(made_once(factory, "lean-halfway", make) / "run", factory.mktemp("halfway"))
