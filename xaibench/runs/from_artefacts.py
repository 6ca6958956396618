"""What is made from artefacts alone, in parts that need none of the others: records, some tables,
examples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from xaibench.artefacts.job import Work
from xaibench.artefacts.trained_models import trained_models
from xaibench.evaluation.measuring import records_of_model
from xaibench.evaluation.records import RecordGroup
from xaibench.results.schema import TABLES

from .calls import Call, results_of
from .engines import THIS_PROCESS, Engine, imports
from .processes import begin_imports
from .tables import table_without_records, tables_without_records

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class FromArtefacts:
    """The records of a run in the order of its plan, the tables that need no records, by name, and
    the examples."""

    groups: list[RecordGroup]
    tables: dict[str, pd.DataFrame]
    examples: list[dict[str, Any]]


def import_ahead(*, jobs: int, trains: bool) -> None:
    """Import here what tables are made with, and meanwhile, for all processes, what these need: a
    core waits for nothing else then. Statistics are slow to import, and no task needs them."""
    modules = sorted({table.made_by.partition(":")[0] for table in TABLES})
    begin_imports([*imports(trains=trains), *(modules if jobs > 1 else ())])
    for name in modules:
        import_module(name)


def from_artefacts(
    work: Work, *, engine: Engine = THIS_PROCESS, threads: int = 1, beside: Sequence[Call] = ()
) -> FromArtefacts:
    """All of it, made where the engine makes it, the same to the bit as in this process; ``beside``
    is called meanwhile."""
    # statistics are slow to import, and a run that finds all there needs none
    from xaibench.analysis.examples import examples

    names, models = tables_without_records(), list(trained_models(work.plan))
    calls: list[Call] = [  # the many parts of one length last, so that processes end together
        *beside,
        *(partial(table_without_records, name=name) for name in names),
        examples,
        *(partial(records_of_model, trained=trained) for trained in models),
    ]
    results = list(results_of(work, calls, engine=engine, threads=threads))[len(beside) :]
    tables, (chosen, *groups) = results[: len(names)], results[len(names) :]
    return FromArtefacts(
        [group for of_model in groups for group in of_model],
        dict(zip(names, tables, strict=True)),
        chosen,
    )
