"""Run a plan from Python."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xaibench.artefacts.job import Job
from xaibench.errors import UsageError
from xaibench.plan.schema import Plan, read_any, read_mapping
from xaibench.plan.sections import PLUGIN_SECTIONS
from xaibench.plan.sources import MAPPING, plan_name
from xaibench.plugins.registry import Plugin, held
from xaibench.results import reading
from xaibench.runs import pipeline
from xaibench.terminal import silent

from .functions import plugin_of, section_of
from .tables import Tables

UNNAMED = "plan"
"""What the folder of a plan is called that is no file."""


@dataclass(frozen=True, eq=False, repr=False)
class Run(Tables):
    """A finished run in its folder, with the tables that it wrote.

    ``failures`` has a line for each thing that failed.
    """

    folder: Path
    failures: tuple[str, ...] = ()

    @classmethod
    def read(cls, folder: str | Path) -> Run:
        """The run that is in a folder; UsageError where there is none."""
        return cls(reading.read_results(Path(folder)), Path(folder))

    @property
    def report(self) -> Path | None:
        """The page of the run, or its first report; None where the plan has none."""
        written = [*self.folder.glob("report.html"), *sorted(self.folder.glob("report.*"))]
        return written[0] if written else None


def run(
    plan: str | Path | Mapping[str, Any] = "demo",
    *,
    folder: str | Path | None = None,
    changes: Mapping[str, Any] | Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    limit: int | None = None,
    jobs: int = 0,
    threads: int = 1,
    quiet: bool = False,
) -> Run:
    """Train, explain, measure and write the report; called again, resume where it stopped.

    Parameters
    ----------
    plan
        A preset, a YAML file, or what such a file holds as a mapping. In a mapping a model, method,
        metric or operator may be a function in place of a name.
    folder
        Of the run; ``runs/NAME`` by default.
    changes
        ``{"seeds": [0], "training.epochs": 1}``, or as ``--set`` has them.
    plugins
        Files or modules whose functions are plug-ins.
    limit
        Explain at most so many sequences.
    jobs, threads
        Processes, 0 for this one, and threads of torch in each. Numbers do not depend on ``jobs``.
    quiet
        Print nothing on the way.

    Notes
    -----
    UsageError (one line) for what the caller can mend.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> planned = {
    ...     "dataset": {"name": "planted", "train": 20, "test": 10, "length": 40},
    ...     "training": {"epochs": 1}, "seeds": [0],
    ...     "models": {"cnn": {"kernels": [5], "filters": [2]}},
    ...     "attribution": ["saliency"], "metrics": ["effective_positions"], "controlled": 0,
    ...     "reports": ["markdown"],
    ... }
    >>> with TemporaryDirectory() as folder:
    ...     finished = run(planned, folder=folder, quiet=True)
    ...     finished.report.name, finished.failures
    ('report.md', ())
    """
    functions: list[Plugin] = []
    if isinstance(plan, Mapping):
        plan = _with_functions(plan, functions)
    if functions and jobs:
        raise UsageError(
            "jobs: the functions in the plan are known to this process alone; give the file that "
            "holds them as plugins=[FILE], or jobs=0"
        )
    with held(functions) as source, silent() if quiet else nullcontext():
        known = (*map(str, plugins), *([source] if functions else []))
        job = _job(plan, _as_changes(changes), known, limit, folder)
        outcome = pipeline.run(pipeline.begin(job), jobs=jobs, threads=threads, command="run(...)")
    return Run(reading.read_results(job.folder), job.folder, tuple(outcome.failures))


def _job(
    plan: str | Path | Mapping[str, Any],
    changes: tuple[str, ...],
    plugins: tuple[str, ...],
    limit: int | None,
    folder: str | Path | None,
) -> Job:
    if isinstance(plan, Mapping):
        name, source = UNNAMED, MAPPING
        read = read_mapping(plan, changes=changes, plugins=plugins, limit=limit)
    else:
        name, source = plan_name(str(plan)), str(plan)
        read = read_any(source, changes=changes, plugins=plugins, limit=limit)
    if not isinstance(read, Plan):
        raise UsageError(
            f"datasets: expected one, got {', '.join(read)}; run each by itself, or all by the "
            "command line"
        )
    return Job(read, source, plugins, Path(folder or Path("runs") / name))


def _as_changes(changes: Mapping[str, Any] | Sequence[str]) -> tuple[str, ...]:
    """As the command line has them."""
    if isinstance(changes, str):
        return (changes,)
    if not isinstance(changes, Mapping):
        return tuple(changes)
    import json

    return tuple(f"{key}={json.dumps(value, default=str)}" for key, value in changes.items())


def _with_functions(plan: Mapping[str, Any], functions: list[Plugin]) -> dict[str, Any]:
    """The plan with names in place of functions, and the functions as plug-ins."""
    from torch import nn

    written = dict(plan)
    for kind in PLUGIN_SECTIONS:
        given = written.get(kind)
        modules = [each for each in _values(given) if isinstance(each, nn.Module)]
        if modules:
            raise UsageError(
                f"{kind}: expected a name or a function that builds a network, got a "
                f"{type(modules[0]).__name__}; name its file of weights, or call "
                "evaluate(model, ...)"
            )
        if given is not None:
            written[kind] = section_of(kind, given, functions)
    if callable(written.get("dataset")):
        plugin = plugin_of("datasets", written["dataset"])
        functions.append(plugin)
        written["dataset"] = {"name": plugin.name}
    return written


def _values(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [*given.values()]
    return [*given] if isinstance(given, list | tuple) else [given]
