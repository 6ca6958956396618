"""One page over the runs of a series, and its table."""

from __future__ import annotations

from collections.abc import Iterable

from xaibench.results.reading import Results

from .content.overview import overview_document, summarised
from .rendering.html import html_of
from .web.assets import unscripted


def index(name: str, runs: Iterable[tuple[str, Results | str]]) -> dict[str, str]:
    """``index.html`` and ``overview.csv``; ``runs`` are labels with results, or with the reason why
    there are none."""
    table = summarised(runs)
    csv = table.to_csv(index=False, lineterminator="\n")
    return {
        "index.html": html_of(overview_document(name, table), unscripted()),
        "overview.csv": csv,
    }
