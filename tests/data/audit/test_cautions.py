"""What is odd about the data is said once, by the audit and before a run begins."""

from dataclasses import replace

import numpy as np
import pytest

from xaibench.artefacts.job import Job
from xaibench.data.audit.cautions import dataset_cautions
from xaibench.data.files.file import file
from xaibench.data.resolving import audited
from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.plan.schema import read_plan
from xaibench.runs.pipeline import begin
from xaibench.values import Sequences, Splits


def splits(labels, class_names, codes=None):
    """The same in train and test; random letters where none are given."""
    if codes is None:
        codes = np.random.default_rng(0).integers(4, size=(len(labels), 30), dtype=np.uint8)
    names = tuple(f"s{row}" for row in range(len(labels)))
    part = Sequences(codes, np.array(labels, np.int64), names, tuple(class_names))
    return Splits(part, part)


def many(names, each=12):
    return splits(np.arange(each * len(names)) % len(names), names)


def test_usual_data_need_no_word():
    assert dataset_cautions(many(["0", "1"])) == []
    assert dataset_cautions(many(["promoter", "enhancer", "silencer"])) == []
    assert dataset_cautions(many([str(number) for number in range(20)])) == []


@pytest.mark.parametrize(
    "names",
    [("worm", "Worm"), ("a b", "ab"), ("A  b", "a B"), ("é", "É"), ("a", "a\u200b"), ("ﬁ", "fi")],
)
def test_names_that_differ_in_case_or_blanks_alone_are_named(names):
    (caution,) = dataset_cautions(many([*names, "other"]))
    assert caution.startswith("NAMES: the classes ")
    assert all(repr(name) in caution for name in names)


@pytest.mark.parametrize(
    "names",
    [("pos", "'pos'"), ("non-coding", "non_coding"), ("e.coli", "ecoli"), ("1", "1,0")],
)
def test_names_that_differ_in_a_sign_are_named(names):
    (caution,) = dataset_cautions(many([*names, "other"]))
    assert caution.startswith("NAMES: the classes ")


@pytest.mark.parametrize("names", [("-1", "1"), ("A+", "A-"), ("1-2", "12"), ("1.5", "15")])
def test_names_that_signs_tell_apart_need_no_word(names):
    assert dataset_cautions(many(names)) == []


@pytest.mark.parametrize(
    "names", [("chr1", "1"), ("chrX", "CHRX"), ("fam 1", "fam1"), ("7", "7.0")]
)
def test_groups_that_are_written_in_two_ways_are_named(names):
    given = many(["a", "b", "c"])
    groups = tuple(np.resize([*names, "chr2", "chr3"], len(given.train)).tolist())
    part = replace(given.train, groups=groups)
    (caution,) = dataset_cautions(Splits(part, part))
    assert caution.startswith("GROUPS: ")
    assert all(repr(name) in caution for name in names)
    one = replace(given.train, groups=tuple(np.where(given.train.labels, *names).tolist()))
    assert dataset_cautions(Splits(one, one)) == []
    told = replace(part, groups=tuple(np.resize(["chr1", "chr11"], len(part)).tolist()))
    assert dataset_cautions(Splits(told, told)) == []


QUANTITIES = {
    "hundredths": [f"{number / 100:g}" for number in range(101)],
    "whole numbers": [str(number) for number in range(-10, 20)],
    "a few that are not whole": ["0", "0.2", "0.4", "0.6", "0.8", "1"],
    "decimal commas": [f"{number},5" for number in range(8)],
    "exponents": [f"{number}e-05" for number in range(1, 8)],
}


@pytest.mark.parametrize("case", QUANTITIES)
def test_targets_that_are_a_quantity_are_named(case):
    names = QUANTITIES[case]
    (caution,) = dataset_cautions(many(names))
    assert caution.startswith(f"CLASSES: {len(names)} classes that are all numbers, of 12 to 12")


def test_classes_of_few_sequences_are_named():
    (caution,) = dataset_cautions(many(["a", "b", "c", "d"], each=3))
    assert caution == "CLASSES: 4 classes of 3 to 3 train sequences each: most are hardly learnt."


def test_groups_of_one_sequence_each_are_named():
    part = replace(many(["a", "b"]).train, groups=tuple(f"chr1_{row}_9" for row in range(24)))
    (caution,) = dataset_cautions(Splits(part, part))
    assert caution.startswith("GROUPS: every train sequence is a group of its own, as 'chr1_0_9'")
    assert dataset_cautions(Splits(replace(part, groups=("a", "b") * 12), part)) == []


def test_one_sequence_that_is_much_longer_is_named():
    labels = np.arange(40) % 2
    codes = np.full((40, 600), 4, np.uint8)
    codes[:, :40] = np.random.default_rng(0).integers(4, size=(40, 40))
    codes[7] = 1
    (caution,) = dataset_cautions(splits(labels, ("0", "1"), codes))
    assert caution.startswith("LENGTHS: the longest sequence has 600 bases and half have 40 or")


def test_a_chromosome_among_reads_is_refused_before_it_is_padded():
    letters = ["ACGT" * 10] * 60
    letters[7] = "A" * 1_000_000
    with pytest.raises(
        UsageError, match=r"sequence 7: expected sequences of like .* 1,000,000 letters"
    ):
        to_codes(letters)
    assert to_codes(["ACGT", "A" * 90_000]).shape == (2, 90_000)
    assert to_codes(["A" * 200_000] * 2).shape == (2, 200_000)


def test_sequences_that_are_all_equal_are_named():
    labels = np.arange(60) % 2
    alike = splits(labels, ("0", "1"), np.ones((60, 30), np.uint8))
    assert dataset_cautions(alike) == [
        "SAME: all 120 sequences of train and test are copies of one sequence."
    ]
    copies = splits(labels, ("0", "1"), np.repeat(labels[:, None], 30, axis=1).astype(np.uint8))
    assert dataset_cautions(copies) == [
        "SAME: all 120 sequences of train and test are copies of 2 sequences."
    ]
    tested = replace(many(["0", "1"]), test=alike.test)
    assert dataset_cautions(tested) == [
        "SAME: all 60 sequences of test are copies of one sequence."
    ]


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{'ACGT' * 10},{('worm', 'Worm')[row % 2]}\n" for row in range(60))
    (tmp_path / "t.csv").write_text("sequence,label\n" + rows)
    return tmp_path


def test_the_audit_finds_what_is_odd(table):
    text = " ".join(" ".join(audited("t.csv", changes=(), plugins=())).split())
    assert "NAMES: the classes 'Worm' and 'worm' differ in case or blanks alone" in text
    assert "SAME: all 60 sequences of train and test are copies of one" in text
    assert "No problem found" not in text


def test_a_run_says_what_is_odd_before_it_begins(table, capsys):
    (table / "plan.yaml").write_text("dataset: {name: file, path: t.csv}\nmodels: [cnn]\n")
    begin(Job(read_plan("plan.yaml"), "plan.yaml", (), table / "run"))
    said = capsys.readouterr().err
    assert said.count("sequences of train and test are copies of one sequence") == 1
    assert "xaibench: NAMES: the classes 'Worm' and 'worm' differ" in said


def test_a_quantity_that_cannot_be_split_says_what_it_may_be(tmp_path):
    rows = "".join(f"ACGT,{row / 7:.3f}\n" for row in range(60)) + "ACGT,0.000\nACGT,0.000\n"
    (tmp_path / "t.csv").write_text("sequence,label\n" + rows)
    with pytest.raises(
        UsageError, match=r"no test row of '0\.143' and of .* is the label a quantit"
    ):
        file(data_seed=0, path=tmp_path / "t.csv")


def test_a_table_of_unknown_bases_is_refused_by_the_audit(tmp_path):
    rows = "".join(f"{'N' * 9},{row % 2}\n" for row in range(20))
    (tmp_path / "t.csv").write_text("sequence,label\n" + rows)
    with pytest.raises(UsageError, match="known bases in train, got N alone in all 16"):
        list(audited(str(tmp_path / "t.csv"), changes=(), plugins=()))
