"""What is made from artefacts is the same wherever it is made, and is made where a process dies."""

import os
import subprocess
import sys
from functools import partial
from multiprocessing import parent_process

import pytest
import torch
from small_run import LEAN, work_of

from xaibench.results.schema import OF_NAME
from xaibench.runs.calls import results_of
from xaibench.runs.engines import local
from xaibench.runs.tables import tables_without_records


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return work_of(tmp_path_factory.mktemp("calls") / "run", text=LEAN)


def process_of(work, *, number):
    return number, os.getpid(), len(work.chosen), torch.get_num_threads()


def dying(work, *, how):
    """Dies in a process of its own, and there alone."""
    if parent_process() is not None:
        os.kill(os.getpid(), how) if how else os._exit(7)
    return "made"


def failing(work):
    raise KeyError(f"in a process of its own: {parent_process() is not None}")


@pytest.mark.parametrize(("jobs", "elsewhere"), [(0, False), (1, False), (2, True)])
def test_results_come_in_the_order_of_the_calls_with_the_data_and_threads_of_the_run(
    work, jobs, elsewhere
):
    calls = [partial(process_of, number=number) for number in range(5)]
    made = list(results_of(work, calls, engine=local(jobs), threads=3))
    assert [number for number, *_ in made] == [0, 1, 2, 3, 4]
    assert {(sequences, threads) for _, _, sequences, threads in made} == {(5, 3)}
    assert all((process != os.getpid()) == elsewhere for _, process, *_ in made)


@pytest.mark.parametrize(
    ("how", "reason"), [(9, "signal 9 (SIGKILL)"), (0, "exit code 7")], ids=["killed", "left"]
)
def test_what_a_process_did_not_come_to_is_made_in_this_one(work, how, reason, capsys):
    calls = [partial(dying, how=how), partial(process_of, number=1)]
    made, (number, *_) = results_of(work, calls, engine=local(2), threads=1)
    assert (made, number) == ("made", 1)
    assert capsys.readouterr().err == (
        f"xaibench: the worker died: {reason}; what it was to do is done in the main process\n"
    )


def test_what_raises_raises_as_it_does_without_processes(work, capsys):
    with pytest.raises(KeyError, match="in a process of its own: False"):
        list(results_of(work, [partial(process_of, number=0), failing], engine=local(2), threads=1))
    assert capsys.readouterr().err == ""


def test_tables_without_records_are_those_that_no_estimate_changes():
    every, apart = set(OF_NAME), set(tables_without_records())
    assert {"classification", "predictions", "curves", "agreement", "cost"} <= apart
    assert {"records", "estimates", "variance", "rankings", "claims", "selftest"} <= every - apart


AHEAD = """
import sys
from pathlib import Path

from small_run import LEAN, work_of
from xaibench.runs.calls import results_of
from xaibench.runs.engines import local
from xaibench.runs.from_artefacts import import_ahead


def has_statistics(work):
    return "xaibench.analysis.estimates" in sys.modules


if __name__ == "__main__":
    import ahead

    work = work_of(Path("run").absolute(), text=LEAN)
    import_ahead(jobs=int(sys.argv[1]), trains=False)
    calls = [ahead.has_statistics] * 2
    print(has_statistics(work), *results_of(work, calls, engine=local(2), threads=1))
"""


@pytest.mark.parametrize(("jobs", "where"), [(1, "True False False"), (2, "True True True")])
def test_statistics_are_imported_ahead_here_and_once_for_the_processes_that_need_them(
    tmp_path, jobs, where
):
    (tmp_path / "ahead.py").write_text(AHEAD)
    paths = os.pathsep.join([str(tmp_path), os.path.dirname(__file__) + "/.."])
    words = [sys.executable, "ahead.py", str(jobs)]
    environment = os.environ | {"PYTHONPATH": paths}
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, where), done.stderr
