"""The formats of a comparison of runs: a page, a text for the terminal, a table of every number."""

from __future__ import annotations

import pandas as pd

from xaibench.comparison.side_by_side import Comparison

from .content.comparison import comparison_document
from .format.paths import as_cells
from .rendering.html import html_of
from .rendering.text import text_of
from .web.assets import unscripted


def html(comparison: Comparison) -> dict[str, str]:
    """``comparison.html``: runs side by side for a reader, in one file without a script."""
    return {"comparison.html": html_of(comparison_document(comparison), unscripted())}


def text(comparison: Comparison) -> dict[str, str]:
    """``comparison.txt``: what the command line prints; the gates are last."""
    return {"comparison.txt": text_of(comparison_document(comparison), last="gates")}


def csv(comparison: Comparison) -> dict[str, str]:
    """``comparison.csv``: every number that two runs share, all digits."""
    names = {run.letter: run.name for run in comparison.runs}
    rows = pd.concat([pair.rows for pair in comparison.pairs], ignore_index=True)
    for place, side in enumerate(("first", "second")):
        rows.insert(2 * place, f"{side}_run", rows[side].map(names))
    texts = rows.select_dtypes(include=["object", "str"]).columns
    return {"comparison.csv": as_cells(rows, texts).to_csv(index=False, lineterminator="\n")}
