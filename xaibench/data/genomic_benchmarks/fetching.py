"""Sets of genomic-benchmarks on the disk: which are here, whole or not, and how they come here."""

import os
import shutil
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from xaibench.errors import Absent, UsageError, shortened
from xaibench.plan.paths import expanded
from xaibench.plugins.registry import nearest
from xaibench.progress import Fetching, repeatedly
from xaibench.storage.lock import locked
from xaibench.terminal import aligned_rows

from .benchmark_sets import SETS, BenchmarkSet

VARIABLE = "XAIBENCH_GENOMIC_BENCHMARKS"
SECONDS_BETWEEN_LOOKS = 0.5


def packages_root() -> Path:
    """Where the package keeps its sets."""
    return Path.home() / ".genomic_benchmarks"


def sets_root(root: Path | None) -> Path:
    """``root``, else what the environment variable says, else where the package keeps its sets."""
    chosen = root or os.environ.get(VARIABLE)
    if not chosen:
        return packages_root()
    folder = expanded(chosen)
    try:
        folder.exists()
    except OSError as error:
        raise UsageError(f"{shortened(str(chosen))}: {error.strerror}") from None
    return folder


def fetch_set(name: str, *, root: Path | None = None, progress: Fetching | None = None) -> Path:
    """The folder of a set, downloaded by the package where there is none.

    What comes is compared with the published numbers of sequences, and gets the set's name only
    when it is whole; what an interrupted download left is deleted before. A set that is here and
    whole stays as it is. Raises ``UsageError`` for an unknown name, for a folder that is not the
    whole set (it is not touched), for a download that fails, and where another is under way.
    """
    if name not in SETS:
        raise UsageError(
            f"expected a set of genomic-benchmarks, got {name!r}; {nearest(name, [*SETS])}"
        )
    folder, known = sets_root(root) / name, SETS[name]
    tell = progress or (lambda done, total, what: None)
    if folder.exists():
        if lack := lacks(folder, known):
            raise UsageError(
                f"{folder}: expected all of {name}, got {lack}; move it away and "
                f"run `xaibench data fetch {name}`"
            )
        tell(known.sequences, known.sequences, "sequences, already there")
        return folder
    with _temporary_folder(folder) as temporary:
        came = _downloaded(known, temporary, tell, root)
        if lack := lacks(came, known):
            raise Absent(
                f"{folder}: expected all of {name}, the download gave {lack}; "
                f"run `xaibench data fetch {name}` again"
            )
        os.replace(came, folder)
    tell(known.sequences, known.sequences, "sequences")
    return folder


def lacks(folder: Path, known: BenchmarkSet) -> str:
    """What a folder has in place of the whole set, in words; "" where it is whole."""
    for split, label, count in known.counts():
        files = list(_sequence_files(folder / split / label))
        if len(files) != count:
            return f"{len(files):,} of {count:,} files in {split}/{label}"
        for file in files:
            if file.stat().st_size == 0:
                return f"an empty file, {split}/{label}/{file.name}"
    return ""


def how_to_get(name: str, root: Path | None) -> str:
    """What to do where a set is not here and does not come."""
    return (
        f"run `xaibench data fetch {name}` where there is a network and copy the folder {name} "
        f"to {sets_root(root)}, or say where it is by root or {VARIABLE}"
    )


def describe_sets(root: Path | None = None) -> Iterator[str]:
    """Of each of the nine sets: sequences, lengths in nt, classes, what is here, what it is."""
    folder = sets_root(root)
    rows: list[tuple[str, ...]] = [("", "train", "test", "length", "classes", f"in {folder}")]
    rows += [_set_row(known, folder / name) for name, known in SETS.items()]
    lines = aligned_rows(rows, "<>>><<")
    for line, known in zip(lines, (None, *SETS.values()), strict=True):
        yield line
        if known is not None:
            yield f"    {known.what}; {known.genome}"


def _set_row(known: BenchmarkSet, folder: Path) -> tuple[str, ...]:
    several = known.longest > known.shortest
    counts = [
        sum(1 for _ in _sequence_files(folder / split / label))
        for split, label, _ in known.counts()
    ]
    whole = counts == [count for _, _, count in known.counts()]
    return (
        known.name,
        f"{sum(known.train):,}",
        f"{sum(known.test):,}",
        f"{known.shortest}-{known.longest}" if several else f"{known.shortest}",
        ", ".join(known.classes),
        "whole" if whole else f"{sum(counts):,} of {known.sequences:,}" if any(counts) else "no",
    )


def _sequence_files(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """The files with sequences; none where there is no folder."""
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as files:
        yield from (file for file in files if file.name.endswith(".txt"))


@contextmanager
def _temporary_folder(folder: Path) -> Iterator[Path]:
    """An empty folder for what will be called ``folder``, for one download at a time."""
    temporary = folder.parent / f".fetching-{folder.name}"
    try:
        temporary.mkdir(parents=True, exist_ok=True)
        lock = (temporary / "lock").open("w")
    except OSError as error:
        raise UsageError(
            f"{folder.parent}: expected a folder to write to, got: {error.strerror}"
        ) from error
    with lock:
        locked(lock.fileno(), f"{folder}: another process is fetching it; wait until it is there")
        try:
            for leftover in temporary.iterdir():
                _delete(leftover, keep=Path(lock.name))
            yield temporary
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _downloaded(known: BenchmarkSet, temporary: Path, tell: Fetching, root: Path | None) -> Path:
    if Path(known.name).exists():
        # the package would take it for a description of a set, and end in an unknown type of URL
        raise UsageError(
            f"{Path.cwd()}: expected a working folder without {known.name} in it, which the "
            "package would read; fetch from another"
        )
    try:
        with _reporting_progress(known, temporary, tell), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its imports warn of things that are not used here
            from genomic_benchmarks.loc2seq import download_dataset

            return Path(download_dataset(known.name, version=0, dest_path=temporary))
    except Exception as error:  # whatever the package, the network or the disk raise
        reason = textwrap.shorten(f"{type(error).__name__}: {error}", 160, placeholder=" ...")
        raise Absent(
            f"no folder {sets_root(root) / known.name}, and the package's download failed "
            f"({reason}); {how_to_get(known.name, root)}"
        ) from error


@contextmanager
def _reporting_progress(known: BenchmarkSet, temporary: Path, tell: Fetching) -> Iterator[None]:
    """Tells of what is on the disk meanwhile: the package itself says nothing."""

    def look(seconds: float) -> float:
        tell(*_download_state(known, temporary))
        return seconds

    with repeatedly(look, SECONDS_BETWEEN_LOOKS):
        yield


def _download_state(known: BenchmarkSet, temporary: Path) -> tuple[int, int | None, str]:
    folder = temporary / known.name
    unpacked = sum(
        1 for split, label, _ in known.counts() for _ in _sequence_files(folder / split / label)
    )
    if unpacked:
        return unpacked, known.sequences, "sequences unpacked"
    with suppress(FileNotFoundError):
        return Path(f"{folder}.zip").stat().st_size, None, "bytes"
    return 0, None, "bytes"


def _delete(path: Path, *, keep: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path != keep:
        path.unlink()
