"""Artefacts in folders named by the hash of their spec; whole or absent, never half."""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b, file_digest
from pathlib import Path
from secrets import token_hex
from stat import S_ISDIR, S_ISREG
from typing import Any

from xaibench.errors import Halted, UsageError

from .arrays import unpacked
from .files import (
    TEMPORARY,
    FileContent,
    in_pieces,
    no_right,
    read_file,
    read_or_map,
    sync,
    write_file,
)

Spec = Mapping[str, Any]
"""What an artefact is and what it came from, as JSON; its ``kind`` begins the folder's name."""

OK, FAILED, NOT_APPLICABLE = "ok", "failed", "not applicable"
NOT_COMPUTED = "not computed"
"""The reason where an artefact does not exist, and the status where a run has not come so far."""

MARK_FILE = "data.json"
"""A file of every store: the fingerprint of the data that the run is on."""

DAMAGED = ".damaged"
"""The folder of a store into which damaged artefacts are moved; it may be deleted at any time."""

_SPEC = "spec.json"

_DIGEST = 16
"""Bytes."""

_FOLDER_NAME = re.compile(r"[^.].*-[0-9a-f]{20}")
"""Of an artefact; a hidden one is a checkpoint, or not whole yet."""

_FILES = {
    "model": ("card.json", "weights.safetensors"),
    "floor": ("floor.json",),
    "behaviour": ("behaviour.json",),
}
_ARRAYS = ("arrays.safetensors",)
"""By kind, what an artefact of version 0.1.0 holds, which recorded no digests; ``_ARRAYS`` else."""


class _Damaged(Exception):
    """An artefact is not as it was saved; the message says what is wrong."""


def key(spec: Spec) -> str:
    """The folder name of an artefact.

    >>> key({"kind": "model", "seed": 0}) == key({"seed": 0, "kind": "model"})
    True
    """
    return f"{spec['kind']}-{_blake2([_canonical(spec)], size=10)}"


def is_artefact(name: str) -> bool:
    """Whether a folder of this name in a store is that of an artefact."""
    return bool(_FOLDER_NAME.fullmatch(name))


@dataclass(frozen=True, slots=True)
class Store:
    """The artefacts of one run folder.

    ``marked`` where a run has begun in it: without its ``data.json`` nothing more is saved.
    Artefacts of the names ``ignored`` count as absent.
    """

    root: Path
    marked: bool = False
    ignored: frozenset[str] = frozenset()

    def path(self, spec: Spec) -> Path:
        """The folder of an artefact, which need not exist."""
        return self.root / key(spec)

    def holds(self, spec: Spec) -> bool:
        """Whether it exists and needs no second try (a failure does).

        Goes by ``spec.json`` and the sizes of its files; their content is verified when read.
        """
        record = self._record(spec)
        return record is not None and record["status"] != FAILED

    def outcome(self, spec: Spec) -> tuple[str, str]:
        """The status of an artefact and its reason; failed and not computed where there is none."""
        record = self._record(spec)
        return (record["status"], record["reason"]) if record else (FAILED, NOT_COMPUTED)

    def content(self, spec: Spec, name: str) -> FileContent:
        """A file of an artefact that exists, a large one mapped; UsageError where it is not as it
        was saved."""
        path = self.path(spec)
        try:
            return _verified_content(path, name, _record_of(path).get("files"))
        except _Damaged as damage:
            raise UsageError(f"{path}: {damage}; run the command of the run again") from None

    def digest(self, spec: Spec, name: str) -> str:
        """What names the content of a file of an artefact, as it was saved; empty where there is
        none, or none was recorded."""
        record = self._record(spec) or {}
        held = (record.get("files") or {}).get(name, {})
        return str(held.get("digest", ""))

    def damaged(self) -> Iterator[tuple[Path, str]]:
        """Every artefact that is not as it was saved, and why not; reads all of them."""
        for path in sorted(self.root.iterdir()):
            if is_artefact(path.name):
                try:
                    _verify(path)
                except _Damaged as damage:
                    yield path, str(damage)

    def set_aside(self, path: Path) -> None:
        """Move an artefact into the folder ``DAMAGED``."""
        aside = self.root / DAMAGED
        if aside.is_symlink() or aside.is_file():
            aside.unlink()  # nothing is written through a link
        aside.mkdir(exist_ok=True)
        path.rename(aside / f"{path.name}-{token_hex(4)}")

    def check(self) -> None:
        """Halted where a run has begun in this store and its folder is gone."""
        if self.marked and not (self.root / MARK_FILE).is_file():
            raise Halted(
                f"{self.root.parent}: the folder of this run is gone (deleted, renamed or its disk "
                "unmounted); where it is back, the same command goes on"
            )

    def keep(
        self, spec: Spec, make: Callable[[Path], None], *, status: str = OK, reason: str = ""
    ) -> Path:
        """Make an artefact in a folder of its own and commit it by rename, unless it is there.

        Halted where the folder of the run is gone or cannot be written.
        """
        if self.holds(spec):
            return self.path(spec)
        self.check()
        # not tempfile, which would make it for one user alone, whatever the umask
        making = self.root / f"{TEMPORARY}{token_hex(8)}"
        try:
            self.root.mkdir(parents=not self.marked, exist_ok=True)
            making.mkdir()
            make(making)
            _seal(making, {"status": status, "reason": reason, "spec": spec})
            self._commit(making, self.path(spec))
        except OSError as error:
            self.check()
            if error.errno is None:  # not of the disk
                raise
            raise unwritable(self.path(spec), error) from error
        finally:
            shutil.rmtree(making, ignore_errors=True)
        return self.path(spec)

    def _record(self, spec: Spec) -> dict[str, Any] | None:
        path = self.path(spec)
        try:
            return None if path.name in self.ignored else _record_of(path)
        except _Damaged:
            return None

    def _commit(self, making: Path, path: Path) -> None:
        """Another process may have made the same artefact meanwhile; then theirs stays."""
        if os.path.lexists(path):
            try:
                failed = _record_of(path)["status"] == FAILED
            except _Damaged:
                self.set_aside(path)
            else:
                if not failed:
                    return
                shutil.rmtree(path)
        try:
            making.rename(path)
        except OSError:
            if not path.is_dir():
                raise
        sync(self.root)


def unwritable(path: Path, error: OSError) -> Halted:
    """The error of a run whose folder cannot be written any more, as on a full disk."""
    reason = error.strerror or str(error)
    return Halted(f"{path}: {reason}; what is computed is saved, and the same command goes on")


# One artefact


def _seal(folder: Path, record: dict[str, Any]) -> None:
    """Write ``spec.json``, with the digests of the artefact's files and its own, to the disk."""
    held = {path.name: _file_of(path) for path in sorted(folder.iterdir())}
    # as it will be read back: JSON knows no tuples, and text alone for keys
    record = json.loads(json.dumps({**record, "name": key(record["spec"]), "files": held}))
    record["digest"] = _blake2([_canonical(record)])
    write_file(folder / _SPEC, json.dumps(record, indent=1), durable=True)  # and the folder


def _file_of(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        digest = file_digest(file, lambda: blake2b(digest_size=_DIGEST)).hexdigest()
        return {"bytes": os.fstat(file.fileno()).st_size, "digest": digest}


def _record_of(path: Path) -> dict[str, Any]:
    """The content of ``spec.json``, where it is whole and the files have their sizes."""
    # by text, not pathlib: a run asks this a thousand times before it knows that all is there
    folder = str(path)
    _require_folder(folder)
    try:
        status = os.lstat(f"{folder}/{_SPEC}")
        times = (status.st_mtime_ns, status.st_ctime_ns)
        record = _sound(folder, status.st_ino, status.st_size, *times)
    except PermissionError as error:
        raise no_right(error, path.parent.parent) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _Damaged(f"{_SPEC} is damaged") from None
    for name, held in (record.get("files") or {}).items():
        if _file_size(f"{folder}/{name}") != held["bytes"]:
            raise _Damaged(f"{name} is damaged")
    return dict(record)


def _require_folder(path: str) -> None:
    """_Damaged where there is none, or a link to one."""
    try:
        mode = os.lstat(path).st_mode
    except PermissionError as error:
        raise no_right(error, Path(path).parent.parent) from None
    except OSError:
        raise _Damaged(NOT_COMPUTED) from None
    if not S_ISDIR(mode):
        raise _Damaged("is no folder")


@lru_cache(maxsize=2**12)
def _sound(folder: str, *status: int) -> dict[str, Any]:
    """The content of ``spec.json``; ValueError, or any error of reading, where it is damaged.

    Cached as long as the file's ``status`` (inode, size, times) is the same: measuring reads each
    ten times.
    """
    path = Path(folder)
    record = json.loads(read_file(path / _SPEC))
    known = record["status"] in (OK, FAILED, NOT_APPLICABLE) and isinstance(record["reason"], str)
    if record.get("files") is None:
        sound = known and key(record["spec"]) == path.name
    else:
        rest = {name: value for name, value in record.items() if name != "digest"}
        named = record["name"] == path.name and "spec" in record
        digest = record["digest"] == _blake2([_canonical(rest)])
        sound = known and named and digest and _are_files(record["files"])
    if not sound:
        raise ValueError(f"{_SPEC} is damaged")
    return dict(record)


def _are_files(files: Any) -> bool:
    """Whether these could be the files of an artefact: each name stays in its folder."""
    return isinstance(files, dict) and all(
        Path(name).name == name
        and "\\" not in name
        and "\0" not in name
        and isinstance(held, dict)
        and type(held.get("bytes")) is int
        and type(held.get("digest")) is str
        for name, held in files.items()
    )


def _file_size(path: str) -> int:
    """Of a regular file; -1 where there is none."""
    try:
        status = os.lstat(path)
    except OSError:
        return -1
    return status.st_size if S_ISREG(status.st_mode) else -1


def _verified_content(path: Path, name: str, files: Mapping[str, Any] | None) -> FileContent:
    try:
        content = read_or_map(path / name)
    except OSError as error:
        raise _Damaged(f"{name} is damaged ({error.strerror})") from None
    if files is not None and (
        name not in files or _blake2(in_pieces(content)) != files[name]["digest"]
    ):
        raise _Damaged(f"{name} is damaged")
    return content


def is_kept(path: Path) -> bool:
    """Whether the artefact in a folder exists and needs no second try, as ``Store.holds``."""
    try:
        return bool(_record_of(path)["status"] != FAILED)
    except _Damaged:
        return False


def verify(path: Path) -> bool:
    """Whether the artefact in a folder is as it was saved; reads all of it."""
    try:
        _verify(path)
    except _Damaged:
        return False
    return True


def _verify(path: Path) -> None:
    record = _record_of(path)
    files = record.get("files")
    names = files
    if names is None:  # of version 0.1.0
        expected = _FILES.get(str(record["spec"]["kind"]), _ARRAYS)
        names = expected if record["status"] == OK else ()
    for name in names:
        content = _verified_content(path, name, files)
        if files is None:
            _parse(name, content)


def _parse(name: str, content: FileContent) -> None:
    """_Damaged where a file cannot be parsed: all that can be checked without a digest."""
    try:
        unpacked(content) if name.endswith(".safetensors") else json.loads(content[:])
    except Exception:  # each reader has its own family of errors
        raise _Damaged(f"{name} is damaged") from None


def _canonical(content: Any) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def _blake2(content: Iterable[bytes | memoryview], size: int = _DIGEST) -> str:
    # piece by piece: all at once, as arguments, none of a mapped file would be given back
    digest = blake2b(digest_size=size)
    for piece in content:
        digest.update(piece)
    return digest.hexdigest()
