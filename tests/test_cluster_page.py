"""The snippets of docs/cluster.md, as far as a machine without a queue can run them."""

import re
import signal
import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

dask = pytest.importorskip("dask")
OWN_HANDLER = signal.getsignal(signal.SIGINT)
jobqueue = pytest.importorskip("dask_jobqueue")
signal.signal(signal.SIGINT, OWN_HANDLER)  # it takes the key for itself when it is imported

PAGE = (Path(__file__).parent.parent / "docs" / "cluster.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)

ASKED = {
    "SLURM": ["sbatch", "#SBATCH -p standard", "#SBATCH -A lab", "#SBATCH -t 08:00:00"],
    "PBS": ["qsub", "#PBS -q standard", "#PBS -l select=1:ncpus=1:mem=8gb"],
    "LSF": ["bsub", "#BSUB -q standard", '#BSUB -P "lab"', "#BSUB -W 08:00", "#BSUB -n 1"],
}


@pytest.mark.parametrize("queue", ASKED)
def test_a_snippet_asks_the_queue_for_workers_of_one_thread(queue, monkeypatch):
    (block,) = [block for block in BLOCKS if f"import {queue}Cluster" in block]
    ran, adapted = [], []
    monkeypatch.setattr(
        subprocess, "run", lambda words: (ran.append(words), SimpleNamespace(returncode=3))[1]
    )
    monkeypatch.setattr(
        jobqueue.core.JobQueueCluster, "adapt", lambda _, **given: adapted.append(given)
    )
    options = f"jobqueue.{queue.lower()}.scheduler-options"
    names: dict[str, object] = {}
    with pytest.raises(SystemExit, match="3") if "SystemExit" in block else nullcontext():
        with dask.config.set({options: {"dashboard_address": "127.0.0.1:0"}}):
            exec(block, names)
    cluster = names["cluster"]
    try:
        submit, *directives = ASKED[queue]
        script = cluster.job_script()
        assert cluster.job_cls.submit_command.startswith(submit)
        assert set(directives) <= {*script.splitlines()}
        assert "--nthreads 1 " in script
        assert "export XAIBENCH_DATA=/shared/data" in script
        if ran:
            assert ran[0][-2:] == ["--scheduler", cluster.scheduler_address]
            assert adapted == [{"minimum_jobs": 1, "maximum_jobs": 100}]
    finally:
        cluster.close()


def test_the_command_of_the_page_is_one_that_can_be_typed(call, monkeypatch):
    from xaibench.runs import cluster

    monkeypatch.setattr(cluster, "SECONDS_TO_CONNECT", 0.2)
    (block,) = [block for block in BLOCKS if "import SLURMCluster" in block]
    words = [
        word
        for line in re.findall(r"= \[(.*)\]$", block, re.MULTILINE)
        for word in line.split(", ")
    ]
    typed = [word.strip('"') for word in words]
    assert typed[:2] == ["xaibench", "run"]
    code, _, err = call("run", "demo", *typed[3:-1], "tcp://127.0.0.1:1")
    assert code == 2
    assert "--scheduler: expected the address of a Dask scheduler" in err
