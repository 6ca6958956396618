"""The table of the nine sets, and the lines that tell of them."""

import os
from pathlib import Path

import pytest

from xaibench.data.genomic_benchmarks.benchmark_sets import SETS
from xaibench.data.genomic_benchmarks.fetching import describe_sets
from xaibench.data.genomic_benchmarks.interval_tables import interval_tables


def test_there_are_nine_sets_in_order():
    assert len(SETS) == 9
    assert [*SETS] == sorted(SETS)
    assert all(name == known.name for name, known in SETS.items())


@pytest.mark.parametrize("known", SETS.values(), ids=SETS)
def test_classes_are_sorted_and_have_numbers_in_both_splits(known):
    assert [*known.classes] == sorted(known.classes)
    assert len(known.train) == len(known.test) == len(known.classes)
    assert sum(count for *_, count in known.counts()) == known.sequences
    assert 0 < known.shortest <= known.longest


def test_one_set_has_three_classes():
    three = [known.name for known in SETS.values() if len(known.classes) == 3]
    assert three == ["human_ensembl_regulatory"]


def test_counts_are_by_split_and_class():
    assert list(SETS["human_nontata_promoters"].counts()) == [
        ("train", "negative", 12_355),
        ("train", "positive", 14_742),
        ("test", "negative", 4_119),
        ("test", "positive", 4_915),
    ]


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_the_official_intervals_have_these_numbers_and_lengths():
    tables = interval_tables(Path(os.environ["XAIBENCH_DATA"]) / "demo_human_or_worm_intervals")
    known = SETS["demo_human_or_worm"]
    assert {(split, label): count for split, label, count in known.counts()} == {
        key: len(ids) for key, (ids, _) in tables.items()
    }
    for _, where in tables.values():
        assert (where.ends - where.starts).min() == known.shortest
        assert (where.ends - where.starts).max() == known.longest


def test_the_list_tells_which_sets_are_here(tmp_path):
    known = SETS["dummy_mouse_enhancers_ensembl"]
    for split, label, count in known.counts():
        folder = tmp_path / known.name / split / label
        folder.mkdir(parents=True)
        for number in range(count):
            (folder / f"{number}.txt").touch()
    part = tmp_path / "human_ensembl_regulatory" / "train" / "ocr"
    part.mkdir(parents=True)
    (part / "1.txt").write_text("ACGT")

    header, *lines = describe_sets(tmp_path)
    assert header.endswith(f"in {tmp_path}")
    rows = {line.split()[0]: line for line in lines[::2]}
    assert [*rows] == [*SETS]
    mouse = rows["dummy_mouse_enhancers_ensembl"].split()
    assert mouse[1:] == ["968", "242", "331-4776", "negative,", "positive", "whole"]
    assert rows["human_ensembl_regulatory"].endswith("  1 of 289,061")
    assert rows["human_ocr_ensembl"].endswith("no")
    assert lines[1].strip().startswith("random stretches of human transcripts")
