"""What is known of the genes of cells, that a head may follow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from xaibench.data.files.gene_sets import gene_sets, is_gmt
from xaibench.errors import UsageError
from xaibench.plan.paths import locate
from xaibench.shapes import Float
from xaibench.values import CellCounts

from .tracks import Track

FEWEST_GENES = 5
"""Of a set among those of the cells; fewer say nothing."""

CELL_TYPE_TRACK = "cell_type"

_PER_CELL = 10_000


def gene_tracks_named(text: str, cells: CellCounts) -> Iterator[Track]:
    """The tracks of this name, ``(cell, gene)``.

    ``expression`` (the count), ``cell_type`` (how much more of the gene the cells of this cell's
    type have than all others, in the mean of log(1 + counts per 10,000)), or each set of a ``.gmt``
    file that shares ``FEWEST_GENES`` genes and not all (1 in the set). ``NAME=...`` stands before
    their names.

    UsageError, one line, where it is none of these, or no set shares genes with the cells.
    """
    name, separator, named = text.partition("=")
    name, named = (name, named) if separator else ("", text)
    if named == "expression":
        yield Track(name or named, cells.counts.astype(np.float64))
    elif named == CELL_TYPE_TRACK:
        yield Track(name or named, _of_cell_types(cells))
    elif is_gmt(Path(named)):
        for track in _of_sets(locate(named, ""), cells):
            yield track._replace(name=f"{name} {track.name}".strip())
    else:
        raise UsageError(
            f"--track {named}: expected expression, {CELL_TYPE_TRACK} or a .gmt file of gene sets "
            "for cells"
        )


def _of_cell_types(cells: CellCounts) -> Float:
    if not cells.has_classes:
        raise UsageError(
            f"--track {CELL_TYPE_TRACK}: the cells have no types; name their column of obs: --set "
            "dataset.label=cell_type"
        )
    totals = np.maximum(cells.counts.sum(axis=1, keepdims=True, dtype=np.float64), 1)
    logarithms = np.log1p(_PER_CELL * cells.counts / totals)
    specific: Float = np.zeros(logarithms.shape)
    for label in np.unique(cells.labels):
        own = cells.labels == label
        if not own.all():
            specific[own] = logarithms[own].mean(axis=0) - logarithms[~own].mean(axis=0)
    return specific


def _of_sets(path: Path, cells: CellCounts) -> Iterator[Track]:
    sets, genes = gene_sets(path), np.array(cells.genes, object)
    known = frozenset(cells.genes)
    usable = [name for name in sets if FEWEST_GENES <= len(sets[name] & known) < len(genes)]
    if not usable:
        first = next(iter(next(iter(sets.values()))), "") if sets else ""
        raise UsageError(
            f"--track {path.name}: none of its {len(sets):,} sets shares {FEWEST_GENES} genes with "
            f"the cells; its genes are such as {first!r}, theirs such as {cells.genes[0]!r}"
        )
    for name in usable:
        inside = np.isin(genes, [*sets[name]]).astype(np.float64)
        yield Track(name, np.broadcast_to(inside, cells.counts.shape))
