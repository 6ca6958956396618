"""A dataset in one word, as the command line takes it."""

import gzip
import os
from pathlib import Path

import pytest

from xaibench.artefacts.job import Job, prepare
from xaibench.data.resolving import audited, splits_named
from xaibench.errors import UsageError
from xaibench.plan.schema import read_plan

TABLE = "sequence,label,split\n" + "".join(
    f"{base * 9},{label},{split}\n"
    for split in ("train", "test")
    for label, base in (("a", "AC"), ("b", "GT"), ("b", "GGT"))
)


@pytest.fixture
def table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("table.csv").write_text(TABLE)
    return tmp_path


def test_a_file_is_named_by_its_path(table):
    assert len(splits_named("table.csv")[0].train) == 3
    assert len(splits_named(str(table / "table.csv"))[0].test) == 3


def test_a_file_is_looked_for_where_plans_look(table, monkeypatch):
    monkeypatch.setenv("XAIBENCH_DATA", str(table))
    (table / "elsewhere").mkdir()
    monkeypatch.chdir(table / "elsewhere")
    assert len(splits_named("table.csv")[0].train) == 3


def test_options_of_the_dataset_are_set(table):
    splits, _ = splits_named("planted", changes=["train=12", "test=10", "rule=GATA1"])
    assert (len(splits.train), splits.facts["rule"]) == (12, "GATA1")
    with pytest.raises(UsageError, match=r"dataset: unknown key 'trian'; .*'train'"):
        splits_named("planted", changes=["trian=12"])
    with pytest.raises(UsageError, match=r"--set dataset\.train: .* key=value"):
        splits_named("planted", changes=["train"])


def test_a_plan_names_its_dataset(table):
    text = "dataset: {name: file, path: table.csv}\nmodels: [cnn]\ndata_seed: 7\n"
    (table / "plan.yaml").write_text(text)
    splits, data_seed = splits_named("plan.yaml")
    assert (len(splits.train), data_seed) == (3, 7)
    assert len(splits_named("demo", changes=["train=20", "test=10"])[0].train) == 20


def test_the_audit_of_a_plan_looks_at_the_splits_of_its_run(table):
    rows = "".join(f">s{row} {row % 2}\n{'ACGT' * 5}\n" for row in range(40))
    (table / "whole.fa").write_text(rows)
    plan = "dataset: {name: file, path: whole.fa}\nmodels: [cnn]\ndata_seed: 7\n"
    (table / "plan.yaml").write_text(plan)
    job = Job(read_plan("plan.yaml"), "plan.yaml", (), table / "run")
    assert splits_named("plan.yaml")[0].test.names == prepare(job).splits.test.names


def test_dots_reach_into_options_as_in_a_run(table):
    pytest.importorskip("memelite")
    changes = ["truth.motifs.GATA1=b", "truth.p_value=0.05"]
    assert splits_named("table.csv", changes=changes)[0].train.evidence is not None


def test_a_link_is_read_by_its_own_name(table):
    (table / "blob").write_text(TABLE)
    (table / "link.csv").symlink_to(table / "blob")
    assert len(splits_named("link.csv")[0].train) == 3


def test_a_folder_of_fasta_is_a_class_a_file(table):
    for split in ("train", "test"):
        (table / "reads" / split).mkdir(parents=True)
        for label, letters in (("cat", "ACGT"), ("dog", "GGCC")):
            (table / "reads" / split / f"{label}.fa").write_text(f">a\n{letters}\n>b\n{letters}\n")
    splits, _ = splits_named("reads")
    assert splits.train.class_names == ("cat", "dog")
    assert splits.test.names == ("test/cat/a", "test/cat/b", "test/dog/a", "test/dog/b")


def test_a_folder_is_a_set_of_genomic_benchmarks(table):
    for split in ("train", "test"):
        for label, letters in (("cat", "ACGT"), ("dog", "GGCC")):
            (table / "pets" / split / label).mkdir(parents=True)
            (table / "pets" / split / label / "1.txt").write_text(letters)
    assert splits_named("pets")[0].train.class_names == ("cat", "dog")


def test_a_folder_of_intervals_is_audited_without_sequences(table):
    (table / "places").mkdir()
    for split, start in (("train", 10), ("test", 15)):
        text = f"id,region,start,end,strand\n1,chr1,{start},{start + 10},+\n"
        path = table / "places" / f"{split}_cat.csv.gz"
        path.write_bytes(gzip.compress(text.encode()))
    lines = audited("places", changes=(), plugins=())
    assert any("LEAK: 100.00 % of test intervals (1 of 1) of 'cat'" in line for line in lines)


def test_a_folder_of_intervals_has_no_options(table):
    (table / "train_cat.csv").write_text("id,region,start,end,strand\n1,chr1,1,2,+\n")
    with pytest.raises(UsageError, match="--set deduplicated=true: a folder of intervals has no"):
        audited(".", changes=["deduplicated=true"], plugins=())


@pytest.mark.parametrize("suffix", ["", ".csv", ".yaml", "/x.csv"])
def test_a_name_longer_than_a_disk_allows_is_one_short_line(table, suffix):
    with pytest.raises(UsageError, match=r"aaa\.\.\. |aaa'?\.\.\. ") as caught:
        splits_named("a" * 5000 + suffix)
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_the_home_of_an_unknown_user_is_one_line(table):
    for word in ("~nosuchuser/x", "~nosuchuser/x.csv"):
        with pytest.raises(UsageError, match=f"{word}: no user of that name has a home here"):
            splits_named(word)
    with pytest.raises(UsageError, match="~nosuchuser/x: no user of that name"):
        splits_named("demo_human_or_worm", changes=["root=~nosuchuser/x"])
    with pytest.raises(UsageError, match=r"\(5,000 characters\): File name too long"):
        splits_named("demo_human_or_worm", changes=[f"root={'a' * 5000}"])


def test_the_name_of_a_dataset_is_a_word(table):
    with pytest.raises(UsageError, match="--set name=5: expected the name of a dataset, got 5"):
        splits_named("table.csv", changes=["name=5"])


def test_an_unknown_word_names_the_nearest(table):
    with pytest.raises(UsageError, match=r"plantd: expected a set .* nearest name is 'planted'"):
        splits_named("plantd")


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_the_tata_set_is_audited_whole():
    text = " ".join(
        " ".join(audited("prom_300_tata_annotated.csv.gz", changes=(), plugins=())).split()
    )
    assert "LEAK: 0.98 % of test sequences (6 of 613) have the same letters as a train" in text
    assert "5-mers 0.698" in text
