"""A folder as one dataset: files that are its classes or its splits, or folders that are splits."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from .columns import SPLIT_WORDS

_SHOWN_FILES = 5
"""Of the names of files, in a message."""

_FIRST = 5
"""So many files of a folder decide whether it holds any to read."""


class FilePart(NamedTuple):
    """A file of the dataset, its ``split`` and its ``class_name``, "" where its place tells none.

    ``where`` is the file as seen from the folder, without its suffixes.
    """

    path: Path
    split: str
    class_name: str
    where: str


class Folder(NamedTuple):
    """Of a folder the files that are read, and the names of all others."""

    parts: tuple[FilePart, ...]
    left_out: tuple[str, ...]


def folder_of(folder: Path, reads: Callable[[Path], bool]) -> Folder:
    """What the names of files and folders say; ``reads`` tells whether a file is one to read.

    Folders named for splits hold a file, or a folder of files, a class; without any, files named
    for splits, train and test among them, hold all classes, and files or folders of other names
    are a class each. Raises ``ValueError`` for files to read that are in no split, and for a split
    or a class that is there twice.
    """
    entries = sorted(folder.iterdir())
    places = [path for path in entries if path.is_dir() and split_of(path.name)]
    if places:
        _require_in_a_split(entries, places, reads)
        entries += [path for place in places for path in sorted(place.iterdir())]
    parts = [
        part
        for place in places or [folder]
        for part in _files_to_read(place, folder, split_of(place.name) if places else "", reads)
    ]
    _require_once(parts)
    _require_no_splits(parts)
    used = {part.path for part in parts} | {part.path.parent for part in parts} | {*places}
    inside = {part.path.parent for part in parts} - {folder, *places}
    entries += [path for place in sorted(inside) for path in sorted(place.iterdir())]
    return Folder(
        tuple(parts), tuple(_relative_name(path, folder) for path in entries if path not in used)
    )


_SHARD = r"-\d+-of-\d+$"
"""Behind the name of a split that is several files, as Hugging Face writes them."""


def split_of(name: str) -> str:
    """The split that a name means; "" for none."""
    return SPLIT_WORDS.get(re.sub(_SHARD, "", name.lower()), "")


def _reads(path: Path, reads: Callable[[Path], bool]) -> bool:
    """Hidden files are the system's own, such as ._cat.fa beside cat.fa on a Mac."""
    return not path.name.startswith(".") and not path.is_dir() and reads(path)


def stem(path: Path) -> str:
    """The name without the suffix, and without that of compression."""
    compressed = path.suffix.lower() in (".gz", ".bgz", ".bz2", ".xz")
    plain = Path(path.stem).stem if compressed else path.stem
    inner = r"(?i)\.(fa|fasta|fna|ffn|fas|csv|tsv|tab|bed|narrowpeak|broadpeak)$"
    return re.sub(inner, "", plain)  # of cat.fa.bak


def _files_to_read(
    place: Path, folder: Path, split: str, reads: Callable[[Path], bool]
) -> Iterator[FilePart]:
    """The files to read of a place: themselves, or where there is none those of its folders."""
    files = [path for path in sorted(place.iterdir()) if _reads(path, reads)]
    by_file = not split and {"train", "test"} <= {split_of(stem(file)) for file in files}
    for file in files:
        own = split_of(stem(file)) if by_file else split
        if by_file and not own:
            raise ValueError(
                f"files named for splits, and {file.name!r}; expected train, test and validation"
            )
        class_name = "" if by_file else stem(file)
        yield FilePart(file, own, class_name, _relative_stem(file, folder))
    if not files:
        for path in _holding(place, reads):
            inside = (file for file in sorted(path.iterdir()) if _reads(file, reads))
            yield from (
                FilePart(file, split, path.name, _relative_stem(file, folder)) for file in inside
            )


def _relative_stem(file: Path, folder: Path) -> str:
    return file.with_name(stem(file)).relative_to(folder).as_posix()


def _holding(place: Path, reads: Callable[[Path], bool]) -> list[Path]:
    """The folders in it that have a file to read among their first."""
    folders = [path for path in sorted(place.iterdir()) if path.is_dir()]
    return [
        path
        for path in folders
        if any(_reads(file, reads) for file in sorted(path.iterdir())[:_FIRST])
    ]


def _require_in_a_split(
    entries: list[Path], places: list[Path], reads: Callable[[Path], bool]
) -> None:
    """ValueError where a file is beside the folders of splits, or a split has two folders."""
    files = [path for path in entries if _reads(path, reads)]
    holding = [path for path in _holding(places[0].parent, reads) if path not in places]
    if files or holding:
        beside = ", ".join(repr(path.name) for path in (*holding, *files)[:_SHOWN_FILES])
        raise ValueError(
            f"folders of splits and {beside}; expected train, test and validation alone"
        )
    for place in places:
        same = [other.name for other in places if split_of(other.name) == split_of(place.name)]
        if same[1:]:
            raise ValueError(f"two folders of one split, {same[0]!r} and {same[1]!r}")


def _require_once(parts: list[FilePart]) -> None:
    """That no file says again which class or which split it is; a folder may hold several."""
    first: dict[tuple[str, ...], str] = {}
    for part in parts:
        own_folder = part.path.parent.name == part.class_name
        shard = re.search(_SHARD, part.where)
        apart = part.path.name if own_folder or shard else ""
        other = first.setdefault((part.split, part.class_name, apart), part.path.name)
        if other != part.path.name:
            what = f"class {part.class_name!r}" if part.class_name else f"split {part.split!r}"
            raise ValueError(f"two files of the {what}, {other!r} and {part.path.name!r}")


def _require_no_splits(parts: list[FilePart]) -> None:
    """ValueError where names of classes name splits too, as train_cat.fa and test_cat.fa."""
    named_splits = {
        _split_within(part.class_name): part.class_name for part in parts if not part.split
    }
    others = [name for split, name in named_splits.items() if split not in ("", "train")]
    if "train" in named_splits and others:
        raise ValueError(
            f"classes named for splits, {named_splits['train']!r} and {others[0]!r}; put them "
            "into folders train, test and perhaps validation"
        )


def _split_within(name: str) -> str:
    parts = re.split(r"[\W_\d]+", name.lower())
    return next((SPLIT_WORDS[word] for word in parts if word in SPLIT_WORDS), "")


def _relative_name(path: Path, folder: Path) -> str:
    return f"{path.relative_to(folder)}{'/' if path.is_dir() else ''}"
