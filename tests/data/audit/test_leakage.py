"""What test owes to train: letters, words and intervals, each against a slow twin."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xaibench.data.audit import leakage
from xaibench.data.audit.leakage import (
    deduplicated,
    identities,
    interval_overlaps,
    repeated_kmers,
    repeats,
    repeats_of,
    shared_kmers,
)
from xaibench.data.genomic_benchmarks.interval_tables import interval_tables
from xaibench.dna.encoding import reverse_complement, to_codes, to_letters
from xaibench.errors import UsageError
from xaibench.values import Intervals, N, Sequences, Splits

COMPLEMENT = str.maketrans("ACGT", "TGCA")


def random_codes(shape, seed, *, unknown=0.0):
    generator = np.random.default_rng(seed)
    codes = generator.integers(4, size=shape, dtype=np.uint8)
    codes[generator.random(shape) < unknown] = N
    return codes


def words(letters, width):
    """The distinct stretches of known bases, each with its reverse complement."""
    found = {letters[start : start + width] for start in range(len(letters) - width + 1)}
    return {
        frozenset((word, word.translate(COMPLEMENT)[::-1])) for word in found if "N" not in word
    }


def share(letters, others, width):
    own = words(letters, width)
    seen = set().union(*(words(other, width) for other in others))
    return len(own & seen) / len(own) if own else np.nan


def test_letters_are_the_same_on_either_strand_and_whatever_n_is_around():
    train = to_codes(["AACG", "TTTTA", "NNN", "ANG"])
    test = to_codes(["CGTT", "AACGNN", "NNAACG", "AACGA", "N", "CNT", "AG"])
    (own,), (known, found) = identities(train), identities(train, test)
    assert own.tolist() == known.tolist()
    assert known[2] == found[4] == -1
    assert (found[:3] == known[0]).all()
    assert found[5] == known[3]
    assert len({*known, *found}) == 6


def test_every_twin_is_counted_and_conflicts_are_those_of_another_class():
    numbers = np.array([3, 5, 3, 7, 5, 3, -1, -1])
    labels = np.array([0, 1, 0, 0, 1, 2, 0, 1])
    found = repeats(numbers, labels)
    assert np.flatnonzero(found.repeated).tolist() == [0, 1, 2, 4, 5]
    assert np.flatnonzero(found.conflicting).tolist() == [0, 2, 5]


def test_twins_in_another_split_need_no_twin_in_their_own():
    found = repeats_of(
        np.array([3, 4, 5, -1, 5]), np.array([0, 0, 1, 0, 2]), np.array([5, 3, 9, 5, -1]),
        np.array([1, 0, 0, 1, 0]),
    )  # fmt: skip
    assert found.repeated.tolist() == [True, False, True, False, True]
    assert found.conflicting.tolist() == [False, False, False, False, True]


@pytest.mark.parametrize("width", [1, 2, 3, 7, 20, 31])
@pytest.mark.parametrize("chunk", [50, leakage._BLOCK_POSITIONS])
def test_shares_are_those_of_sets_of_letters(monkeypatch, width, chunk):
    monkeypatch.setattr(leakage, "_BLOCK_POSITIONS", chunk)
    test = random_codes((9, 43), 0, unknown=0.02)
    train, more = random_codes((11, 60), 1, unknown=0.02), random_codes((5, 37), 2)
    train[3, 5:40], more[1, :33] = test[2, :35], test[4, 10:]
    train[7, :43] = reverse_complement(test[5:6])[0]
    test[6, width:] = N
    test[8, width - 1 :] = N
    others = to_letters(train) + to_letters(more)
    expected = [share(letters, others, width) for letters in to_letters(test)]
    assert shared_kmers(test, train, more, width=width) == pytest.approx(expected, nan_ok=True)
    assert np.isnan(expected[8])


@pytest.mark.parametrize("width", [2, 7, 20, 31])
@pytest.mark.parametrize("part", [100, leakage._PART])
def test_shares_with_the_rest_of_the_split_are_those_of_sets(monkeypatch, width, part):
    monkeypatch.setattr(leakage, "_PART", part)
    monkeypatch.setattr(leakage, "_BLOCK_POSITIONS", 130)
    codes = random_codes((12, 41), 3, unknown=0.01)
    codes[4, :36], codes[9] = codes[2, 5:], reverse_complement(codes[7:8])[0]
    codes[5, 40:], codes[11, width - 1 :] = N, N
    letters = to_letters(codes)
    rest = [letters[:row] + letters[row + 1 :] for row in range(len(letters))]
    expected = [share(own, others, width) for own, others in zip(letters, rest, strict=True)]
    assert repeated_kmers(codes, width=width) == pytest.approx(expected, nan_ok=True)


def test_a_word_repeated_within_one_sequence_is_no_repeat():
    assert repeated_kmers(to_codes(["A" * 50, "ACGT" * 11])).tolist() == [0, 0]


def test_a_sequence_shorter_than_a_word_has_no_share():
    short = random_codes((3, 19), 4)
    assert np.isnan(shared_kmers(short, random_codes((2, 30), 5))).all()
    assert np.isnan(repeated_kmers(short)).all()
    assert shared_kmers(random_codes((2, 30), 5), short).tolist() == [0, 0]


def intervals(rows):
    chromosomes, starts, ends = zip(*rows, strict=True)
    strands = np.where(np.arange(len(rows)) % 3, 1, -1).astype(np.int8)
    return Intervals(chromosomes, np.array(starts), np.array(ends), strands)


def random_intervals(count, seed, *, lengths):
    generator = np.random.default_rng(seed)
    starts = generator.integers(700, size=count).tolist()
    sizes = generator.integers(*lengths, size=count).tolist()
    chromosomes = generator.choice(["I", "chr2", "X"], size=count).tolist()
    return [
        (name, start, start + size)
        for name, start, size in zip(chromosomes, starts, sizes, strict=True)
    ]


def slow_overlaps(train, test):
    found = []
    for name, start, end in test:
        inner = [
            (min(end, last) - max(start, first), end - start, last - first)
            for chromosome, first, last in train
            if chromosome == name
        ]
        inner = [each for each in inner if each[0] > 0]
        half = any(2 * shared >= max(own, other) for shared, own, other in inner)
        found.append(
            (bool(inner), half, any(shared == own == other for shared, own, other in inner))
        )
    return [list(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("lengths", [(7, 8), (1, 12), (0, 90)])
@pytest.mark.parametrize("chunk", [10, leakage._BLOCK_POSITIONS])
def test_overlaps_are_those_of_a_comparison_of_all_pairs(monkeypatch, lengths, chunk):
    monkeypatch.setattr(leakage, "_BLOCK_POSITIONS", chunk)
    for seed in range(5):
        train = random_intervals(61, seed, lengths=lengths)
        test = random_intervals(83, 100 + seed, lengths=lengths) + train[:3]
        found = interval_overlaps(intervals(train), intervals(test))
        expected = slow_overlaps(train, test)
        assert [column.tolist() for column in found] == expected
        assert 0 < found.exact.sum() < found.half.sum() <= found.any.sum() < len(test)


def test_half_is_asked_of_both_intervals_and_of_one_train_interval():
    train = intervals([("1", 100, 200), ("1", 300, 1000), ("2", 50, 75), ("2", 75, 100)])
    test = intervals(
        [("1", 150, 250), ("1", 151, 251), ("1", 300, 400), ("2", 50, 101), ("1", 200, 300)]
    )
    found = interval_overlaps(train, test)
    assert found.any.tolist() == [True, True, True, True, False]
    assert found.half.tolist() == [True, False, False, False, False]
    assert not found.exact.any()


def test_nothing_overlaps_no_intervals():
    none = Intervals((), np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.int8))
    some = intervals([("1", 3, 9)])
    assert [flags.tolist() for flags in interval_overlaps(none, some)] == [[False]] * 3
    assert [flags.tolist() for flags in interval_overlaps(some, none)] == [[]] * 3


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
@pytest.mark.parametrize(
    ("class_name", "shares"),
    [("human", (0.0063, 0.0028, 0)), ("worm", (0.1446, 0.0730, 0.0003))],
)
def test_official_intervals_overlap_as_often_as_was_counted_elsewhere(class_name, shares):
    folder = Path(os.environ["XAIBENCH_DATA"]) / "demo_human_or_worm_intervals"
    tables = interval_tables(folder)
    found = interval_overlaps(tables["train", class_name][1], tables["test", class_name][1])
    assert [flags.mean() for flags in found] == pytest.approx(shares, abs=0.00005)


def sequences(codes, *, places=None):
    """Labels 0 and 1 in turn."""
    count = len(codes)
    names = tuple(f"s{row}" for row in range(count))
    where = None if places is None else intervals([("1", start, start + 60) for start in places])
    return Sequences(codes, np.arange(count) % 2, names, ("worm", "human"), intervals=where)


@pytest.fixture
def leaking():
    """Test: 0 a reverse complement, 1 half of a train sequence, 2 overlaps one by half, 3 and 4 are
    new, 5 shares a stretch of 25 bases, 6 overlaps by 10 bases, 7 is empty; validation: 1 equals a
    train sequence, 2 is test's 4, 0 and 3 are new."""
    train = sequences(random_codes((6, 60), 6), places=range(0, 6000, 1000))
    codes = random_codes((8, 60), 7)
    codes[0] = reverse_complement(train.codes[2:3])[0]
    codes[1, :42] = train.codes[3, 5:47]
    codes[5, 30:55] = train.codes[1, 20:45]
    codes[7] = N
    places = [90_000, 91_000, 4030, 92_000, 93_000, 94_000, 950, 96_000]
    other = random_codes((4, 60), 8)
    other[1], other[2] = train.codes[5], codes[4]
    validation = sequences(other, places=range(80_000, 84_000, 1000))
    return Splits(train, sequences(codes, places=places), validation, "toy.", {"known": 3})


def test_test_and_validation_lose_what_was_to_be_seen(leaking):
    splits = deduplicated(leaking)
    assert splits.train is leaking.train
    assert splits.validation.names == ("s0", "s2", "s3")
    assert splits.test.names == ("s3", "s5", "s6", "s7")
    assert splits.test.intervals.starts.tolist() == [92_000, 94_000, 950, 96_000]
    assert splits.note == "toy."
    assert splits.facts == {
        "known": 3,
        "dropped from validation": "1 of 4: 1 with the same letters, 0 nearly repeated, "
        "0 overlapping in the genome",
        "dropped from test": "4 of 8: 2 with the same letters, 1 nearly repeated, "
        "1 overlapping in the genome",
    }


def test_without_validation_test_is_measured_against_train(leaking):
    splits = deduplicated(replace(leaking, validation=None))
    assert splits.validation is None
    assert splits.test.names == ("s3", "s4", "s5", "s6", "s7")
    assert list(splits.facts) == ["known", "dropped from test"]


def test_without_intervals_letters_and_words_are_judged(leaking):
    test = replace(leaking.test, intervals=None)
    splits = deduplicated(replace(leaking, test=test))
    assert splits.test.names == ("s2", "s3", "s5", "s6", "s7")


def test_what_validation_loses_does_not_count_against_test(leaking):
    """The dropped one, which equals a train sequence, stands where test 3 does."""
    places = intervals([("1", start, start + 60) for start in (80_000, 92_000, 82_000, 83_000)])
    validation = replace(leaking.validation, intervals=places)
    splits = deduplicated(replace(leaking, validation=validation))
    assert splits.validation.names == ("s0", "s2", "s3")
    assert "s3" in splits.test.names


def test_a_class_that_would_lose_all_is_refused(leaking):
    codes = leaking.test.codes.copy()
    codes[1::2] = leaking.train.codes[:4]
    test = replace(leaking.test, codes=codes)
    message = r"deduplicated: expected test sequences of every class, all 4 of 'human' repeat"
    with pytest.raises(UsageError, match=message):
        deduplicated(replace(leaking, test=test))
    with pytest.raises(
        UsageError, match=r"expected validation sequences .* another validation split"
    ):
        deduplicated(replace(leaking, validation=test))
