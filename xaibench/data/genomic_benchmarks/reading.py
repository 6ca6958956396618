"""The datasets of the package genomic-benchmarks, read from its folders."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path, PurePath
from typing import NamedTuple

import numpy as np

from xaibench.data.files.columns import SPLIT_WORDS, split_by_kind
from xaibench.data.files.folder_reading import LEFT_OUT
from xaibench.data.packing import cached_splits, file_key, key_of
from xaibench.dna.encoding import ambiguities, to_codes
from xaibench.errors import Absent, UsageError, shortened
from xaibench.plan.paths import expanded
from xaibench.plugins.registry import nearest
from xaibench.progress import fetching
from xaibench.values import Intervals, Sequences, Splits

from .benchmark_sets import SETS
from .fetching import fetch_set, how_to_get, lacks, sets_root
from .interval_tables import Located, interval_tables, table_paths

_REQUIRED_SPLITS = ("train", "test")

PART = "sequences of the published set that are here"
"""Of ``Splits.facts``: where that is not all of them."""


class _Text(NamedTuple):
    """A file of one sequence: ``ROOT/DATASET/SPLIT/CLASS/ID.txt``."""

    split: str
    label: str
    id: str
    path: str


def genomic_benchmarks(
    *,
    dataset: str,
    root: str | None = None,
    download: bool = True,
    intervals: Path | None = None,
) -> Splits:
    """A set of genomic-benchmarks (Gresova et al. 2023) with its own train and test.

    Read from ``root/dataset/{train,test}/CLASS/ID.txt``; ``root`` is what the environment variable
    ``XAIBENCH_GENOMIC_BENCHMARKS`` says, else ``~/.genomic_benchmarks``, where the package keeps
    its sets. A missing folder is fetched where ``download`` allows it. Classes are the sorted
    folder names, in both splits (the package numbers them in the order in which the disk lists
    them). Names are ``CLASS/ID``. Shorter sequences are padded.

    ``intervals`` is a folder with the set's interval tables (see ``interval_tables``), or with
    such a folder for each set. They give the intervals, and their chromosomes (or transcripts) as
    groups, so that validation is cut by chromosome.

    What was read is packed into one file in the cache, under a key of the names, sizes and times of
    all files: a changed folder is read again. A part of a set is an error, unless ``root`` is
    given: then it is read, and the report says so.
    """
    if not re.fullmatch(r"\w[\w.-]*", dataset):
        raise UsageError(f"genomic_benchmarks: dataset: expected a name, got {dataset!r}")
    chosen = Path(root) if root else None
    folder = sets_root(chosen) / dataset
    if not folder.is_dir():
        _fetch(dataset, chosen, download=download)
    tables = _tables_folder(intervals, dataset)
    places = [] if tables is None else [file_key(path) for path in table_paths(tables).values()]
    key = key_of(*file_listing(folder), *left_out(folder), *places)
    # another folder of the same name keeps its own packed file
    name = f"{dataset}-{key_of(str(folder.resolve()), str(tables), str(root is None))[:8]}"
    return cached_splits(name, key, lambda: _read_set(folder, tables, partial=root is not None))


def _fetch(dataset: str, root: Path | None, *, download: bool) -> None:
    where = f"genomic_benchmarks: no folder {sets_root(root) / dataset}"
    if dataset not in SETS:
        raise UsageError(f"{where}, and no set of that name; {nearest(dataset, [*SETS])}")
    if not download:
        raise Absent(f"{where}, and download is off; {how_to_get(dataset, root)}")
    with fetching(dataset) as progress:
        fetch_set(dataset, root=root, progress=progress)


def _tables_folder(intervals: Path | None, dataset: str) -> Path | None:
    """The folder of the interval tables of one set."""
    if intervals is None:
        return None
    own = expanded(intervals) / dataset
    return own if own.is_dir() else expanded(intervals)


def file_listing(folder: Path) -> Iterator[str]:
    """One line per file, sorted within its class: name, size and time of change."""
    for split, label in _class_folders(folder):
        path = folder / split / label
        try:
            with os.scandir(path) as files:
                lines = [
                    f"{file.name}/{(facts := file.stat()).st_size}/{facts.st_mtime_ns}"
                    for file in files
                    if file.name.endswith(".txt")
                ]
        except OSError as error:
            raise UsageError(f"{error.filename}: cannot be read: {error.strerror}") from error
        lines.sort()
        yield "\n".join([f"{split}/{label}", *lines])


def _class_folders(folder: Path) -> list[tuple[str, str]]:
    """``(split, class)``, both sorted as the splits and the classes are numbered."""
    folders = []
    for split in _splits_in(folder):
        if not (folder / split).is_dir():
            raise UsageError(
                f"{folder}: expected the folders train and test, got no "
                f"{split}{_fetch_hint(folder)}"
            )
        with os.scandir(folder / split) as classes:
            names = [entry.name for entry in classes if entry.is_dir() and entry.name[0] != "."]
        folders += [(split, name) for name in sorted(names)]
    return folders


def _splits_in(folder: Path) -> tuple[str, ...]:
    """train, test, and the folder of a validation split in whichever word for it."""
    others = [
        path.name
        for path in sorted(folder.glob("*/"))
        if SPLIT_WORDS.get(path.name.lower()) == "validation"
    ]
    if others[1:]:
        raise UsageError(f"{folder}: expected one validation split, got {' and '.join(others)}")
    return (*_REQUIRED_SPLITS, *others)


def left_out(folder: Path) -> list[str]:
    """What is neither a split, a class nor a sequence, but for what is hidden."""
    splits = _splits_in(folder)
    names = [path.name for path in folder.iterdir() if path.name not in splits]
    for split, label in _class_folders(folder):
        inside = (path for path in (folder / split / label).iterdir() if path.suffix != ".txt")
        names += [path.relative_to(folder).as_posix() for path in inside]
    return sorted(name for name in names if not PurePath(name).name.startswith("."))


def _fetch_hint(folder: Path) -> str:
    """The hint after a download that was cut short."""
    if folder.name not in SETS:
        return ""
    return (
        f"; if a download was cut short, move it away and run `xaibench data fetch {folder.name}`"
    )


def _read_set(folder: Path, tables: Path | None, *, partial: bool) -> Splits:
    """All sequences, sorted by class and then as numbers are."""
    class_names = _class_names(folder)
    facts = _facts_of_set(folder, partial=partial)
    texts = list(_text_files(folder))
    letters = [letters_of_file(text.path) for text in texts]
    codes = to_codes(letters, name=lambda row: texts[row].path)
    if count := ambiguities(letters):
        facts["letters of ambiguity read as N"] = count
    where = None if tables is None else _set_intervals(tables, texts, [*map(len, letters)])
    sequences = Sequences(
        codes,
        np.array([class_names.index(text.label) for text in texts], np.int64),
        tuple(f"{text.label}/{text.id}" for text in texts),
        class_names,
        None if where is None else where.chromosomes,
        intervals=where,
    )
    if others := left_out(folder):
        facts[LEFT_OUT] = shortened(", ".join(others))
    kinds = np.array([SPLIT_WORDS[text.split.lower()] for text in texts], object)
    splits = split_by_kind(sequences, kinds, str(folder))
    note = f"{folder.name} of genomic-benchmarks, with its own split."
    return replace(splits, note=note, facts=facts)


def _class_names(folder: Path) -> tuple[str, ...]:
    folders = _class_folders(folder)
    train = [label for split, label in folders if split == "train"]
    for other in _splits_in(folder)[1:]:
        classes = [label for split, label in folders if split == other]
        for label in sorted({*train} ^ {*classes}):
            raise UsageError(
                f"{folder}: expected the same classes in train and {other}, got {label!r} in "
                f"{'train' if label in train else other} only{_fetch_hint(folder)}"
            )
    if len(train) < 2:
        raise UsageError(
            f"{folder}: expected two classes or more, got {train[0]!r} only"
            if train
            else f"{folder}: expected a folder for each class in train and test, got none"
        )
    return tuple(train)


def _facts_of_set(folder: Path, *, partial: bool) -> dict[str, str | int | float]:
    """How much of a published set is here, where that is not all of it and may be so."""
    known = SETS.get(folder.name)
    lack = known and lacks(folder, known)
    if not known or not lack:
        return {}
    if not partial:
        raise UsageError(f"{folder}: expected all of {known.name}, got {lack}{_fetch_hint(folder)}")
    present = sum(1 for _ in _text_files(folder))
    return {PART: f"{present:,} of {known.sequences:,}"}


def _text_files(folder: Path) -> Iterator[_Text]:
    for split, label in _class_folders(folder):
        with os.scandir(folder / split / label) as files:
            # 2.txt before 10.txt
            names = sorted((len(file.name), file.name) for file in files)
        texts = [name for _, name in names if name.endswith(".txt")]
        if not texts:
            raise UsageError(
                f"{folder / split / label}: expected files ID.txt, got none{_fetch_hint(folder)}"
            )
        for name in texts:
            path = os.path.join(folder, split, label, name)
            yield _Text(split, label, name.removesuffix(".txt"), path)


def letters_of_file(path: str) -> str:
    """The sequence of one file, one character a byte so that a wrong one is named later."""
    try:
        with open(path, encoding="latin-1") as text:
            letters = text.read().strip()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from error
    if not letters:
        raise UsageError(f"{path}: expected a sequence, got an empty file")
    return letters


def _set_intervals(tables: Path, texts: Sequence[_Text], lengths: Sequence[int]) -> Intervals:
    """Of every sequence, by the ids in the table of its split and class."""
    located = interval_tables(tables)
    rows_of_folder: dict[tuple[str, str], list[int]] = {}
    for row, text in enumerate(texts):
        rows_of_folder.setdefault((text.split, text.label), []).append(row)
    parts = []
    for key, rows in rows_of_folder.items():
        if key not in located:
            raise UsageError(f"{tables}: expected a table for {'/'.join(key)}, got none")
        parts.append(_matched(tables, located[key], [texts[row] for row in rows]))
    where = _concatenated(parts)
    wrong = np.flatnonzero(where.ends - where.starts != np.array(lengths))
    if len(wrong):
        row = wrong[0]
        place = f"{where.chromosomes[row]}:{where.starts[row]}-{where.ends[row]}"
        raise UsageError(
            f"{texts[row].path}: expected as many letters as its interval {place} has, "
            f"got {lengths[row]}"
        )
    return where


def _matched(tables: Path, located: Located, texts: Sequence[_Text]) -> Intervals:
    """The intervals of the sequences of one folder, in their order."""
    ids, where = located
    row_of_id = {id_: row for row, id_ in enumerate(ids)}
    missing = [text.id for text in texts if text.id not in row_of_id]
    if missing:
        raise UsageError(
            f"{tables}: expected the id of every sequence, the table for "
            f"{texts[0].split}/{texts[0].label} lacks {len(missing):,} of {len(texts):,}, "
            f"the first {missing[0]!r}"
        )
    return where.take(np.array([row_of_id[text.id] for text in texts], np.intp))


def _concatenated(parts: Sequence[Intervals]) -> Intervals:
    return Intervals(
        tuple(chain.from_iterable(part.chromosomes for part in parts)),
        np.concatenate([part.starts for part in parts]),
        np.concatenate([part.ends for part in parts]),
        np.concatenate([part.strands for part in parts]),
    )
