"""Cells from AnnData's format on disk, read with h5py.

The package anndata would do it too, but brings zarr and holds pandas below 3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from xaibench.errors import UsageError, message_of, shortened
from xaibench.storage.unpacking import require_unpacked
from xaibench.values import UNLABELLED, CellCounts, evenly_spaced_rows

_SPARSE: dict[str, Callable[..., Any]] = {
    "csr_matrix": sparse.csr_matrix,
    "csc_matrix": sparse.csc_matrix,
}

_LISTED = 8
"""Names of columns in a message."""


def is_h5ad(path: Path) -> bool:
    """Whether a file holds cells, by its name."""
    return path.suffix.lower() == ".h5ad"


def cells(
    *,
    path: Path,
    label: str | None = None,
    genes: str | None = None,
    layer: str | None = None,
    most: int = 1000,
) -> CellCounts:
    """At most so many cells of an AnnData file, evenly over all of them.

    Classes are those of the column ``label`` of obs, in the order of its categories, or sorted;
    cells without one are left out. Names of genes are the index of var, or its column ``genes``; of
    several genes of one name the first counts. Counts are X, or a ``layer``: raw or normalised, but
    nothing below 0.

    UsageError, one line, where the file is none, or a column or layer is not there.
    """
    with _opened(path) as file:
        labels, class_names = _labels(file, label, path)
        labelled = np.flatnonzero(labels >= 0)
        if not len(labelled):
            raise UsageError(f"{path.name}: has no cell with a label in obs.{label}")
        rows = labelled[evenly_spaced_rows(len(labelled), most)]
        names = _column(file["var"], genes, path, "var")
        cell_names = _column(file["obs"], None, path, "obs")
        matrix = _matrix(file, layer, path)
        shape, expected = _shape(matrix), (len(cell_names), len(names))
        if shape != expected:
            raise UsageError(f"{path.name}: counts of shape {shape}, cells and genes of {expected}")
        counts, cell_names = _rows_of(matrix, rows), cell_names[rows]
    if not (counts >= 0).all():  # NaN is not
        raise UsageError(
            f"{path.name}: expected counts that are not negative, raw or normalised, as in X or "
            f"--set dataset.layer=NAME, got {np.nanmin(counts):.3g} or NaN; are they scaled?"
        )
    _, first = np.unique(names, return_index=True)
    first.sort()
    return CellCounts(
        counts[:, first],
        tuple(map(str, names[first])),
        labels[rows],
        tuple(map(str, cell_names)),
        class_names,
    )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import h5py
    except ImportError:
        raise UsageError("reading .h5ad needs h5py: pip install 'xaibench[cells]'") from None
    try:
        with h5py.File(path, "r") as file:
            _require_own(file, path)
            yield file
    except (OSError, KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # whatever HDF5 raises of a file that is another, damaged, or cut short
        raise UsageError(
            f"{path.name}: cannot be read as anndata 0.7 or later writes .h5ad "
            f"({message_of(error)[:120]})"
        ) from None


def _require_own(file: Any, path: Path) -> None:
    """ValueError where a part of a file lies in another, or unpacks to very much more."""
    import h5py

    elsewhere: list[str] = []
    sizes: list[int] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            sizes.append(item.nbytes)
            if item.external or item.is_virtual:
                elsewhere.append(name)

    def follow(name: str, link: Any) -> None:
        if isinstance(link, h5py.ExternalLink):
            elsewhere.append(name)

    file.visititems(look)
    file.visititems_links(follow)
    if elsewhere:
        raise ValueError(f"{elsewhere[0]} is in another file; copy it into this")
    require_unpacked(sum(sizes), path.stat().st_size)


def _labels(file: Any, label: str | None, path: Path) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """``(cell,)``, -1 where there is none, and the names of the classes."""
    if label is None:
        return np.zeros(len(_column(file["obs"], None, path, "obs")), np.int64), UNLABELLED
    group = file["obs"].get(label)
    if _is_group(group) and "categories" in group:
        codes, class_names = group["codes"][:].astype(np.int64), _as_text(group["categories"][:])
        if codes.max(initial=-1) >= len(class_names):
            raise ValueError(f"obs.{label}: a code of none of its {len(class_names)} categories")
        return codes, tuple(class_names)
    named = _column(file["obs"], label, path, "obs")
    class_names, labels = np.unique(named, return_inverse=True)
    labels[np.isin(named, ("", "nan"))] = -1
    return labels.astype(np.int64), tuple(map(str, class_names))


def _column(group: Any, name: str | None, path: Path, where: str) -> NDArray[Any]:
    """The text of a column, or of the index."""
    name = str(group.attrs["_index"]) if name is None else name
    if name not in group:
        known = shortened(", ".join([*group][:_LISTED]))
        raise UsageError(f"{path.name}: has no column {name!r} in {where}, which has {known}")
    column = group[name]
    if not _is_group(column):
        return _as_text(column[:])
    if "categories" in column:
        categories, codes = _as_text(column["categories"][:]), column["codes"][:]
        return np.where(codes < 0, "nan", categories[codes])
    return _as_text(column["values"][:])


def _is_group(item: Any) -> bool:
    return hasattr(item, "keys")


def _as_text(values: NDArray[Any]) -> NDArray[Any]:
    return np.array(
        [value.decode() if isinstance(value, bytes) else str(value) for value in values], object
    )


def _matrix(file: Any, layer: str | None, path: Path) -> Any:
    if layer is None:
        return file["X"]
    layers = file.get("layers", {})
    if layer not in layers:
        raise UsageError(
            f"{path.name}: has no layer {layer!r}, but {', '.join(layers) or 'X alone'}"
        )
    return layers[layer]


def _shape(matrix: Any) -> tuple[int, ...]:
    return tuple(map(int, matrix.attrs["shape"] if _is_group(matrix) else matrix.shape))


def _rows_of(matrix: Any, rows: NDArray[np.intp]) -> NDArray[np.float32]:
    """``(row, gene)`` of a matrix, dense or sparse."""
    if not _is_group(matrix):
        dense: NDArray[np.float32] = np.asarray(matrix[rows], np.float32)
        return dense
    made = _SPARSE[str(matrix.attrs["encoding-type"])]
    parts = tuple(matrix[name][:] for name in ("data", "indices", "indptr"))
    whole = made(parts, shape=_shape(matrix))
    whole.check_format(full_check=True)  # or an index leads out of the memory of the counts
    taken: NDArray[np.float32] = whole.tocsr()[rows].toarray().astype(np.float32)
    return taken
