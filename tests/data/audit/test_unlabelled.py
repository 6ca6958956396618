"""The audit of data that there is nothing to compare in: what is in them, and that."""

import pytest

from xaibench.data.audit.cautions import dataset_cautions
from xaibench.data.audit.leakage import deduplicated
from xaibench.data.files.file import file
from xaibench.data.resolving import audited
from xaibench.errors import UsageError

REPEAT = "ACGTTGCATTGACCATGACCATGGATTACA"
FASTA = f">a\n{REPEAT}\n>b\nTT{REPEAT}N\n>c\n{'GATC' * 7}\n"


@pytest.fixture
def fasta(tmp_path):
    path = tmp_path / "t.fa"
    path.write_text(FASTA)
    return path


def test_an_audit_of_unlabelled_data_says_what_is_in_them(fasta):
    text = "\n".join(audited(str(fasta), changes=(), plugins=()))
    assert "AUDIT: 3 sequences without classes." in text
    assert "NOTHING TO COMPARE: no train split and no classes." in text
    assert "classes: none, no column 'label' among 'name', 'sequence'" in text
    assert "REDUNDANT: 66.67 % of test sequences (2 of 3) nearly repeat others of test." in text
    assert "Not known: no classes to tell apart." in text
    assert "LEAK" not in text
    assert "deduplicated" not in text
    assert "train sequences" not in text


def test_an_audit_of_labelled_test_rows_says_that_there_is_no_train(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("sequence,label,split\nACGT,a,test\nGGCC,b,test\n")
    text = "\n".join(audited(str(path), changes=(), plugins=()))
    assert "AUDIT: 2 sequences of 2 classes." in text
    assert "NOTHING TO COMPARE: no train split." in text
    assert "Not known: no train split." in text


def test_what_is_learnt_from_train_is_not_known_without(fasta):
    splits = file(data_seed=0, path=fasta)
    (caution,) = dataset_cautions(splits)
    assert caution.startswith("OVERLAP WITH TRAIN: not known: no train split.")


def test_without_train_nothing_is_dropped(fasta):
    splits = file(data_seed=0, path=fasta)
    assert deduplicated(splits) is splits


def test_copies_of_one_sequence_are_named_without_train(tmp_path):
    path = tmp_path / "t.fa"
    path.write_text("".join(f">s{row}\nACGT\n" for row in range(30)))
    cautions = dataset_cautions(file(data_seed=0, path=path))
    assert "SAME: all 30 sequences of test are copies of one sequence." in cautions


def test_a_deep_audit_needs_train_and_classes(fasta, monkeypatch):
    monkeypatch.setattr("xaibench.data.resolving.require_linter", lambda: None)
    with pytest.raises(UsageError, match=r"--deep: expected train, test and two .* without train"):
        audited(str(fasta), changes=(), plugins=(), deep=True)
