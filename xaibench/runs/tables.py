"""The tables of a run, made one after another as ``results.schema`` lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from mmap import ACCESS_READ, mmap
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

from xaibench.artefacts.job import Work, facts_of_metric
from xaibench.evaluation.records import RecordGroup, frame, write_parquet
from xaibench.explanation.controls import RANDOM
from xaibench.plan.primary import PRIMARY
from xaibench.results.columns import TableSchema, other_columns
from xaibench.results.schema import OF_NAME, TABLES
from xaibench.storage.files import FileContent

if TYPE_CHECKING:
    import pandas as pd

    from xaibench.analysis.run_values import RunValues
    from xaibench.analysis.transfers import TransferPair


RECORDS = OF_NAME["records"]


class Ingredients:
    """What the functions that make tables may ask for, by the names of their parameters.

    The other tables, each made once, and what is here: ``work``, ``run`` (the values, and how
    to resample them), ``control_records`` (those of the random control under the primary metric),
    ``signed`` (which methods give signed scores), ``transfers`` (labels that differ in that option
    alone), ``groups`` (those that are resampled whole), ``reference`` and ``data_seed`` of the
    plan.
    """

    def __init__(
        self, work: Work, made: Mapping[str, pd.DataFrame], measured: Sequence[RecordGroup] = ()
    ) -> None:
        """``made`` are tables by name, ``measured`` the records of the run in its order."""
        self.work, self.measured = work, measured
        self.reference, self.data_seed = work.plan.reference, work.plan.data_seed
        self._made = {**made}

    @cached_property
    def run(self) -> RunValues:
        # statistics are slow to import, and a run that finds all its tables needs none
        from xaibench.analysis.panels import measured_panels
        from xaibench.analysis.run_values import values_of_run
        from xaibench.analysis.summaries import random_method

        return values_of_run(
            measured_panels(self.measured, self.work.plan.dataset.use),
            facts={label: facts_of_metric(self.work, label) for label in self.work.plan.metrics},
            control=RANDOM,
            random_method=random_method(self.work.plan),
            groups=self.groups,
            data_seed=self.data_seed,
        )

    @property
    def control_records(self) -> pd.DataFrame:
        own = (group for group in self.measured if group.method == RANDOM)
        return self._frame([group for group in own if group.metric == PRIMARY])

    def _frame(self, groups: Sequence[RecordGroup]) -> pd.DataFrame:
        return frame(groups, self.work.plan.dataset.use)

    @cached_property
    def signed(self) -> Mapping[str, bool]:
        from xaibench.analysis.summaries import signed_methods

        return signed_methods(self.work)

    @cached_property
    def transfers(self) -> list[TransferPair]:
        from xaibench.analysis.transfers import transfer_pairs

        return transfer_pairs(self.work)

    @cached_property
    def groups(self) -> Mapping[str, str] | None:
        from xaibench.analysis.clusters import groups_of

        return groups_of(self.work)

    def table(self, table: TableSchema) -> pd.DataFrame:
        """The table, made now or before; ValueError where it has not the columns of the schema."""
        if table.name not in self._made:
            make = resolve_name(table.made_by)
            parameters = inspect.signature(make).parameters
            self._made[table.name] = make(**{name: self._named(name) for name in parameters})
        made = self._made[table.name]
        wrong = other_columns(table, made)
        if wrong:
            raise ValueError(f"{table.made_by}: expected {wrong}")
        return made

    def _named(self, name: str) -> Any:
        if name == RECORDS.name:
            return self._frame(self.measured)
        return self.table(OF_NAME[name]) if name in OF_NAME else getattr(self, name)


def tables_without_records() -> list[str]:
    """The names of the tables that are made from artefacts alone."""
    return [table.name for table in TABLES if not _needs_records(table.name)]


def _needs_records(name: str) -> bool:
    """Whether an ingredient is the records, or is made from them."""
    if name in (RECORDS.name, "control_records", "run"):
        return True
    if name not in OF_NAME:
        return False
    parameters = inspect.signature(resolve_name(OF_NAME[name].made_by)).parameters
    return any(map(_needs_records, parameters))


def table_without_records(work: Work, *, name: str) -> pd.DataFrame:
    """One of ``tables_without_records``."""
    return Ingredients(work, {}).table(OF_NAME[name])


def contents(ingredients: Ingredients, folder: Path) -> Iterator[tuple[str, str | FileContent]]:
    """File name and content of every table, one at a time, for they may be large; the records are
    in a file of the folder that has no name."""
    yield RECORDS.file, _records(ingredients, folder)
    for table in TABLES:
        if table == RECORDS:
            continue
        made = ingredients.table(table)
        if table.file.endswith(".parquet"):
            yield table.file, made.to_parquet(index=False) or b""
        else:
            yield table.file, str(made.to_csv(index=False))


def _records(ingredients: Ingredients, folder: Path) -> FileContent:
    try:
        with TemporaryFile(dir=folder) as file:
            write_parquet(file, ingredients.measured, ingredients.work.plan.dataset.use)
            file.flush()
            return mmap(file.fileno(), 0, access=ACCESS_READ)
    except OSError as error:  # of a file without a name
        raise OSError(error.errno, error.strerror, str(folder / RECORDS.file)) from error
