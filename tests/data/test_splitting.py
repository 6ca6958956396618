"""Cuts, choices and the fingerprint."""

from dataclasses import replace

import numpy as np
import pytest

from xaibench.data.splitting import choose, cut, cut_validation, fingerprint
from xaibench.errors import UsageError
from xaibench.values import Intervals, Sequences, Splits


def sequences(labels, groups=None):
    count = len(labels)
    codes = np.random.default_rng(3).integers(4, size=(count, 7), dtype=np.uint8)
    names = tuple(f"s{row}" for row in range(count))
    return Sequences(codes, np.array(labels, np.int64), names, ("worm", "human"), groups)


def test_without_groups_each_class_gives_its_fraction():
    train, validation = cut_validation(sequences([0] * 80 + [1] * 20), 0.1, 0)
    assert np.bincount(validation.labels).tolist() == [8, 2]
    assert np.bincount(train.labels).tolist() == [72, 18]
    assert set(train.names).isdisjoint(validation.names)


def test_no_group_stands_on_both_sides_and_the_fraction_is_met():
    generator = np.random.default_rng(0)
    chromosomes = generator.choice(12, size=600, p=np.arange(1, 13) / 78)
    groups = tuple(f"chr{chromosome}" for chromosome in chromosomes)
    whole = sequences(generator.integers(2, size=600), groups)
    for seed in range(5):
        train, validation = cut_validation(whole, 0.2, seed)
        assert set(train.groups).isdisjoint(validation.groups)
        assert len(train) + len(validation) == 600
        assert 0.15 <= len(validation) / 600 <= 0.25
        assert set(validation.labels) == {0, 1}


def test_both_sides_keep_the_order_of_the_sequences():
    whole = sequences([0, 1] * 20)
    for side in cut_validation(whole, 0.3, 0):
        rows = [whole.names.index(name) for name in side.names]
        assert rows == sorted(rows)


def test_a_cut_depends_on_the_data_seed():
    whole = sequences([0, 1] * 20)
    names = [cut_validation(whole, 0.3, seed)[1].names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


def test_one_group_is_no_group():
    _, validation = cut_validation(sequences([0, 1] * 10, ("chr1",) * 20), 0.2, 0)
    assert len(validation) == 4


def test_a_class_of_one_sequence_stays_in_train():
    train, _ = cut_validation(sequences([0] * 9 + [1]), 0.5, 0)
    assert 1 in train.labels


def test_two_groups_can_be_cut_at_any_fraction():
    whole = sequences([0, 1, 0, 1, 0, 1], ("a", "a", "b", "b", "b", "b"))
    train, validation = cut(whole, 0.9, np.random.default_rng(0))
    assert {len(train), len(validation)} == {2, 4}


def test_groups_that_are_the_classes_cannot_be_cut():
    with pytest.raises(UsageError, match=r"leaves every class in the rest.*over 2 groups"):
        cut_validation(sequences([0, 0, 1, 1, 1], ("a", "a", "b", "b", "b")), 0.2, 0)


def test_classes_of_one_sequence_cannot_be_cut():
    with pytest.raises(UsageError, match=r"expected two sequences of a class .* got 2 sequences"):
        cut_validation(sequences([0, 1]), 0.2, 0)


def test_choices_are_nested_and_without_replacement():
    whole = sequences([0, 1] * 25)
    few, many, everything = (choose(whole, count, 5) for count in (7, 30, 500))
    assert few.names == many.names[:7]
    assert len(set(many.names)) == 30
    assert sorted(everything.names) == sorted(whole.names)
    assert choose(whole, 7, 6).names != few.names


def test_a_sequence_without_a_known_base_is_not_chosen():
    whole = sequences([0, 1] * 5)
    whole.codes[3] = 4
    assert sorted(choose(whole, 10, 0).names) == sorted(set(whole.names) - {"s3"})


def test_fingerprint_sees_every_part_of_the_data_but_the_note():
    motif = np.zeros((4, 7), np.int8)
    ends = np.arange(4)
    where = Intervals(tuple("1234"), ends - 1, ends, np.ones(4, np.int8))
    test = replace(sequences([0, 1, 1, 0]), evidence=motif, intervals=where)
    splits = Splits(sequences([0, 1, 0]), test)
    other_codes = test.codes.copy()
    other_codes[0, 0] ^= 1
    changed = [
        replace(splits, test=replace(test, codes=other_codes)),
        replace(splits, test=replace(test, labels=1 - test.labels)),
        replace(splits, test=replace(test, names=("a", "b", "c", "d"))),
        replace(splits, test=replace(test, groups=("a", "b", "c", "d"))),
        replace(splits, test=replace(test, evidence=motif + 1)),
        replace(splits, test=replace(test, evidence=None)),
        replace(splits, test=replace(test, intervals=None)),
        replace(splits, test=replace(test, intervals=replace(where, ends=ends + 1))),
        replace(splits, test=replace(test, intervals=replace(where, chromosomes=tuple("4321")))),
        replace(splits, validation=test),
        Splits(test, splits.train),
    ]
    prints = [fingerprint(each) for each in [splits, *changed]]
    assert len(set(prints)) == len(prints)
    assert fingerprint(replace(splits, note="moved", facts={"rule": "A"})) == prints[0]
