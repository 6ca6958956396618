"""One figure of a report, for the page and for files."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from ..format.paths import without_folders
from .canvas import MISSING, SETTINGS
from .page_svg import page_svg

KINDS: dict[str, dict[str, Any]] = {
    "svg": {"metadata": {"Date": None, "Creator": None}},
    "pdf": {"metadata": {"CreationDate": None, "Creator": None, "Producer": None}},
    "png": {"metadata": {"Software": None}, "dpi": 216},
}
"""The kinds of file a figure is saved as; without dates, the bytes are the same each time."""


@dataclass(frozen=True, slots=True)
class Panel:
    """A drawn figure of one model; ``title`` stands above it, ``alt`` says in words what it shows.

    ``model`` is empty for a figure of the data alone.
    """

    model: str
    title: str
    figure: Figure
    alt: str

    @property
    def markup(self) -> Markup:
        """The figure inside a page that has the style sheet."""
        head, _, detail = without_folders(self.alt).partition(": ")
        return Markup(page_svg(self.figure, head, detail))

    @property
    def files(self) -> dict[str, bytes]:
        """Kind of file -> the figure, on white."""
        return saved(self.figure)


def saved(figure: Figure, kinds: Iterable[str] = tuple(KINDS)) -> dict[str, bytes]:
    """A figure as a file of each of ``KINDS``: vector graphics but for the PNG, text as text."""
    files = {}
    with matplotlib.rc_context(SETTINGS), warnings.catch_warnings():
        warnings.filterwarnings("ignore", MISSING)
        for kind in kinds:
            buffer = io.BytesIO()
            figure.savefig(buffer, format=kind, facecolor="white", **KINDS[kind])
            files[kind] = buffer.getvalue()
    return files
