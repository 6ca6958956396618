"""Tables and FASTA, good and bad; with labels, intervals and motif positions beside them."""

import gzip
import os
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from xaibench.data.files.file import file
from xaibench.data.splitting import fingerprint
from xaibench.dna.encoding import to_letters
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
        path.write_bytes(gzip.compress(data) if path.suffix in (".gz", ".bgz") else data)
        return path

    return written


@pytest.mark.parametrize(
    "name", ["table.csv", "table.csv.gz", "table.csv.bgz", "table.TSV", "table.tsv.gz"]
)
def test_a_table_is_read_with_its_splits(write, name):
    text = CSV.replace(",", "\t") if "tsv" in name.lower() else CSV
    splits = file(data_seed=0, path=write(name, text))
    assert to_letters(splits.train.codes) == ["ACGTACG", "ACGT"]
    assert splits.train.class_names == ("human", "worm")
    assert splits.train.labels.tolist() == [1, 0]
    assert splits.train.names == ("row 0", "row 1")
    assert to_letters(splits.test.codes) == ["TTTT", "GGG"]
    assert to_letters(splits.validation.codes) == ["CC"]
    assert splits.note == f"5 sequences of {name}, split by the file."


@pytest.mark.parametrize("name", ["reads.fa", "reads.fasta.gz", "reads.fna.bgz"])
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


def with_column(name, values):
    lines = CSV.splitlines()[:5]
    return "\n".join(f"{line},{value}" for line, value in zip(lines, [name, *values], strict=True))


@pytest.mark.parametrize(("column", "option"), [("name", None), ("id", None), ("x", "x")])
def test_names_are_a_column_that_tells_rows_apart(write, column, option):
    path = write("t.csv", with_column(column, "pqrs"))
    assert file(data_seed=0, path=path, id=option).train.names == ("p", "q")


def test_a_sequence_na_is_a_sequence(write):
    splits = file(data_seed=0, path=write("t.csv", CSV.replace("TTTT", "NA")))
    assert to_letters(splits.test.codes)[0] == "NA"


LONG = "".join(f"{'ACGTTGCA' * 3}{'ACGT'[row % 4]},{row % 2}\n" for row in range(20))


@pytest.mark.parametrize("word", ["NA", "NaN", "nan"])
def test_a_missing_value_among_sequences_is_none(write, word):
    path = write("t.csv", f"sequence,label\n{LONG}{word},1\n")
    with pytest.raises(
        UsageError, match=rf"row 20: .* expected a sequence, got the missing value '{word}'"
    ):
        file(data_seed=0, path=path)


def test_a_missing_value_is_no_group(write):
    rows = "".join(f"ACGT,{row % 2},{'NA' if row in (7, 9) else row // 4}\n" for row in range(20))
    with pytest.raises(UsageError, match=r"row 7: .* expected a group, got the missing value 'NA'"):
        file(data_seed=0, path=write("t.csv", f"sequence,label,group\n{rows}"))


def test_upper_case_in_a_column_that_is_looked_for_is_read(write):
    splits = file(data_seed=0, path=write("t.csv", CSV.replace("split", "Split")))
    assert len(splits.train) == 2
    assert len(splits.test) == 2
    splits = file(data_seed=0, path=write("t.fa", FASTA.replace("split=", "SPLIT=")))
    assert len(splits.train) == 2
    assert len(splits.test) == 2


def test_keys_that_differ_in_case_from_header_to_header_are_refused(write):
    path = write("t.fa", FASTA.replace(">c label=worm split=", ">c label=worm Split="))
    with pytest.raises(UsageError, match="expected one column 'split', got 'split' and 'Split'"):
        file(data_seed=0, path=path)


def test_a_column_that_an_option_names_keeps_its_case(write):
    path = write("t.csv", CSV.replace("split", "Split"))
    assert len(file(data_seed=0, path=path, split="Split").train) == 2


def test_a_column_of_splits_that_is_not_read_is_named(write):
    rows = "".join(f"ACGT,{row % 2},{'test' if row > 15 else 'Train'}\n" for row in range(20))
    path = write("t.csv", f"sequence,label,partition\n{rows}")
    facts = file(data_seed=0, path=path).facts
    assert facts == {"column 'partition'": "holds splits and is not read (option split)"}
    assert file(data_seed=0, path=path, split="partition").facts == {}


def test_where_half_of_the_regions_cannot_be_read_the_others_keep_their_places(write):
    places = [f"chr{row // 4}:{row}-{row + 4}" if row % 2 else "?" for row in range(40)]
    rows = "".join(f"ACGT,{row // 2 % 2},{place}\n" for row, place in enumerate([*places, "?"]))
    splits = file(data_seed=0, path=write("t.csv", f"sequence,label,region\n{rows}"))
    assert splits.facts["regions that cannot be read"] == "21 of 41, the first '?' in row 0"
    assert "chr3" in {*splits.train.groups, *splits.test.groups}


def test_names_that_bedtools_writes_before_a_region_are_no_part_of_the_chromosome(write):
    rows = "".join(
        f"ACGT,{row // 2 % 2},peak{row}::chr{row // 4}:{row}-{row + 4}(-)\n" for row in range(40)
    )
    splits = file(data_seed=0, path=write("t.csv", f"sequence,label,region\n{rows}"))
    assert {*splits.train.groups, *splits.test.groups} == {f"chr{number}" for number in range(10)}
    assert splits.train.intervals.strands.tolist() == [-1] * len(splits.train)


def test_one_group_cuts_nothing(write):
    rows = "".join(f"ACGT,{row % 2},chr1\n" for row in range(20))
    note = file(data_seed=0, path=write("t.csv", f"sequence,label,group\n{rows}")).note
    assert note.endswith("test cut from it.")


def test_semicolons_divide_the_keys_of_a_header(write):
    text = FASTA.replace(" split=", ";split=")
    assert file(data_seed=0, path=write("t.fa", text)).train.class_names == ("human", "worm")


def test_letters_in_a_header_are_refused(write):
    text = FASTA.replace(">c ", ">c sequence=ACGT ")
    with pytest.raises(UsageError, match="'sequence' in the header of row 2"):
        file(data_seed=0, path=write("t.fa", text))


def test_letters_of_ambiguity_are_counted(write):
    path = write("t.csv", CSV.replace("TTTT", "TRyT"))
    splits = file(data_seed=0, path=path)
    assert to_letters(splits.test.codes)[0] == "TNNT"
    assert splits.facts == {"letters of ambiguity read as N": 2}
    assert file(data_seed=0, path=write("t.csv", CSV)).facts == {}


TABLE = pd.DataFrame(
    {
        "sequence": ["ACGTACG", "acgtn", "TTTT", "GGG", "CC"],
        "label": ["worm", "human", "worm", "human", "human"],
        "split": ["train", "train", "test", "test", "dev"],
    }
)


def test_parquet_is_read_as_the_table_it_was_written_from(write, tmp_path):
    TABLE.to_parquet(tmp_path / "t.parquet")
    binary = TABLE.assign(
        sequence=TABLE["sequence"].str.encode("ascii"), more=[[1], [2]] * 2 + [[]]
    )
    binary.astype({"label": "category"}).to_parquet(tmp_path / "t.pq")
    expected = fingerprint(file(data_seed=0, path=write("t.csv", CSV)))
    for name in ("t.parquet", "t.pq"):
        assert fingerprint(file(data_seed=0, path=tmp_path / name)) == expected


@pytest.mark.parametrize(
    ("dtype", "names"),
    [
        ("int8", ("0", "1")),
        ("float64", ("0", "1")),
        ("float32", ("0", "1")),
        ("boolean", ("false", "true")),
        ("Int64", ("0", "1")),
        ("str", ("0", "1")),
    ],
)
def test_labels_of_parquet_have_clean_names(tmp_path, dtype, names):
    labels = pd.Series([0, 1, 0, 1, 1]).astype(dtype)
    TABLE.assign(label=labels).to_parquet(tmp_path / "t.parquet")
    train = file(data_seed=0, path=tmp_path / "t.parquet").train
    assert train.class_names == names
    assert train.labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("label", "dtype"), [(None, "object"), (float("nan"), "float64"), (pd.NA, "Int64")]
)
def test_an_absent_label_of_parquet_is_one_line(tmp_path, label, dtype):
    values = pd.Series([0, 1, label, 1, 1], dtype=dtype)
    TABLE.assign(label=values).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UsageError, match="row 2: column 'label' is empty"):
        file(data_seed=0, path=tmp_path / "t.parquet")


def test_a_label_of_parquet_that_is_not_a_number_is_one_line(tmp_path):
    columns = {"sequence": ["ACGT", "AC", "TTT"], "label": [0.0, 1.0, float("nan")]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "t.parquet")  # pandas writes no NaN
    with pytest.raises(UsageError, match="row 2: column 'label' is empty"):
        file(data_seed=0, path=tmp_path / "t.parquet")


def test_an_absent_sequence_of_parquet_is_one_line(tmp_path):
    TABLE.replace({"sequence": {"GGG": None}}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(UsageError, match="row 3: column 'sequence' is empty"):
        file(data_seed=0, path=tmp_path / "t.parquet")


def test_bad_parquet_is_one_line(write, tmp_path):
    TABLE.to_parquet(tmp_path / "whole.parquet")
    whole = (tmp_path / "whole.parquet").read_bytes()
    bad = {
        "cut.parquet": whole[:-9],
        "empty.parquet": b"",
        "packed.parquet.gz": whole,
    }
    for name, data in bad.items():
        with pytest.raises(UsageError, match=f"{name}: expected a CSV, .* file, got: ") as caught:
            file(data_seed=0, path=write(name, data))
        assert "\n" not in str(caught.value)
    arrow = pyarrow.table([["ACGT"], ["AC"]], names=["sequence", "sequence"])
    parquet.write_table(arrow, tmp_path / "twice.parquet")
    with pytest.raises(UsageError, match="got: two columns of one name, 'sequence'"):
        file(data_seed=0, path=tmp_path / "twice.parquet")


LABELS = """id,label,split,group
d,human,test,g3
c,worm,test,g2
a,worm,train,g1
b,human,train,g1
"""
READS = ">a more=1 label=x\nACGTACG\n>b\nacgtn\n>c\nTTTT\n>d\nGGG\n"


def test_a_second_file_gives_the_labels_by_name(write):
    labels = write("labels.csv", LABELS)
    splits = file(data_seed=0, path=write("reads.fa", READS), labels=labels)
    assert to_letters(splits.train.codes) == ["ACGTACG", "ACGT"]
    assert splits.train.names == ("a", "b")
    assert splits.train.labels.tolist() == [1, 0]
    assert splits.train.groups == ("g1", "g1")
    assert to_letters(splits.test.codes) == ["TTTT", "GGG"]
    assert splits.test.groups == ("g2", "g3")


def test_a_second_file_may_call_the_names_otherwise(write):
    labels = write("labels.tsv.gz", LABELS.replace(",", "\t").replace("id\t", "read\t"))
    path = write("reads.fa", READS)
    splits = file(data_seed=0, path=path, labels=labels, id="read")
    assert splits.test.names == ("c", "d")
    table = "read,sequence\na,ACGTACG\nb,acgtn\nc,TTTT\nd,GGG\n"
    again = file(data_seed=0, path=write("t.csv", table), labels=labels, id="read")
    assert fingerprint(again) == fingerprint(splits)


BAD_LABELS = {
    "a name is missing": (LABELS.replace("c,worm,test,g2\n", ""), r"got 1 \('c'\) of .* none that"),
    "a name too many": (LABELS + "e,worm,test,g2\nf,worm,test,g2\n", r"got none .* 2 \('e'\) that"),
    "other names": (LABELS.replace("\na,", "\ne,"), r"got 1 \('a'\) of them missing and 1 \('e'\)"),
    "a name twice": (LABELS.replace("\na,", "\nc,"), "'id': .* got 'c' in row 1 and in row 2"),
    "no label": (LABELS.replace("d,human", "d,"), "row 0: column 'label' is empty"),
    "no names": (LABELS.replace("id,", "read,"), "expected the column 'name', got 'read'"),
    "no labels": (
        LABELS.replace(",label", ",class"),
        "expected the column 'label', got 'id', 'class'",
    ),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_bad_labels_are_one_line_with_their_file(write, case):
    text, message = BAD_LABELS[case]
    labels = write("labels.csv", text)
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=write("reads.fa", READS), labels=labels)
    assert str(caught.value).startswith(str(labels))
    assert "\n" not in str(caught.value)


def test_labels_need_names_that_exist(write):
    labels = write("labels.csv", LABELS)
    with pytest.raises(UsageError, match=r"t\.csv: expected the column 'name', got 'sequence'"):
        file(data_seed=0, path=write("t.csv", CSV), labels=labels)
    with pytest.raises(UsageError, match=r"labels\.csv: expected the column 'read', got 'id'"):
        file(data_seed=0, path=write("reads.fa", READS), labels=labels, id="read")
    with pytest.raises(UsageError, match="expected the column 'read', got 'sequence'"):
        file(data_seed=0, path=write("t.csv", CSV), id="read")


PLACES = {
    "columns": ("chrom,start,end", "chr2,10,17 chr2,20,25 chrX,0,4 chrX,9,12 chrX,3,5", "+-+.-"),
    "region and columns": ("region,start,end", "2,10,17 2,20,25 X,0,4 X,9,12 X,3,5", "+-+.-"),
    "one column": ("region", "chr2:10-17 chr2:20-25 chrX:0-4 chrX:9-12 chrX:3-5", "+-+.-"),
    "one column with strand": (
        "region",
        "chr2:10-17(+) chr2:20-25(-) chrX:0-4(+) chrX:9-12(.) chrX:3-5(-)",
        "",
    ),
}


def with_places(columns, places, strands):
    header = f"{columns},strand" if strands else columns
    rows = places.split()
    ends = (
        [f"{row},{strand}" for row, strand in zip(rows, strands, strict=True)] if strands else rows
    )
    lines = zip(CSV.splitlines(), [header, *ends], strict=True)
    return "\n".join(f"{line},{end}" for line, end in lines)


@pytest.mark.parametrize("case", PLACES)
def test_intervals_are_those_of_the_table(write, case):
    splits = file(data_seed=0, path=write("t.csv", with_places(*PLACES[case])))
    train, test = splits.train.intervals, splits.test.intervals
    assert [name.removeprefix("chr") for name in train.chromosomes] == ["2", "2"]
    assert (train.starts.tolist(), train.ends.tolist()) == ([10, 20], [17, 25])
    assert (test.starts.tolist(), test.ends.tolist()) == ([0, 9], [4, 12])
    assert (train.strands.tolist(), test.strands.tolist()) == ([1, -1], [1, 1])
    in_one = {"regions": "0-based, half-open (option one_based: false)"}
    assert splits.facts == (in_one if case.startswith("one column") else {})


SOME_PLACES = {
    "an unknown start": ("chrom,start,end", "1,10,17 1,-1,4 X,0,4 X,9,12 X,3,5", "+-+.-", [1]),
    "an absent end": ("chrom,start,end", "1,10,17 1,20, X,0, X,9,12 X,3,5", "+-+.-", [1, 2]),
    "another strand": ("chrom,start,end", "1,10,17 1,20,25 X,0,4 X,9,12 X,3,5", "++*.-", [2]),
    "another word": ("region", "1:10-17 1:20-25 X X:9-12 X:3-5", "+-+.-", [2]),
}


@pytest.mark.parametrize("case", SOME_PLACES)
def test_a_sequence_without_a_place_stands_alone_and_the_facts_say_so(write, case):
    *columns, odd = SOME_PLACES[case]
    splits = file(data_seed=0, path=write("t.csv", with_places(*columns)))
    train, test, rest = (part.intervals for part in (splits.train, splits.test, splits.validation))
    chromosomes = [*train.chromosomes, *test.chromosomes, *rest.chromosomes]
    assert chromosomes == [f"row {row}" if row in odd else "11XXX"[row] for row in range(5)]
    assert splits.facts["intervals"].startswith(
        f"{len(odd)} of 5 are unknown or not as long as the sequence, the first in row {odd[0]}"
    )


def test_intervals_that_are_mostly_unknown_are_left_out_and_the_facts_say_so(write):
    places = "1,10,16 1,20,25 X,0,3 X,9,11 X,3,5"
    splits = file(data_seed=0, path=write("t.csv", with_places("chrom,start,end", places, "+-+.-")))
    assert splits.train.intervals is None
    assert splits.facts["intervals"].startswith("left out, 3 of 5 are unknown or not as long")


FORMS = {
    "of a contig with colons": "HLA-A*01:01:01:01:{0}-{1}",
    "with thousands": "chr1:{0:,}-{1:,}",
    "with two points": "chr1:{0}..{1}",
    "with a dash": "chr1:{0}\u2013{1}",
    "with a strand as R has it": "chr1:{0}-{1}:+",
    "with blanks": " chr1 : {0} - {1} ",
}


def regions(*odd, count=40, base=0):
    """A region a row, four rows a chromosome; some rows have another word."""
    rows = [f"chr{row // 4}:{1000 * row + base}-{1000 * row + 4}" for row in range(count)]
    for row, word in odd:
        rows[row] = word
    return "sequence,label,region\n" + "".join(
        f'ACGT,{row % 2},"{region}"\n' for row, region in enumerate(rows)
    )


@pytest.mark.parametrize("case", FORMS)
def test_a_region_is_read_as_others_write_it(write, case):
    word = FORMS[case].format(123_456, 123_460)
    splits = file(data_seed=0, path=write("t.csv", regions((7, word))))
    assert "regions that cannot be read" not in splits.facts
    assert "intervals" not in splits.facts
    name = (case.startswith("of a contig") and "HLA-A*01:01:01:01") or "chr1"
    groups = [*splits.train.groups, *splits.test.groups]
    assert {*groups} == {*(f"chr{number}" for number in range(10)), name}
    starts = [*splits.train.intervals.starts, *splits.test.intervals.starts]
    assert 123_456 in starts


def test_one_odd_region_is_named_and_the_others_keep_their_group(write):
    clean = file(data_seed=0, path=write("ok.csv", regions()))
    splits = file(data_seed=0, path=write("t.csv", regions((7, "chrUn"), (8, ""), (9, "c:x-y"))))
    assert splits.facts["regions that cannot be read"] == "3 of 40, the first 'chrUn' in row 7"
    groups = [*splits.train.groups, *splits.test.groups]
    assert {*groups} == {*clean.train.groups, *clean.test.groups, "chrUn", "row 8", "c:x-y"}
    assert set(splits.test.groups).isdisjoint(splits.train.groups)
    assert splits.train.intervals is not None
    assert splits.note.endswith("by chromosome.")


def test_a_quantity_in_every_row_is_asked_about(write):
    rows = "".join(f"ACGT,{row / 7}\n" for row in range(40))
    with pytest.raises(
        UsageError, match=r"one per class at most; is the label a quantity \(option response\) or"
    ):
        file(data_seed=0, path=write("t.csv", f"sequence,label\n{rows}"))


def test_regions_may_count_from_one_with_their_ends(write):
    expected = file(data_seed=0, path=write("t.csv", regions()))
    path = write("one.csv", regions(base=1))
    assert fingerprint(file(data_seed=0, path=path, one_based=True)) == fingerprint(expected)
    splits = file(data_seed=0, path=path)
    assert splits.train.intervals is None
    assert splits.facts["intervals"].endswith("in row 0; with one_based: true 40 are")


def test_regions_that_are_all_different_group_by_chromosome(write):
    rows = "".join(f"ACGT,{i % 2},chr{i // 4}:{i}-{i + 4}\n" for i in range(40))
    path = write("t.csv", f"sequence,label,region\n{rows}")
    splits = file(data_seed=0, path=path)
    assert len(set(splits.test.groups)) == 2
    assert set(splits.test.groups) == set(splits.test.intervals.chromosomes)
    assert set(splits.test.groups).isdisjoint(splits.train.groups)
    assert splits.note.endswith("by chromosome.")


def test_a_column_of_other_words_called_region_is_a_group_as_it_is(write):
    rows = "".join(f"ACGT,{i % 2},{'chr1:1-5' if i == 7 else i // 4}\n" for i in range(40))
    splits = file(data_seed=0, path=write("t.csv", f"sequence,label,region\n{rows}"))
    assert splits.train.intervals is None
    assert splits.note.endswith("by region.")


ONE_CLASS = {
    "1 and 1.0": (["0", "1", "1.0", "0.0"], ("0", "1")),
    "floats alone": (["0.0", "1.0", "1.0", "0.0"], ("0", "1")),
    "signs and zeros": (["-1", "+1", "1.00", "-1.0"], ("-1", "1")),
    "exponents": (["1e1", "10", "20", "2E1"], ("10", "20")),
    "no whole numbers": (["0.5", ".5", "1.50", "1.5"], ("0.5", "1.5")),
    "01 beside 1": (["01", "1", "2", "2"], ("1", "2")),
    "codes": (["007", "008", "007", "008"], ("007", "008")),
    "wells of a plate": (["1E5", "1E6", "1E5", "1E6"], ("1E5", "1E6")),
    "words": (["a1.0", "b", "b", "a1.0"], ("a1.0", "b")),
    "more digits than a float has": (
        ["9007199254740993", "9007199254740992"] * 2,
        ("9007199254740992", "9007199254740993"),
    ),
}


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet", ".fa"])
@pytest.mark.parametrize("case", ONE_CLASS)
def test_numbers_that_are_equal_are_one_class(tmp_path, case, suffix):
    words, expected = ONE_CLASS[case]
    table = pd.DataFrame({"sequence": ["ACGT"] * 8, "label": words * 2})
    table["split"] = ["train"] * 4 + ["test"] * 4
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        table.to_parquet(path)
    elif suffix == ".fa":
        rows = table.itertuples()
        path.write_text(
            "".join(f">s{row[0]} label={row[2]} split={row[3]}\n{row[1]}\n" for row in rows)
        )
    else:
        table.to_csv(path, sep="," if suffix == ".csv" else "\t", index=False)
    splits = file(data_seed=0, path=path)
    assert splits.train.class_names == expected
    assert fingerprint(splits) == fingerprint(file(data_seed=0, path=path))


@pytest.mark.parametrize("word", ["1", "1.0", "01", "1e0"])
def test_an_option_names_a_class_by_an_equal_number(write, word):
    text = with_sites(SITES).replace("worm", "1.0").replace("human", "0.0")
    options = {"site_start": "at", "site_width": 2, "site_class": word}
    splits = file(data_seed=0, path=write("t.csv", text), **options)
    assert splits.train.evidence.max() == 1


@pytest.mark.parametrize("classes", [2, 127, 128, 129, 150, 300, 33_000])
def test_evidence_holds_any_number_of_classes(write, classes):
    last = f"c{classes - 1:05d}"
    names = [f"c{number:05d}" for number in range(classes)]
    rows = [(name, split, "1") for split in ("train", "test") for name in names]
    text = "".join(f"ACGT,{name},{split},{at}\n" for name, split, at in rows)
    splits = file(
        data_seed=0,
        path=write("t.csv", "sequence,label,split,at\n" + text),
        site_start="at",
        site_width=2,
        site_class=last,
    )
    assert splits.train.evidence.max() == classes - 1
    assert splits.test.inside_motif.sum() == 2
    assert (splits.train.evidence.dtype == np.int8) == (classes <= 128)


SITES = "-1 0 2  0.0"


def with_sites(values, name="at"):
    lines = zip(CSV.splitlines(), [name, *values.split(" ")], strict=True)
    return "\n".join(f"{line},{value}" for line, value in lines)


def test_a_column_of_sites_is_evidence_for_a_class(write):
    path = write("t.csv", with_sites(SITES))
    splits = file(data_seed=0, path=path, site_start="at", site_width=2, site_class="worm")
    assert splits.train.evidence.tolist() == [[-1] * 7, [1, 1, -1, -1, -1, -1, -1]]
    assert splits.test.evidence.tolist() == [[-1, -1, 1, 1, -1, -1, -1], [-1] * 7]
    assert splits.validation.evidence.tolist() == [[1, 1, -1, -1, -1, -1, -1]]
    assert splits.test.inside_motif.sum() == 2
    assert splits.train.inside_motif.sum() == 0, "the site stands in a sequence of the other class"
    assert splits.facts == {"motif positions": "column 'at', 2 nt, speaking for 'worm'"}


def test_a_second_column_may_say_where_sites_end(write):
    text = with_sites("-1,-1 0,3 2,4 , 1,2", name="at,to")
    options = {"site_start": "at", "site_end": "to", "site_class": "human"}
    splits = file(data_seed=0, path=write("t.csv", text), **options)
    assert (splits.train.evidence == 0).sum(axis=1).tolist() == [0, 3]
    assert splits.validation.evidence.tolist() == [[-1, 0, -1, -1, -1, -1, -1]]
    assert splits.facts == {"motif positions": "columns 'at' and 'to', speaking for 'human'"}


WHOLE = {"site_start": "at", "site_width": 2, "site_class": "worm"}
BAD_SITES = {
    "no start": ({"site_width": 2, "site_class": "worm"}, SITES, "got site_width, site_class"),
    "no class": (
        {"site_start": "at", "site_width": 2},
        SITES,
        "site_class: expected one of .*, got no site_class",
    ),
    "no end": ({"site_start": "at", "site_class": "worm"}, SITES, "either site_end or site_width"),
    "two ends": (
        WHOLE | {"site_end": "at"},
        SITES,
        "got site_start, site_end, site_width, site_cl",
    ),
    "no such class": (WHOLE | {"site_class": "fly"}, SITES, "one of 'human', 'worm', got 'fly'"),
    "no such column": (WHOLE | {"site_start": "x"}, SITES, "expected the column 'x', got"),
    "no site": (WHOLE, "-1 -1 -1  -1", "column 'at': expected sites, got none in any row"),
    "no number": (WHOLE, "-1 0 x  -1", "column 'at': expected whole numbers, got 'x' in row 2"),
    "half a number": (WHOLE, "-1 0.5 2  -1", "expected whole numbers, got '0.5' in row 1"),
    "outside": (WHOLE, "-1 0 3  -1", "row 2: expected a site inside the 4 letters .*, got 3-5"),
    "turned": (
        {"site_start": "at", "site_end": "at", "site_class": "worm"},
        "-1 1 2  -1",
        "row 1: expected a site inside the 5 letters of the sequence, got 1-1",
    ),
}


@pytest.mark.parametrize("case", BAD_SITES)
def test_bad_sites_are_one_line(write, case):
    options, values, message = BAD_SITES[case]
    with pytest.raises(UsageError, match=message) as caught:
        file(data_seed=0, path=write("t.csv", with_sites(values)), **options)
    assert "\n" not in str(caught.value)


BAD = {
    "no column": ("t.csv", CSV.replace("sequence,", "dna,"), "expected the column 'sequence', got"),
    "no columns": ("t.csv", "a,b\n1,2\n", "expected the column 'sequence', got 'a', 'b'"),
    "a letter": ("t.csv", CSV.replace("TTTT", "TTXT"), "row 2: expected the .* 'X' at position 2"),
    "a name twice": (
        "t.csv",
        with_column("id", "pqrq"),
        "'id': expected names that differ, got 'q' in row 1 and in row 3; .* option id",
    ),
    "no name": ("t.csv", with_column("id", ["p", "", "r", "s"]), "row 1: column 'id' is empty"),
    "a FASTA name twice": ("t.fa", FASTA.replace(">d", ">b"), "got 'b' in row 1 and in row 3"),
    "NA for a label": (
        "t.csv",
        CSV.replace("TTTT,worm", "TTTT,NA"),
        "row 2: column 'label': expected a label, got the missing value 'NA'",
    ),
    "no test": (
        "t.csv",
        CSV.replace("test", "train"),
        "'split': expected rows of test, got none among 5 rows",
    ),
    "a class not in train": (
        "t.csv",
        CSV.replace("human,train", "worm,train"),
        "'label': expected every class in train, got no train row of 'human'",
    ),
    "another split": (
        "t.csv",
        CSV.replace("dev", "hold-out"),
        "'split': expected train, test or validation, got 'hold-out' in row 4",
    ),
    "no sequence": ("t.csv", CSV.replace("TTTT", ""), "row 2: column 'sequence' is empty"),
    "no label": ("t.csv", CSV.replace("TTTT,worm", "TTTT,"), "row 2: column 'label' is empty"),
    "a short row": ("t.csv", CSV.replace("TTTT,worm,test", "TTTT"), "row 2: .* 'label' is empty"),
    "a long row": (
        "t.csv",
        CSV.replace("TTTT", "T,T,T"),
        "expected a CSV, TSV, Parquet or FASTA file, got: 5 fields in row 2, 3 in the header",
    ),
    "nothing": ("t.csv", "", "Parquet or FASTA file, got: an empty file"),
    "blanks": ("t.csv", " \n\n", "got a file without rows"),
    "a header": ("t.csv", "sequence,label\n", "got a file without rows"),
    "no text": (
        "t.csv",
        b"\x07\x00\x01\xff",
        "Parquet or FASTA file, got: a binary file, not text",
    ),
    "no FASTA": ("t.fa", "ACGT\n", "got: a FASTA file that begins with 'ACGT'"),
    "empty FASTA": ("t.fa", "\n", "got a file without rows"),
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
def test_gzip_that_is_cut_off_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(gzip.compress(FASTA.encode() * 9)[:40])
    with pytest.raises(
        UsageError, match=f"{name}: expected a CSV, TSV, Parquet or FASTA file, got: "
    ):
        file(data_seed=0, path=tmp_path / name)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.csv: .* got: No such file or directory"):
        file(data_seed=0, path=tmp_path / "none.csv")
    with pytest.raises(
        UsageError,
        match="expected FASTA files or tables, got a folder without any",
    ):
        file(data_seed=0, path=tmp_path)


def test_a_group_that_is_no_column_is_refused(write):
    with pytest.raises(UsageError, match="expected the column 'chromosome', got 'sequence'"):
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
    assert splits.train.intervals is None, "starts are unknown, and there is no end"


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_real_peaks_have_intervals_and_group_by_chromosome():
    path = Path(os.environ["XAIBENCH_DATA"]) / "ctcf_vs_pu1.csv.gz"
    splits = file(data_seed=0, path=path)
    assert (len(splits.train), len(splits.test)) == (45_202, 12_128)
    assert set(splits.test.groups) == {"chr1", "chr8", "chr9", "chr21"}
    assert splits.train.groups == splits.train.intervals.chromosomes
    assert (splits.train.intervals.ends - splits.train.intervals.starts == 100).all()


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_real_tata_boxes_are_evidence_for_promoters():
    path = Path(os.environ["XAIBENCH_DATA"]) / "prom_300_tata_annotated.csv.gz"
    splits = file(data_seed=0, path=path, site_start="tata_start", site_width=8, site_class="1")
    train = splits.train
    has_site = (train.evidence == 1).sum(axis=1)
    assert set(has_site) == {0, 8}
    shares = [(has_site[train.labels == label] > 0).mean() for label in (0, 1)]
    np.testing.assert_allclose(shares, [0.21, 0.35], atol=0.005)
    boxes = train.codes[train.evidence == 1].reshape(-1, 8)
    assert (boxes[:, [0, 1, 2, 3]] == [3, 0, 3, 0]).mean() > 0.9  # TATA


def test_a_mistyped_split_column_is_refused(write):
    with pytest.raises(UsageError, match="expected the column 'splt', got 'sequence'"):
        file(data_seed=0, path=write("table.csv", CSV), split="splt")


@pytest.mark.parametrize(
    "name", ["table.csv.zip", "table.csv.xz", "table.csv.zst", "table.csv.bz2"]
)
def test_a_file_compressed_otherwise_is_one_line(write, name):
    path = write(name, b"\xfd7zXZ\x00\x00\x04\xff\xfe\x00")
    with pytest.raises(
        UsageError, match="expected a CSV, TSV, Parquet or FASTA file, got"
    ) as caught:
        file(data_seed=0, path=path)
    assert "\n" not in str(caught.value)
