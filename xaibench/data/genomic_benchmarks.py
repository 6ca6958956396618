"""The datasets of the package genomic-benchmarks, read from its folders."""

import os
import re
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from xaibench.dna import to_codes
from xaibench.errors import UsageError
from xaibench.values import Sequences, Splits

_SPLITS = ("train", "test")
_FORMAT = "1"
"""Part of the key of a packed file: changes when what is packed changes."""


class _Entry(NamedTuple):
    """A file of one sequence: ``ROOT/DATASET/SPLIT/CLASS/ID.txt``."""

    split: str
    label: str
    name: str
    path: str
    size: int
    changed: int


def genomic_benchmarks(*, dataset: str, root: Path | None = None, download: bool = True) -> Splits:
    """A dataset of genomic-benchmarks (Gresova et al. 2023) with its own train and test.

    Read from ``root/dataset/{train,test}/CLASS/ID.txt``; ``root`` is ``~/.genomic_benchmarks``,
    where the package keeps them, unless said otherwise. A missing folder is downloaded by the
    package where ``download`` allows it. Classes are the sorted folder names, in both splits (the
    package numbers them in the order in which the disk lists them). Names are ``CLASS/ID``.
    Shorter sequences are padded.

    What was read is packed into one file in ``XAIBENCH_CACHE`` (or ``xaibench`` in the user's
    cache folder), under a key of all files' names, sizes and times: a changed folder is read anew.
    """
    if not re.fullmatch(r"\w[\w.-]*", dataset):
        raise UsageError(f"genomic_benchmarks: dataset: wanted a name, got {dataset!r}")
    folder = (root or Path.home() / ".genomic_benchmarks") / dataset
    if not folder.is_dir():
        _fetch(dataset, folder, download=download)
    entries = list(_entries(folder))
    packed = _cache_folder() / f"{dataset}-{_key(entries)}.npz"
    if not packed.exists():
        _pack(entries, _class_names(entries, folder), packed)
    return _unpack(packed, f"{dataset} of genomic-benchmarks, with its own split.")


def _fetch(dataset: str, folder: Path, *, download: bool) -> None:
    """The package's own download, put in place only when it is whole."""
    mend = (
        f"on a machine with a network, run genomic_benchmarks.loc2seq.download_dataset"
        f"({dataset!r}) and copy the folder here"
    )
    if not download:
        raise UsageError(f"genomic_benchmarks: no folder {folder}, and download is off; {mend}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".download-") as temporary:
            os.replace(_download(dataset, Path(temporary)), folder)
    except Exception as error:  # whatever the package, the network or the disk raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise UsageError(
            f"genomic_benchmarks: no folder {folder}, and the package's download failed "
            f"({reason}); {mend}"
        ) from error


def _download(dataset: str, destination: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its imports warn of things that are not used here
        from genomic_benchmarks.loc2seq import download_dataset

        return Path(download_dataset(dataset, version=0, dest_path=destination))


def _entries(folder: Path) -> Iterator[_Entry]:
    """All files, sorted by split, class and identifier."""
    for split in _SPLITS:
        if not (folder / split).is_dir():
            raise UsageError(f"{folder}: wanted the folders train and test, got no {split}")
        for class_folder in sorted(path for path in (folder / split).iterdir() if path.is_dir()):
            with os.scandir(class_folder) as files:
                texts = sorted(
                    (file for file in files if file.name.endswith(".txt")), key=_by_number
                )
            for text in texts:
                name = f"{class_folder.name}/{text.name.removesuffix('.txt')}"
                facts = text.stat()
                yield _Entry(
                    split, class_folder.name, name, text.path, facts.st_size, facts.st_mtime_ns
                )


def _by_number(file: "os.DirEntry[str]") -> tuple[int, str]:
    """Sorts 2.txt before 10.txt."""
    return len(file.name), file.name


def _class_names(entries: list[_Entry], folder: Path) -> tuple[str, ...]:
    of_split = {
        split: sorted({entry.label for entry in entries if entry.split == split})
        for split in _SPLITS
    }
    if of_split["train"] != of_split["test"] or len(of_split["train"]) < 2:
        raise UsageError(
            f"{folder}: wanted the same two classes or more in train and test, with sequences, "
            f"got {of_split['train']} and {of_split['test']}"
        )
    return tuple(of_split["train"])


def _cache_folder() -> Path:
    chosen = os.environ.get("XAIBENCH_CACHE")
    user = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(user) / "xaibench"


def _key(entries: list[_Entry]) -> str:
    lines = (f"{e.split}/{e.name}\t{e.size}\t{e.changed}\n" for e in entries)
    return blake2b("".join([_FORMAT, *lines]).encode(), digest_size=12).hexdigest()


def _pack(entries: list[_Entry], class_names: tuple[str, ...], packed: Path) -> None:
    letters = [_letters(entry.path) for entry in entries]
    arrays: dict[str, Any] = {
        "codes": to_codes(letters, names=[entry.path for entry in entries]),
        "labels": np.array([class_names.index(entry.label) for entry in entries], np.int64),
        "names": np.array([entry.name for entry in entries]),
        "class_names": np.array(class_names),
        "train": np.array([entry.split == "train" for entry in entries]),
    }
    try:
        _write(arrays, packed)
    except OSError as error:
        raise UsageError(
            f"{packed.parent}: wanted a folder to keep the packed dataset in, got: "
            f"{error.strerror}; set XAIBENCH_CACHE to another"
        ) from error


def _letters(path: str) -> str:
    """The sequence of one file, one character a byte so that a wrong one is named later."""
    with open(path, encoding="latin-1") as text:
        letters = text.read().strip()
    if not letters:
        raise UsageError(f"{path}: wanted a sequence, got an empty file")
    return letters


def _write(arrays: dict[str, Any], packed: Path) -> None:
    """To a temporary name first: what carries the name ``packed`` is whole."""
    packed.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=packed.parent, prefix=".packing-")
    try:
        with os.fdopen(handle, "wb") as stream:
            np.savez(stream, **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, packed)
    finally:
        Path(temporary).unlink(missing_ok=True)


def _unpack(packed: Path, note: str) -> Splits:
    try:
        with packed.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            sequences = Sequences(
                arrays["codes"],
                arrays["labels"],
                tuple(arrays["names"].tolist()),
                tuple(arrays["class_names"].tolist()),
            )
            train = arrays["train"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise UsageError(f"{packed}: wanted a packed dataset, cannot read it; delete it") from error
    return Splits(
        sequences.take(np.flatnonzero(train)), sequences.take(np.flatnonzero(~train)), note=note
    )
