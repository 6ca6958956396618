"""The report as one HTML file that asks nothing of the network."""

from __future__ import annotations

from xaibench.results.reading import Results

from .content.report import report
from .figures.page import drawn
from .figures.style import styles
from .format.paths import shareable
from .format.select import methods_of
from .rendering.html import page
from .web.assets import assets


def html(results: Results) -> dict[str, str]:
    """``report.html``: the run for a reader, figures, style and all in one file."""
    # what draws imports matplotlib, which takes a second
    from .web.examples import example_browser

    results = shareable(results)
    return {
        "report.html": page(
            report(results),
            assets(),
            figures=drawn(results),
            blocks={"examples": example_browser(results)},
            styles=styles(methods_of(results)),
        )
    }
