"""How much a compressed file may unpack to, whoever packed it."""

from __future__ import annotations

import io
from typing import IO

RATIO, SMALL = 200, 2**26
"""Letters are packed to a quarter or an eighth, one-hot arrays to a fiftieth. Bytes that are few
enough for any machine may be packed as they like."""


def most_unpacked(packed: int) -> int:
    """So many bytes may come of a file of ``packed`` bytes."""
    return max(SMALL, RATIO * packed)


def require_unpacked(unpacked: int, packed: int) -> None:
    """ValueError where so many bytes come of a file of ``packed`` bytes as none that was measured
    or sequenced does: they would fill the memory."""
    if unpacked > most_unpacked(packed):
        raise ValueError(
            f"{packed:,} bytes that unpack to {unpacked:,} or more, over {RATIO} times as many; "
            "unpack it yourself where that is meant"
        )


class Unpacked(io.RawIOBase):
    """A stream of what comes of ``packed`` bytes, which ends with ``require_unpacked``."""

    def __init__(self, stream: IO[bytes], packed: int) -> None:
        self._stream, self._packed, self._read = stream, packed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        self._read = self._stream.seek(offset, whence)
        return self._read

    def readinto(self, buffer: bytearray, /) -> int:  # type: ignore[override]  # any buffer
        part = self._stream.read(len(buffer))
        self._read += len(part)
        require_unpacked(self._read, self._packed)
        buffer[: len(part)] = part
        return len(part)
