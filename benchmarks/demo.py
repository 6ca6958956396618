"""The demo's budget by part, in CPU seconds, and beside an earlier revision of this repository.

    python benchmarks/demo.py [--beside REVISION] [--set KEY=VALUE ...]

Runs `xaibench run demo` in one process and one thread, with the functions of ``PARTS`` timed: what
one calls of another counts for the other alone. Then the same command again, which finds all there,
and once more with the tables and reports to be written anew. The revision is laid out in a
temporary folder and runs with the same libraries. CPU seconds hardly depend on what else the
machine does; a run on two idle cores takes about half of them.

Below: passes for each sequence (row of the model) and forwards by method, and what integrated
gradients reach.
"""

import argparse
import importlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]

PARTS = {
    "reading data": "xaibench.artefacts.job:prepare",
    "artefacts": "xaibench.artefacts.artefact:ensure",
    "floor": "xaibench.artefacts.models:trivial_baselines_of",
    "measuring": "xaibench.evaluation.measuring:records_of_model",
    "records as a table": "xaibench.evaluation.records:frame",
    "estimates": "xaibench.analysis.estimates:estimates",
    "tests": "xaibench.analysis.certainty.significance:tests",
    "ranks": "xaibench.analysis.certainty.rank_tests:ranks",
    "variance": "xaibench.analysis.certainty.variance:variance",
    "detectable": "xaibench.analysis.certainty.power:detectable_table",
    "classification": "xaibench.analysis.certainty.classification:classification",
    "claims": "xaibench.analysis.claims:claims",
    "curves as tables": "xaibench.analysis.summaries:curves",
    "operators": "xaibench.analysis.operator_shift:operators",
    "rankings": "xaibench.analysis.operator_shift:rankings",
    "agreement": "xaibench.analysis.agreement:agreement",
    "examples": "xaibench.analysis.examples:examples",
    "reports": "xaibench.results.rendering:render_reports",
}
"""Where the time of a part is spent; what a revision lacks counts for the rest. ``artefacts`` are
listed by kind, explanations by method. Up to 0.2.0 measuring was done within ``frame``."""

BY_KIND = ("artefacts",)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--beside", metavar="REVISION", help="Of this repository, such as HEAD~9.")
    parser.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], dest="changes")
    parser.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.alone:
        _alone(given.alone, given.changes)
        return
    with tempfile.TemporaryDirectory() as temporary:
        trees = {"here": _laid_out("", Path(temporary) / "here")}
        if given.beside:
            trees[given.beside] = _laid_out(given.beside, Path(temporary) / "beside")
        measured = {name: _measure(tree, given.changes) for name, tree in trees.items()}
        _print(measured)


def _laid_out(revision: str, tree: Path) -> Path:
    """The package of a revision, or of the working tree, as an installation has it."""
    for part in ("xaibench", "models", "attribution", "reports"):
        place = tree if part == "xaibench" else tree / "xaibench"
        if revision:
            words = ["git", "-C", str(ROOT), "archive", revision, part]
            archive = subprocess.run(words, check=True, capture_output=True).stdout
            with tarfile.open(fileobj=io.BytesIO(archive)) as files:
                files.extractall(place, filter="data")
        else:
            shutil.copytree(ROOT / part, place / part)
    return tree


def _measure(tree: Path, changes: list[str]) -> tuple[dict[str, float], Path]:
    """CPU seconds by part, and the folder of the run."""
    folder = tree / "run"
    words = [word for change in changes for word in ("--set", change)]
    first = _seconds(tree, [__file__, "--alone", str(folder), *words])
    parts = json.loads((tree / "parts.json").read_text())
    parts["start and the rest"] = first - sum(parts.values())
    parts["in all"] = first
    command = ["-m", "xaibench", "run", "demo", "-o", str(folder), "--jobs", "1", *words]
    parts["again, all there"] = _seconds(tree, command)
    (folder / "store" / "rendered.json").unlink()
    parts["again, tables and reports"] = _seconds(tree, command)
    parts["importing torch alone"] = _seconds(tree, ["-c", "import torch"])
    return parts, folder


def _seconds(tree: Path, words: list[str]) -> float:
    """CPU seconds of a Python process, with its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = os.environ | {"PYTHONPATH": str(tree), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, *words], cwd=tree, env=environment)
    if done.returncode not in (0, 1):  # 1: something in the run failed, and the rest is there
        sys.exit(f"{words}: expected exit code 0 or 1, got {done.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _alone(folder: Path, changes: list[str]) -> None:
    spent: dict[str, float] = defaultdict(float)
    running: list[float] = []
    importlib.import_module("xaibench.runs.pipeline")
    for part, place in PARTS.items():
        module, _, name = place.partition(":")
        call = getattr(importlib.import_module(module), name, None)
        if call is None:
            print(f"no {place}, of {part!r}: expected in this revision", file=sys.stderr)
            continue
        timed = _timed(call, part, spent, running)
        for known in [each for each in sys.modules.values() if vars(each).get(name) is call]:
            setattr(known, name, timed)
    try:
        _run_in_this_process(folder, changes)
    finally:
        (folder.parent / "parts.json").write_text(json.dumps(spent))


def _run_in_this_process(folder: Path, changes: list[str]) -> None:
    from xaibench.artefacts.job import Job
    from xaibench.plan.schema import read_any
    from xaibench.runs import pipeline, workers

    plan = read_any("demo", changes=tuple(changes), plugins=(), limit=None)
    job = Job(plan, "demo", (), folder)
    jobs = 0 if hasattr(workers, "in_processes") else 1  # 0.1.0 had no processes for one job
    pipeline.run(pipeline.begin(job), jobs=jobs, threads=1, command="xaibench run demo")


def _timed(
    call: Callable[..., Any], part: str, spent: dict[str, float], running: list[float]
) -> Callable[..., Any]:
    """``running`` holds, for every timed call under way, the seconds of timed calls within it."""

    @wraps(call)
    def timed(*arguments: Any, **options: Any) -> Any:
        name = _kind_of(arguments[0].spec) if part in BY_KIND else part
        began = time.process_time()
        running.append(0.0)
        try:
            return call(*arguments, **options)
        finally:
            whole = time.process_time() - began
            spent[name] += whole - running.pop()
            if running:
                running[-1] += whole

    return timed


def _kind_of(spec: Mapping[str, Any]) -> str:
    """The kind of an artefact, and of an explanation by which method's code."""
    if spec["kind"] != "explained":
        return str(spec["kind"])
    return f"explained: {spec['method']['code']}"


def _print(measured: dict[str, tuple[dict[str, float], Path]]) -> None:
    seconds = pd.DataFrame({name: parts for name, (parts, _) in measured.items()}).fillna(0)
    seconds["share here"] = (100 * seconds["here"] / seconds["here"]["in all"]).map(
        "{:.1f} %".format
    )
    print(seconds.to_string(float_format="{:.1f}".format), end="\n\n")
    for name, (_, folder) in measured.items():
        print(name)
        cost = pd.read_csv(folder / "cost.csv")
        sums = cost.groupby(["model", "method"])[
            ["forwards", "backwards", "seconds", "sequences"]
        ].sum()
        each = sums[["forwards", "backwards", "seconds"]].div(sums["sequences"], axis=0)
        print(each.to_string(float_format="{:.4g}".format), end="\n\n")
        table = pd.read_csv(folder / "estimates.csv", keep_default_na=False)
        asked = table["question"].isin(["value", "against random", "normalised"])
        metrics = table["metric"].isin(["auprc", "deletion_logit_difference"])
        rows = table[asked & metrics & (table["method"] == "integrated_gradients")]
        columns = ["question", "model", "metric", "operator", "mean", "low", "high"]
        print(rows[columns].to_string(index=False), end="\n\n")


if __name__ == "__main__":
    main()
