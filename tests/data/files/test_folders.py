"""Folders as datasets: nothing that lies there is dropped without a word."""

import gzip

import numpy as np
import pytest

from xaibench.data.files.file import file
from xaibench.data.files.intervals import intervals
from xaibench.data.resolving import splits_named
from xaibench.dna.encoding import to_letters
from xaibench.errors import UsageError

LETTERS = {"cat": "ACGT", "dog": "GGCC"}


def fasta(letters, count=2):
    return "".join(f">s{row}\n{letters}{'A' * row}\n" for row in range(count))


def table(count=2, label="label"):
    rows = [
        (letters + "A" * row, name) for row in range(count) for name, letters in LETTERS.items()
    ]
    return f"sequence,{label}\n" + "".join(f"{letters},{name}\n" for letters, name in rows)


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return folder


def classes_in(*places, suffix=".fa"):
    return {
        f"{place}/{name}{suffix}": fasta(letters)
        for place in places
        for name, letters in LETTERS.items()
    }


@pytest.mark.parametrize("word", ["validation", "valid", "val", "dev", "VAL", "Dev"])
def test_folders_know_the_words_for_splits(tmp_path, word):
    splits = file(data_seed=0, path=write(tmp_path, classes_in("train", "test", word)))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (4, 4, 4)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.validation.names[0] == f"{word}/cat/s0"
    assert splits.facts == {}


@pytest.mark.parametrize("name", ["mouse.ffn", "mouse.frn", "mouse.txt", "mouse", "mouse.FA.gz"])
def test_a_class_is_a_file_of_fasta_whatever_its_suffix(tmp_path, name):
    files = {**{f"{label}.fa": fasta(letters, 9) for label, letters in LETTERS.items()}}
    splits = file(data_seed=0, path=write(tmp_path, {**files, name: fasta("TTTT", 9)}))
    assert splits.train.class_names == ("cat", "dog", "mouse")


@pytest.mark.parametrize("place", ["", "train/"])
def test_a_folder_may_be_a_class(tmp_path, place):
    names = ["a.fa", "b.fa.gz"]
    files = {f"{place}{label}/{name}": fasta("ACGT", 5) for label in LETTERS for name in names}
    tests = {f"test/{label}/a.fa": fasta("ACGT") for label in LETTERS} if place else {}
    notes = {f"{place}cat/notes.txt": "none\n"}
    splits, _ = splits_named(str(write(tmp_path / "pets", {**files, **tests, **notes})))
    assert splits.train.class_names == ("cat", "dog")
    assert len(splits.train) + len(splits.test) == 20 + (4 if place else 0)
    assert f"{place}cat/a/s0" in {*splits.train.names, *splits.test.names}
    assert splits.facts == {"left out of the folder": f"{place}cat/notes.txt"}


def test_a_split_may_be_several_files_as_hugging_face_writes_them(tmp_path):
    names = ["train-00000-of-00002.csv", "train-00001-of-00002.csv", "test-00000-of-00001.csv"]
    splits = file(data_seed=0, path=write(tmp_path, {name: table() for name in names}))
    assert (len(splits.train), len(splits.test)) == (8, 4)


def test_a_folder_of_nothing_that_is_known_says_what_is_there(tmp_path):
    write(tmp_path / "other", {"a.md": "x", "b.md": "y"})
    with pytest.raises(
        UsageError, match=r"other: expected a folder of FASTA, BED .* got a\.md, b\.md"
    ):
        splits_named(str(tmp_path / "other"))
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match=r"none: expected a folder of FASTA, .* got an empty one"):
        splits_named(str(tmp_path / "none"))


def test_what_is_left_out_is_named(tmp_path):
    others = {
        "README.md": "# Pets\n",
        "about.json": "{}",
        "._cat.fa": "\0",
        ".DS_Store": "\0",
        "cat.fa.fai": "s0\t4\t4\t4\t5\n",
    }
    inside = {"train/notes.txt": "none\n", "old/list.md": "none\n"}
    folder = write(tmp_path, {**classes_in("train", "test"), **others, **inside})
    assert file(data_seed=0, path=folder).facts == {
        "left out of the folder": ".DS_Store, ._cat.fa, README.md, about.json, cat.fa.fai, "
        "old/, train/notes.txt"
    }


@pytest.mark.parametrize("suffix", [".csv", ".tsv.gz", ".txt", ".parquet"])
def test_files_named_for_splits_are_one_dataset(tmp_path, suffix):
    files = {
        f"{split}.csv": table(count) for split, count in (("train", 4), ("dev", 3), ("test", 2))
    }
    if suffix == ".parquet":
        import pandas as pd

        write(tmp_path / "csv", files)
        for name in files:
            rows = pd.read_csv(tmp_path / "csv" / name)
            (tmp_path / "own").mkdir(exist_ok=True)
            rows.to_parquet(tmp_path / "own" / name.replace(".csv", suffix))
    else:
        write(
            tmp_path / "own", {name.replace(".csv", suffix): text for name, text in files.items()}
        )
    splits, _ = splits_named(str(tmp_path / "own"))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (8, 6, 4)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.test.names[0] == "test/row 0"


def test_fasta_files_named_for_splits_carry_their_labels(tmp_path):
    text = ">a cat\nACGT\n>b dog\nGGCC\n"
    splits = file(data_seed=0, path=write(tmp_path, {"train.fa": text, "test.fa": text}))
    assert splits.train.class_names == ("cat", "dog")
    assert splits.test.names == ("test/a", "test/b")


def test_tables_without_labels_are_a_class_each(tmp_path):
    files = {f"{name}.csv": "sequence\n" + f"{letters}\n" * 9 for name, letters in LETTERS.items()}
    splits = file(data_seed=0, path=write(tmp_path, files))
    assert splits.train.class_names == ("cat", "dog")


def test_tables_with_labels_in_folders_for_splits_keep_them(tmp_path):
    folder = write(tmp_path, {"train/data.csv": table(4), "test/data.csv": table(2)})
    assert file(data_seed=0, path=folder).train.class_names == ("cat", "dog")


REFUSED = {
    "a folder that is no split": (
        classes_in("train", "test", "holdout"),
        "folders of splits and 'holdout'; expected train, test and validation alone",
    ),
    "files beside the splits": (
        {**classes_in("train", "test"), "mouse.fa": fasta("TTTT")},
        "folders of splits and 'mouse.fa'",
    ),
    "two folders of one split": (
        classes_in("train", "test", "val", "dev"),
        "two folders of one split, 'dev' and 'val'",
    ),
    "one split in two cases": (
        classes_in("train", "Train", "test"),
        "two folders of one split, 'Train' and 'train'",
    ),
    "a class in two files": (
        {"cat.fa": fasta("ACGT"), "cat.fasta": fasta("ACGG"), "dog.fa": fasta("GG")},
        r"two files of the class 'cat', 'cat\.fa' and 'cat\.fasta'",
    ),
    "a split in two files": (
        {"train.csv": table(), "test.csv": table(), "dev.csv": table(), "valid.csv": table()},
        r"two files of the split 'validation', 'dev\.csv' and 'valid\.csv'",
    ),
    "a file that is no split": (
        {"train.csv": table(), "test.csv": table(), "extra.csv": table()},
        "files named for splits, and 'extra.csv'; expected train, test and validation",
    ),
    "classes and labels": (
        {"cat.csv": table(), "dog.csv": table()},
        r"cat\.csv: expected files named train, test .* without a column 'label'",
    ),
    "an empty class": (
        {"cat.fa": fasta("ACGT"), "dog.fa": ""},
        r"dog\.fa: .* got: an empty file",
    ),
    "a class without sequences": (
        {"cat.fa": fasta("ACGT"), "dog.fa": "\n"},
        r"dog\.fa: expected rows, got a file without rows",
    ),
    "a class of reads": (
        {"cat.fa": fasta("ACGT"), "dog.fq": "@a\nACGT\n+\nIIII\n"},
        r"got 'dog\.fq', which is FASTQ; write it as FASTA",
    ),
    "a class in one split": (
        {**classes_in("train", "test"), "train/mouse.fa": fasta("TTTT")},
        "expected every class in test, got no test row of 'mouse'",
    ),
    "a class in another case": (
        {**classes_in("train"), "test/Cat.fa": fasta("A"), "test/dog.fa": fasta("G")},
        "expected every class in train, got no train row of 'Cat'",
    ),
    "no test": (classes_in("train", "val"), "expected rows of test, got none among"),
    "folders of other files": (
        {"cat/1.txt": "ACGT", "dog/1.txt": "GG"},
        "expected FASTA files or tables, got a folder without any",
    ),
    "another split than its place": (
        {
            "train.csv": table()
            .replace("label\n", "label,split\n")
            .replace("at\n", "at,train\n")
            .replace("og\n", "og,test\n"),
            "test.csv": table(),
        },
        r"train\.csv: row 1: expected train, as its place says, got the split 'test'",
    ),
    "a row without sequence": (
        {"train.csv": table(), "test.csv": table() + ",cat\n"},
        r"test\.csv: row 4: column 'sequence' is empty",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_folder_that_is_no_dataset_is_refused_in_a_line(tmp_path, case):
    files, message = REFUSED[case]
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=write(tmp_path, files))
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


GENOME = ">chr1\n" + "ACGTTGCA" * 10 + "\n>chr2\n" + "GGCATTAA" * 10 + "\n"


def labelled(letters, label):
    return "".join(f">s{row} label={label}\n{letters}{'A' * row}\n" for row in range(4))


def test_a_header_that_names_another_class_than_its_place_is_refused(tmp_path):
    write(tmp_path, {"cat.fa": labelled("ACGT", "cat"), "dog.fa": labelled("GGCC", "cat")})
    with pytest.raises(UsageError, match=r"dog\.fa: row 0: expected the class 'dog'.* label=cat"):
        file(data_seed=0, path=tmp_path)


def test_a_header_that_names_the_class_of_its_place_or_a_word_beside_is_read(tmp_path):
    beside = fasta("GGCC", 4).replace("\n", " chr1\n", 1)
    splits = file(
        data_seed=0, path=write(tmp_path, {"1.fa": labelled("ACGT", "1.0"), "2.fa": beside})
    )
    assert splits.train.class_names == ("1", "2")


@pytest.mark.parametrize(
    "names",
    [
        ("train_cat.fa", "train_dog.fa", "test_cat.fa", "test_dog.fa"),
        ("cat_train.fa", "dog_train.fa", "cat_val.fa", "dog_val.fa"),
        ("train1/cat.fa", "train1/dog.fa", "test1/cat.fa", "test1/dog.fa"),
    ],
)
def test_splits_in_the_names_of_classes_are_refused(tmp_path, names):
    write(tmp_path, dict.fromkeys(names, fasta("ACGT", 4)))
    with pytest.raises(
        UsageError, match=r"classes named for splits, .* put them into folders train"
    ):
        file(data_seed=0, path=tmp_path)


def test_classes_may_have_a_word_for_a_split_in_their_names(tmp_path):
    write(tmp_path, {"dev_enhancer.fa": fasta("ACGT", 4), "test_tube.fa": fasta("GGCC", 4)})
    splits = file(data_seed=0, path=tmp_path)
    assert splits.train.class_names == ("dev_enhancer", "test_tube")


def test_a_copy_of_a_file_is_no_class_of_its_own(tmp_path):
    write(tmp_path, classes_in(".") | {"cat.fa.bak": fasta("ACGT")})
    with pytest.raises(
        UsageError, match=r"two files of the class 'cat', 'cat\.fa' and 'cat\.fa\.bak'"
    ):
        file(data_seed=0, path=tmp_path)


def test_a_folder_of_one_class_says_what_it_leaves_out(tmp_path):
    write(tmp_path, {"cat.fa": fasta("ACGT"), "dog.txt": "ACGT\nGGCC\n"})
    splits = file(data_seed=0, path=tmp_path)
    assert splits.facts["classes"] == "one, 'cat' (column 'label')"
    assert splits.facts["left out of the folder"] == "dog.txt"
    assert not splits.has_train


def test_a_dataset_one_folder_further_down_is_named(tmp_path):
    write(tmp_path, {"data/train.csv": table(), "data/test.csv": table(), "README.md": "x"})
    with pytest.raises(UsageError, match=r"got 'data' only; .*; give .*data where that is the"):
        file(data_seed=0, path=tmp_path)


def test_a_file_without_labels_among_splits_is_named(tmp_path):
    write(tmp_path, {"train.csv": table(), "test.csv": "sequence\nACGT\nGGCC\n"})
    with pytest.raises(UsageError, match=r"test\.csv: expected the column 'label', got 'sequence'"):
        file(data_seed=0, path=tmp_path)


def bed(*starts, chromosome="chr1"):
    return "".join(f"{chromosome}\t{start}\t{start + 6}\n" for start in starts)


@pytest.fixture
def genome(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))
    (tmp_path / "genome.fa").write_text(GENOME)
    return tmp_path / "genome.fa"


def test_bed_files_are_a_class_each(tmp_path, genome):
    files = {f"{name}.bed": bed(0, 8, 16) + bed(0, 8, chromosome="chr2") for name in LETTERS}
    folder = write(tmp_path / "beds", {**files, "README": "peaks\n"})
    splits, _ = splits_named(str(folder), changes=[f"genome={genome}", "test_chromosomes=[chr2]"])
    assert splits.train.class_names == ("cat", "dog")
    assert splits.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    with pytest.raises(UsageError, match="beds: holds intervals, expected their genome: --set"):
        splits_named(str(folder))
    assert to_letters(splits.test.codes)[0] == "GGCATT"
    assert splits.facts == {"left out of the folder": "README"}
    write(folder, {"cat.bed": files["cat.bed"] + bed(24)})
    again = intervals(data_seed=0, path=folder, genome=genome, test_chromosomes=["chr2"])
    assert len(again.train) == 7, "a file that changed is read again"


def test_bed_files_may_stand_in_folders_for_splits_or_be_named_for_them(tmp_path, genome):
    files = {f"{split}/{name}.bed": bed(0, 8) for split in ("train", "test") for name in LETTERS}
    folder = write(tmp_path / "nested", files)
    splits = intervals(data_seed=0, path=folder, genome=genome)
    assert (len(splits.train), len(splits.test)) == (4, 4)
    rows = "chr1\t0\t6\tcat\nchr1\t8\t14\tdog\nchr1\t9\t14\tdog\n"
    flat = write(tmp_path / "flat", {"train.bed": rows, "test.bed": rows})
    splits = intervals(data_seed=0, path=flat, genome=genome)
    assert (len(splits.train), splits.test.class_names) == (3, ("cat", "dog"))


def test_a_header_in_bed_and_a_table_with_a_genome_are_intervals(tmp_path, genome):
    rows = bed(0, 8, 16, 24).replace("\n", "\tcat\n") + bed(1, 9, 17, 25).replace("\n", "\tdog\n")
    text = "chrom\tstart\tend\tlabel\n" + rows
    for name in ("t.bed", "t.tsv"):
        write(tmp_path, {name: text})
        splits, _ = splits_named(str(tmp_path / name), changes=[f"genome={genome}"])
        assert splits.train.intervals is not None


def test_bed_files_with_a_header_are_classes_like_those_without(tmp_path, genome):
    """Where one of three had a header, its class was left out, and two made a dataset."""
    headers = {"ant.bed": "#chrom\tstart\tend\n", "bee.bed": "chrom\tstart\tend\n", "cat.bed": ""}
    rows = bed(0, 8, 16) + bed(0, 8, chromosome="chr2")
    files = {name: header + rows for name, header in headers.items()}
    folder = write(tmp_path / "some", files)
    splits = intervals(data_seed=0, path=folder, genome=genome, test_chromosomes=["chr2"])
    assert splits.train.class_names == ("ant", "bee", "cat")
    assert splits.facts == {}
    every = write(tmp_path / "all", {name: "Chrom\tStart\tEnd\n" + rows for name in files})
    again = intervals(data_seed=0, path=every, genome=genome, test_chromosomes=["chr2"])
    np.testing.assert_array_equal(again.train.codes, splits.train.codes)


def test_a_column_of_labels_in_a_file_that_is_a_class_is_refused(tmp_path, genome):
    labelled = "chrom\tstart\tend\tlabel\n" + bed(0, 8, 16).replace("\n", "\tbee\n")
    folder = write(tmp_path / "beds", {"ant.bed": labelled, "bee.bed": bed(0, 8)})
    with pytest.raises(UsageError, match=r"ant\.bed: expected no column 'label', .* class 'ant'"):
        intervals(data_seed=0, path=folder, genome=genome)


def test_a_copy_of_a_bed_file_is_no_class_of_its_own(tmp_path, genome):
    rows = bed(0, 8, 16)
    for copy in ("cat.bed.bak", "cat.narrowPeak.old"):
        folder = write(tmp_path / copy, {"cat.bed": rows, "dog.bed": rows, copy: rows})
        with pytest.raises(
            UsageError, match=f"two files of the class 'cat', 'cat.bed' and '{copy}"
        ):
            intervals(data_seed=0, path=folder, genome=genome)


def test_a_folder_without_bed_files_is_refused(tmp_path, genome):
    (tmp_path / "none").mkdir()
    with pytest.raises(UsageError, match="none: expected BED files, got a folder without any"):
        intervals(data_seed=0, path=tmp_path / "none", genome=genome)
