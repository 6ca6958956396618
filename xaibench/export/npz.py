"""NumPy archives whose arrays grow by rows, so that what is written need not fit into memory."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any
from zipfile import ZIP_DEFLATED, ZIP_STORED, ZipFile

import numpy as np
from numpy.typing import NDArray

from xaibench.storage.files import replacing

Append = Callable[[str, NDArray[Any]], None]
"""Called with the name of an array and its next rows."""

_FAST = 1
"""The level of compression: one-hot arrays shrink to a tenth, scores would to nine tenths at most
and are stored as they are."""


@dataclass(slots=True)
class _Growing:
    """The rows of one array so far, as bytes in a file without a name."""

    file: IO[bytes]
    dtype: np.dtype[Any]
    tail: tuple[int, ...]
    rows: int = 0


@contextmanager
def growing_npz(path: Path) -> Iterator[Append]:
    """A ``.npz`` file at ``path``, written when the block ends without an error.

    The block receives a function that takes the name of an array and its next rows; rows of an
    array have one dtype and one shape. Texts may become longer.
    """
    arrays: dict[str, _Growing] = {}
    texts: dict[str, list[NDArray[Any]]] = {}
    with ExitStack() as stack:

        def append(name: str, rows: NDArray[Any]) -> None:
            if rows.dtype.kind == "U":
                texts.setdefault(name, []).append(rows)
                return
            if name not in arrays:
                file = stack.enter_context(TemporaryFile(dir=path.parent))
                arrays[name] = _Growing(file, rows.dtype, rows.shape[1:])
            array = arrays[name]
            if (rows.dtype, rows.shape[1:]) != (array.dtype, array.tail):
                expected = f"{array.dtype} (row, {', '.join(map(str, array.tail))})"
                raise ValueError(f"{name}: expected {expected}, got {rows.dtype} {rows.shape}")
            array.file.write(np.ascontiguousarray(rows).data)
            array.rows += len(rows)

        yield append
        with replacing(path) as file, ZipFile(file, "w", compresslevel=_FAST) as archive:
            for name, array in arrays.items():
                _copy(archive, name, array)
            for name, parts in texts.items():
                _write_text(archive, name, np.concatenate(parts))


def _member(archive: ZipFile, name: str, *, compressed: bool) -> IO[bytes]:
    archive.compression = ZIP_DEFLATED if compressed else ZIP_STORED
    return archive.open(f"{name}.npy", "w", force_zip64=True)


def _copy(archive: ZipFile, name: str, array: _Growing) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(array.dtype),
        "fortran_order": False,
        "shape": (array.rows, *array.tail),
    }
    array.file.seek(0)
    with _member(archive, name, compressed=array.dtype.itemsize == 1) as member:
        np.lib.format.write_array_header_1_0(member, header)
        shutil.copyfileobj(array.file, member, 2**20)


def _write_text(archive: ZipFile, name: str, texts: NDArray[np.str_]) -> None:
    with _member(archive, name, compressed=True) as member:
        np.lib.format.write_array(member, texts, allow_pickle=False)
