"""Arrays in one file, in the format of safetensors: large ones stay on the disk and are mapped.

What is mapped takes memory only while it is looked at, and ``release`` gives that back: a walk over
a million rows, part by part, needs the memory of a part.
"""

import json
import math
import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .files import COPIED, MAPPED, FileContent, give_back

PART_POSITIONS = 2**22
"""So many positions are in one part: 16 MiB of scores, whatever the length of a sequence."""

_TYPES = {
    "BOOL": np.dtype(np.bool_),
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"F{8 * size}": np.dtype(f"<f{size}") for size in (2, 4, 8)},
}
"""By their names in a header."""

_NAMES = {dtype: name for name, dtype in _TYPES.items()}


def parts(count: int, length: int, *, together: int = 1) -> Iterator[slice]:
    """Sequences of a length, as many at a time as have ``PART_POSITIONS``; a multiple of
    ``together``, so that batches of so many are the same in parts as without. Of none there is one
    part.

    >>> list(parts(7, 2**20, together=3))
    [slice(0, 3, None), slice(3, 6, None), slice(6, 7, None)]
    """
    rows = together * max(1, PART_POSITIONS // (max(1, length) * together))
    for start in range(0, max(count, 1), rows):
        yield slice(start, min(start + rows, count))


def empty(
    shape: tuple[int, ...], dtype: DTypeLike, folder: Path, *, held: int | None = None
) -> NDArray[Any]:
    """An array to be filled; one of more than ``held`` bytes (``MAPPED``) is in a file of the
    folder that has no name and is gone with it. OSError where the disk has no room for it."""
    known = np.dtype(dtype)
    size = math.prod(shape) * known.itemsize
    if size <= (MAPPED if held is None else held):
        return np.empty(shape, known)
    with TemporaryFile(dir=folder) as file:
        # a disk found full while a mapped page is written to would end the process
        reserve = getattr(os, "posix_fallocate", None)  # not on every system
        reserve(file.fileno(), 0, size) if reserve else file.truncate(size)
        return np.frombuffer(mmap.mmap(file.fileno(), size), known).reshape(shape)


def scratch(shape: tuple[int, ...], dtype: DTypeLike, *, held: int | None = None) -> NDArray[Any]:
    """As ``empty``, in the folder for temporary files (``TMPDIR``); in memory where that has no
    room."""
    try:
        return empty(shape, dtype, Path(gettempdir()), held=held)
    except OSError:
        return np.empty(shape, dtype)


def release(*arrays: NDArray[Any]) -> None:
    """Give back the memory of what was looked at or written in mapped arrays; their content stays,
    and other arrays stay as they are."""
    for array in arrays:
        owner: Any = array
        while isinstance(owner, np.ndarray | memoryview):
            owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
        if isinstance(owner, mmap.mmap):
            give_back(owner)


def as_safetensors(arrays: Mapping[str, NDArray[Any]]) -> Iterator[memoryview]:
    """The content of a file with these arrays, a few megabytes at a time."""
    # the widest first, then by name: each begins where its type may
    named = sorted(arrays.items(), key=lambda item: (-item[1].dtype.itemsize, item[0]))
    header, end = {}, 0
    for name, array in named:
        start, end = end, end + array.nbytes
        dtype = _NAMES[array.dtype.newbyteorder("<")]
        header[name] = {"dtype": dtype, "shape": array.shape, "data_offsets": (start, end)}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    yield memoryview(len(text).to_bytes(8, "little") + text)
    for _, array in named:
        yield from bytes_of(array)


def bytes_of(array: NDArray[Any]) -> Iterator[memoryview]:
    """Its content in the order of its axes, a few megabytes at a time; the memory of a mapped one
    is given back."""
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    for start in range(0, len(flat), COPIED):
        yield flat[start : start + COPIED]
        release(array)


def unpacked(content: FileContent) -> dict[str, NDArray[Any]]:
    """The arrays of a file, which nobody may write into; those of a mapped one are mapped.

    ValueError (KeyError, TypeError) where it is no such file.
    """
    begin = 8 + int.from_bytes(content[:8], "little")
    if begin > len(content):
        raise ValueError("the header is longer than the file")
    header = json.loads(content[8:begin])
    return {
        name: _array_at(content, begin, about)
        for name, about in header.items()
        if name != "__metadata__"
    }


def _array_at(content: FileContent, begin: int, about: dict[str, Any]) -> NDArray[Any]:
    dtype, shape, (start, end) = _TYPES[about["dtype"]], about["shape"], about["data_offsets"]
    count = math.prod(shape)
    if not 0 <= start <= end <= len(content) - begin or end - start != count * dtype.itemsize:
        raise ValueError(f"expected {shape} of {about['dtype']}, got {end - start} bytes")
    return np.frombuffer(content, dtype, count, begin + start).reshape(shape)
