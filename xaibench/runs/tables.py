"""The tables of a run, made one after another as ``results.schema`` lists them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from functools import cached_property
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from xaibench.artefacts.job import Work, facts_of_metric
from xaibench.explanation.controls import RANDOM
from xaibench.results.columns import TableSchema, other_columns
from xaibench.results.schema import OF_NAME, TABLES

if TYPE_CHECKING:
    import pandas as pd

    from xaibench.analysis.run_values import RunValues
    from xaibench.analysis.transfers import TransferPair


class Ingredients:
    """What the functions that make tables may ask for, by the names of their parameters.

    The other tables, each made once, and what is here: ``work``, ``run`` (the values, and how
    to resample them), ``signed`` (which methods give signed scores), ``transfers`` (labels that
    differ in that option alone), ``groups`` (those that are resampled whole), ``reference`` and
    ``data_seed`` of the plan.
    """

    def __init__(self, work: Work, made: Mapping[str, pd.DataFrame]) -> None:
        """``made`` are tables by name, ``records`` among them where any other needs it."""
        self.work = work
        self.reference, self.data_seed = work.plan.reference, work.plan.data_seed
        self._made = {**made}

    @cached_property
    def run(self) -> RunValues:
        # statistics are slow to import, and a run that finds all its tables needs none
        from xaibench.analysis.run_values import values_of_run
        from xaibench.analysis.summaries import random_method

        return values_of_run(
            self._made["records"],
            facts={label: facts_of_metric(self.work, label) for label in self.work.plan.metrics},
            control=RANDOM,
            random_method=random_method(self.work.plan),
            groups=self.groups,
            data_seed=self.data_seed,
        )

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
        return self.table(OF_NAME[name]) if name in OF_NAME else getattr(self, name)


def tables_without_records() -> list[str]:
    """The names of the tables that are made from artefacts alone."""
    return [table.name for table in TABLES if not _needs_records(table.name)]


def _needs_records(name: str) -> bool:
    """Whether an ingredient is the records, or is made from them."""
    if name in ("records", "run"):
        return True
    if name not in OF_NAME:
        return False
    parameters = inspect.signature(resolve_name(OF_NAME[name].made_by)).parameters
    return any(map(_needs_records, parameters))


def table_without_records(work: Work, *, name: str) -> pd.DataFrame:
    """One of ``tables_without_records``."""
    return Ingredients(work, {}).table(OF_NAME[name])


def contents(ingredients: Ingredients) -> Iterator[tuple[str, str | bytes]]:
    """File name and content of every table, one at a time, for they may be large."""
    for table in TABLES:
        made = ingredients.table(table)
        if table.file.endswith(".parquet"):
            yield table.file, made.to_parquet(index=False) or b""
        else:
            yield table.file, str(made.to_csv(index=False))
