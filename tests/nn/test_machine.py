"""A run folder says which kernels its models came from, and who reads two of them is told."""

import json
from pathlib import Path

import pytest

from xaibench.artefacts.job import Job
from xaibench.comparison.side_by_side import compare
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin, run

PLAN = """
dataset: {name: planted, train: 64, test: 20, length: 40}
seeds: [0, 3]
training: {epochs: 1, batch_size: 32}
models: {cnn: {filters: [4], kernels: [19]}}
attribution: [saliency, random]
metrics: [auprc]
sequences: 3
random_draws: 2
controlled: 0
reports: [markdown]
"""


def ran(place: Path, *, threads: int, changes: tuple[str, ...] = ()) -> Path:
    (place / "plan.yaml").write_text(PLAN)
    plan = str(place / "plan.yaml")
    work = begin(Job(read_plan(plan, changes=changes), plan, (), place / "run"))
    assert run(work, jobs=0, threads=threads, command="xaibench run plan.yaml").failures == []
    return place / "run"


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    return [ran(tmp_path_factory.mktemp(f"on{n}"), threads=n) for n in (1, 2)]


def environment(folder: Path):
    return json.loads((folder / "environment.json").read_text())


def test_a_run_says_with_what_its_models_were_trained(folders):
    for folder, threads in zip(folders, ("1 thread, ", "2 threads, "), strict=True):
        told = environment(folder)["trained_with"]
        assert list(told.values()) == [2]
        assert next(iter(told)).startswith(threads)
        assert environment(folder)["processor"] in next(iter(told))


def test_a_run_that_goes_on_with_other_threads_says_so(tmp_path, capsys, folders):
    folder = ran(tmp_path, threads=1, changes=("seeds=[0]",))
    assert "trained before" not in capsys.readouterr().err
    ran(tmp_path, threads=2)
    assert "models trained before: 1 with 1 thread, " in capsys.readouterr().err
    told = environment(folder)["trained_with"]
    assert sorted(told.values()) == [1, 1]
    assert len(told) == 2


def test_compare_names_the_kernels_where_models_differ(folders):
    pair = compare(folders).pairs[0]
    named = [caution for caution in pair.cautions if "sums in another order" in caution]
    anew = any(each.verdict == "anew" for each in pair.same_models.values())
    assert bool(named) == anew
    if anew:
        assert "1 thread, " in named[0]
        assert "2 threads, " in named[0]
    assert any(each.key == "trained with" for each in pair.differences)
