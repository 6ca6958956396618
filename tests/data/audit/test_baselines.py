"""The baselines that need no network, on data where what they reach is known."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import xaibench.data.audit.baselines as module
from xaibench.data.audit.baselines import frequencies, gc, trivial_baselines
from xaibench.data.files.file import file
from xaibench.dna.encoding import to_codes, to_letters
from xaibench.values import N, Sequences, Splits

UNIFORM = (0.25, 0.25, 0.25, 0.25)


def sequences(labels, probabilities, *, seed, lengths=None):
    """Each class draws its bases from its own probabilities, each sequence within its length."""
    generator = np.random.default_rng(seed)
    labels = np.array(labels, np.int64)
    codes = np.stack([generator.choice(4, size=53, p=probabilities[label]) for label in labels])
    codes = codes.astype(np.uint8)
    if lengths is not None:
        codes[np.arange(53) >= np.array(lengths)[labels][:, None]] = N
    classes = ("worm", "human", "fly")[: len(probabilities)]
    return Sequences(codes, labels, tuple(map(str, range(len(labels)))), classes)


def splits(probabilities, *, lengths=None):
    classes = len(probabilities)
    return Splits(
        sequences([*range(classes)] * 40 + [1] * 6, probabilities, seed=0, lengths=lengths),
        sequences([*range(classes)] * 30 + [0] * 7, probabilities, seed=1, lengths=lengths),
    )


def by_name(baselines):
    return {each.name: each for each in baselines}


def test_gc_alone_tells_classes_of_different_composition():
    found = by_name(
        trivial_baselines(splits([(0.45, 0.05, 0.05, 0.45), (0.05, 0.45, 0.45, 0.05)]), 0)
    )
    assert list(found) == ["majority class", "GC alone", "3-mers", "5-mers"]
    assert found["GC alone"].accuracy == found["GC alone"].auroc == 1
    assert found["3-mers"].auroc == 1


def test_the_majority_is_that_of_train():
    found = by_name(trivial_baselines(splits([UNIFORM, UNIFORM]), 0))["majority class"]
    assert found.accuracy == 30 / 67
    assert found.auroc == 0.5
    assert found.learnt == 86


def test_words_are_read_on_one_strand():
    strand = splits([(0.5, 0, 0.5, 0), (0, 0.5, 0, 0.5)])
    found = by_name(trivial_baselines(strand, 0))
    assert 0.3 < found["GC alone"].auroc < 0.7
    assert found["3-mers"].accuracy == found["5-mers"].accuracy == 1


def test_length_is_a_baseline_where_lengths_vary():
    found = by_name(trivial_baselines(splits([UNIFORM, UNIFORM], lengths=(40, 53)), 0))
    assert found["length"].accuracy == found["length"].auroc == 1


def test_three_classes_have_the_mean_auroc_of_each_against_the_rest():
    three = splits([(0.9, 0.04, 0.03, 0.03), (0.04, 0.9, 0.03, 0.03), (0.03, 0.04, 0.9, 0.03)])
    found = by_name(trivial_baselines(three, 0))
    assert found["3-mers"].accuracy == found["3-mers"].auroc == 1
    assert found["majority class"].auroc == 0.5
    # GC cannot tell C from G: chance between them, perfect against A: each of these two is
    # ranked before 30 or 37 of the rest by composition and half of the others by chance
    assert 0.75 < found["GC alone"].auroc < 0.95


def test_auroc_is_undefined_where_test_lacks_a_class():
    whole = splits([UNIFORM, UNIFORM])
    lacking = replace(whole, test=whole.test.take(np.flatnonzero(whole.test.labels == 1)))
    found = trivial_baselines(lacking, 0)
    assert all(np.isnan(each.auroc) for each in found)
    assert found[0].accuracy == 1


def test_large_train_sets_are_drawn_from_by_class(monkeypatch):
    monkeypatch.setattr(module, "MOST_TRAIN_SEQUENCES", 20)
    many = sequences([0] * 98 + [1] * 2, [UNIFORM, UNIFORM], seed=0)
    drawn = [module._subsampled(many, seed) for seed in (0, 0, 1)]
    assert np.bincount(drawn[0].labels).tolist() == [20, 1]
    assert drawn[0].names == drawn[1].names != drawn[2].names
    found = trivial_baselines(Splits(many, many), 0)
    assert [each.learnt for each in found] == [100, 21, 21, 21]


def test_the_same_data_seed_gives_the_same_baselines():
    whole = splits([UNIFORM, UNIFORM])
    assert trivial_baselines(whole, 3) == trivial_baselines(whole, 3)


def test_a_fit_that_is_cut_off_is_told_without_a_warning(monkeypatch):
    monkeypatch.setattr(module, "_ITERATIONS", 2)
    found = by_name(trivial_baselines(splits([UNIFORM, (0.3, 0.2, 0.3, 0.2)]), 0))
    assert not found["5-mers"].converged
    assert found["majority class"].converged


def test_frequencies_are_shares_of_the_known_words():
    codes = to_codes(["AACGNTT", "CCC", "NACN", "GTGTG", "ACGTAACGTA"])
    table = frequencies(codes, 2)
    names = [first + second for first in "ACGT" for second in "ACGT"]
    for row, letters in zip(table, to_letters(codes), strict=True):
        words = [letters[start : start + 2] for start in range(len(letters) - 1)]
        words = [word for word in words if "N" not in word]
        assert row.tolist() == pytest.approx([words.count(name) / len(words) for name in names])


def test_frequencies_do_not_depend_on_chunks(monkeypatch):
    codes = np.random.default_rng(0).integers(5, size=(11, 23), dtype=np.uint8)
    whole = frequencies(codes, 3)
    monkeypatch.setattr(module, "_BLOCK_ROWS", 4)
    assert np.array_equal(frequencies(codes, 3), whole, equal_nan=True)


def test_what_a_sequence_does_not_have_is_nan_and_takes_the_mean():
    codes = to_codes(["NNN", "GAC", "AT"])
    assert gc(codes).ravel().tolist() == pytest.approx([np.nan, 2 / 3, 0], nan_ok=True, rel=1e-6)
    assert np.isnan(frequencies(codes, 3)).all(axis=1).tolist() == [True, False, True]
    assert np.isnan(frequencies(codes, 4)).all()
    features = gc(codes)
    assert module._standardiser(features)(features).ravel().tolist() == pytest.approx([0, 1, -1])


def test_data_without_any_feature_are_a_guess():
    whole = splits([UNIFORM, UNIFORM], lengths=(2, 2))
    found = by_name(trivial_baselines(whole, 0))
    assert found["3-mers"].auroc == 0.5
    assert found["3-mers"].accuracy == found["majority class"].accuracy


def test_a_constant_feature_is_left_alone():
    features = np.full((7, 2), 0.3, np.float32)
    assert np.abs(module._standardiser(features)(features)).max() < 1e-6


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_the_stand_in_has_the_baselines_that_was_measured_elsewhere():
    path = Path(os.environ["XAIBENCH_DATA"]) / "human_or_worm_standin.csv.gz"
    found = by_name(trivial_baselines(file(data_seed=0, path=path), 0))
    assert found["GC alone"].accuracy == pytest.approx(0.60, abs=0.005)
    assert found["3-mers"].accuracy == pytest.approx(0.91, abs=0.005)
    assert found["5-mers"].accuracy == pytest.approx(0.94, abs=0.005)
