"""A run folder that an object store has too: what is missing here is fetched, what is made here is
put there."""

import json
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from secrets import token_hex
from socket import gethostname
from typing import Any

from xaibench.errors import Halted, UsageError, described
from xaibench.progress import announce, repeatedly

from .artefacts import is_artefact, is_kept, verify
from .files import TEMPORARY, make_folder, path_below, remove_tree, replacing_path
from .lock import busy

SECONDS_TO_PUT = 10.0
"""Seconds between two looks for artefacts that are new here."""

LOCK = "run.lock"
"""The object that says who runs."""

_SPEC = "spec.json"


@dataclass(frozen=True, slots=True)
class Copy:
    """A folder here and the place in an object store, ``root`` of the file system ``there``, that
    is to hold the same.

    ``known`` are the names of artefacts, and the time and size of other files, that are there as
    they are here.
    """

    url: str
    there: Any
    root: str
    folder: Path
    known: dict[str, Any] = field(default_factory=dict)


def is_url(text: str) -> bool:
    """Whether it names a place in an object store.

    >>> is_url("s3://bucket/run"), is_url("runs/demo"), is_url("C:/runs")
    (True, False, False)
    """
    return bool(re.match(r"[a-z][a-z0-9+.-]+://", text))


@contextmanager
def also_at(url: str, folder: Path) -> Iterator[None]:
    """In here a run computes in a folder that an object store has too.

    First what is there is fetched, artefacts that are missing here and all other files; then a
    thread puts there each artefact that is made, and at the end everything. An artefact is never
    half there: its ``spec.json`` comes last, and what is fetched is verified. Failures and
    checkpoints stay here.

    UsageError where the place cannot be read, or a run of another machine holds it; Halted where it
    cannot be written in the end.
    """
    copy = _copy(url, folder)
    with _held(copy):
        with _failing(copy, "cannot be read", UsageError):
            _fetch(copy)
        try:
            with _putting(copy):
                yield
        except BaseException:
            _put_if_possible(copy)
            raise
        again = f"cannot be written; all is in {folder}, and the same command puts it there"
        with _failing(copy, again, Halted):
            _put(copy)


def _copy(url: str, folder: Path) -> Copy:
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        there, root = url_to_fs(url)
    except Exception as error:  # of an object store's own package, as all below
        raise UsageError(
            f"-o: expected a folder or a place in an object store, as s3://BUCKET/RUN, got {url}: "
            f"{described(error)}"
        ) from None
    if isinstance(there, LocalFileSystem):  # folders must be made; of others it would be a bucket
        there = LocalFileSystem(auto_mkdir=True)
        there.makedirs(root, exist_ok=True)
    return Copy(url, there, root.rstrip("/"), folder)


@contextmanager
def _failing(copy: Copy, what: str, kind: type[UsageError]) -> Iterator[None]:
    try:
        yield
    except UsageError:
        raise
    except Exception as error:
        raise kind(f"{copy.url}: {what}: {described(error)}") from error


# One run at a time


@contextmanager
def _held(copy: Copy) -> Iterator[None]:
    """Within, no run of another machine begins at the same place."""
    if busy(copy.folder / "store"):
        raise UsageError(f"{copy.folder}: another run is under way in this folder")
    lock, me = f"{copy.root}/{LOCK}", f"{gethostname()}:{copy.folder.absolute()}"
    holder = {"who": me, "since": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")}
    with _failing(copy, "cannot be written", UsageError):
        try:
            copy.there.pipe_file(lock, json.dumps(holder).encode(), mode="create")
        except FileExistsError:
            _require_mine(copy, me, copy.there.cat_file(lock))
    try:
        yield
    finally:
        with _failing(copy, f"{LOCK} cannot be deleted", Halted):
            copy.there.rm_file(lock)


def _require_mine(copy: Copy, me: str, content: bytes) -> None:
    """UsageError unless the lock is that of a run in the same folder, which was killed."""
    try:
        holder = json.loads(content)
        who, since = str(holder["who"]), str(holder["since"])
    except (ValueError, KeyError, TypeError):
        who, since = "somebody", "an unknown time"
    if who != me:
        raise UsageError(
            f"{copy.url}: a run of {who} is under way there since {since}; if it was killed, "
            f"delete {copy.url.rstrip('/')}/{LOCK}"
        )


# From there


def _fetch(copy: Copy) -> None:
    artefacts: dict[str, list[str]] = defaultdict(list)
    names = [name for name in _names(copy) if name != LOCK]
    if names:
        make_folder(copy.folder)
    for name in names:
        path = PurePosixPath(name)
        if _is_of_artefact(path):
            artefacts[str(path.parent)].append(path.name)
        elif _is_copied(path):
            _fetch_file(copy, name)
    for name, files in artefacts.items():
        if _SPEC in files and _has_artefact(copy, name, files):
            copy.known[name] = None


def _names(copy: Copy) -> list[str]:
    copy.there.invalidate_cache()
    return [path.removeprefix(f"{copy.root}/") for path in copy.there.find(copy.root)]


def _is_of_artefact(path: PurePosixPath) -> bool:
    """Whether it is a file of an artefact, of a run or of a run of a series."""
    return path.parent.parent.name == "store" and is_artefact(path.parent.name)


def _is_copied(path: PurePosixPath) -> bool:
    """Whether it is neither temporary, nor a checkpoint, nor a lock."""
    hidden = any(part.startswith(".") and part != ".." for part in path.parts)
    return not hidden and path.name != LOCK and path.parts[-2:] != ("store", "lock")


def _fetch_file(copy: Copy, name: str) -> None:
    path = path_below(copy.folder, name)
    with replacing_path(path) as making:
        copy.there.get_file(f"{copy.root}/{name}", str(making))
    copy.known[name] = _state(path)


def _has_artefact(copy: Copy, name: str, files: list[str]) -> bool:
    """Whether an artefact is here, or could be fetched as it was made."""
    path = path_below(copy.folder, name)
    if is_kept(path):
        return True
    making = path.with_name(f"{TEMPORARY}{token_hex(8)}") / path.name
    making.mkdir(parents=True)
    try:
        for file in files:
            copy.there.get_file(f"{copy.root}/{name}/{file}", str(path_below(making, file)))
        if not verify(making):
            return False
        remove_tree(path)  # a failure, or damaged
        making.rename(path)
    finally:
        remove_tree(making.parent)
    return True


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


# To there


@contextmanager
def _putting(copy: Copy) -> Iterator[None]:
    """In here artefacts are put there as they are made; what fails is tried again."""

    def put(seconds: float) -> float:
        try:
            _put_artefacts(copy)
        except Exception as error:
            announce(f"{copy.url}: cannot be written: {described(error)}; tried again")
        return seconds

    with repeatedly(put, SECONDS_TO_PUT):
        yield


def _put_if_possible(copy: Copy) -> None:
    try:
        _put(copy)
    except Exception as error:
        announce(f"{copy.url}: cannot be written: {described(error)}")


def _put(copy: Copy) -> None:
    """Everything: artefacts, then the files, those of the store last; what is gone here goes."""
    _put_artefacts(copy)
    files = _files(copy.folder)
    for name in sorted(files, key=lambda name: ("store/" in name, name)):
        if copy.known.get(name) != files[name]:
            copy.there.put_file(str(copy.folder / name), f"{copy.root}/{name}")
            copy.known[name] = files[name]
    for name in [name for name, state in copy.known.items() if state and name not in files]:
        copy.there.rm_file(f"{copy.root}/{name}")
        del copy.known[name]


def _put_artefacts(copy: Copy) -> None:
    for path in [*copy.folder.glob("store/*"), *copy.folder.glob("*/store/*")]:
        name = path.relative_to(copy.folder).as_posix()
        if name in copy.known or not is_artefact(path.name) or not is_kept(path):
            continue
        for file in sorted(path.iterdir(), key=lambda file: (file.name == _SPEC, file.name)):
            copy.there.put_file(str(file), f"{copy.root}/{name}/{file.name}")
        copy.known[name] = None


def _files(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Every other file of a folder that is copied, with its time and size."""
    files = {}
    for path in folder.rglob("*"):
        name = PurePosixPath(path.relative_to(folder).as_posix())
        regular = path.is_file() and not path.is_symlink()
        if regular and _is_copied(name) and not _is_of_artefact(name):
            files[str(name)] = _state(path)
    return files
