"""The report as Markdown, and its main tables as CSV."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xaibench.results.reading import Results


def markdown(results: Results) -> dict[str, str]:
    """``report.md`` and a CSV per table (all digits; empty where a value is not known)."""
    # pandas is slow to import, and a run that finds all there looks this function up alone
    from .content.report import report_document
    from .format.paths import shareable, without_folders
    from .rendering.markdown import markdown_of
    from .tables.csv_tables import csv_tables

    results = shareable(results)
    text = without_folders(markdown_of(report_document(results))) + "\n"
    return {"report.md": text, **csv_tables(results)}
