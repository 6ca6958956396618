"""The audit counts what is there, and says it in lines a person can read."""

import gzip
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xaibench.data.audit.baselines import TrivialBaseline
from xaibench.data.audit.summary import Copies, Groups, Near, Overlapping, Split, audit_splits
from xaibench.data.audit.text import describe_audit, describe_intervals
from xaibench.data.files.file import file
from xaibench.dna.encoding import reverse_complement
from xaibench.errors import UsageError
from xaibench.values import Intervals, N, Sequences, Splits

GUESS = (TrivialBaseline("majority class", 0.5, 0.5, 7),)


def sequences(codes, labels, *, groups=None, starts=None):
    names = tuple(f"s{row}" for row in range(len(codes)))
    where = None
    if starts is not None:
        begin = np.array(starts, np.int64)
        where = Intervals(("1",) * len(codes), begin, begin + 90, np.ones(len(codes), np.int8))
    classes = ("human", "intergenomic_seqs")
    return Sequences(codes, np.array(labels, np.int64), names, classes, groups, intervals=where)


def random_codes(count, seed):
    return np.random.default_rng(seed).integers(4, size=(count, 90), dtype=np.uint8)


@pytest.fixture
def clean():
    return Splits(
        sequences(random_codes(7, 0), [0, 1, 0, 1, 0, 1, 0]),
        sequences(random_codes(4, 1), [0, 1, 0, 1]),
        note="toy.",
        facts={"ambiguous letters read as N": 17},
    )


@pytest.fixture
def leaking():
    """Train 1 and 4 are twins of two classes, and test 0 a third; test 1 is half of train 3;
    validation 0 is the reverse complement of test 2; test 3 has no known base, and overlaps a train
    sequence of the other class only."""
    train, test, validation = random_codes(7, 0), random_codes(4, 1), random_codes(2, 2)
    train[4] = reverse_complement(train[1:2])[0]
    test[0], test[1, 7:80] = train[1], train[3, 2:75]
    validation[0] = reverse_complement(test[2:3])[0]
    train[5, 40:43], train[6, 85:], test[3] = N, N, N
    return Splits(
        sequences(
            train, [0, 1, 0, 1, 0, 1, 0], groups=tuple("aabbccd"), starts=range(0, 7000, 1000)
        ),
        sequences(test, [0, 1, 0, 1], groups=tuple("axya"), starts=[2045, 1000, 46, 2010]),
        sequences(validation, [0, 1], groups=("y", "z"), starts=[50_000, 60_000]),
    )


def findings(found):
    """Each finding on one line."""
    text = describe_audit(found)
    start = text.index("FINDINGS") + 1
    paragraphs = []
    for line in text[start : text.index("", start)]:
        if line.startswith("    "):
            paragraphs[-1] += f" {line.strip()}"
        else:
            paragraphs.append(line.strip())
    return paragraphs


def test_splits_are_counted_with_their_lengths_and_unknown_bases(leaking):
    found = audit_splits(leaking, data_seed=0)
    assert found.splits == (
        Split("train", 7, (4, 3), 85, 90.0, 90, 625, 3, 1, 0, 4),
        Split("validation", 2, (1, 1), 90, 90.0, 90, 180, 0, 0, 0, 2),
        Split("test", 4, (2, 2), 0, 90.0, 90, 270, 0, 0, 1, 3),
    )


def test_twins_are_counted_within_and_across_splits_with_their_conflicts(leaking):
    assert audit_splits(leaking, data_seed=0).copies == (
        Copies("train", "train", 7, 2, 2),
        Copies("validation", "validation", 2, 0, 0),
        Copies("test", "test", 4, 0, 0),
        Copies("test", "train", 4, 1, 1),
        Copies("validation", "train", 2, 0, 0),
        Copies("test", "validation", 4, 1, 0),
    )


def test_near_repeats_are_counted_by_class(leaking):
    human, other = leaking.train.class_names
    assert audit_splits(leaking, data_seed=0).near == (
        Near("test", "train", human, 2, 0, 1, 1),
        Near("test", "train", other, 2, 1, 1, 1),
        Near("validation", "train", human, 1, 0, 0, 0),
        Near("validation", "train", other, 1, 0, 0, 0),
        Near("test", "validation", human, 2, 0, 1, 1),
        Near("test", "validation", other, 2, 1, 0, 0),
        Near("train", "train", human, 4, 0, 1, 1),
        Near("train", "train", other, 3, 0, 1, 1),
    )


def test_groups_and_intervals_are_compared_across_splits(leaking):
    found = audit_splits(leaking, data_seed=0)
    human, other = leaking.train.class_names
    assert found.groups == (
        Groups("test", "train", 3, 1, 4, 2),
        Groups("validation", "train", 2, 0, 2, 0),
        Groups("test", "validation", 3, 1, 4, 1),
    )
    assert found.intervals[:2] == (
        Overlapping("test", "train", human, 2, 2, 1, 0),
        Overlapping("test", "train", other, 2, 1, 1, 1),
    )
    assert [row.any for row in found.intervals[2:]] == [0, 0, 0, 0]


def test_every_problem_has_a_line_with_its_denominator(leaking):
    found = replace(audit_splits(leaking, data_seed=0), baselines=GUESS)
    assert findings(found) == [
        "LEAK: 25.00 % of test sequences (1 of 4) have the same letters as a train sequence.",
        "LEAK: 25.00 % of test sequences (1 of 4) have the same letters as a validation sequence.",
        "LEAK: 50.00 % of test sequences (2 of 4) nearly repeat train: half of their stretches of "
        "20 bases or more occur there.",
        "LEAK: 25.00 % of test sequences (1 of 4) nearly repeat validation: half of their "
        "stretches of 20 bases or more occur there.",
        "LEAK: 100.00 % of test intervals (2 of 2) of 'human' overlap one of train, 50.00 % by "
        "half or more.",
        "LEAK: 50.00 % of test intervals (1 of 2) of 'intergenomic_seqs' overlap one of train, "
        "50.00 % by half or more, 50.00 % equal one.",
        "To fix: the option `deduplicated: true` of the dataset leaves out of test and validation "
        "what repeats, nearly repeats or overlaps train by half.",
        "LABELS: 28.57 % of train sequences (2 of 7) have the letters of another train sequence of "
        "another class.",
        "LABELS: 25.00 % of test sequences (1 of 4) have the letters of a train sequence of "
        "another class.",
        "EMPTY: 25.00 % of test sequences (1 of 4) have no known base.",
        "REDUNDANT: 28.57 % of train sequences (2 of 7) nearly repeat others of train; only groups "
        "keep them on one side of a cut.",
        "GROUPS: 50.00 % of test sequences (2 of 4) are of a group that train has too: the split "
        "was not made by group.",
        "GROUPS: 25.00 % of test sequences (1 of 4) are of a group that validation has too: the "
        "split was not made by group.",
    ]


def test_clean_data_have_no_problem_and_no_empty_tables(clean):
    found = replace(audit_splits(clean, data_seed=0), baselines=GUESS)
    assert findings(found) == ["No problem found."]
    text = describe_audit(found)
    assert "GROUPS" not in text
    assert "OVERLAP IN THE GENOME" not in text
    assert text[:3] == [
        "AUDIT: 11 sequences of 2 classes.",
        "  toy.",
        "  ambiguous letters read as N: 17",
    ]


def test_cues_and_an_uneven_test_are_told(clean):
    floors = (
        TrivialBaseline("majority class", 0.9, 0.5, 7),
        TrivialBaseline("GC alone", 0.91, 0.8, 7),
        TrivialBaseline("3-mers", 0.99, 0.99, 7, converged=False),
        TrivialBaseline("length", 0.93, 0.75, 7),
    )
    found = replace(audit_splits(clean, data_seed=0), baselines=floors)
    assert findings(found) == [
        "CUE: GC alone reaches an AUROC of 0.800 on test and an accuracy of 0.910 (the majority "
        "class 0.900).",
        "CUE: length alone reaches an AUROC of 0.750 on test and an accuracy of 0.930 (the "
        "majority class 0.900).",
        "UNEVEN: always the majority class is right for 90.0% of test: read AUROC.",
    ]
    assert [line.split()[-2:] for line in describe_audit(found) if "3-mers" in line] == [
        ["stopped", "early"]
    ]


def test_it_is_said_how_a_validation_split_is_cut(clean, leaking):
    def told(splits):
        return " ".join(" ".join(describe_audit(audit_splits(splits, data_seed=0))).split())

    assert "a run cuts one from train, the same share of each class." in told(clean)
    by_group = told(replace(leaking, validation=None))
    assert "a run cuts one from train by group (there are 4)" in by_group
    assert "No validation split" not in told(leaking)


def test_lines_are_a_hundred_columns_wide_at_most_and_name_the_classes(leaking):
    def renamed(split):
        return replace(split, class_names=("human", "a class with a very long name"))

    train, test, validation = map(renamed, (leaking.train, leaking.test, leaking.validation))
    found = audit_splits(Splits(train, test, validation), data_seed=0)
    large = replace(found, near=(Near("validation", "validation", "x" * 30, *[231_348] * 4),))
    for text in (
        describe_audit(audit_splits(leaking, data_seed=0)),
        describe_audit(found),
        describe_audit(large),
    ):
        assert max(map(len, text)) <= 100
    assert any(
        "intergenomic_seqs  " in line for line in describe_audit(audit_splits(leaking, data_seed=0))
    )
    assert any("a class with a v…" in line for line in describe_audit(found))


def table(folder, split, name, rows):
    text = "id,region,start,end,strand\n" + "".join(
        f"{row},{','.join(map(str, place))},-\n" for row, place in enumerate(rows)
    )
    (folder / f"{split}_{name}.csv.gz").write_bytes(gzip.compress(text.encode()))


def test_a_folder_of_intervals_is_audited_by_class(tmp_path):
    table(tmp_path, "train", "worm", [("I", 100, 200), ("II", 5, 25)])
    table(tmp_path, "test", "worm", [("I", 100, 200), ("I", 190, 290), ("II", 40, 50)])
    table(tmp_path, "train", "human", [("I", 300, 400)])
    table(tmp_path, "test", "human", [("I", 100, 200), ("chr2", 300, 400)])
    text = describe_intervals(tmp_path)
    assert text[0] == f"AUDIT OF INTERVALS: 5 test intervals of 2 classes in {tmp_path.name}."
    assert " ".join(" ".join(text[3:5]).split()) == (
        "LEAK: 66.67 % of test intervals (2 of 3) of 'worm' overlap one of train, 33.33 % by half "
        "or more, 33.33 % equal one."
    )
    assert [line.split()[2:5] for line in text if line.startswith("  test")] == [
        ["human", "2", "0"],
        ["worm", "3", "2"],
    ]


def test_a_folder_with_a_class_in_one_split_only_is_refused(tmp_path):
    table(tmp_path, "train", "worm", [("I", 100, 200)])
    table(tmp_path, "test", "human", [("I", 100, 200)])
    with pytest.raises(UsageError, match=r"same classes .* got \['worm'\] and \['human'\]"):
        describe_intervals(tmp_path)


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_official_intervals_print_the_figures_counted_elsewhere():
    folder = Path(os.environ["XAIBENCH_DATA"]) / "demo_human_or_worm_intervals"
    human, worm = (line for line in describe_intervals(folder) if line.startswith("  test"))
    assert [word for word in human.split() if "." in word] == ["(0.63", "(0.28", "(0.00"]
    assert [word for word in worm.split() if "." in word] == ["(14.46", "(7.30", "(0.03"]


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_known_repeats_of_the_tata_set_are_found():
    path = Path(os.environ["XAIBENCH_DATA"]) / "prom_300_tata_annotated.csv.gz"
    found = audit_splits(file(data_seed=0, path=path), data_seed=0)
    across = {(row.split, row.among): row for row in found.copies}
    assert across["test", "train"].repeated == 6
    assert across["validation", "train"].repeated == 14
