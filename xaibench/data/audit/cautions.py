"""What is odd about a dataset and cheap to see: the audit says it and before a run begins."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, groupby

import numpy as np
from numpy.typing import NDArray

from xaibench.data.files.columns import canonical_number
from xaibench.dna.encoding import lengths
from xaibench.shapes import Codes
from xaibench.values import Sequences, Splits

FEW_TRAIN_SEQUENCES = 10
"""A class of fewer train sequences is hardly learnt. Our choice."""

QUANTITY_CLASSES = 20
"""More classes than this that are all numbers are perhaps values of a quantity; where some are not
whole, more than a quarter of it. Our choice."""

LONGER = 10
"""From this ratio of the longest sequence to the median on, padding is most of the data."""

NO_TRAIN = "not known: no train split"
"""Of what is learnt from train, or compared with it."""

_SHOWN_NAMES = 3
_BLOCK_ROWS = 4096


def dataset_cautions(splits: Splits) -> list[str]:
    """A sentence each about what is not known without train, names of classes, classes, groups,
    lengths and sameness."""
    return [
        *_train_cautions(splits),
        *_name_cautions(splits.train.class_names),
        *_class_cautions(splits),
        *_group_cautions(splits.train),
        *_place_cautions(splits),
        *_length_cautions(splits),
        *_copy_cautions(splits),
    ]


def _train_cautions(splits: Splits) -> Iterator[str]:
    if not splits.has_train:
        yield (
            f"OVERLAP WITH TRAIN: {NO_TRAIN}. Sequences that the models were trained on may be "
            "among those that are explained."
        )


def _similar(every: Iterable[str], folded: Callable[[str], str]) -> list[list[str]]:
    """The first of the names that are equal once they are folded."""
    groups = (sorted(names) for _, names in groupby(sorted(every, key=folded), key=folded))
    return [names for names in groups if names[1:]][:_SHOWN_NAMES]


def _name_cautions(class_names: tuple[str, ...]) -> Iterator[str]:
    for names in _similar(class_names, _folded_name):
        yield (
            f"NAMES: the classes {' and '.join(map(repr, names))} differ in case or blanks alone, "
            "or in a sign: is one class written in several ways?"
        )


def _folded_name(name: str) -> str:
    """Without case, blanks, letters that cannot be seen, quotes, and signs between letters; a
    decimal comma is a point."""
    folded = unicodedata.normalize("NFKC", name).casefold().strip("\"'`")
    visible = "".join(letter for letter in folded if unicodedata.category(letter)[0] not in "CZ")
    joined = re.sub(r"(?<=[^\W\d_])[-_.](?=[^\W\d_])", "", visible)
    return canonical_number(joined.replace(",", "."))


def _folded_place(name: str) -> str:
    """1 and chr1 are one chromosome."""
    return _folded_name(name).removeprefix("chr")


def _class_cautions(splits: Splits) -> Iterator[str]:
    if not splits.has_train:
        return
    names, counts = splits.train.class_names, _class_counts(splits.train)
    each = f"{counts.min():,} to {counts.max():,} train sequences each"
    if _is_quantity(names):
        yield (
            f"CLASSES: {len(names):,} classes that are all numbers, of {each}: is it a quantity? "
            "Every value is learnt as a class of its own; the option response reads a number."
        )
    elif len(names) > 2 and np.median(counts) < FEW_TRAIN_SEQUENCES:
        yield f"CLASSES: {len(names):,} classes of {each}: most are hardly learnt."


def _class_counts(sequences: Sequences) -> NDArray[np.intp]:
    return np.bincount(sequences.labels, minlength=len(sequences.class_names))


def _is_quantity(names: tuple[str, ...]) -> bool:
    if not all(re.fullmatch(r"(?a)-?\d+([.,]\d+)?(e[-+]?\d+)?", name) for name in names):
        return False
    whole = all(name.lstrip("-").isdecimal() for name in names)
    return len(names) > (QUANTITY_CLASSES if whole else QUANTITY_CLASSES / 4)


def _group_cautions(train: Sequences) -> Iterator[str]:
    if train.groups is not None and len(set(train.groups)) == len(train) > FEW_TRAIN_SEQUENCES:
        yield (
            f"GROUPS: every train sequence is a group of its own, as {train.groups[0]!r}: groups "
            "keep nothing on one side of a cut."
        )


def _place_cautions(splits: Splits) -> Iterator[str]:
    """Groups or chromosomes that are one, written in two ways, split what belongs together.

    One pair, each of a class of its own, is no finding: the human chrX beside the X of a worm.
    """
    pairs = {pair for part in _all_splits(splits) for pair in _places_of(part)}
    similar = _similar({name for _, name in pairs}, _folded_place)
    for names in similar[:1]:
        first, second = ({label for label, name in pairs if name == each} for each in names[:2])
        if similar[1:] or first & second:
            yield (
                f"GROUPS: {' and '.join(map(repr, names))} are apart: is it one, written in "
                "several ways? Then a cut tears it apart, and overlaps are missed."
            )


def _all_splits(splits: Splits) -> list[Sequences]:
    every = (splits.train, splits.validation, splits.test)
    return [part for part in every if part is not None and len(part)]


def _places_of(part: Sequences) -> Iterator[tuple[int, str]]:
    """The class and the group, and the class and the chromosome, of every sequence."""
    chromosomes = part.intervals.chromosomes if part.intervals else ()
    for places in (part.groups or (), chromosomes):
        yield from zip(part.labels.tolist(), places, strict=False)


def _length_cautions(splits: Splits) -> Iterator[str]:
    every = [_lengths_of(part.codes) for part in (splits.train, splits.test) if len(part)]
    ends = np.concatenate(every)
    longest, median = int(ends.max(initial=0)), float(np.median(ends))
    if longest >= LONGER * max(median, 1):
        yield (
            f"LENGTHS: the longest sequence has {longest:,} bases and half have {median:,.0f} or "
            "fewer: all are padded to the longest."
        )


def _lengths_of(codes: Codes) -> NDArray[np.intp]:
    parts = [
        lengths(codes[start : start + _BLOCK_ROWS]) for start in range(0, len(codes), _BLOCK_ROWS)
    ]
    return np.concatenate(parts)


def _copy_cautions(splits: Splits) -> Iterator[str]:
    """Where there are no more different sequences than classes, in all or in test alone."""
    classes = len(splits.train.class_names)
    tested = [splits.test.codes], "test"
    every = [splits.train.codes, splits.test.codes], "train and test"
    for codes, where in (every, tested) if splits.has_train else (tested,):
        count = sum(map(len, codes))
        different = _different(chain(*codes), classes)
        if different <= classes and count > FEW_TRAIN_SEQUENCES * different:
            copies = "one sequence" if different == 1 else f"{different} sequences"
            yield f"SAME: all {count:,} sequences of {where} are copies of {copies}."
            return


def _different(rows: Iterable[NDArray[np.uint8]], most: int) -> int:
    """How many different sequences there are, counted up to one more than ``most``."""
    distinct: set[bytes] = set()
    for row in rows:
        distinct.add(row.tobytes())
        if len(distinct) > most:
            break
    return len(distinct)
