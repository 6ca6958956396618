"""A plan becomes cells, cells become records, records a report."""

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd

from xaibench import __version__, comparisons, results, tables
from xaibench.cells import effects, replacing, retraining
from xaibench.cells.training import build, floor_of
from xaibench.controls import ORACLE, RANDOM
from xaibench.engine import Task, missing, perform
from xaibench.errors import UsageError
from xaibench.estimates import estimates
from xaibench.measure import of_model
from xaibench.plan import SECTIONS, Plan, dump
from xaibench.progress import shown
from xaibench.records import frame
from xaibench.registry import load
from xaibench.selftest import self_test
from xaibench.store import FAILED, write
from xaibench.work import Job, Work, facts_of, prepare

OUTPUTS = (
    *("plan.yaml", "environment.json", "results.parquet", "estimates.csv", "selftest.csv"),
    *("curves.csv", "operators.csv", "rankings.csv", "agreement.csv"),
    *("training.csv", "cost.csv", "examples.json"),
)
LIBRARIES = ("torch", "captum", "numpy", "scipy", "pandas", "scikit-learn")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run did: tasks computed now, tasks in all, and the failed records with reasons."""

    computed: int
    tasks: int
    failures: list[str]


def tasks(plan: Plan) -> Iterator[Task]:
    """Every task of a plan: the nested loop. Training comes before what it makes possible."""
    for source in (None, RANDOM, ORACLE, *plan.attribution):
        for model in plan.models:
            for seed in plan.seeds:
                yield Task(model, seed, source)


def begin(job: Job) -> Work:
    """The work of a job, after all that can be refused before anything runs has been."""
    work = prepare(job)
    for model in job.plan.models:
        _check_model(work, model)
    for refuses in (retraining.retrainings, effects.asked):
        refuses(work)  # options of metrics that cannot be
    _check_folder(work)
    return work


def _check_model(work: Work, model: str) -> None:
    """Refuse a model that does not suit the data; one that is broken fails later, alone."""
    try:
        build(work, model)
    except UsageError:
        raise
    except Exception:
        return


def planned(work: Work) -> tuple[list[Task], list[Task]]:
    """All tasks, and those of them that are still to be computed."""
    every = list(tasks(work.plan))
    return every, [task for task in every if missing(work, task)]


def run(work: Work, *, jobs: int, threads: int, command: str) -> Outcome:
    """Compute what is missing, then write the tables and reports unless they are there."""
    began = perf_counter()
    every, todo = planned(work)
    _mark_folder(work)
    if todo:  # what was rendered before is no longer all there is
        (work.store.root / "rendered.json").unlink(missing_ok=True)
    with shown(len(todo)) as progress:
        for training in (True, False):
            stage = [task for task in todo if (task.source is None) == training]
            perform(work, stage, jobs=jobs, threads=threads, progress=progress)
    floor_of(work)
    stamp, folder = _stamp(work), work.job.folder
    failures: list[str] = []
    if todo or not _finished(work, stamp):
        _write_tables(work, jobs=jobs, threads=threads, command=command, began=began)
        written, failures = render(folder, work.job.plugins)
        if not failures:
            rendered = {"stamp": stamp, "files": [path.name for path in written]}
            write(work.store.root / "rendered.json", json.dumps(rendered))
    return Outcome(len(todo), len(every), _failures(folder) + failures)


def render(folder: Path, plugins: tuple[str, ...] = ()) -> tuple[list[Path], list[str]]:
    """Write the reports of a run folder again, from its tables alone.

    Returns the files, and a line for each report that failed; the others are written.
    """
    read = results.read(folder)
    written, failures = [], []
    for label, use in read.plan["reports"].items():
        plugin = load("reports", use["use"], plugins)
        options = {name: value for name, value in use.items() if name != "use"}
        try:
            texts = dict(plugin.call(read, **options))
        except Exception as error:
            failures.append(f"report {label}: {type(error).__name__}: {error}")
            continue
        for name, text in texts.items():
            write(folder / name, text)
            written.append(folder / name)
    return written, failures


def _check_folder(work: Work) -> None:
    """A folder may be new, empty, or a run on the same data."""
    folder = work.job.folder
    mark = folder / "store" / "data.json"
    try:
        begun = folder.exists() and {path.name for path in folder.iterdir()} - {"store"}
        data = json.loads(mark.read_text())["data"] if mark.exists() else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{folder}: cannot be used as the folder of a run: {error}") from None
    if data is None and begun:
        raise UsageError(f"{folder}: wanted a new folder or one of a run, found other files")
    if data not in (None, work.data):
        raise UsageError(
            f"{folder}: holds a run on other data ({data[:8]}, these are {work.data[:8]}); "
            "choose another folder with -o"
        )


def _mark_folder(work: Work) -> None:
    try:
        work.store.root.mkdir(parents=True, exist_ok=True)
        write(work.store.root / "data.json", json.dumps({"data": work.data}))
    except OSError as error:
        raise UsageError(f"{work.job.folder}: cannot be written: {error.strerror}") from None


def _stamp(work: Work) -> str:
    """Names everything that the tables and reports are made from."""
    plan = work.plan
    artefacts = sorted(
        path.name
        for path in work.store.root.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    parts = [(section, use.use) for section in SECTIONS for use in getattr(plan, section).values()]
    codes = [load(section, name, work.job.plugins).code for section, name in parts]
    content = json.dumps([__version__, dump(plan), codes, artefacts])
    return blake2b(content.encode(), digest_size=16).hexdigest()


def _finished(work: Work, stamp: str) -> bool:
    """Whether tables and reports of this stamp are all there."""
    folder, rendered = work.job.folder, work.store.root / "rendered.json"
    if not rendered.is_file():
        return False
    known = json.loads(rendered.read_text())
    names = [*OUTPUTS, *known["files"]]
    return bool(known["stamp"] == stamp) and all((folder / name).is_file() for name in names)


def _write_tables(work: Work, *, jobs: int, threads: int, command: str, began: float) -> None:
    plan, folder = work.plan, work.job.folder
    where = [(model, seed) for model in plan.models for seed in plan.seeds]
    blocks = (block for at in where for block in of_model(work, *at))
    records = frame(blocks, plan.dataset.use)
    facts = {label: facts_of(work, label) for label in plan.metrics}
    estimated = estimates(
        records,
        facts=facts,
        control=RANDOM,
        random_method=tables.random_method(plan),
        signed=tables.signed(work),
        data_seed=plan.data_seed,
    )
    buffer = records.to_parquet(index=False)
    write(folder / "results.parquet", buffer if buffer is not None else b"")
    _write_csv(folder / "estimates.csv", estimated)
    _write_csv(folder / "selftest.csv", self_test(estimated))
    _write_csv(folder / "curves.csv", tables.curves(work))
    _write_csv(folder / "operators.csv", comparisons.operators(work))
    _write_csv(folder / "rankings.csv", comparisons.rankings(work, estimated))
    _write_csv(folder / "agreement.csv", comparisons.agreement(work))
    _write_csv(folder / "training.csv", tables.training(work))
    _write_csv(folder / "cost.csv", tables.cost(work))
    write(folder / "examples.json", json.dumps(tables.examples(work)))
    write(folder / "plan.yaml", dump(plan))
    seconds = round(perf_counter() - began, 1)
    environment = {
        "command": command,
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "seconds": seconds,
        "jobs": jobs,
        "threads": threads,
        **machine(),
        **tables.description(work),
    }
    write(folder / "environment.json", json.dumps(environment, indent=1))


def machine() -> dict[str, Any]:
    """Versions and processor: what a number in a report was measured with."""
    versions = {"python": platform.python_version(), "xaibench": __version__}
    versions |= {name: version(name) for name in LIBRARIES}
    return {"versions": versions, "processor": _processor(), "cores": os.cpu_count()}


def _processor() -> str:
    """The processor's name, without the name of the machine."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    write(path, table.to_csv(index=False))


def _failures(folder: Path) -> list[str]:
    """One line for each thing that failed, from the records."""
    records = pd.read_parquet(folder / "results.parquet", filters=[("status", "==", FAILED)])
    columns = ["model", "seed", "method", "metric", "reason"]
    rows = records[columns].astype(str).drop_duplicates(["model", "seed", "method", "reason"])
    return [", ".join(filter(None, row)) for row in rows.itertuples(index=False)]


def summary(work: Work) -> str:
    """What a run would do, without doing it."""
    every, todo = planned(work)
    plan = work.plan
    trainings = sum(task.source is None for task in todo)
    retrained = sum(
        len(retraining.retrained_specs(work, task.model, task.seed, task.source))
        for task in todo
        if task.source != ORACLE
    )
    again = f" and {retrained} retrainings" if retrained else ""
    passes = sum(_curve_passes(work, task) for task in todo if task.source)
    return "\n".join(
        [
            f"{len(plan.models)} models x {len(plan.seeds)} seeds, "
            f"{len(plan.attribution)} methods, {len(work.chosen)} sequences explained",
            f"{len(todo)} of {len(every)} tasks to compute: {trainings} trainings{again} "
            f"({len(work.splits.train)} sequences each), {len(todo) - trainings} explanations "
            "with their curves",
            f"forward passes: {passes:,} for curves, {_tried(work, todo):,} for the oracle and "
            "true effects",
            f"into {work.job.folder}",
        ]
    )


def _tried(work: Work, todo: list[Task]) -> int:
    """Passes with one position, or one set of positions, replaced."""
    length = work.chosen.codes.shape[1]
    few = min(work.plan.controlled, len(work.chosen))
    each: int = few * length * len(replacing.oracles(work))
    for asked in effects.asked(work):
        count = min(asked.sequences or len(work.chosen), len(work.chosen))
        sets = len(asked.fractions) * asked.draws
        each += count * (sets + length if sets else 3 * length)
    return each * sum(task.source == ORACLE for task in todo)


def _curve_passes(work: Work, task: Task) -> int:
    """Passes of one sequence through the model for the curves of a task."""
    points = len(work.plan.fractions) - 2
    return sum(
        len(replacing.seen(work, course).chosen)
        * points
        * (work.plan.random_draws if course.method == RANDOM else 1)
        for course in replacing.courses(work, str(task.source))
    )


def conclusion(work: Work, outcome: Outcome) -> str:
    """The last words of a run: what was computed, and where the report is."""
    done = f"{outcome.computed} of {outcome.tasks} tasks computed"
    if not outcome.computed:
        done = f"nothing to compute: all {outcome.tasks} tasks were there"
    reports = sorted(work.job.folder.glob("report.*"))
    return "\n".join([done, *map(str, reports[:1])])
