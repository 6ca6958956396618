"""A run on a Dask cluster is that of one process to the bit, and says what is amiss with it."""

import os
import shutil
import signal
import sys
from contextlib import closing
from dataclasses import replace
from functools import partial
from itertools import chain, repeat
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace

import cloudpickle
import numpy as np
import pytest
from distributed import Client, Future, KilledWorker, LocalCluster
from small_run import LEAN, work_of

from xaibench.errors import Died, Halted, UsageError
from xaibench.progress import Lines
from xaibench.runs import cluster, workers
from xaibench.runs.calls import results_of
from xaibench.runs.engines import Engine
from xaibench.runs.pipeline import run
from xaibench.runs.tasks import tasks, unseen

pytestmark = pytest.mark.filterwarnings("default")  # Dask's, of a machine that is slow


@pytest.fixture
def submitted(monkeypatch):
    """What is submitted to a scheduler: the bytes of each call, and its options."""
    yield from listening(monkeypatch)


def listening(patch):
    heard, submit = [], Client.submit

    def listens(client, *given, **options):
        heard.append((len(cloudpickle.dumps(given)), options))
        return submit(client, *given, **options)

    patch.setattr(Client, "submit", listens)
    yield heard


@pytest.fixture
def there():
    """A scheduler with a worker in this process."""
    options = {"n_workers": 1, "threads_per_worker": 1, "resources": {"GPU": 1}}
    with LocalCluster(**options, processes=False, dashboard_address="127.0.0.1:0") as made:
        yield made


def test_a_run_is_that_of_one_process_to_the_bit(there, alone, tmp_path, submitted):
    folder = tmp_path / "dask"
    work = work_of(folder, text=LEAN)
    with cluster.on_dask(there.scheduler_address) as engine:
        assert run(work, engine=engine, threads=1, command="xaibench run plan.yaml").failures == []
    for name in ("results.parquet", "estimates.csv"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes()
    assert [path.name for path in folder.rglob(".making-*")] == []
    assert len(submitted) > 20  # trainings, methods, measuring
    assert max(size for size, _ in submitted) < 2**13  # a plan and a task
    every = [*tasks(work.plan)]
    assert not any(unseen(work, task) for task in every)
    for explained in work.store.root.glob("explained-*"):
        shutil.rmtree(explained)
    assert {task.method for task in every if unseen(work, task)} == {"saliency", "random"}


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    folder = tmp_path_factory.mktemp("alone") / "run"
    run(work_of(folder, text=LEAN), threads=1, command="xaibench run plan.yaml")
    return folder


@pytest.mark.parametrize(("count", "kills"), [(2, 1), (4, 0)])
def test_so_is_one_on_workers_of_its_own(alone, tmp_path, count, kills):
    folder = tmp_path / "dask"
    with cluster.on_local_workers(count) as engine:
        (client,) = engine.answers.args
        before = {*client.run(os.getpid).values()}
        disturbed = replace(engine, answers=partial(killing, engine, [*before][:kills]))
        work = work_of(folder, text=LEAN)
        assert run(work, engine=disturbed, threads=1, command="x").failures == []
        client.wait_for_workers(count, timeout=60)
        after = {*client.run(os.getpid).values()}
        assert {*client.run(signal.getsignal, signal.SIGINT).values()} == {signal.SIG_IGN}
    assert (len(before), len(after), len(before - after)) == (count, count, kills)
    assert not any(Path(f"/proc/{pid}").exists() for pid in before | after)
    for name in ("results.parquet", "estimates.csv"):
        assert (folder / name).read_bytes() == (alone / name).read_bytes()


def killing(engine, pids, *given, **options):
    """What an engine answers; after its first answer these processes are killed."""
    for answer in engine.answers(*given, **options):
        yield answer
        while pids:
            os.kill(pids.pop(), signal.SIGKILL)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    made = work_of(tmp_path_factory.mktemp("cluster") / "run", text=LEAN)
    made.store.root.mkdir(parents=True)
    (made.store.root / "data.json").write_text("{}")
    return made


def doubling(work, threads):
    return lambda task, tell: 2 * task


def zeros(work, *, size):
    return np.zeros(size)


def answers_of(there, work, given=(1, 2, 3), **options):
    """What a cluster answers to the tasks."""
    with cluster.on_dask(there.scheduler_address) as engine:
        with closing(engine.answers(doubling, work, given, threads=1, **options)) as answers:
            return dict(answers)


def test_a_scheduler_is_found_by_its_address_and_by_its_file(there, work, tmp_path):
    assert answers_of(there, work) == {1: 2, 2: 4, 3: 6}
    path = tmp_path / "scheduler.json"
    path.write_text(f'{{"address": "{there.scheduler_address}"}}')
    by_file = SimpleNamespace(scheduler_address=str(path))
    assert answers_of(by_file, work, [4]) == {4: 8}


def test_a_large_result_is_left_in_the_folder_and_does_not_pass(there, work, monkeypatch):
    passed, result = [], Future.result
    monkeypatch.setattr(
        Future, "result", lambda future: (passed.append(result(future)), passed[-1])[1]
    )
    calls = [partial(zeros, size=size) for size in (3, 100_000)]
    with cluster.on_dask(there.scheduler_address) as engine:
        made = [*results_of(work, calls, engine=engine, threads=1)]
    assert [len(each) for each in made] == [3, 100_000]
    assert len(passed) == 2
    assert max(len(cloudpickle.dumps(each)) for each in passed) < 2**10
    assert [*work.store.root.glob(".making-*")] == []


def unreadable(path):
    raise OSError(2, "No such file or directory")


@pytest.mark.parametrize(
    ("read", "line"),
    [
        (lambda path: b"something else", "is not what the worker wrote"),
        (unreadable, "No such file or directory; is the folder one that workers share"),
    ],
)
def test_what_is_not_as_the_worker_left_it_ends_the_run(there, work, monkeypatch, read, line):
    monkeypatch.setattr(cluster, "read_file", read)
    monkeypatch.setattr(cluster, "LARGEST_ANSWER", 0)
    with pytest.raises(Halted, match=line):
        answers_of(there, work)


def test_a_worker_with_other_packages_says_so(there, work, monkeypatch):
    known = chain(["1.0"] * len(cluster.SAME_PACKAGES), repeat("2.0"))
    monkeypatch.setattr(cluster, "version", lambda _: next(known))
    (error,) = answers_of(there, work, [1]).values()
    assert "expected xaibench 1.0, torch 1.0, numpy 1.0, as where the command runs" in str(error)


def test_a_worker_that_does_not_see_the_folder_says_so(there, work, tmp_path):
    away = replace(work, job=replace(work.job, folder=tmp_path / "away"))
    (error,) = answers_of(there, away, [1]).values()
    assert f"does not see the run folder {tmp_path / 'away'}" in str(error)


def test_a_worker_that_reads_other_data_says_so(there, work):
    (error,) = answers_of(there, replace(work, data="other"), [1]).values()
    assert "reads other data than the command" in str(error)


def test_a_task_on_a_device_takes_a_worker_that_has_one(there, work, submitted):
    (error,) = answers_of(there, work, [1], device="cuda:77").values()
    assert [options["resources"] for _, options in submitted] == [{"GPU": 1}]
    assert f"the worker {there.workers[0].address}: " in str(error)
    assert "device: torch has no 'cuda:77' on this machine" in str(error)


@pytest.mark.parametrize(
    ("known", "line"),
    [
        ({}, "the scheduler has no worker"),
        ({"a": {"resources": {}}}, "no worker has the resource GPU, for cuda"),
        ({"a": {"resources": {}}, "b": {"resources": {"GPU": 1}}}, ""),
    ],
)
def test_what_a_run_waits_for_is_said(there, work, monkeypatch, capsys, known, line):
    monkeypatch.setattr(Client, "scheduler_info", lambda *_, **__: {"workers": known})
    answers_of(there, work, [1], device="cuda")
    said = capsys.readouterr().err
    assert line in said
    assert ("waiting" in said) == bool(line)


def test_workers_that_are_lost_are_missed_until_one_comes(there, work, monkeypatch, capsys):
    monkeypatch.setattr(cluster, "SECONDS_TO_MISS", 0.01)
    known = chain(
        [{"workers": {"a": {}}}], repeat({"workers": {}}, 3), repeat({"workers": {"b": {}}})
    )
    monkeypatch.setattr(Client, "scheduler_info", lambda *_, **__: next(known))
    with cluster.on_dask(there.scheduler_address) as engine:
        with closing(engine.answers(slowly, work, [0.5], threads=1)) as answers:
            assert dict(answers) == {0.5: 0.5}
    assert capsys.readouterr().err.count("the scheduler has no worker; waiting for one") == 3


def slowly(work, threads):
    return lambda task, tell: (sleep(task), task)[1]


def test_a_scheduler_that_is_lost_ends_the_run_in_a_line(there, work):
    with cluster.on_dask(there.scheduler_address) as engine:
        with closing(engine.answers(doubling, work, range(50), threads=1)) as answers:
            next(answers)
            (client,) = engine.answers.args
            client.loop.add_callback(client.scheduler_comm.comm.abort)
            with pytest.raises(Halted, match=r"the scheduler is lost.*same command goes on"):
                list(answers)


def test_a_task_that_its_workers_end_with_is_one_that_died(there, work, monkeypatch):
    def killed(future):
        raise KilledWorker("task", None, 3)

    monkeypatch.setattr(Future, "result", killed)
    (died, *_) = answers_of(there, work, [1]).values()
    assert isinstance(died, Died)
    assert str(died).startswith("the worker died (killed, out of memory, or a crash")


def test_tasks_that_are_no_longer_wanted_are_cancelled(there, work):
    with cluster.on_dask(there.scheduler_address) as engine:
        with closing(engine.answers(doubling, work, range(50), threads=1)) as answers:
            next(answers)
        deadline = monotonic() + 20
        while there.scheduler.tasks and monotonic() < deadline:
            sleep(0.01)
        assert not there.scheduler.tasks


def test_a_call_that_no_worker_can_begin_ends_the_run(there, work, monkeypatch):
    monkeypatch.setattr(cluster, "answer", lambda *_: 1 / 0)
    with pytest.raises(UsageError, match=r"a worker cannot begin a task .ZeroDivisionError"):
        answers_of(there, work)


def test_what_a_worker_made_and_is_not_to_be_seen_ends_the_run(work, monkeypatch):
    monkeypatch.setattr(workers, "SECONDS_TO_SEE", 0.01)
    monkeypatch.setattr(workers, "unseen", lambda *_: True)
    (task, *_) = tasks(work.plan)
    engine = Engine("dask", 1, lambda *_, **__: iter_of((task, 1.5)))
    with pytest.raises(Halted, match="computed cnn, seed 0, training, and it is not to be seen"):
        workers.perform(work, [task], engine=engine, threads=1, progress=Lines(1))


def iter_of(*answers):
    yield from answers


# The command line


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--engine", "spark"], "--engine: expected here, processes or dask, got 'spark'"),
        (["--engine", "here", "--jobs", 2], "--jobs: counts processes; leave it out with --engine"),
        (["--scheduler", "tcp://h:1"], "expected --engine dask with --scheduler ADDRESS or"),
        (["--engine", "dask"], "expected --engine dask with --scheduler ADDRESS or --workers N"),
        (["--workers", 2], "expected --engine dask with --scheduler ADDRESS or --workers N"),
        (
            ["--engine", "dask", "--workers", 2, "--scheduler", "tcp://h:1"],
            "expected --engine dask with --scheduler ADDRESS or --workers N",
        ),
        (
            ["--engine", "dask", "--scheduler", "tcp://127.0.0.1:1"],
            "--scheduler: expected the addr",
        ),
        (["--engine", "dask", "--scheduler", "no such thing"], "--scheduler: expected the address"),
    ],
)
def test_options_that_lead_nowhere_are_one_line(call, monkeypatch, tmp_path, words, line):
    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 0.2)
    code, out, err = call("run", "demo", "-o", tmp_path / "run", *words)
    assert (code, out) == (2, "")
    assert len(err.splitlines()) == 1
    assert line in err
    assert not (tmp_path / "run").exists()


def test_a_missing_dask_is_one_line_with_what_to_install(call, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    code, _, err = call(
        "run", "demo", "-o", tmp_path / "run", "--engine", "dask", "--scheduler", "a"
    )
    assert (code, err) == (
        2,
        "xaibench: --engine dask: expected Dask to be installed; pip install 'xaibench[dask]'\n",
    )
