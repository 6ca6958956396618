"""Every block of Python, TOML and YAML that a page shows is run: here, by the tests of its page, or
it needs what a test does not have."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path, PurePosixPath
from types import ModuleType, SimpleNamespace

import pytest
import torch
import yaml
from shown import PAGES, blocks

from xaibench.plugins.registry import available, load
from xaibench.protocols import PROTOCOLS

CODE = ("python", "toml", "yaml")
BLOCKS = [(page, name, block) for page in PAGES for name in CODE for block in blocks(name, page)]

HERE = {
    ("docs/cluster.md", "python", "import KubeCluster"),
    ("docs/plugins.md", "python", "XAIBENCH_PROTOCOL"),
    ("docs/plugins.md", "toml", "entry-points"),
}
RUN_BY = {
    ("README.md", "python", "def centre"): "test_readme.py",
    ("docs/attribution.md", "python", "head_relevance"): "test_docs.py",
    (
        "docs/attribution.md",
        "python",
        "# squares.py|# my_rules.py",
    ): "attribution/test_user_rules.py",
    ("docs/cluster.md", "python", "import (SLURM|PBS|LSF)Cluster"): "test_cluster_page.py",
    ("docs/own-model.md", "python", "class Net"): "test_own_model_page.py",
    ("docs/plugins.md", "python", "def centre|noisy_gradient|Shallow|@metric"): "test_docs.py",
    ("docs/python.md", "python", ""): "test_docs.py",
    ("docs/run-folder.md", "python", ""): "results/test_run_folder.py",
    ("docs/statistics.md", "python", ">>> "): "statistics/test_page.py",
    ("docs/ten-things.md", "python|yaml", ""): "test_ten_things.py",
    ("docs/(?!ten-|results/).*", "yaml", r"(?s)\A(?!.*hub:)"): "test_shown_commands.py",
}
"""Blocks by page, language and what stands in them, and the tests that run them."""

NEEDS = {("docs/(language-models|results/attnlrp).md", "yaml", "hub:"): "the network"}
"""Blocks that no test runs, and what they need."""


def places(page, name, block):
    """Which of the lists above name a block."""
    return [
        (pages, names, part)
        for pages, names, part in (*HERE, *RUN_BY, *NEEDS)
        if re.fullmatch(pages, page) and re.fullmatch(names, name) and re.search(part, block)
    ]


def test_every_block_is_run_in_one_place_or_needs_what_a_test_does_not_have():
    assert [each for each in BLOCKS if len(places(*each)) != 1] == []


def test_no_list_names_a_block_that_is_not_there():
    named = {place for each in BLOCKS for place in places(*each)}
    assert named == {*HERE, *RUN_BY, *NEEDS}


@pytest.mark.parametrize(("pages", "file"), [(pages, file) for (pages, *_), file in RUN_BY.items()])
def test_the_tests_of_a_block_read_its_page(pages, file):
    """Those of many pages read all."""
    text = (Path(__file__).parent / file).read_text()
    assert (Path(pages).name if pages.endswith(".md") else "PAGES") in text


@pytest.mark.parametrize(
    "block", [block for page, name, block in BLOCKS if NEEDS.keys() & {*places(page, name, block)}]
)
def test_a_plan_that_needs_the_network_names_models_that_there_are(block):
    models = yaml.safe_load(block)["models"]
    assert {(options.get("use") or label) for label, options in models.items()} <= {
        *available("models")
    }
    assert "hub:" in str(models)


def test_a_package_is_found_by_the_entry_points_of_the_page(tmp_path, monkeypatch):
    (shown,) = blocks("toml", "docs/plugins.md")
    (tmp_path / "my_package.py").write_text(blocks("python", "docs/plugins.md")[0])
    about = tmp_path / "my_package-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    groups = tomllib.loads(shown)["project"]["entry-points"].items()
    lines = [
        f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in each.items()) for group, each in groups
    ]
    (about / "entry_points.txt").write_text("".join(lines))
    monkeypatch.syspath_prepend(tmp_path)
    available.cache_clear()
    try:
        method = load("attribution", "centre").call
        assert method(None, torch.zeros(2, 4, 5), None)[1].tolist() == [0, 0.5, 1, 0.5, 0]
    finally:
        monkeypatch.undo()
        available.cache_clear()


def test_the_protocol_of_the_page_works_here():
    (shown,) = [block for block in blocks("python", "docs/plugins.md") if "PROTOCOL" in block]
    exec(shown, names := {})
    assert names["XAIBENCH_PROTOCOL"] in PROTOCOLS


def written_spec(**given):
    """As far as the page needs it, where dask-kubernetes is not installed."""
    pod = {"containers": [{"env": given["env"], "args": given["worker_command"]}]}
    return {"spec": {"worker": {"spec": pod, "replicas": given["n_workers"]}}}


def test_pods_of_the_page_share_the_folder_of_data_and_run(monkeypatch):
    """Without Kubernetes: what the cluster is asked for, and the command that then runs."""
    asked, ran = [], []

    def cluster(*, custom_cluster_spec):
        asked.append(custom_cluster_spec)
        return SimpleNamespace(scheduler_address="tcp://10.0.0.1:8786")

    operator = ModuleType("dask_kubernetes.operator")
    operator.KubeCluster, operator.make_cluster_spec = cluster, written_spec
    monkeypatch.setitem(sys.modules, "dask_kubernetes", ModuleType("dask_kubernetes"))
    monkeypatch.setitem(sys.modules, "dask_kubernetes.operator", operator)
    monkeypatch.setattr(
        subprocess, "run", lambda words: ran.append(words) or SimpleNamespace(returncode=3)
    )
    (shown,) = [block for block in blocks("python", "docs/cluster.md") if "KubeCluster" in block]
    with pytest.raises(SystemExit, match="3"):
        exec(shown, {})
    pod = asked[0]["spec"]["worker"]["spec"]
    (container,) = pod["containers"]
    (mount,), (volume,) = container["volumeMounts"], pod["volumes"]
    assert mount["name"] == volume["name"]
    paths = (container["env"]["XAIBENCH_DATA"], ran[0][ran[0].index("-o") + 1])
    assert all(PurePosixPath(each).is_relative_to(mount["mountPath"]) for each in paths)
    assert container["args"][-2:] == ["--nthreads", "1"]
    assert ran[0][-4:] == ["--engine", "dask", "--scheduler", "tcp://10.0.0.1:8786"]
