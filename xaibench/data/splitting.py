"""Which sequences are learnt from, validated on, explained."""

from dataclasses import replace
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from xaibench.data.codes import sequences_at
from xaibench.errors import UsageError
from xaibench.randomness import stream
from xaibench.storage.arrays import bytes_of, release
from xaibench.values import N, Sequences, Splits

VALIDATION_SHARE = 0.1

_CANDIDATE_CUTS = 32


def with_validation(splits: Splits, data_seed: int) -> Splits:
    """The splits with a validation split, cut from train where there is none; without train, as
    they are."""
    if splits.validation is not None or not splits.has_train:
        return splits
    train, validation = cut_validation(splits.train, VALIDATION_SHARE, data_seed)
    return replace(splits, train=train, validation=validation)


def all_test(sequences: Sequences) -> Splits:
    """All sequences as the test split, and none to learn from."""
    return Splits(sequences.take(np.arange(0)), sequences)


def cut_validation(
    train: Sequences, fraction: float, data_seed: int
) -> tuple[Sequences, Sequences]:
    """``(train, validation)``, as ``cut`` makes them."""
    return cut(train, fraction, stream(data_seed, "validation"))


def cut(
    sequences: Sequences, fraction: float, generator: np.random.Generator
) -> tuple[Sequences, Sequences]:
    """``(rest, part)``, the part being about ``fraction`` of the sequences, in (0, 1).

    No group is on both sides. Without groups (or with one) each class gives its fraction. Both
    sides keep the order of ``sequences``. Raises ``UsageError`` where a side would be empty or the
    rest would lack a class.
    """
    if sequences.groups is not None and len(set(sequences.groups)) > 1:
        inside = _by_group(sequences, fraction, generator)
    else:
        inside = _by_label(sequences, fraction, generator)
    return sequences_at(sequences, np.flatnonzero(~inside)), sequences_at(
        sequences, np.flatnonzero(inside)
    )


def _by_label(
    sequences: Sequences, fraction: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """``(sequence,)``: True in the part."""
    inside = np.zeros(len(sequences), np.bool_)
    for label in np.unique(sequences.labels):
        rows = generator.permutation(np.flatnonzero(sequences.labels == label))
        # a class with one sequence stays in the rest
        count = min(max(round(fraction * len(rows)), 1), len(rows) - 1)
        inside[rows[:count]] = True
    if not inside.any():
        raise UsageError(
            f"expected two sequences of a class to cut {fraction:g} from, "
            f"got {len(sequences)} sequences with one per class at most; "
            "is the label a quantity (option response) or a name?"
        )
    return inside


def _by_group(
    sequences: Sequences, fraction: float, generator: np.random.Generator
) -> NDArray[np.bool_]:
    """``(sequence,)``: True in the part, the best of some random cuts.

    Groups are of unequal size (chromosomes beside genes): a single cut of 10 % of the groups may
    hold 3 % of the sequences, or one class.
    """
    from sklearn.model_selection import GroupShuffleSplit  # slow to import, and most data need none

    groups = len(set(sequences.groups or ()))
    part_groups = min(max(round(fraction * groups), 1), groups - 1)
    seed = int(generator.integers(2**32 - 1))
    cuts = GroupShuffleSplit(n_splits=_CANDIDATE_CUTS, test_size=part_groups, random_state=seed)
    labels = sequences.labels
    expected = np.bincount(labels)
    best, smallest = None, np.inf
    for _, part in cuts.split(labels, groups=np.array(sequences.groups)):
        counts = np.bincount(labels[part], minlength=len(expected))
        distance = float(np.abs(counts - fraction * expected).sum())
        if np.all((counts < expected) | (expected == 0)) and distance < smallest:
            best, smallest = part, distance
    if best is None:
        raise UsageError(
            f"expected a cut of {fraction:g} by group that leaves every class in the rest, found "
            f"none in {_CANDIDATE_CUTS} draws over {groups} groups; "
            "give the split in the data, or a finer group"
        )
    inside = np.zeros(len(sequences), np.bool_)
    inside[best] = True
    return inside


def choose(test: Sequences, count: int, data_seed: int) -> Sequences:
    """``count`` sequences drawn without replacement, or all where there are fewer.

    The choice of 100 is the beginning of the choice of 500. Sequences without a known base, which
    genomic-benchmarks has, are left out: there is nothing to explain.
    """
    known = test.codes.min(axis=1, initial=N) < N
    release(test.codes)
    rows = stream(data_seed, "choose").permutation(np.flatnonzero(known))
    return sequences_at(test, rows[:count])


def fingerprint(splits: Splits) -> str:
    """A BLAKE2 hash, 32 hex digits, of everything in the splits but the note and the facts."""
    digest = blake2b(digest_size=16)
    for name in ("train", "validation", "test"):
        sequences: Sequences | None = getattr(splits, name)
        digest.update(f"{name}\0".encode())
        if sequences is not None:
            _add(digest, sequences)
    return digest.hexdigest()


def _add(digest: blake2b, sequences: Sequences) -> None:
    where = sequences.intervals
    places = () if where is None else (where.starts, where.ends, where.strands)
    for array in (sequences.codes, sequences.labels, sequences.evidence, *places):
        if array is None:
            digest.update(b"none\0")
        else:
            digest.update(f"{array.shape}\0".encode())
            for piece in bytes_of(array):
                digest.update(piece)
    if sequences.responses is not None:  # data without them keep the fingerprint that they had
        digest.update(b"responses\0" + sequences.responses.tobytes())
    chromosomes = None if where is None else where.chromosomes
    for names in (sequences.names, sequences.class_names, sequences.groups, chromosomes):
        digest.update(repr(names).encode() + b"\0")
