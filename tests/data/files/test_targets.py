"""Sequences without classes: no labels, one class, peaks, measured numbers; and without train."""

import numpy as np
import pytest

from xaibench.data.files.file import file
from xaibench.data.files.intervals import intervals
from xaibench.errors import UsageError
from xaibench.values import UNLABELLED

FASTA = ">a\nACGTACG\n>b\nacgtn\n>c\nTTTT\n"
TABLE = "id,sequence,level\np,ACGTACG,0.5\nq,ACGT,-2\nr,TTTT,1e1\ns,GGG,7\n"
GENOME = ">chr1\nACGTTGCAACGTACGTATTC\n>chr2\nTTTTGGGGCCCC\n"


@pytest.fixture
def write(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))

    def written(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return written


def is_explained_alone(splits, count):
    return (len(splits.train), len(splits.test), splits.validation) == (0, count, None)


UNLABELLED_FILES = {
    "FASTA": ("t.fa", FASTA, "none, no column 'label' among 'name', 'sequence'"),
    "a table": ("t.csv", TABLE, "none, no column 'label' among 'id', 'sequence', 'level'"),
    "one class": (
        "t.csv",
        "sequence,label\nACGT,peak\nGG,peak\nTT,peak\n",
        "one, 'peak' (column 'label')",
    ),
}


@pytest.mark.parametrize("case", UNLABELLED_FILES)
def test_without_classes_every_row_is_explained(write, case):
    name, text, why = UNLABELLED_FILES[case]
    splits = file(data_seed=0, path=write(name, text))
    assert is_explained_alone(splits, text.count(">") or text.count("\n") - 1)
    assert not splits.test.has_classes
    assert splits.test.labels.tolist() == [0] * len(splits.test)
    assert splits.facts["classes"] == why
    assert splits.note.endswith(f"sequences of {name}, all to be explained.")


def test_one_class_keeps_its_name_and_no_label_is_called_unlabelled(write):
    assert file(data_seed=0, path=write("t.fa", FASTA)).test.class_names == UNLABELLED
    one = file(
        data_seed=0,
        path=write("u.fa", FASTA.replace(">a", ">a x").replace(">b", ">b x").replace(">c", ">c x")),
    )
    assert one.test.class_names == ("x",)


def test_a_column_of_splits_holds_without_labels(write):
    text = "sequence,split\nACGT,train\nGG,test\nTT,train\n"
    splits = file(data_seed=0, path=write("t.csv", text))
    assert (len(splits.train), len(splits.test)) == (2, 1)


def test_test_rows_alone_are_enough_and_keep_their_classes(write):
    text = "sequence,label,split\nACGT,a,test\nGG,b,test\nTT,b,test\n"
    splits = file(data_seed=0, path=write("t.csv", text))
    assert is_explained_alone(splits, 3)
    assert splits.train.class_names == splits.test.class_names == ("a", "b")
    assert splits.test.labels.tolist() == [0, 1, 1]


@pytest.mark.parametrize(("fraction", "sizes"), [(None, (8, 2)), (0.5, (5, 5)), (1, (0, 10))])
def test_the_share_of_test_is_a_fifth_of_classes_or_as_stated(write, fraction, sizes):
    text = "sequence,label\n" + "ACGT,a\nGG,b\n" * 5
    splits = file(data_seed=0, path=write("t.csv", text), test_fraction=fraction)
    assert (len(splits.train) + len(splits.test)) == 10
    assert len(splits.test) == pytest.approx(sizes[1], abs=1)
    assert bool(splits.has_train) == bool(sizes[0])


def test_unlabelled_rows_can_be_cut(write):
    splits = file(data_seed=0, path=write("t.csv", TABLE), test_fraction=0.5)
    assert (len(splits.train), len(splits.test)) == (2, 2)


def test_a_response_is_a_number_per_sequence_and_no_class(write):
    splits = file(data_seed=0, path=write("t.csv", TABLE), response="level")
    assert is_explained_alone(splits, 4)
    assert splits.test.responses.tolist() == [0.5, -2, 10, 7]
    assert splits.test.responses.dtype == np.float64
    assert splits.test.class_names == UNLABELLED
    assert splits.facts["response"] == "column 'level', from -2 to 10"


def test_a_response_comes_from_a_second_file_too(write):
    path, labels = write("t.fa", FASTA), write("l.csv", "name,y\nc,3\na,1\nb,2\n")
    assert file(data_seed=0, path=path, labels=labels, response="y").test.responses.tolist() == [
        *(1, 2, 3)
    ]


def test_a_label_beside_a_response_is_left_alone(write):
    text = TABLE.replace("id,", "label,")
    splits = file(data_seed=0, path=write("t.csv", text), response="level")
    assert not splits.test.has_classes


BAD = {
    "a word": (
        {"response": "id"},
        "column 'id': expected numbers, got 'p' in row 0; name a column",
    ),
    "infinite": ({"response": "inf"}, "column 'inf': expected numbers, got 'inf' in row 1"),
    "both": ({"response": "level", "label": "id"}, "either label .* or response .*, got 'id' and"),
    "no such column": ({"response": "y"}, "expected the column 'y', got 'id', 'sequence'"),
    "no such label": ({"label": "y"}, "expected the column 'y', got 'id', 'sequence'"),
    "missing": ({"response": "gap"}, "row 2: column 'gap': expected a gap, got the missing value"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_target_is_one_line(write, case):
    options, message = BAD[case]
    rows = zip(TABLE.split(), ["inf,gap", "1,1", "inf,2", "3,NA", "4,4"], strict=True)
    path = write("t.csv", "\n".join(f"{row},{more}" for row, more in rows))
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=path, **options)
    assert "\n" not in str(caught.value)


BEDS = {
    "three columns": ("chr1\t0\t9\nchr2\t0\t9\n", "none, no column 'label' among"),
    "names of peaks": (
        "chr1\t0\t9\tpeak_1\nchr2\t0\t9\tpeak_2\n",
        "none, another word in every row of column 'name'",
    ),
    "no names": ("chr1\t0\t9\t.\nchr2\t0\t9\t.\n", "one, '.' (column 'name')"),
}


@pytest.mark.parametrize("case", BEDS)
def test_peaks_alone_are_sequences_to_explain(write, case):
    rows, why = BEDS[case]
    splits = intervals(data_seed=0, path=write("p.bed", rows), genome=write("g.fa", GENOME))
    assert is_explained_alone(splits, 2)
    assert splits.facts["classes"].startswith(why)
    assert not splits.test.has_classes
    assert splits.test.intervals.chromosomes == ("chr1", "chr2")


def test_a_bed_column_may_be_the_response(write):
    rows = "chr1\t0\t9\tx\t3.5\nchr2\t0\t9\ty\t-1\n"
    for _ in range(2):  # read, then from the cache
        splits = intervals(
            data_seed=0,
            path=write("p.bed", rows),
            genome=write("g.fa", GENOME),
            response="score",
        )
        assert splits.test.responses.tolist() == [3.5, -1]
        assert splits.test.names == ("x", "y")


def test_names_that_were_said_to_be_classes_must_be(write):
    rows = "chr1\t0\t9\tpeak_1\nchr2\t0\t9\tpeak_2\n"
    with pytest.raises(UsageError, match=r"another word in every row; .* of a number by resp"):
        intervals(
            data_seed=0, path=write("p.bed", rows), genome=write("g.fa", GENOME), label="name"
        )


def test_test_chromosomes_may_be_all_there_are(write):
    splits = intervals(
        data_seed=0,
        path=write("p.bed", "chr1\t0\t9\ta\nchr1\t2\t9\ta\nchr2\t0\t9\tb\n"),
        genome=write("g.fa", GENOME),
        test_chromosomes=["chr1", "chr2"],
    )
    assert is_explained_alone(splits, 3)


def test_a_folder_of_tables_without_labels_is_split_by_its_files(write, tmp_path):
    for name in ("train", "test"):
        write(f"own/{name}.csv", "sequence\nACGT\nGG\n")
    splits = file(data_seed=0, path=tmp_path / "own")
    assert (len(splits.train), len(splits.test)) == (2, 2)
    assert not splits.test.has_classes


def test_sites_of_unlabelled_sequences_need_no_class(write):
    text = "sequence,at\nACGTACG,2\nTTTT,-1\n"
    known = {"site_start": "at", "site_width": 3}
    splits = file(data_seed=0, path=write("t.csv", text), **known)
    assert splits.test.inside_motif.sum(axis=1).tolist() == [3, 0]
    labelled = "sequence,label,at\nACGTACG,a,2\nTTTT,b,-1\n"
    with pytest.raises(UsageError, match="site_class: expected one of 'a', 'b', got no site_class"):
        file(data_seed=0, path=write("l.csv", labelled), test_fraction=1, **known)
