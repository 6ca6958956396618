"""A folder as one dataset: files that are its classes or its splits, or folders that are splits."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from xaibench.data.own.columns import SPLIT_WORDS

_SHOWN = 5
"""Of the names of files, in a message."""


class Part(NamedTuple):
    """A file of the dataset, its ``split`` and its ``class_name``, "" where its place tells none.

    ``where`` is the file as seen from the folder, without its suffixes.
    """

    path: Path
    split: str
    class_name: str
    where: str


class Folder(NamedTuple):
    """Of a folder the files that are read, and the names of all others."""

    parts: tuple[Part, ...]
    left_out: tuple[str, ...]


def folder_of(folder: Path, reads: Callable[[Path], bool]) -> Folder:
    """What the names of files and folders say; ``reads`` tells whether a file is one to read.

    Folders named for splits hold a file a class; without any, files named for splits, train and
    test among them, hold all classes, and files of other names are a class each. Raises
    ``ValueError`` for files to read that are in no split, and for a split or a class that is there
    twice.
    """
    entries = sorted(folder.iterdir())
    places = [path for path in entries if path.is_dir() and split_of(path.name)]
    files = [path for path in entries if _reads(path, reads)]
    if places:
        _require_in_a_split(entries, files, places, reads)
        inside = [path for place in places for path in sorted(place.iterdir())]
        files = [path for path in inside if _reads(path, reads)]
        entries += inside
    parts = tuple(_parts(files, bool(places)))
    _require_once(parts)
    used = {part.path for part in parts} | {*places}
    return Folder(parts, tuple(_named(path, folder) for path in entries if path not in used))


def split_of(name: str) -> str:
    """The split that a name stands for; "" for none."""
    return SPLIT_WORDS.get(name.lower(), "")


def _reads(path: Path, reads: Callable[[Path], bool]) -> bool:
    """Hidden files are the system's own, such as ._cat.fa beside cat.fa on a Mac."""
    return not path.name.startswith(".") and not path.is_dir() and reads(path)


def stem(path: Path) -> str:
    """The name without the suffix, and without that of compression."""
    compressed = path.suffix.lower() in (".gz", ".bgz", ".bz2", ".xz")
    return Path(path.stem).stem if compressed else path.stem


def _parts(files: list[Path], in_splits: bool) -> Iterable[Part]:
    by_file = {"train", "test"} <= {split_of(stem(file)) for file in files} and not in_splits
    for file in files:
        name = stem(file)
        split = split_of(file.parent.name) if in_splits else split_of(name) if by_file else ""
        if by_file and not split:
            raise ValueError(
                f"files named for splits, and {file.name!r}; wanted train, test and validation"
            )
        where = f"{file.parent.name}/{name}" if in_splits else name
        yield Part(file, split, "" if by_file else name, where)


def _require_in_a_split(
    entries: list[Path],
    files: list[Path],
    places: list[Path],
    reads: Callable[[Path], bool],
) -> None:
    """That nothing to read lies beside the folders of splits, none of which is there twice."""
    others = [path for path in entries if path.is_dir() and path not in places]
    holding = [path for path in others if any(_reads(file, reads) for file in path.iterdir())]
    if files or holding:
        beside = ", ".join(repr(path.name) for path in (*holding, *files)[:_SHOWN])
        raise ValueError(f"folders of splits and {beside}; wanted train, test and validation alone")
    for place in places:
        same = [other.name for other in places if split_of(other.name) == split_of(place.name)]
        if same[1:]:
            raise ValueError(f"two folders of one split, {same[0]!r} and {same[1]!r}")


def _require_once(parts: tuple[Part, ...]) -> None:
    """That no file says again which class or which split it is."""
    first: dict[tuple[str, str], str] = {}
    for part in parts:
        other = first.setdefault((part.split, part.class_name), part.path.name)
        if other != part.path.name:
            what = f"class {part.class_name!r}" if part.class_name else f"split {part.split!r}"
            raise ValueError(f"two files of the {what}, {other!r} and {part.path.name!r}")


def _named(path: Path, folder: Path) -> str:
    return f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}"
