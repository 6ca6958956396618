"""Who wrote a run folder: whether it can be read, and what to do where it cannot."""

import json
from collections.abc import Collection
from os.path import lexists
from pathlib import Path
from typing import Any

from xaibench import __version__
from xaibench.errors import UsageError
from xaibench.storage.files import read_file

BEGUN = Path("store") / "begun.json"
"""In a run folder from the beginning of a run until its tables are written."""

RENDERED = Path("store") / "rendered.json"
"""There once tables and reports are written: what they were made from, and their digests."""


def check_run_folder(folder: Path, tables: Collection[str]) -> None:
    """Reject what is no folder of a run, and a run with a table that is not among ``tables``."""
    if not folder.is_dir():
        got = "a file" if folder.exists() else "no folder"
        raise UsageError(f"{folder}: expected the folder of a run, got {got}")
    if not any(folder.iterdir()):
        raise UsageError(
            f"{folder}: no run of xaibench here, the folder is empty; name that of a run"
        )
    check_store(folder)
    environment = _read_environment(folder)
    if (folder / BEGUN).is_file() and "unfinished" not in environment:
        ways = f"'xaibench report {folder}' shows what there is, its command again continues it"
        raise UsageError(f"{folder}: an unfinished run; {ways}")
    if (folder / "store" / "data.json").is_file() and not lexists(folder / "plan.yaml"):
        raise UsageError(f"{folder}: an unfinished run without a plan; run its command again")
    named = environment.get("tables")
    strange = (
        [str(name) for name in named if name not in [*tables]] if isinstance(named, list) else []
    )
    if strange:
        raise UsageError(f"{folder}: holds {strange[0]}, which is not known here{hint(folder)}")


def check_store(folder: Path) -> None:
    """Reject a run folder whose store lies elsewhere: a run would write and remove there."""
    store = folder / "store"
    if store.is_symlink():
        raise UsageError(f"{store}: is a link, expected a folder; move here what it leads to")
    if store.exists() and not store.is_dir():
        raise UsageError(f"{store}: is no folder, expected one; move it away")


def hint(folder: Path) -> str:
    """The end of a message about a file that is not as this version knows it: who made it, where
    the folder says so, and what to do."""
    versions = _read_environment(folder).get("versions")
    maker = versions.get("xaibench") if isinstance(versions, dict) else None
    again = "run its command again"
    if not isinstance(maker, str):
        return f"; {again}"
    if maker == __version__:
        return f"; made by xaibench {maker}, as this is: {again}"
    return f"; made by xaibench {maker}, this is {__version__}: report it with that, or {again}"


def _read_environment(folder: Path) -> dict[str, Any]:
    """Of ``environment.json``; empty where it cannot be read, which its reader reports."""
    try:
        environment = json.loads(read_file(folder / "environment.json"))
    except (OSError, ValueError, RecursionError):
        return {}
    return environment if isinstance(environment, dict) else {}
