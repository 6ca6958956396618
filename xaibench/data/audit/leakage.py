"""What a split gives away: sequences of test that repeat, nearly repeat or overlap those of train.

Three measures, each per sequence: the same letters on either strand; the share of its 20-mers that
occur there, on either strand; its interval in the genome. Rows are read in blocks: the k-mers of
test are held at once, never all those of train.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from xaibench.data.codes import sequences_at
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import UsageError
from xaibench.shapes import Codes, Labels, Values
from xaibench.values import Intervals, N, Sequences, Splits

KMER_LENGTH = 20
"""k: a random 20-mer is among 10 million others once in 50,000 times."""

NEAR = 0.5
"""From this share of its k-mers in train on, a sequence nearly repeats train. Our choice."""

_NO_LETTERS = -1
_NO_KMER = np.uint64(2**64 - 1)
_MIX = np.uint64(0x9E3779B97F4A7C15)
"""Odd, so that multiplying by it is one to one; it spreads k-mers evenly over the numbers."""
_BLOCK_POSITIONS = 2**18
"""Positions, or pairs of intervals, at a time."""
_PART = 2**25
"""k-mers sorted at a time."""

Flags = NDArray[np.bool_]
Identities = NDArray[np.int64]
Kmers = NDArray[np.uint64]


class Repeats(NamedTuple):
    """``(sequence,)``: has the same letters as another; and that other one is of another class."""

    repeated: Flags
    conflicting: Flags


class Overlaps(NamedTuple):
    """``(interval,)``: shares a base with one of train; half of both; start and end."""

    any: Flags
    half: Flags
    exact: Flags


def identities(*splits: Codes) -> list[Identities]:
    """For each split, ``(sequence,)``: equal numbers where letters are equal, on either strand.

    N at the ends does not count. A sequence without a known base gets -1: it repeats nothing.
    """
    known = {b"": _NO_LETTERS}
    return [
        np.fromiter((known.setdefault(key, len(known)) for key in _strand_keys(codes)), np.int64)
        for codes in splits
    ]


def _strand_keys(codes: Codes) -> Iterator[bytes]:
    """The smaller of a sequence and its reverse complement, without N at the ends."""
    for chunk in _chunks(codes):
        other = reverse_complement(chunk)
        own = reverse_complement(other)  # what was N before the first base is now behind the last
        for strands in zip(own, other, strict=True):
            yield min(row.tobytes() for row in strands).rstrip(bytes([N]))


def _chunks(codes: Codes) -> Iterator[Codes]:
    rows = max(_BLOCK_POSITIONS // max(codes.shape[1], 1), 1)
    for start in range(0, len(codes), rows):
        yield codes[start : start + rows]


def repeats(numbers: Identities, labels: Labels) -> Repeats:
    """Sequences of one split with the letters of another one of it; each of them is counted."""
    same, same_class = _copy_counts(numbers, labels, numbers, labels)
    return Repeats(same > 1, same > same_class)


def repeats_of(
    numbers: Identities, labels: Labels, others: Identities, others_labels: Labels
) -> Repeats:
    """Sequences of one split with the letters of a sequence of another split."""
    same, same_class = _copy_counts(numbers, labels, others, others_labels)
    return Repeats(same > 0, same > same_class)


def _copy_counts(
    numbers: Identities, labels: Labels, others: Identities, others_labels: Labels
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """``(sequence,)``: how many of the others have its letters; and those of its class among them.

    0 where there are no letters.
    """
    largest = max(numbers.max(initial=0), others.max(initial=0))
    last_label = max(labels.max(initial=0), others_labels.max(initial=0))
    counts = np.zeros((largest + 1, last_label + 1), np.int64)
    known = others != _NO_LETTERS
    np.add.at(counts, (others[known], others_labels[known]), 1)
    lettered = numbers != _NO_LETTERS
    return counts[numbers].sum(axis=1) * lettered, counts[numbers, labels] * lettered


def shared_kmers(codes: Codes, *others: Codes, width: int = KMER_LENGTH) -> Values:
    """``(sequence,)``: the share of its k-mers that occur anywhere in ``others``, either strand.

    A k-mer of ``width`` (31 at most) known bases is the same as its reverse complement, and counts
    once per sequence. NaN where a sequence has none: it is too short, or full of N. The k-mers of
    one sequence may occur in several of the others: what is measured is how much of it occurs
    there, not how similar two sequences are.
    """
    own = _distinct_kmers_of(codes, width)
    shared = np.zeros(len(own), np.bool_)
    for kmers in chain.from_iterable(_kmers(other, width) for other in others):
        kmers = _sorted_distinct(kmers)
        places = np.searchsorted(own, kmers)
        inside = places < len(own)
        places = places[inside]
        shared[places[own[places] == kmers[inside]]] = True
    return _table_shares(codes, own[shared], width)


def repeated_kmers(codes: Codes, *, width: int = KMER_LENGTH) -> Values:
    """``shared_kmers`` of each sequence with all the others of its own split."""
    parts = -(-codes.size // _PART)
    edges = [np.uint64(4**width * part // max(parts, 1)) for part in range(parts + 1)]
    several = [_in_several(codes, low, high, width) for low, high in pairwise(edges)]
    return _table_shares(codes, np.concatenate([*several, np.empty(0, np.uint64)]), width)


def _in_several(codes: Codes, low: np.uint64, high: np.uint64, width: int) -> Kmers:
    """The k-mers from ``low`` to below ``high`` that are in two sequences or more, sorted."""
    inside = []
    for kmers in _kmers(codes, width):
        kmers, new = _sorted_rows(kmers)
        inside.append(kmers[new & (kmers >= low) & (kmers < high)])
    kmers = np.concatenate(inside)
    inside.clear()
    kmers.sort()
    return _sorted_distinct(kmers[1:][kmers[1:] == kmers[:-1]])


def _table_shares(codes: Codes, table: Kmers, width: int) -> Values:
    """``(sequence,)``: the share of each sequence's k-mers that are in the sorted table."""
    shares = []
    for kmers in _kmers(codes, width):
        kmers, new = _sorted_rows(kmers)
        places = np.searchsorted(table, kmers)
        listed = np.append(table, _NO_KMER)[places] == kmers
        counts = new.sum(axis=1)
        with np.errstate(invalid="ignore"):  # 0 of 0 words is NaN
            shares.append((new & listed).sum(axis=1) / counts)
    return np.concatenate([*shares, np.empty(0)])


def _sorted_rows(kmers: Kmers) -> tuple[Kmers, Flags]:
    """Each row sorted, and True at the first place of each of its k-mers."""
    kmers = np.sort(kmers, axis=1)
    new = kmers != _NO_KMER
    new[:, 1:] &= kmers[:, 1:] != kmers[:, :-1]
    return kmers, new


def _distinct_kmers_of(codes: Codes, width: int) -> Kmers:
    parts = [_sorted_distinct(kmers) for kmers in _kmers(codes, width)]
    kmers = np.concatenate([*parts, np.empty(0, np.uint64)])
    parts.clear()  # as large as all of them together
    return _sorted_distinct(kmers)


def _sorted_distinct(kmers: Kmers) -> Kmers:
    """All of them, sorted, each once. The array that came is sorted too: it may be large."""
    kmers = kmers.ravel()
    kmers.sort()
    new = kmers != _NO_KMER
    new[1:] &= kmers[1:] != kmers[:-1]
    distinct: Kmers = kmers[new]
    return distinct


def _kmers(codes: Codes, width: int) -> Iterator[Kmers]:
    """In blocks of rows ``(sequence, window)``: a number for the k-mer of each window.

    2 bits a base, the smaller of both strands, spread over 0 ... 4**width - 1; ``_NO_KMER`` where
    a base is not known.
    """
    for chunk in _chunks(codes):
        if chunk.shape[1] < width:
            yield np.full((len(chunk), 0), _NO_KMER)
            continue
        unknown = np.pad((chunk == N).cumsum(axis=1, dtype=np.int32), ((0, 0), (1, 0)))
        kmers = np.minimum(*_both_strands(chunk, width)) * _MIX & np.uint64(4**width - 1)
        yield np.where(unknown[:, width:] == unknown[:, :-width], kmers, _NO_KMER)


def _both_strands(codes: Codes, width: int) -> tuple[Kmers, Kmers]:
    """``(sequence, window)``: the bases of a window as a number to base 4, on either strand.

    k-mers are doubled, and lengthened by a base, along the binary digits of ``width``.
    """
    bases = (codes & 3).astype(np.uint64)  # N as A: such windows are left out
    complements = np.uint64(3) - bases
    forward, backward, length = bases, complements, 1
    for digit in f"{width:b}"[1:]:
        forward = _joined_kmers(forward, forward[:, length:], length)
        backward = _joined_kmers(backward[:, length:], backward, length)
        length *= 2
        if digit == "1":
            forward = _joined_kmers(forward, bases[:, length:], 1)
            backward = _joined_kmers(complements[:, length:], backward, length)
            length += 1
    return forward, backward


def _joined_kmers(first: Kmers, second: Kmers, second_length: int) -> Kmers:
    windows = min(first.shape[1], second.shape[1])
    return (first[:, :windows] << np.uint64(2 * second_length)) | second[:, :windows]


def interval_overlaps(train: Intervals, test: Intervals) -> Overlaps:
    """For each interval of ``test``, whether it overlaps one of ``train`` on either strand.

    ``half`` asks for half of both intervals or more, with one interval of train. An empty interval
    overlaps nothing.
    """
    (train_starts, train_ends), (starts, ends) = _on_one_line(train, test)
    train_starts, train_ends = _distinct_pairs(train_starts, train_ends)
    begun = np.searchsorted(train_starts, ends, side="left")
    ended = np.searchsorted(np.sort(train_ends), starts, side="right")
    half = np.zeros(len(test), np.bool_)
    exact = np.zeros(len(test), np.bool_)
    for row, other in _candidate_pairs(train_starts, starts, ends):
        inner = np.minimum(ends[row], train_ends[other]) - np.maximum(
            starts[row], train_starts[other]
        )
        length, other_length = ends[row] - starts[row], train_ends[other] - train_starts[other]
        half[row[2 * inner >= np.maximum(length, other_length)]] = True
        exact[row[(inner == length) & (inner == other_length)]] = True
    some = ends > starts
    return Overlaps((begun > ended) & some, half & some, exact & some)


def _on_one_line(*tables: Intervals) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Starts and ends with all chromosomes on one line, too far apart to be taken for one."""
    names = dict.fromkeys(chain.from_iterable(table.chromosomes for table in tables))
    apart = 4 * max(int(table.ends.max(initial=0)) for table in tables) + 1
    offsets = {name: apart * place for place, name in enumerate(names)}
    lines = []
    for table in tables:
        shift = np.fromiter((offsets[name] for name in table.chromosomes), np.int64, len(table))
        lines.append((table.starts + shift, table.ends + shift))
    return lines


def _distinct_pairs(
    starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Each interval that is not empty once, sorted by start."""
    order = np.lexsort((ends, starts))
    order = order[ends[order] > starts[order]]
    starts, ends = starts[order], ends[order]
    new = np.ones(len(starts), np.bool_)
    new[1:] = (np.diff(starts) != 0) | (np.diff(ends) != 0)
    return starts[new], ends[new]


def _candidate_pairs(
    train_starts: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Rows of test and of train that may share half of both, a chunk at a time.

    Such a train interval is at most twice as long, so it begins within 1.5 lengths before and
    half a length behind the start of the other.
    """
    lengths = ends - starts
    first = np.searchsorted(train_starts, starts - 3 * lengths // 2 - 1, side="left")
    last = np.searchsorted(train_starts, ends - lengths // 2, side="right")
    counts = np.maximum(last - first, 0)
    total = counts.cumsum()
    end = int(counts.sum())
    for start in range(0, end, _BLOCK_POSITIONS):
        pair = np.arange(start, min(start + _BLOCK_POSITIONS, end))
        row = np.searchsorted(total, pair, side="right")
        yield row, first[row] + pair - (total[row] - counts[row])


def deduplicated(splits: Splits) -> Splits:
    """Without the sequences of test (and validation) that repeat what is learnt from.

    Dropped is what has the letters of a train sequence on either strand, shares ``NEAR`` of its
    k-mers with train or more, or shares half of both with the interval of a train sequence of any
    class. Train stays whole; test is measured against train and what is left of validation. Without
    train nothing is dropped. Raises ``UsageError`` where a class would lose all its sequences.
    """
    facts = dict(splits.facts)
    if not splits.has_train:
        return splits
    learnt, validation = [splits.train], splits.validation
    if validation is not None:
        validation = _without_repeats(validation, learnt, "validation", facts)
        learnt.append(validation)
    test = _without_repeats(splits.test, learnt, "test", facts)
    return replace(splits, validation=validation, test=test, facts=facts)


def _without_repeats(
    sequences: Sequences,
    learnt: Sequence[Sequences],
    name: str,
    facts: dict[str, str | int | float],
) -> Sequences:
    """A split without what repeats ``learnt``; how much was dropped is added to ``facts``."""
    reasons = _repeat_flags(sequences, learnt)
    left = np.flatnonzero(~np.any(list(reasons.values()), axis=0))
    lost = sorted(set(sequences.labels.tolist()) - set(sequences.labels[left].tolist()))
    if lost:
        raise UsageError(
            f"deduplicated: expected {name} sequences of every class, all "
            f"{np.sum(sequences.labels == lost[0]):,} of {sequences.class_names[lost[0]]!r} repeat "
            f"or nearly repeat what is learnt from; cut another {name} split"
        )
    counts = ", ".join(f"{flags.sum():,} {why}" for why, flags in reasons.items())
    facts[f"dropped from {name}"] = (
        f"{len(sequences) - len(left):,} of {len(sequences):,}: {counts}"
    )
    return sequences_at(sequences, left)


def _repeat_flags(sequences: Sequences, learnt: Sequence[Sequences]) -> Mapping[str, Flags]:
    """``(sequence,)`` flags by reason; a sequence has the first that holds."""
    numbers, *others = identities(sequences.codes, *(split.codes for split in learnt))
    same = np.isin(numbers, np.concatenate(others)) & (numbers != _NO_LETTERS)
    near = shared_kmers(sequences.codes, *(split.codes for split in learnt)) >= NEAR
    overlap = np.zeros(len(sequences), np.bool_)
    for split in learnt:
        if sequences.intervals is not None and split.intervals is not None:
            overlap |= interval_overlaps(split.intervals, sequences.intervals).half
    return {
        "with the same letters": same,
        "nearly repeated": near & ~same,
        "overlapping in the genome": overlap & ~near & ~same,
    }
