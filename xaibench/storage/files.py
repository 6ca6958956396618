"""Files read and written whole: no link is followed, no pipe is waited for."""

import errno
import mmap
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path, PurePosixPath
from secrets import token_hex
from typing import BinaryIO

from xaibench.errors import UsageError

TEMPORARY = ".making-"
"""How the name of a file or folder begins that is not whole yet."""

# systems without these have no links, or no pipes, in folders
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT = getattr(os, "O_NONBLOCK", 0)

_FOLDER = "is a folder, expected a file; move it away"

_KINDS = {
    stat.S_ISFIFO: "a pipe",
    stat.S_ISSOCK: "a socket",
    stat.S_ISCHR: "a device",
    stat.S_ISBLK: "a device",
}

_LARGE = 2**30
"""Bytes; a smaller file is read whether it is sparse or not."""

MAPPED = 2**25
"""Bytes; what is smaller is held in memory."""

COPIED = 2**22
"""So many bytes of a mapped file are looked at before their memory is given back."""

FileContent = bytes | mmap.mmap
"""Of a file, in memory or mapped."""


def no_right(error: OSError, folder: Path) -> UsageError:
    """The error of one who may not read, or write, in the folder of a run."""
    return UsageError(
        f"{error.filename or folder}: {error.strerror}; whoever made the run can let others read "
        f"and write it: chmod -R g+rwX {folder}"
    )


@contextmanager
def with_rights(folder: Path) -> Iterator[None]:
    """In here the lack of a right in a run folder is a UsageError, for it is no damage."""
    try:
        yield
    except PermissionError as error:
        raise no_right(error, folder) from None


def read_file(path: Path) -> bytes:
    """The content of a regular file; OSError for a link, a folder, a pipe or a device."""
    with regular(path, os.O_RDONLY) as handle:
        return _read(handle, path)


def _read(handle: int, path: Path) -> bytes:
    with os.fdopen(handle, "rb", closefd=False) as file:
        try:
            return file.read()
        except MemoryError:
            raise OSError(errno.ENOMEM, "is larger than the memory", str(path)) from None


def read_or_map(path: Path) -> FileContent:
    """As ``read_file``; a file of more than ``MAPPED`` bytes is mapped, and read as it is used."""
    with regular(path, os.O_RDONLY) as handle:
        if os.fstat(handle).st_size > MAPPED:
            return mmap.mmap(handle, 0, access=mmap.ACCESS_READ)
        return _read(handle, path)


def in_pieces(content: FileContent) -> Iterator[memoryview]:
    """Content a few megabytes at a time; of a mapped file their memory is given back."""
    whole = memoryview(content)
    for start in range(0, len(whole), COPIED):
        yield whole[start : start + COPIED]
        if isinstance(content, mmap.mmap):
            give_back(content)


def give_back(mapped: mmap.mmap) -> None:
    """The memory of what was looked at or written in a mapped file; its content stays."""
    if hasattr(mapped, "madvise"):  # not on every system
        mapped.madvise(mmap.MADV_DONTNEED)


@contextmanager
def regular(path: Path, flags: int) -> Iterator[int]:
    """A descriptor of a file, opened with these flags; OSError where it is no regular file."""
    if path.is_symlink():
        raise OSError(errno.ELOOP, "is a link, expected a file", str(path))
    if path.is_dir():
        raise OSError(errno.EISDIR, _FOLDER, str(path))
    handle = os.open(path, flags | _NO_LINK | _NO_WAIT, 0o666)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is no regular file", str(path))
        if _is_hollow(status):
            raise OSError(errno.EFBIG, "is a sparse file, nearly all of it holes", str(path))
        yield handle
    finally:
        os.close(handle)


def no_content(path: Path) -> str:
    """What a path is that is neither a folder nor a file to read; empty where it is one."""
    status = path.stat()
    for is_kind, name in _KINDS.items():
        if is_kind(status.st_mode):
            return f"{name}, not a file"
    return "a sparse file, nearly all of it holes" if _is_hollow(status) else ""


def _is_hollow(status: os.stat_result) -> bool:
    """Whether a file of terabytes takes a few blocks: reading or hashing it would end nothing.

    No file system compresses what is written here to a thousandth.
    """
    blocks = getattr(status, "st_blocks", None)  # in units of 512 bytes; not on every system
    return blocks is not None and status.st_size > _LARGE and blocks * 512 < status.st_size // 1000


@contextmanager
def replacing(
    path: Path, *, durable: bool = False, check: Callable[[], None] = lambda: None
) -> Iterator[BinaryIO]:
    """A file to write to that replaces the one at ``path`` as a whole, once the block has ended
    without an error: a reader meets the old content or the new, nothing between.

    A link of this name is replaced, not followed. The temporary name belongs to this call alone.
    With ``durable`` it survives a loss of power: the new content where this has returned, else the
    old one or the new. ``check`` is called right before the new content takes its place, and raises
    where it must not.
    """
    # x follows no link either; others may read the file
    with replacing_path(path, check=check) as making, making.open("xb") as file:
        yield file
        if durable:
            file.flush()
            os.fsync(file.fileno())
    if durable:
        sync(path.parent)


@contextmanager
def replacing_path(path: Path, *, check: Callable[[], None] = lambda: None) -> Iterator[Path]:
    """As ``replacing``, for libraries that open their files themselves: a path at which nothing is
    yet, whose file replaces that at ``path``. It has the same suffix, by which some go."""
    making = path.with_name(f"{TEMPORARY}{token_hex(8)}{path.suffix}")
    try:
        yield making
        check()
        making.replace(path)
    except OSError as error:
        # the temporary name says nothing to a user, and a full disk names no file at all
        reason = _FOLDER if error.errno == errno.EISDIR else error.strerror
        raise OSError(error.errno, reason, str(path)) from error
    finally:
        with suppress(OSError):
            making.unlink(missing_ok=True)


def write_file(
    path: Path,
    content: str | FileContent,
    *,
    durable: bool = False,
    check: Callable[[], None] = lambda: None,
) -> None:
    """``replacing`` a file by this content."""
    with replacing(path, durable=durable, check=check) as file:
        file.writelines(in_pieces(content.encode() if isinstance(content, str) else content))


def remove_file(path: Path) -> None:
    """Remove a file, or a link of this name, where there is one; OSError for a folder."""
    if path.is_dir() and not path.is_symlink():
        raise OSError(errno.EISDIR, _FOLDER, str(path))
    path.unlink(missing_ok=True)


def remove_tree(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; links are removed, and not followed."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add a line to a regular file; OSError, which names it, where that is none."""
    try:
        with regular(path, os.O_WRONLY | os.O_APPEND) as handle:
            os.write(handle, f"{line}\n".encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def make_folder(path: Path) -> None:
    """Make a folder and those above it where there are none; they survive a loss of power."""
    made = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in made:
        sync(each.parent)


def write_below(
    folder: Path, name: str, content: str | bytes, *, check: Callable[[], None] = lambda: None
) -> Path:
    """``write_file`` a file of a folder, such as ``figures/a.svg``, and give its path.

    UsageError where the name leads out of the folder, by its words or through a link.
    """
    path = path_below(folder, name)
    write_file(path, content, check=check)
    return path


def path_below(folder: Path, name: str) -> Path:
    """The path of a file of a folder, such as ``figures/a.svg``; the folders above it are made.

    UsageError as of ``write_below``.
    """
    parts = PurePosixPath(name).parts
    if not parts or ".." in parts or "\\" in name or PurePosixPath(name).is_absolute():
        raise UsageError(f"{folder}: expected the name of a file in this folder, got {name!r}")
    for count in range(1, len(parts)):
        below = folder.joinpath(*parts[:count])
        if below.is_symlink():
            raise UsageError(f"{below}: is a link, expected a folder to write in; remove the link")
        if below.exists() and not below.is_dir():
            raise UsageError(f"{below}: is no folder, expected one to write in; remove it")
        below.mkdir(exist_ok=True)
    return folder.joinpath(*parts)


def digest_of_file(path: Path) -> str:
    """The BLAKE2 digest of a regular file; empty where it cannot be read."""
    try:
        with regular(path, os.O_RDONLY) as handle, os.fdopen(handle, "rb", closefd=False) as file:
            return file_digest(file, "blake2b").hexdigest()
    except OSError:
        return ""


def sync(folder: Path) -> None:
    """Flush a folder: what was created, renamed and removed in it survives a loss of power."""
    with suppress(OSError):  # a system on which a folder cannot be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
