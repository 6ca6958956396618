"""Interval tables in the layouts that there are, and what is no such table."""

import gzip
import os
from pathlib import Path

import pytest

from xaibench.data.genomic_benchmarks.interval_tables import interval_tables
from xaibench.errors import UsageError

HEADER = "id,region,start,end,strand\n"
TABLES = {
    ("test", "human"): HEADER + "9,chr7,0,7,+\n",
    ("test", "worm"): HEADER + "8,I,3,8,\na-1,MtDNA,2,9,.\n",
    ("train", "human"): HEADER + "10,chr1,100,105,-\n2,chrX,5,12,+\n3,chr1,7,9,-\n",
    ("train", "worm"): "id,region,start,end\n0,II,5,6\n",
}
LAYOUTS = ["{split}/{label}.csv.gz", "{split}_{label}.csv.gz", "{split}_{label}.csv"]


def build(folder, tables=TABLES, layout=LAYOUTS[0]):
    for (split, label), text in tables.items():
        path = folder / layout.format(split=split, label=label)
        path.parent.mkdir(parents=True, exist_ok=True)
        data = text.encode()
        path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return folder


@pytest.mark.parametrize("layout", LAYOUTS)
def test_ids_and_intervals_come_by_split_and_class(tmp_path, layout):
    tables = interval_tables(build(tmp_path, layout=layout))
    assert [*tables] == [*TABLES]
    ids, where = tables["train", "human"]
    assert ids == ("10", "2", "3")
    assert where.chromosomes == ("chr1", "chrX", "chr1")
    assert where.starts.tolist() == [100, 5, 7]
    assert where.ends.tolist() == [105, 12, 9]
    assert where.strands.tolist() == [-1, 1, -1]


def test_without_a_strand_it_is_the_letters_of_the_genome(tmp_path):
    tables = interval_tables(build(tmp_path))
    assert tables["test", "worm"][1].strands.tolist() == [1, 1]
    assert tables["train", "worm"][1].strands.tolist() == [1]


BAD = {
    "no table of a split": (
        {key: text for key, text in TABLES.items() if key[0] == "train"},
        r"expected interval tables, test/CLASS\.csv\.gz or test_CLASS\.csv\.gz, got none",
    ),
    "no column": (
        TABLES | {("test", "worm"): "id,start,end\n8,3,8\n"},
        r"worm\.csv\.gz: expected the column 'region', got 'id', 'start', 'end'",
    ),
    "an id twice": (
        TABLES | {("test", "worm"): HEADER + "8,I,3,8,+\n8,I,4,9,+\n"},
        "column 'id': expected names that differ, got '8' in row 0 and in row 1",
    ),
    "no region": (TABLES | {("test", "worm"): HEADER + "8,,3,8,+\n"}, "'region' is empty"),
    "no number": (
        TABLES | {("test", "worm"): HEADER + "8,I,3,x,+\n"},
        "column 'end': expected whole numbers, got 'x' in row 0",
    ),
    "an empty interval": (
        TABLES | {("test", "worm"): HEADER + "8,I,3,9,+\n9,I,8,8,+\n"},
        "row 1: expected 0 <= start < end, got 8 and 8",
    ),
    "a strand": (
        TABLES | {("test", "worm"): HEADER + "8,I,3,8,forward\n"},
        "'strand': expected .* nothing, got 'forward' in row 0",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_no_interval_table_is_refused(tmp_path, case):
    tables, message = BAD[case]
    with pytest.raises(UsageError, match=message) as caught:
        interval_tables(build(tmp_path, tables))
    assert "\n" not in str(caught.value)


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_the_official_tables_are_read():
    tables = interval_tables(Path(os.environ["XAIBENCH_DATA"]) / "demo_human_or_worm_intervals")
    ids, where = tables["test", "worm"]
    assert ids[:2] == ("33553", "9427")
    assert where.chromosomes[:2] == ("I", "X")
    assert (where.starts[0], where.ends[0]) == (10_535_247, 10_535_447)
    assert where.strands[:2].tolist() == [-1, 1]
    assert {*where.chromosomes} == {"I", "II", "III", "IV", "V", "X", "MtDNA"}
