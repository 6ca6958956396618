"""Where a plan is, and the files that it names."""

import os
from importlib.resources import files
from pathlib import Path

from xaibench.errors import Absent, UsageError, shortened
from xaibench.storage.files import no_content


def locate(path: str, source: str) -> Path:
    """A relative path is looked for beside the plan, in the folder ``XAIBENCH_DATA``, and here.

    Here is the current folder: from where a run began, the ``plan.yaml`` in its folder runs too.
    UsageError for what is neither a file nor a folder: reading it would wait, or never end.
    """
    for folder in folders_of(source):
        located = folder / expanded(path)
        if os.path.exists(located):  # False also where a name is longer than a disk allows
            if fault := no_content(located):
                raise UsageError(f"{located}: expected a file, got: {fault}")
            return located
    raise Absent(f"no file {shortened(repr(path))} ({where_looked()})")


def folders_of(source: str) -> list[Path]:
    """Where the files are looked for that a plan names: beside it, in ``XAIBENCH_DATA``, here."""
    data = os.environ.get("XAIBENCH_DATA")
    return [folder_of_source(source), *([Path(data)] if data else []), Path()]


def where_looked() -> str:
    """``folders_of`` in words."""
    given = os.environ.get("XAIBENCH_DATA")
    where = ", in XAIBENCH_DATA and here" if given else " and here; XAIBENCH_DATA is not set"
    return f"looked beside the plan{where}"


def expanded(path: str | Path) -> Path:
    """A path with ~ and ~user replaced; raises UsageError for a user that is unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise Absent(f"{shortened(str(path))}: no user of that name has a home here") from None


def folder_of_source(source: str) -> Path:
    """What the paths in a plan are relative to."""
    named = source in presets() or len(combined_sources(source)) > 1
    return Path() if named else Path(source).parent


def combined_sources(source: str) -> list[str]:
    """The plans that a word of the command line names; a file may have a plus in its name."""
    return [source] if os.path.isfile(source) else source.split("+")


def presets() -> list[str]:
    """The plans that ship with the package."""
    folder = files("xaibench.plan") / "presets"
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir())
