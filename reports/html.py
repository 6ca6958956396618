"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xaibench.results.reading import Results


def html(results: Results) -> dict[str, str]:
    """``report.html``: the run for a reader, figures, style and all in one file."""
    # pandas and matplotlib are slow to import, and a run that finds all there looks this function
    # up alone
    from .content.report import report_document
    from .figures.page import drawn
    from .figures.style import styles
    from .format.paths import shareable
    from .format.select import methods_of
    from .rendering.html import html_of
    from .web.assets import assets
    from .web.examples import example_browser

    results = shareable(results)
    return {
        "report.html": html_of(
            report_document(results),
            assets(),
            figures=drawn(results),
            blocks={"examples": example_browser(results)},
            styles=styles(methods_of(results)),
        )
    }
