"""The files of a board: a page and tables over all runs, and the report of each, rendered anew."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from xaibench.errors import UsageError, described
from xaibench.plugins.registry import available, load
from xaibench.progress import announce
from xaibench.storage.files import write_below

from .entries import Refused, RunEntry, read_entries
from .standings import ranks_over_datasets, rows_of_entry

REPORTS = "reports"
"""The folder, below that of the board, of a report per run."""


@dataclass(frozen=True, slots=True)
class Board:
    """What a board in some format is made from: a plug-in of ``xaibench.boards`` is called with it
    and gives ``{file name: text}``.

    ``rows`` have ``ROW_COLUMNS`` and ``report``, a path from the page or empty; ``ranks`` have
    ``RANK_COLUMNS``.
    """

    name: str
    entries: tuple[RunEntry, ...]
    refused: tuple[Refused, ...]
    rows: pd.DataFrame
    ranks: pd.DataFrame


def write_board(paths: Sequence[Path], folder: Path) -> tuple[list[Path], list[str]]:
    """Write the board of runs and tables into a folder: the files, and a line per run that could
    not be shown or was not ranked with others.

    Nothing that a run folder holds is executed or copied: reports are rendered from its tables by
    the formats that are installed. UsageError where there is no run, or the folder cannot be
    written.
    """
    refused: list[Refused] = []
    rows: dict[RunEntry, pd.DataFrame] = {}
    for each in read_entries(paths):
        made = each if isinstance(each, Refused) else _rows(each)
        if isinstance(made, Refused):
            refused.append(made)
        elif isinstance(each, RunEntry):
            rows[each] = made
    entries = tuple(rows)
    if not entries:
        raise UsageError(f"board: no run that can be read; {refused[0].name}: {refused[0].reason}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        reports, unwritten = _write_reports(entries, folder)
        whole = pd.concat(rows.values(), ignore_index=True)
        ranks = ranks_over_datasets(whole)
        whole["report"] = whole["run"].map(lambda run: reports.get(run, ""))
        board = Board(folder.resolve().name, entries, tuple(refused), whole, ranks)
        files = [
            write_below(folder, name, text)
            for format_name in available("boards")
            for name, text in load("boards", format_name).call(board).items()
        ]
    except OSError as error:
        raise UsageError(f"{folder}: cannot be written: {error.strerror}") from None
    failures = [f"{each.name}: {each.reason}" for each in refused]
    failures += [f"{each.name}: {each.marks[0]}" for each in entries if not each.sound]
    return [*files, *(folder / path for path in reports.values())], [*failures, *unwritten]


def _rows(entry: RunEntry) -> pd.DataFrame | Refused:
    """The rows of a run, or why there are none."""
    try:
        return rows_of_entry(entry)
    except UsageError as error:
        return Refused(entry.name, str(error))
    except Exception as error:  # a stranger's values may be anything that the schema allows
        return Refused(entry.name, f"is not as a run writes it: {described(error)}")


def _write_reports(entries: Sequence[RunEntry], folder: Path) -> tuple[dict[str, str], list[str]]:
    """By run the path of its report, and a line per run that none can be made of."""
    written, failures = {}, []
    for number, entry in enumerate(entries, 1):
        if entry.results is None:
            continue
        announce(f"{entry.name}: report")
        plain = re.sub(r"[^A-Za-z0-9_.]+", "-", entry.name)  # a folder has any name
        path = f"{REPORTS}/{number}-{plain[:100]}.html"
        try:
            (text,) = load("reports", "html").call(entry.results).values()
        except Exception as error:  # a stranger's values may be anything that the schema allows
            failures.append(f"{entry.name}: no report: {described(error)}")
            continue
        write_below(folder, path, text)
        written[entry.name] = path
    return written, failures
