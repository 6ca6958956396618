"""What an audit counts: a dataset's sequences, and those of test that repeat train."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np

from xaibench.data.genomic_benchmarks.interval_tables import interval_tables
from xaibench.dna.encoding import lengths
from xaibench.errors import UsageError
from xaibench.shapes import Values
from xaibench.values import Intervals, N, Sequences, Splits

from . import leakage
from .baselines import TrivialBaseline, trivial_baselines
from .cautions import dataset_cautions

_BLOCK_ROWS = 4096
"""At a time."""


class Split(NamedTuple):
    """What is in a split; ``classes`` counts sequences by class, in the order of the classes.

    ``bases`` counts positions up to the last known base of each sequence, ``unknown`` the N among
    them, ``with_unknown`` the sequences that have any, ``empty`` those without a known base.
    ``groups`` is 0 where the data have none.
    """

    name: str
    sequences: int
    classes: tuple[int, ...]
    shortest: int
    median: float
    longest: int
    bases: int
    unknown: int
    with_unknown: int
    empty: int
    groups: int


class Copies(NamedTuple):
    """Sequences of ``split`` with the letters of one of ``among``, and of one of another class."""

    split: str
    among: str
    sequences: int
    repeated: int
    conflicting: int


class Near(NamedTuple):
    """Sequences of a class of ``split`` by the share of their k-mers that occur in ``among``.

    ``short`` have no k-mer; ``sharing`` share any, ``near`` half of them or more.
    """

    split: str
    among: str
    class_name: str
    sequences: int
    short: int
    sharing: int
    near: int


class Groups(NamedTuple):
    """Groups of ``split``, those that ``among`` has too, and the sequences in these."""

    split: str
    among: str
    groups: int
    shared: int
    sequences: int
    inside: int


class Overlapping(NamedTuple):
    """Intervals of a class of ``split`` that overlap one of the same class of ``among``."""

    split: str
    among: str
    class_name: str
    intervals: int
    any: int
    half: int
    exact: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The numbers of an audit, all of them counts beside what they are counted from.

    Rows of ``copies`` and ``near`` whose ``among`` is the split itself look at its other sequences.
    ``groups`` and ``intervals`` are empty where the data have none, ``baselines`` where there is no
    train or are no classes.
    """

    note: str
    facts: Mapping[str, str | int | float]
    class_names: tuple[str, ...]
    splits: tuple[Split, ...]
    copies: tuple[Copies, ...]
    near: tuple[Near, ...]
    groups: tuple[Groups, ...]
    intervals: tuple[Overlapping, ...]
    baselines: tuple[TrivialBaseline, ...]
    cautions: tuple[str, ...] = ()

    @property
    def has_classes(self) -> bool:
        return len(self.class_names) > 1

    @property
    def has_train(self) -> bool:
        return any(split.name == "train" for split in self.splits)


def audit_splits(splits: Splits, *, data_seed: int) -> Audit:
    """Counts everything; ``data_seed`` draws what the baselines learn from where train is large."""
    of_name = {"train": splits.train, "validation": splits.validation, "test": splits.test}
    named = {name: split for name, split in of_name.items() if split is not None and len(split)}
    pairs = [
        (name, among)
        for name, among in (("test", "train"), ("validation", "train"), ("test", "validation"))
        if name in named and among in named
    ]
    across = [(name, named[name], among, named[among]) for name, among in pairs]
    return Audit(
        splits.note,
        splits.facts,
        splits.train.class_names,
        tuple(_count_split(name, split) for name, split in named.items()),
        tuple(_count_copies(named, pairs)),
        tuple(chain(*(_count_near(*each) for each in across), _near_itself(named))),
        tuple(chain(*(_count_groups(*each) for each in across))),
        tuple(chain(*(_overlaps_by_class(*each) for each in across))),
        tuple(trivial_baselines(splits, data_seed)),
        tuple(dataset_cautions(splits)),
    )


def _count_split(name: str, split: Sequences) -> Split:
    ends, unknown = [], []
    for start in range(0, len(split), _BLOCK_ROWS):
        codes = split.codes[start : start + _BLOCK_ROWS]
        ends.append(lengths(codes))
        unknown.append(ends[-1] - (codes < N).sum(axis=1))
    ends_all, unknown_all = np.concatenate(ends), np.concatenate(unknown)
    return Split(
        name,
        len(split),
        tuple(np.bincount(split.labels, minlength=len(split.class_names)).tolist()),
        int(ends_all.min()),
        float(np.median(ends_all)),
        int(ends_all.max()),
        int(ends_all.sum()),
        int(unknown_all.sum()),
        int((unknown_all > 0).sum()),
        int((ends_all == 0).sum()),
        0 if split.groups is None else len(set(split.groups)),
    )


def _count_copies(named: Mapping[str, Sequences], pairs: list[tuple[str, str]]) -> Iterator[Copies]:
    numbers = leakage.identities(*(split.codes for split in named.values()))
    of_name = dict(zip(named, numbers, strict=True))
    for name, split in named.items():
        flags_of = leakage.repeats(of_name[name], split.labels)
        yield Copies(name, name, len(split), *(int(flags.sum()) for flags in flags_of))
    for name, among in pairs:
        flags_of = leakage.repeats_of(
            of_name[name], named[name].labels, of_name[among], named[among].labels
        )
        yield Copies(name, among, len(named[name]), *(int(flags.sum()) for flags in flags_of))


def _count_near(name: str, split: Sequences, among: str, other: Sequences) -> Iterator[Near]:
    shares = leakage.shared_kmers(split.codes, other.codes)
    return _near_by_class(name, among, split, shares)


def _near_itself(named: Mapping[str, Sequences]) -> Iterator[Near]:
    """Of train, or where there is none of test."""
    name = "train" if "train" in named else "test"
    return _near_by_class(name, name, named[name], leakage.repeated_kmers(named[name].codes))


def _near_by_class(name: str, among: str, split: Sequences, shares: Values) -> Iterator[Near]:
    for label, class_name in enumerate(split.class_names):
        own = shares[split.labels == label]
        yield Near(
            name,
            among,
            class_name,
            len(own),
            int(np.isnan(own).sum()),
            int((own > 0).sum()),
            int((own >= leakage.NEAR).sum()),
        )


def _count_groups(name: str, split: Sequences, among: str, other: Sequences) -> Iterator[Groups]:
    if split.groups is None or other.groups is None:
        return
    own = set(split.groups)
    shared = own & set(other.groups)
    inside = sum(group in shared for group in split.groups)
    yield Groups(name, among, len(own), len(shared), len(split), inside)


def _overlaps_by_class(
    name: str, split: Sequences, among: str, other: Sequences
) -> Iterator[Overlapping]:
    if split.intervals is None or other.intervals is None:
        return
    for label, class_name in enumerate(split.class_names):
        inside = split.intervals.take(np.flatnonzero(split.labels == label))
        others = other.intervals.take(np.flatnonzero(other.labels == label))
        yield _overlapping(name, inside, among, others, class_name)


def _overlapping(
    name: str, inside: Intervals, among: str, others: Intervals, class_name: str
) -> Overlapping:
    overlaps = leakage.interval_overlaps(others, inside)
    counts = (int(flags.sum()) for flags in overlaps)
    return Overlapping(name, among, class_name, len(inside), *counts)


def audit_intervals(folder: Path) -> tuple[Overlapping, ...]:
    """Test against train, by class, in a folder of intervals without their sequences."""
    tables = {key: intervals for key, (_, intervals) in interval_tables(folder).items()}
    of_split = {
        split: [name for part, name in tables if part == split] for split in ("train", "test")
    }
    if of_split["train"] != of_split["test"]:
        raise UsageError(
            f"{folder}: expected the same classes in train and test, "
            f"got {of_split['train']} and {of_split['test']}"
        )
    return tuple(
        _overlapping("test", tables["test", name], "train", tables["train", name], name)
        for name in of_split["test"]
    )
