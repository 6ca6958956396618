"""The one place that writes to a terminal: text is printed without control characters, and a closed
pipe ends no run."""

import errno
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TextIO


def visible(text: object) -> str:
    """Text whose control and formatting characters are written out, but for line ends and tabs:
    labels, class names and messages come from strangers.

    >>> visible("\\x1b[2J\\u202egnp.exe")
    '\\\\x1b[2J\\\\u202egnp.exe'
    """
    return _HIDDEN.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Control characters, those that reverse what follows or take no place, and halves of pairs."""


_SILENT: list[bool] = []


@contextmanager
def silent() -> Iterator[None]:
    """Within, nothing is written: a function that Python code called returns what there is."""
    _SILENT.append(True)
    try:
        yield
    finally:
        _SILENT.pop()


def is_silent() -> bool:
    """Whether nothing is written."""
    return bool(_SILENT)


def echo(text: object, *, err: bool = False) -> None:
    """Write a line or several to standard output, or to standard error."""
    stream = sys.stderr if err else sys.stdout
    if stream is not None and not is_silent():  # it may be closed
        stream.write(f"{visible(text)}\n")
        stream.flush()


_WIDE = 10**5
"""Columns of a table that is cut nowhere."""


def aligned_rows(rows: Sequence[Sequence[str]], justify: str) -> list[str]:
    """Rows as lines with two blanks between columns; ``justify`` is < (left) or > per column.

    >>> aligned_rows([("class", "count"), ("a", "10")], "<>")
    ['class  count', 'a         10']
    """
    from rich.console import Console  # slow to import, and --help needs none
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2), pad_edge=False)
    for side in justify:
        table.add_column(justify="right" if side == ">" else "left", no_wrap=True)
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=_WIDE, color_system=None, legacy_windows=False)
    with console.capture() as lines:
        console.print(table)
    return [line.rstrip() for line in lines.get().splitlines()]


class _Lasting:
    """A stream that accepts everything, also once it cannot be written; ``failure`` is why not."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.failure: OSError | None = None

    def write(self, text: str) -> int:
        try:
            return self.stream.write(text)
        except OSError as error:
            self._fail(error)
            return len(text)

    def flush(self) -> None:
        try:
            self.stream.flush()
        except OSError as error:
            self._fail(error)

    def last(self) -> OSError | None:
        """The first error of writing, after a last flush."""
        self.flush()
        return self.failure

    def _fail(self, error: OSError) -> None:
        self.failure = self.failure or error
        with suppress(OSError, ValueError):  # the rest of the buffer goes to the null device
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.stream.fileno())

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


@contextmanager
def lasting() -> Iterator[list[str]]:
    """Within, both standard streams accept everything. Afterwards the list has a line for each that
    could not be written, unless its pipe was closed."""
    before: tuple[Any, Any] = sys.stdout, sys.stderr
    failures: list[str] = []
    streams = [None if stream is None else _Lasting(stream) for stream in before]
    for stream in before:
        with suppress(AttributeError, ValueError):
            stream.reconfigure(errors="backslashreplace")
    sys.stdout, sys.stderr = streams
    try:
        yield failures
    finally:
        for name, stream in zip(("output", "error"), streams, strict=True):
            failure = stream.last() if stream else None
            if failure and failure.errno != errno.EPIPE:
                failures.append(f"standard {name} cannot be written: {failure.strerror}")
        sys.stdout, sys.stderr = before
