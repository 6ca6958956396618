"""Motif positions that the columns of a table state: ground truth on real sequences."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.errors import UsageError
from xaibench.shapes import Evidence
from xaibench.values import NO_CLASS, evidence_type

from .columns import class_index, require, whole_numbers

if TYPE_CHECKING:
    import pandas as pd


class Sites(NamedTuple):
    """The column of the starts, the column of the ends or one width, and the class spoken for."""

    start: str
    end: str | None
    width: int | None
    speaks_for: str | None

    @property
    def description(self) -> str:
        """For the report: which columns, how wide, for which class."""
        columns = f"column {self.start!r}, {self.width} nt"
        if self.end is not None:
            columns = f"columns {self.start!r} and {self.end!r}"
        return (
            columns if self.speaks_for is None else f"{columns}, speaking for {self.speaks_for!r}"
        )


def sites(
    start: str | None, end: str | None, width: int | None, speaks_for: str | None
) -> Sites | None:
    """The options of motif positions where they are complete; None where there are none."""
    options = {
        "site_start": start,
        "site_end": end,
        "site_width": width,
        "site_class": speaks_for,
    }
    given = [name for name, value in options.items() if value is not None]
    if not given:
        return None
    if start is None or (end is None) == (width is None):
        raise UsageError(
            "file: expected site_start and site_class with either site_end or site_width, "
            f"got {', '.join(given)}"
        )
    return Sites(start, end, width, speaks_for)


def evidence(
    table: pd.DataFrame,
    path: Path,
    columns: Sites,
    *,
    class_names: tuple[str, ...],
    lengths: NDArray[np.int64],
) -> Evidence:
    """``(sequence, position)``, padded to the longest: the sites' class inside a site.

    Raises ``UsageError`` for a class that is none, a number that is none, a site outside the
    ``lengths`` ``(sequence,)`` of the sequences, and where no row has a site.
    """
    require(table, path, [*filter(None, (columns.start, columns.end))])
    speaks_for = _class_spoken_for(path, columns, class_names)
    starts = _positions(table, path, columns.start)
    has_site = starts >= 0
    if not has_site.any():
        raise UsageError(f"{path}: column {columns.start!r}: expected sites, got none in any row")
    if columns.end is not None:
        ends = _positions(table, path, columns.end)
    else:
        ends = starts + (columns.width or 0)
    _require_inside_sequences(
        path, np.where(has_site, starts, 0), np.where(has_site, ends, 1), lengths
    )
    positions = np.arange(lengths.max())
    inside = (positions >= starts[:, None]) & (positions < ends[:, None]) & has_site[:, None]
    return np.where(inside, speaks_for, NO_CLASS).astype(evidence_type(class_names))


def _class_spoken_for(path: Path, columns: Sites, class_names: tuple[str, ...]) -> int:
    """Without classes the only one there is need not be named."""
    word = columns.speaks_for
    if word is None and len(class_names) < 2:
        return 0
    speaks_for = None if word is None else class_index(word, class_names)
    if speaks_for is None:
        got = "no site_class" if word is None else repr(word)
        raise UsageError(
            f"{path}: site_class: expected one of {', '.join(map(repr, class_names))}, got {got}"
        )
    return speaks_for


def _positions(table: pd.DataFrame, path: Path, column: str) -> NDArray[np.int64]:
    """-1 where there is no site."""
    return whole_numbers(table[column].replace("", "-1"), f"{path}: column {column!r}")


def _require_inside_sequences(
    path: Path, starts: NDArray[np.int64], ends: NDArray[np.int64], lengths: NDArray[np.int64]
) -> None:
    outside = np.flatnonzero((ends <= starts) | (ends > lengths))
    if len(outside):
        row = outside[0]
        raise UsageError(
            f"{path}: row {row}: expected a site inside the {lengths[row]} letters of the "
            f"sequence, got {starts[row]}-{ends[row]}"
        )
