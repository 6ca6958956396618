"""Tables and FASTA, good and bad."""

import gzip
import os
import time
from pathlib import Path

import numpy as np
import pytest

from xaibench.data.files import file
from xaibench.dna import to_letters
from xaibench.errors import UsageError

CSV = """sequence,label,split
ACGTACG,worm,train
acgtn,human,train
TTTT,worm,test
GGG,human,test
CC,human,dev
"""
FASTA = """>a label=worm split=train
ACGT
ACG
>b label=human split=train

acgtn
>c label=worm split=test
TTTT
>d label=human split=test
GGG
"""


@pytest.fixture
def write(tmp_path):
    def written(name, text):
        path = tmp_path / name
        data = text if isinstance(text, bytes) else text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return path

    return written


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "table.tsv", "table.tsv.gz"])
def test_a_table_is_read_with_its_splits(write, name):
    text = CSV.replace(",", "\t") if "tsv" in name else CSV
    splits = file(data_seed=0, path=write(name, text))
    assert to_letters(splits.train.codes) == ["ACGTACG", "ACGT"]
    assert splits.train.class_names == ("human", "worm")
    assert splits.train.labels.tolist() == [1, 0]
    assert splits.train.names == ("row 0", "row 1")
    assert to_letters(splits.test.codes) == ["TTTT", "GGG"]
    assert to_letters(splits.validation.codes) == ["CC"]
    assert splits.note == f"5 sequences of {name}, split by the file."


@pytest.mark.parametrize("name", ["reads.fa", "reads.fasta.gz"])
def test_fasta_headers_carry_the_columns(write, name):
    splits = file(data_seed=0, path=write(name, FASTA))
    assert to_letters(splits.train.codes) == ["ACGTACG", "ACGT"]
    assert splits.train.names == ("a", "b")
    assert splits.train.labels.tolist() == [1, 0]
    assert splits.validation is None


def test_a_lone_word_in_a_fasta_header_is_the_label(write):
    path = write("reads.fa", "".join(f">s{i} {i % 2}\nACGT\n" for i in range(20)))
    splits = file(data_seed=0, path=path)
    assert splits.train.class_names == ("0", "1")
    assert len(splits.test) == 4


def test_all_splits_are_padded_to_one_length(write):
    splits = file(data_seed=0, path=write("table.csv", CSV))
    assert {part.codes.shape[1] for part in (splits.train, splits.test, splits.validation)} == {7}


def test_without_a_split_column_the_test_is_cut_within_each_class(write):
    rows = "".join(f"ACGT,{i % 2}\n" for i in range(40))
    path = write("table.csv", "sequence,label\n" + rows)
    splits = file(data_seed=0, path=path, test_fraction=0.3)
    assert np.bincount(splits.test.labels).tolist() == [6, 6]
    assert splits.note.endswith("test cut from it.")
    names = [file(data_seed=seed, path=path).test.names for seed in (0, 0, 1)]
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize(("column", "option"), [("group", None), ("region", None), ("x", "x")])
def test_without_a_split_column_the_test_is_cut_by_group(write, column, option):
    rows = "".join(f"ACGT,{i % 2},chr{i // 4}\n" for i in range(40))
    path = write("table.csv", f"sequence,label,{column}\n{rows}")
    splits = file(data_seed=0, path=path, group=option)
    assert len(set(splits.test.groups)) == 2
    assert set(splits.test.groups).isdisjoint(splits.train.groups)
    assert f"by {column}" in splits.note


def test_columns_may_have_other_names(write):
    text = CSV.replace("sequence,label,split", "dna,species,part")
    splits = file(
        data_seed=0, path=write("t.csv", text), sequence="dna", label="species", split="part"
    )
    assert len(splits.train) == 2


def test_numbers_sort_as_numbers_and_before_words(write):
    rows = "".join(f"ACGT,{name},{split}\n" for name in ("b", 10, 2) for split in ("train", "test"))
    splits = file(data_seed=0, path=write("t.csv", "sequence,label,split\n" + rows))
    assert splits.train.class_names == ("2", "10", "b")


@pytest.mark.parametrize(("ids", "names"), [("pqrs", ("p", "q")), ("ppqq", ("row 0", "row 1"))])
def test_names_are_ids_where_these_tell_rows_apart(write, ids, names):
    lines = CSV.splitlines()[:5]
    text = "\n".join(f"{line},{id_}" for line, id_ in zip(lines, ["id", *ids], strict=True))
    assert file(data_seed=0, path=write("t.csv", text)).train.names == names


def test_a_sequence_na_is_a_sequence(write):
    splits = file(data_seed=0, path=write("t.csv", CSV.replace("TTTT", "NA")))
    assert to_letters(splits.test.codes)[0] == "NA"


BAD = {
    "no column": ("t.csv", CSV.replace("sequence,", "dna,"), "wanted the column 'sequence', got"),
    "no columns": ("t.csv", "a,b\n1,2\n", "wanted the columns 'sequence', 'label', got 'a', 'b'"),
    "a letter": ("t.csv", CSV.replace("TTTT", "TTXT"), "row 2: wanted the .* 'X' at position 2"),
    "one class": ("t.csv", CSV.replace("human", "worm"), "'label': wanted two .* got 'worm' only"),
    "no test": ("t.csv", CSV.replace("test", "train"), "'split': wanted rows .* got no test row"),
    "no train": ("t.csv", CSV.replace("train", "test"), "'split': wanted rows .* no train row"),
    "a class not in train": (
        "t.csv",
        CSV.replace("human,train", "worm,train"),
        "'label': wanted every class in train, got no train row of 'human'",
    ),
    "another split": (
        "t.csv",
        CSV.replace("dev", "hold-out"),
        "'split': wanted train, test or validation, got 'hold-out' in row 4",
    ),
    "no sequence": ("t.csv", CSV.replace("TTTT", ""), "row 2: column 'sequence' is empty"),
    "no label": ("t.csv", CSV.replace("TTTT,worm", "TTTT,"), "row 2: column 'label' is empty"),
    "a short row": ("t.csv", CSV.replace("TTTT,worm,test", "TTTT"), "row 2: .* 'label' is empty"),
    "a long row": ("t.csv", CSV.replace("TTTT", "T,T,T"), "wanted a CSV, TSV or FASTA .*fields"),
    "nothing": ("t.csv", "", "wanted a CSV, TSV or FASTA file, got: No columns"),
    "a header": ("t.csv", "sequence,label\n", "got a file without rows"),
    "no text": ("t.csv", b"\xff\xfe\x00\x01", "wanted a CSV, TSV or FASTA file, got: .*decode"),
    "no FASTA": ("t.fa", "ACGT\n", "got: a FASTA file that begins with 'ACGT'"),
    "empty FASTA": ("t.fa", "", "got a file without rows"),
    "no FASTA labels": ("t.fa", ">a\nACGT\n", "wanted the column 'label', got 'name', 'sequence'"),
    "a FASTA record without sequence": ("t.fa", ">a 1\n>b 0\nACGT\n", "row 0: .* is empty"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_with_the_file(write, case):
    name, text, message = BAD[case]
    path = write(name, text)
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["t.csv.gz", "t.fa.gz"])
@pytest.mark.parametrize(
    "data",
    [b"sequence,label\n", gzip.compress(FASTA.encode() * 9)[:40]],
    ids=["plain text", "cut off"],  # compressed data hold the time and make no steady name
)
def test_what_is_no_gzip_is_refused(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(UsageError, match=f"{name}: wanted a CSV, TSV or FASTA file, got: "):
        file(data_seed=0, path=tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: .* got: No such file or directory"):
        file(data_seed=0, path=tmp_path / "none.csv")
    with pytest.raises(UsageError, match="got: Is a directory"):
        file(data_seed=0, path=tmp_path)


def test_a_group_that_is_no_column_is_refused(write):
    with pytest.raises(UsageError, match="wanted the column 'chromosome', got 'sequence'"):
        file(data_seed=0, path=write("t.csv", CSV), group="chromosome")


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_forty_thousand_real_rows_load_in_about_a_second():
    path = Path(os.environ["XAIBENCH_DATA"]) / "human_or_worm_standin.csv.gz"
    start = time.process_time()
    splits = file(data_seed=0, path=path)
    assert time.process_time() - start < 2
    assert (len(splits.train), len(splits.test)) == (30_000, 10_000)
    assert splits.train.codes.shape == (30_000, 200)
    assert len(set(splits.train.groups)) > 1000
    assert splits.train.valid.all()


def test_a_mistyped_split_column_is_refused(write):
    with pytest.raises(UsageError, match="wanted the column 'splt', got 'sequence'"):
        file(data_seed=0, path=write("table.csv", CSV), split="splt")


@pytest.mark.parametrize(
    "name", ["table.csv.zip", "table.csv.xz", "table.csv.zst", "table.csv.bz2"]
)
def test_a_file_compressed_otherwise_is_one_line(write, name):
    path = write(name, b"\xfd7zXZ\x00\x00\x04\xff\xfe\x00")
    with pytest.raises(UsageError, match="wanted a CSV, TSV or FASTA file, got") as caught:
        file(data_seed=0, path=path)
    assert "\n" not in str(caught.value)
