"""Whatever a plug-in does to its process, the run goes on, names it, and exits with 1."""

import os
import warnings
from multiprocessing.util import Finalize
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from xaibench.artefacts.job import Job
from xaibench.errors import Died
from xaibench.plan.schema import read_plan
from xaibench.results.reading import read_results
from xaibench.runs import workers
from xaibench.runs.pipeline import begin, run
from xaibench.runs.processes import in_processes

DOES = {
    "leaves": ("sys.exit(0)", "SystemExit: 0"),
    "leaves_at_once": ("os._exit(0)", "os._exit(0)"),
    "interrupts": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "generates": ("raise GeneratorExit('x')", "GeneratorExit: x"),
    "is_silent": ("raise Silent", "Silent: its message cannot be made (ZeroDivisionError)"),
    "recurs": ("recurs(model, inputs, target)", "RecursionError: maximum recursion depth"),
    "forgets": ("raise MemoryError", "MemoryError"),
    "warns": ("warnings.simplefilter('error'); warnings.warn('w')", "UserWarning: w"),
    "dies": ("os.kill(os.getpid(), 9)", "the worker died: signal 9 (SIGKILL)"),
    "crashes": ("ctypes.string_at(0)", "the worker died: signal 11 (SIGSEGV)"),
    "dies_once": ("os.path.exists(MARK) or (open(MARK, 'w'), os.kill(os.getpid(), 9))", None),
    "moves": ("os.chdir('/')", None),
    "widens": ("torch.set_default_dtype(torch.float64)", None),
}
"""By method: what it does, and the reason of its records; None where nothing is amiss."""

HEAD = """
import ctypes, os, sys, warnings
import torch

MARK = os.path.join(os.path.dirname(__file__), "died")

class Silent(Exception):
    def __str__(self):
        return str(1 / 0)
"""

PLAN = f"""
dataset: {{name: planted, train: 64, test: 20, length: 40}}
seeds: [3]
training: {{epochs: 1, batch_size: 32}}
models: {{cnn: {{filters: [4], kernels: [19]}}}}
attribution: [{", ".join(DOES)}, saliency]
metrics: [deletion]
operators: [uniform]
fractions: [0, 0.5, 1]
random_draws: 2
sequences: 5
controlled: 0
reports: [markdown]
"""


def outcome_in(place: Path, jobs: int):
    body = "".join(
        f"\ndef {name}(model, inputs, target):\n    {what}\n    return inputs[:, 0].float()\n"
        for name, (what, _) in DOES.items()
    )
    (place / "own.py").write_text(HEAD + body)
    (place / "plan.yaml").write_text(PLAN)
    before = Path.cwd()
    os.chdir(place)  # paths are relative, as people type them
    try:
        plan = read_plan("plan.yaml", plugins=("own.py",))
        work = begin(Job(plan, "plan.yaml", ("own.py",), Path("run")))
        return run(work, jobs=jobs, threads=1, command="xaibench run plan.yaml")
    finally:
        os.chdir(before)


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """The outcome and the folder of the same run in one process and in two."""
    places = {jobs: tmp_path_factory.mktemp(f"jobs{jobs}") for jobs in (1, 2)}
    return {jobs: (outcome_in(place, jobs), place / "run") for jobs, place in places.items()}


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("method", DOES)
def test_what_ends_a_process_is_a_failed_record_of_its_task(both, method, jobs):
    outcome, folder = both[jobs]
    records = read_results(folder).records
    of_method = records[(records["method"] == method) & ~records["metric"].isin(["accuracy"])]
    reason = DOES[method][1]
    assert set(of_method["status"]) == {"ok" if reason is None else "failed"}
    lines = [line for line in outcome.failures if f", {method}, " in line]
    assert len(lines) == (reason is not None)
    assert all(str(reason) in line for line in lines)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_others_are_what_they_are_without_it(both, jobs):
    _, folder = both[jobs]
    records = read_results(folder).records
    assert set(records[records["method"] == "saliency"]["status"]) == {"ok"}
    pd.testing.assert_frame_equal(records, read_results(both[3 - jobs][1]).records)


def test_a_run_that_failed_can_be_had_again_and_ends(both, tmp_path):
    _, folder = both[2]
    again = outcome_in(folder.parent, 2)
    failing = [reason for _, reason in DOES.values() if reason]
    assert again.computed == len(failing)
    assert len(again.failures) == len(failing)


def test_what_warnings_do_is_put_back_after_a_task(monkeypatch):
    monkeypatch.setattr(workers, "compute", lambda *_: warnings.simplefilter("ignore"))
    before = [*warnings.filters]
    work = SimpleNamespace(plan=SimpleNamespace(device="cpu"))
    assert isinstance(workers.attempt(work, None, 1, lambda *_: None), float)
    assert warnings.filters == before


def doubling():
    return lambda task, tell: (tell(task), 2 * task)[1]


def dying_once(mark):
    def do(task, tell):
        if task == 3 and not Path(mark).exists():
            Path(mark).touch()
            os._exit(7)
        return 2 * task

    return do


def holding(mark):
    """As numba does with a lock."""
    Finalize(None, open, args=(mark, "w"), exitpriority=0)
    return lambda task, tell: task


def never():
    os._exit(9)


def test_tasks_are_answered_by_so_many_processes_and_told_of():
    told = []
    answers = in_processes(doubling, (), range(1, 8), count=3, hear=told.append)
    assert sorted(answers) == [(task, 2 * task) for task in range(1, 8)]
    assert sorted(told) == [*range(1, 8)]


def test_a_process_that_dies_is_named_with_its_task_and_replaced(tmp_path):
    mark = str(tmp_path / "mark")
    answers = dict(in_processes(dying_once, (mark,), range(1, 6), count=2))
    died = answers.pop(3)
    assert isinstance(died, Died)
    assert str(died) == "the worker died: exit code 7"
    assert answers == {1: 2, 2: 4, 4: 8, 5: 10}


def test_a_process_without_a_task_gives_back_what_libraries_hold(tmp_path):
    mark = tmp_path / "given_back"
    assert list(in_processes(holding, (str(mark),), [1], count=1)) == [(1, 1)]
    assert mark.exists()


def test_processes_that_never_begin_are_not_started_for_ever():
    from xaibench.errors import UsageError

    with pytest.raises(UsageError, match=r"3 processes in a row.*exit code 9.*--jobs"):
        list(in_processes(never, (), range(100), count=2))
