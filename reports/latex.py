"""The main tables as LaTeX, ready for ``\\input`` where booktabs is loaded."""

from __future__ import annotations

from collections.abc import Iterable

from xaibench.results.reading import Results

from .content.methods_text import account, cited_works
from .format.paths import shareable
from .rendering.latex import citing, slug, table_of
from .tables.paper import (
    between_pairs,
    each_model,
    gaps_by_model,
    leaderboard_of_model,
    localisation_of_model,
    quality_of_models,
)
from .tables.table import Table


def latex(results: Results) -> dict[str, str]:
    r"""Tables for a paper, as ``tables/*.tex``: booktabs, with intervals and captions; the methods
    paragraph as ``methods.tex``, and what it cites as ``references.bib``, beside them."""
    results = shareable(results)
    files: dict[str, Iterable[Table]] = {
        "leaderboard": gaps_by_model(results),
        **each_model(results, "leaderboard", leaderboard_of_model, slug),
        "accuracy": quality_of_models(results),
        **each_model(results, "localisation", localisation_of_model, slug),
        "between_models": between_pairs(results),
    }
    known = {name: tables for name, own in files.items() if (tables := list(own))}
    return {
        **{f"tables/{name}.tex": _tables_text(tables) for name, tables in known.items()},
        **_methods_files(account(results)),
    }


def _methods_files(text: str) -> dict[str, str]:
    """The methods paragraph, and the works that it cites as BibTeX."""
    works = cited_works(text)
    if not works:
        return {}
    keys = {work.cited_as: work.key for work in works}
    entries = "\n".join(work.entry for work in works)
    return {"tables/methods.tex": citing(text, keys) + "\n", "tables/references.bib": entries}


def _tables_text(tables: Iterable[Table]) -> str:
    head = "% Needs \\usepackage{booktabs} in the preamble.\n"
    return head + "\n".join(table_of(table) for table in tables)
