"""The report of a run as a document, whatever it is rendered to."""

from __future__ import annotations

from xaibench.results.reading import Results

from .about import facts, report_title
from .cautions import cautions, unfinished
from .document import Document
from .sections import sections
from .verdict import verdicts


def report_document(results: Results) -> Document:
    """The run for a reader: verdicts first, then every section."""
    return Document(
        report_title(results),
        tuple(facts(results)),
        tuple(verdicts(results)),
        tuple(sections(results)),
        tuple(cautions(results)),
        tuple(unfinished(results)),
    )
