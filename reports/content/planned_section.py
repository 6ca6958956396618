"""A section as it is planned for every report: its lead, and what makes its tables."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain

from xaibench.results.reading import Results

from ..format.select import models_of
from ..tables.metrics import measures
from ..tables.table import Table
from .document import Section

SectionTables = Iterable[Table | None]
Text = str | Callable[[Results], str]


@dataclass(frozen=True, slots=True)
class PlannedSection:
    """A section of every report: its lead (parts that are joined by blanks) and its tables, as the
    run has them."""

    anchor: str
    title: str
    short: str
    lead: tuple[Text, ...] = ()
    tables: Callable[[Results], SectionTables] | None = None
    figures: tuple[str, ...] = ()
    folded: bool = True

    def section(self, results: Results) -> Section:
        parts = (part if isinstance(part, str) else part(results) for part in self.lead)
        lead = " ".join(filter(None, parts))
        made = self.tables(results) if self.tables else ()
        return Section(
            self.anchor,
            self.title,
            (lead,) if lead else (),
            tuple(table for table in made if table is not None),
            self.figures,
            short=self.short,
            folded=self.folded,
        )


def per_model(
    *makers: Callable[[Results, str], Table | Iterable[Table] | None],
) -> Callable[[Results], SectionTables]:
    """The tables of one model after the other, by each of the ``makers``."""

    def tables(results: Results) -> SectionTables:
        for model in models_of(results):
            for maker in makers:
                made = maker(results, model)
                yield from (made,) if made is None or isinstance(made, Table) else made

    return tables


def per_family(family: str) -> Callable[[Results], SectionTables]:
    """A table per model of the metrics of a family."""
    return per_model(lambda results, model: measures(results, model, family))


def overall(*makers: Callable[[Results], Table | None]) -> Callable[[Results], SectionTables]:
    """A table by each of the ``makers``."""
    return lambda results: (maker(results) for maker in makers)


def every(*groups: Callable[[Results], SectionTables]) -> Callable[[Results], SectionTables]:
    """The tables of one group after the other."""
    return lambda results: chain.from_iterable(group(results) for group in groups)
