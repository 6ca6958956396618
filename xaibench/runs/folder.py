"""A run folder before a run goes on in it: whose it is, what of it is whole, what is made again."""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path, PurePosixPath
from typing import Any

from xaibench import __version__
from xaibench.artefacts.job import Work
from xaibench.errors import UsageError
from xaibench.plan.schema import dump
from xaibench.plan.sections import PLUGIN_SECTIONS
from xaibench.plugins.registry import load
from xaibench.progress import announce
from xaibench.results.compatibility import BEGUN, RENDERED, check_store
from xaibench.storage.artefacts import DAMAGED, MARK_FILE, unwritable
from xaibench.storage.files import digest_of_file, read_file, with_rights, write_file

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading JSON that may be anything ends in."""


def _is_text(path: Path) -> bool:
    try:
        return bool(str(path.absolute()).encode())
    except UnicodeEncodeError:
        return False


def check_folder(work: Work) -> None:
    """A folder may be new, empty, or a run on the same data.

    Where ``data.json`` or the whole store is gone, what else the run left names its data.
    """
    with with_rights(work.job.folder):
        _check_folder(work, work.job.folder)


def _check_folder(work: Work, folder: Path) -> None:
    if not _is_text(folder):
        raise UsageError(f"{folder}: expected a path in UTF-8, for weights are stored in no other")
    try:
        others = sorted({path.name for path in folder.iterdir()} - {"store"})
    except FileNotFoundError:
        return
    except PermissionError:
        raise
    except OSError as error:
        raise UsageError(
            f"{folder}: cannot be used as the folder of a run: {error.strerror}"
        ) from None
    check_store(folder)
    if any(data == work.data for data in _fingerprints(folder)):
        return
    data = next(filter(None, _fingerprints(folder)), None)
    alone = others == ["plan.yaml"] and _is_written(folder / "plan.yaml", dump(work.plan))
    if data is None and others and not alone and not _is_run(folder):
        raise UsageError(
            f"{folder}: expected a new folder or one of a run, got other files "
            f"({', '.join(others[:3])}); choose another folder with -o, or move them away"
        )
    if data is not None:
        raise UsageError(
            f"{folder}: holds a run on other data ({data[:8]}, these are {work.data[:8]}); "
            "choose another folder with -o"
        )


def mark_folder(work: Work) -> Work:
    """Say in the folder what its data are, and give the work as of a run that has begun."""
    path = work.store.root / MARK_FILE
    try:
        write_file(path, json.dumps({"data": work.data}), durable=_data_in(path) != work.data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    job = replace(work.job, begun=True)
    return replace(work, job=job, store=replace(work.store, marked=True))


@contextmanager
def halting(work: Work) -> Iterator[None]:
    """In here an error of the disk ends the run in one line that names the file."""
    try:
        yield
    except OSError as error:
        replace(work.store, marked=True).check()
        if error.filename is None:  # a terminal that is closed, for one
            raise
        raise unwritable(Path(error.filename), error) from error


def set_damaged_aside(work: Work) -> bool:
    """Put away every damaged artefact, and say which; what the plan wants of them is made again."""
    damaged = dict(work.store.damaged())
    for path, why in damaged.items():
        work.store.set_aside(path)
        announce(f"{path}: {why}; set aside in {work.store.root / DAMAGED}, and made again")
    return bool(damaged)


def stamp(work: Work) -> str:
    """Names everything that the tables and reports are made from."""
    plan = work.plan
    artefacts = sorted(
        path.name
        for path in work.store.root.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    parts = [
        (section, use.use) for section in PLUGIN_SECTIONS for use in getattr(plan, section).values()
    ]
    codes = [load(section, name, work.job.plugins).code for section, name in parts]
    content = json.dumps([__version__, dump(plan), codes, artefacts])
    return blake2b(content.encode(), digest_size=16).hexdigest()


def mark_written(folder: Path, tables: Iterable[str]) -> None:
    """Say how each table reads, before the run has ended: after a loss of power, in which a table
    may be lost, be empty or be an older one, no report takes it for that of the run."""
    digests = {name: digest_of_file(folder / name) for name in tables}
    write_file(folder / RENDERED, json.dumps({"digests": digests}), durable=True)


def mark_rendered(
    work: Work, tables: Iterable[str], reports: Iterable[Path], failures: Iterable[str]
) -> None:
    """Say that tables and reports are written, how each of them reads, and what had failed."""
    folder = work.job.folder
    names = [*tables, *(path.relative_to(folder).as_posix() for path in reports)]
    digests = {name: digest_of_file(folder / name) for name in names}
    known = {"stamp": stamp(work), "digests": digests, "failures": [*failures]}
    write_file(folder / RENDERED, json.dumps(known))


def is_rendered(work: Work, tables: Iterable[str]) -> bool:
    """Whether tables and reports of this work are all there, as the run wrote them.

    Not where the folder is of version 0.1.0, which stored no digests, nor where a run has not come
    to its end, whatever was written before it began.
    """
    folder = work.job.folder
    known = {} if os.path.lexists(folder / BEGUN) else _rendered(folder)
    digests = known.get("digests")
    if not isinstance(digests, dict) or not {*tables} <= {*digests}:
        return False
    unchanged = all(digest_of_file(folder / name) == each for name, each in digests.items())
    return unchanged and bool(known.get("stamp") == stamp(work))


def changed_since(folder: Path) -> list[str]:
    """A line for each table and report of a finished run that is not as it wrote it."""
    digests = _rendered(folder).get("digests")
    known = digests.items() if isinstance(digests, dict) else ()
    return [
        f"{folder / name}: is not as its run wrote it; its command makes it again"
        for name, digest in known
        if not _lies_below(name) or digest_of_file(folder / name) != digest
    ]


def _lies_below(name: str) -> bool:
    """Whether a name that a folder holds is of a file in it."""
    parts = PurePosixPath(name).parts
    return bool(parts) and parts[0] != "/" and ".." not in parts and "\0" not in name


def failures_of(folder: Path) -> list[str] | None:
    """What had failed when tables and reports were written; None where that was not stored."""
    failures = _rendered(folder).get("failures")
    return list(map(str, failures)) if isinstance(failures, list) else None


def _rendered(folder: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(read_file(folder / RENDERED)))
    except UNREADABLE:
        return {}


def _fingerprints(folder: Path) -> Iterator[str | None]:
    """What the folder says of its data, the best witness first."""
    yield _data_in(folder / "store" / MARK_FILE)
    yield _data_in(folder / "environment.json")
    for path in sorted((folder / "store").glob("*-*/spec.json")):
        yield _data_in(path, "spec")


def _data_in(path: Path, *keys: str) -> str | None:
    try:
        content = json.loads(read_file(path))
        for key in keys:
            content = content[key]
        return str(content["data"])
    except UNREADABLE:
        return None


def _is_written(path: Path, text: str) -> bool:
    """Whether a file already reads as it is going to be written."""
    try:
        return read_file(path) == text.encode()
    except OSError:
        return False


def _is_run(folder: Path) -> bool:
    """Whether anything in a folder could only be of a run."""
    return (folder / BEGUN).is_file() or any((folder / "store").glob("*-*/spec.json"))
