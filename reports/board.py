"""The formats of a board: a page, and every number on it as CSV and JSON."""

from __future__ import annotations

import json

import pandas as pd

from xaibench.board.site import Board

from .content.board import board_document, rank_rows, with_settings
from .figures.page import RANKS, Figures
from .figures.ranks import rank_panel
from .figures.style import styles
from .format.paths import as_cells
from .rendering.html import html_of
from .web.assets import assets


def html(board: Board) -> dict[str, str]:
    """``index.html``: the board in one file that asks nothing of the network."""
    board = with_settings(board)
    looks = styles(list(dict.fromkeys(board.rows["method"].astype(str))))
    panels = tuple(
        rank_panel(title, rows, looks)
        for title, rows in rank_rows(board)
        if rows["critical_difference"].notna().any()
    )
    figures = (
        {"ranks": [Figures("", panels, note=RANKS.format(blocks="datasets"))]} if panels else {}
    )
    page = html_of(board_document(board), assets(), figures=figures, styles=looks)
    return {"index.html": page}


def tables(board: Board) -> dict[str, str]:
    """``board.csv``, ``ranks.csv``, and both in ``board.json``: all digits."""
    parts = {"board": _without_paths(board.rows), "ranks": _without_paths(board.ranks)}
    files = {
        f"{name}.csv": part.to_csv(index=False, lineterminator="\n") for name, part in parts.items()
    }
    records = {name: json.loads(part.to_json(orient="records")) for name, part in parts.items()}
    return {**files, "board.json": json.dumps(records, indent=1)}


def _without_paths(table: pd.DataFrame) -> pd.DataFrame:
    texts = table.select_dtypes(include=["object", "str"]).columns
    return as_cells(table, [name for name in texts if name != "report"])
