"""A plan becomes cells, cells become records, records a report."""

import json
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import blake2b
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Any

import pandas as pd

from xaibench import __version__, results
from xaibench.alone import alone
from xaibench.begun import Begun, begun_in, mark, named_from_here, offline, unmark
from xaibench.cells import effects, retraining
from xaibench.cells.training import build, floor_of, kept_floor
from xaibench.clusters import counts, groups_of
from xaibench.controls import ORACLE, RANDOM
from xaibench.data.audit.cautions import cautions
from xaibench.data.loading import BECAUSE, STANDS_IN
from xaibench.engine import Task, missing, perform
from xaibench.errors import UsageError
from xaibench.measure import of_model
from xaibench.plan import Plan, dump
from xaibench.progress import said, said_where_long, shown
from xaibench.records import Block, excused, frame
from xaibench.registry import load
from xaibench.rendering import render
from xaibench.selftest import self_test
from xaibench.spent import Counting, Keep, counted, seconds_of
from xaibench.storage.files import write
from xaibench.store import FAILED
from xaibench.work import Job, Work, facts_of, is_explained, prepare, seeds_of
from xaibench.written import SECTIONS

OUTPUTS = (
    *("plan.yaml", "environment.json", "results.parquet", "estimates.csv", "selftest.csv"),
    *("curves.csv", "operators.csv", "rankings.csv", "agreement.csv"),
    *("training.csv", "cost.csv", "examples.json", *results.LATER),
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
    for source, model in product((None, RANDOM, ORACLE, *plan.attribution), plan.models):
        if source in (None, RANDOM) or is_explained(plan, model):
            yield from (Task(model, seed, source) for seed in seeds_of(plan, model))


def begin(job: Job) -> Work:
    """The work of a job, after all that can be refused before anything runs has been."""
    work = _read(job)
    if STANDS_IN in work.splits.facts:
        said(f"{work.splits.note} ({work.splits.facts[BECAUSE]})")
    for caution in cautions(work.splits):
        said(caution)
    for model in job.plan.models:
        _check_model(work, model)
    for refuses in (retraining.retrainings, effects.asked, groups_of):
        refuses(work)  # options of metrics that cannot be
    _check_folder(work)
    return work


def _read(job: Job) -> Work:
    with said_where_long("reading the data"):
        return prepare(job)


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
    """Compute what is missing, then write the tables and reports unless they are there.

    UsageError where another run is under way in the folder.
    """
    called = {
        "command": command,
        "plugins": [named_from_here(plugin) for plugin in work.job.plugins],
        "date": _now(),
        "jobs": jobs,
        "threads": threads,
    }
    folder, failures = work.job.folder, []
    with alone(work.store.root):
        _check_folder(work)  # another run may have come between
        _mark_folder(work)
        every, todo = planned(work)
        if todo or not _finished(work, _stamp(work)):
            mark(work, called)
            with counted(folder) as keep:
                _compute(work, todo, keep, jobs=jobs, threads=threads)
                _write_tables(work, _measured(work))
                _write_environment(work, {**called, "date": _now(), "seconds": keep()})
                unmark(work)
                failures = _render(work)
        return Outcome(len(todo), len(every), _failures(folder) + failures)


def _compute(work: Work, todo: list[Task], keep: Keep, *, jobs: int, threads: int) -> None:
    """Every artefact that is missing."""
    # what was rendered before is no longer all there is
    (work.store.root / "rendered.json").unlink(missing_ok=True)
    with shown(len(todo)) as progress:
        for training in (True, False):
            stage = [task for task in todo if (task.source is None) == training]
            perform(work, stage, jobs=jobs, threads=threads, progress=Counting(progress, keep))
    if not kept_floor(work):
        said("what trivial models reach")
    floor_of(work)


def _render(work: Work) -> list[str]:
    """The reports of the plan; a line for each that failed."""
    folder = work.job.folder
    said(f"reports ({', '.join(work.plan.reports)})")
    written, failures = render(folder, work.job.plugins)
    if not failures:
        files = [path.relative_to(folder).as_posix() for path in written]
        rendered = {"stamp": _stamp(work), "files": files}
        write(work.store.root / "rendered.json", json.dumps(rendered))
    return failures


def report(
    folder: Path, plugins: tuple[str, ...] = (), formats: tuple[str, ...] = ()
) -> tuple[list[Path], list[str]]:
    """The reports of a run folder again; of a run that was stopped, what there is so far.

    No model is trained, nothing is explained, and no plug-in is imported but ``plugins``. Returns
    what ``render`` does.
    """
    begun = begun_in(folder)
    if begun is not None:
        write_so_far(begun, folder, plugins)
    return render(folder, plugins, formats)


def write_so_far(begun: Begun, folder: Path, plugins: tuple[str, ...] = ()) -> None:
    """The tables of a run that has not come to its end, from the artefacts that it kept."""
    job = begun.job(folder, plugins)
    here = replace(job, plan=offline(job.plan, plugins))
    work = replace(_read(here), job=job)
    _check_folder(work)
    every, todo = planned(work)
    done = {"done": len(every) - len(todo), "tasks": len(every)}
    _write_tables(work, map(excused, _measured(work)))
    spent = {"seconds": seconds_of(folder), "unfinished": done}
    _write_environment(work, {**begun.told, **spent})


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


def _measured(work: Work) -> Iterator[Block]:
    """All records of a run."""
    for model in work.plan.models:
        for seed in seeds_of(work.plan, model):
            yield from of_model(work, model, seed)


def _write_tables(work: Work, blocks: Iterable[Block]) -> None:
    # statistics are slow to import, and a run that finds all there needs none
    from xaibench import certainty, comparisons, tables
    from xaibench.asked import ask
    from xaibench.certainty.classification import classification
    from xaibench.claims import claims
    from xaibench.estimates import estimates
    from xaibench.examples import examples

    plan, folder = work.plan, work.job.folder
    said("measuring")
    records = frame(blocks, plan.dataset.use)
    said("tables")
    facts = {label: facts_of(work, label) for label in plan.metrics}
    every = ask(
        records,
        facts=facts,
        control=RANDOM,
        random_method=tables.random_method(plan),
        groups=groups_of(work),
        data_seed=plan.data_seed,
    )
    estimated = estimates(every, signed=tables.signed(work), reference=plan.reference)
    for name, table in certainty.tables(every, estimated, records, tables.signed(work)).items():
        _write_csv(folder / name, table)
    _write_csv(folder / "claims.csv", claims(work, estimated))
    predictions = tables.predictions(work)
    classified = classification(predictions, groups_of(work), plan.data_seed)
    _write_csv(folder / "classification.csv", classified)
    _write_parquet(folder / "results.parquet", records)
    _write_parquet(folder / "predictions.parquet", predictions)
    _write_csv(folder / "estimates.csv", estimated)
    _write_csv(folder / "selftest.csv", self_test(estimated))
    _write_csv(folder / "curves.csv", tables.curves(work))
    _write_csv(folder / "operators.csv", comparisons.operators(work))
    _write_csv(folder / "rankings.csv", comparisons.rankings(work, estimated))
    _write_csv(folder / "agreement.csv", comparisons.agreement(work))
    _write_csv(folder / "training.csv", tables.training(work))
    _write_csv(folder / "cost.csv", tables.cost(work))
    write(folder / "examples.json", json.dumps(examples(work)))
    write(folder / "plan.yaml", dump(plan))


def _write_environment(work: Work, told: dict[str, Any]) -> None:
    from xaibench import tables  # as above

    environment = {
        **told,
        "tables": list(results.COLUMNS),
        **machine(),
        **tables.description(work),
        "clusters": counts(work),
    }
    write(work.job.folder / "environment.json", json.dumps(environment, indent=1))


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


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


def _write_parquet(path: Path, table: pd.DataFrame) -> None:
    write(path, table.to_parquet(index=False) or b"")


def _failures(folder: Path) -> list[str]:
    """One line for each thing that failed, from the records."""
    records = pd.read_parquet(folder / "results.parquet", filters=[("status", "==", FAILED)])
    columns = ["model", "seed", "method", "metric", "reason"]
    rows = records[columns].astype(str).drop_duplicates(["model", "seed", "method", "reason"])
    return [", ".join(filter(None, row)) for row in rows.itertuples(index=False)]


def conclusion(work: Work, outcome: Outcome) -> str:
    """The last words of a run: what was computed, and where the report is."""
    done = f"{outcome.computed} of {outcome.tasks} tasks computed"
    if not outcome.computed:
        done = f"nothing to compute: all {outcome.tasks} tasks were there"
    reports = sorted(work.job.folder.glob("report.*"))
    return "\n".join([done, *map(str, reports[:1])])
