"""However a run ends, nothing of it goes on, and the same command ends as if nothing had been."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from xaibench.artefacts.job import Job
from xaibench.plan.schema import read_plan
from xaibench.results.reading import read_results
from xaibench.runs.elapsed import seconds_of
from xaibench.runs.pipeline import begin, run
from xaibench.runs.reporting import report

PLAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0, 3]
training: waiting
models: {cnn: {filters: [4], kernels: [19]}}
attribution: [saliency, random]
metrics: [deletion]
operators: [uniform]
fractions: [0, 0.5, 1]
sequences: 5
random_draws: 2
controlled: 3
controls: []
reports: [markdown]
"""
TASKS = 2 * (1 + 2 + 2)

WAITING = """
import os, time
from pathlib import Path
from xaibench.models.training import supervised

def waiting(model, splits, *, seed):
    if seed == 3 and "WAITING" in os.environ:
        Path(os.environ["WAITING"]).touch()
        time.sleep(600)
    return supervised(model, splits, seed=seed, epochs=1, progress=lambda *_: None)
"""
"""A training that does not end under the second seed, where the environment names a file."""

PATIENCE = 240
"""Seconds for what takes ten on an idle machine, nearly all of them the imports of processes."""


def run_in(place: Path):
    """The run to its end, in this process."""
    plan, plugin = str(place / "tiny.yaml"), str(place / "waiting.py")
    work = begin(Job(read_plan(plan, plugins=(plugin,)), plan, (plugin,), place / "run"))
    return run(work, jobs=0, threads=1, command="xaibench run tiny.yaml")


def written(place: Path) -> Path:
    (place / "tiny.yaml").write_text(PLAN)
    (place / "waiting.py").write_text(WAITING)
    return place


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    place = written(tmp_path_factory.mktemp("undisturbed"))
    assert run_in(place).failures == []
    return place / "run"


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """Ends a run of two processes by a signal to the parent alone, while one of them waits and the
    other has trained; gives its place, exit code and last words once a signal is named."""
    begun = {}

    def by(name):
        if name not in begun:
            place = written(tmp_path_factory.mktemp(name))
            begun[name] = (place, *_ended(place, signal.Signals[name]))
        return begun[name]

    return by


def _ended(place: Path, number: int) -> tuple[int, list[str]]:
    words = ["run", "tiny.yaml", "-o", "run", "--plugin", "waiting.py", "--jobs", "2"]
    with subprocess.Popen(
        [sys.executable, "-m", "xaibench", *words],
        cwd=place,
        env={**os.environ, "WAITING": str(place / "waits")},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            _wait(lambda: (place / "waits").exists() and seconds_of(place / "run") is not None)
            process.send_signal(number)
            # whoever is left holds the other end, and then this does not come back
            _, said = process.communicate(timeout=PATIENCE / 4)
        finally:
            _kill_group(process.pid)
    return process.returncode, said.splitlines()


def _wait(arrived) -> None:
    until = time.monotonic() + PATIENCE
    while not arrived():
        assert time.monotonic() < until, "the run did not come so far"
        time.sleep(0.05)


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


@pytest.mark.parametrize(
    ("name", "code", "last"),
    [
        ("SIGTERM", 143, "xaibench: stopped; the same command goes on where it was"),
        ("SIGKILL", -signal.SIGKILL, None),
    ],
)
def test_no_process_outlives_a_run_that_was_ended(ended, name, code, last):
    place, ended_with, said = ended(name)
    assert ended_with == code
    assert said[0].startswith("[1/10] cnn, seed 0, training")
    assert said[1:] == [last] or last is None
    assert not [*(place / "run" / "store").glob(".making-*")]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_run_that_was_ended_goes_on_to_what_it_would_have_been(
    ended, undisturbed, tmp_path, name
):
    place = Path(shutil.copytree(ended(name)[0], tmp_path / "copy"))
    before = seconds_of(place / "run")
    outcome = run_in(place)
    assert (outcome.computed, outcome.tasks, outcome.failures) == (TASKS - 1, TASKS, [])
    again = read_results(place / "run")
    pd.testing.assert_frame_equal(again.records, read_results(undisturbed).records)
    assert again.environment["seconds"] > before > 0


def test_the_report_of_an_ended_run_says_what_it_took_so_far(ended, tmp_path):
    place, _, _ = ended("SIGTERM")
    folder = Path(shutil.copytree(place, tmp_path / "copy")) / "run"
    assert report(folder, (str(place / "waiting.py"),))[1] == []
    told = read_results(folder).environment
    assert told["unfinished"] == {"done": 1, "tasks": TASKS}
    assert told["seconds"] == seconds_of(folder) > 0
