"""Folders of genomic-benchmarks: what is read, in which order, with which intervals."""

import csv
import gzip
import importlib
import os
import random
import warnings
from pathlib import Path

import numpy as np
import pytest

import xaibench.data.genomic_benchmarks.reading as module
from xaibench.data.genomic_benchmarks.benchmark_sets import SETS
from xaibench.data.genomic_benchmarks.reading import genomic_benchmarks
from xaibench.data.splitting import cut_validation, fingerprint
from xaibench.dna.encoding import to_letters
from xaibench.errors import UsageError

SEQUENCES = {
    ("train", "worm", "10"): "ACGTACG",
    ("train", "worm", "2"): "acgtn",
    ("train", "human", "3"): "TTTT\n",
    ("test", "human", "4"): "NGG",
    ("test", "worm", "3"): "CC",
}
HEADER = "id,region,start,end,strand\n"
TABLES = {
    ("train", "worm"): "2,II,5,10,-\n9,II,7,8,+\n10,X,100,107,+\n",
    ("train", "human"): "3,chr1,0,4,-\n",
    ("test", "worm"): "3,I,3,5,\n",
    ("test", "human"): "4,chr7,7,10,+\n",
}


def build(folder, sequences=SEQUENCES):
    for (split, label, name), letters in sequences.items():
        path = folder / split / label / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(letters)
    return folder


def build_tables(folder, tables=TABLES, layout="{split}/{label}.csv.gz"):
    for (split, label), rows in tables.items():
        path = folder / layout.format(split=split, label=label)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress((HEADER + rows).encode()))
    return folder


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path, cache):
    build(tmp_path / "root" / "toy")
    return tmp_path / "root"


def package(name):
    """A module of the package; its imports warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module(f"genomic_benchmarks.{name}")


class Scanned:
    """A directory listed in another order."""

    def __init__(self, entries):
        self.entries = entries

    def __enter__(self):
        return iter(self.entries)

    def __exit__(self, *_):
        pass


@pytest.fixture
def shuffled(monkeypatch):
    """Directories listed in an order drawn from a seed, whoever lists them."""
    scandir, listdir = os.scandir, os.listdir

    def shuffle(seed):
        draw = random.Random(seed)

        def scanned(path="."):
            with scandir(path) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            draw.shuffle(found)
            return Scanned(found)

        def names(path="."):
            found = sorted(listdir(path))
            draw.shuffle(found)
            return found

        monkeypatch.setattr(os, "scandir", scanned)
        monkeypatch.setattr(os, "listdir", names)

    return shuffle


def test_classes_are_sorted_and_the_same_in_both_splits(root):
    splits = genomic_benchmarks(dataset="toy", root=root)
    assert splits.train.class_names == splits.test.class_names == ("human", "worm")
    assert splits.train.labels.tolist() == [0, 1, 1]
    assert splits.test.labels.tolist() == [0, 1]
    assert splits.facts == {}


def test_sequences_come_by_class_and_number_and_padded(root):
    splits = genomic_benchmarks(dataset="toy", root=root)
    assert splits.train.names == ("human/3", "worm/2", "worm/10")
    assert to_letters(splits.train.codes) == ["TTTT", "ACGT", "ACGTACG"]
    assert to_letters(splits.test.codes) == ["NGG", "CC"]
    assert splits.train.codes.shape[1] == splits.test.codes.shape[1] == 7
    assert splits.train.valid.sum(axis=1).tolist() == [4, 4, 7]
    assert splits.validation is None


def tiny(name):
    """A few sequences a class, each class in numbers and letters of its own."""
    return {
        (split, label, str(number)): "ACGT"[place] * (2 + number)
        for split, more in (("train", 3), ("test", 1))
        for place, label in enumerate(SETS[name].classes)
        for number in range(place + more)
    }


@pytest.mark.parametrize("word", ["validation", "val", "Dev"])
def test_a_validation_split_is_read_too(root, word):
    build(root / "toy", {(word, "worm", "1"): "ACC", (word, "human", "1"): "ATT"})
    splits = genomic_benchmarks(dataset="toy", root=root, download=False)
    assert splits.validation.names == ("human/1", "worm/1")
    assert (len(splits.train), len(splits.test)) == (3, 2)
    build(root / "toy", {("valid", "worm", "1"): "ACC"})
    with pytest.raises(UsageError, match="expected one validation split, got"):
        genomic_benchmarks(dataset="toy", root=root, download=False)


def test_what_is_no_sequence_is_named(root):
    before = genomic_benchmarks(dataset="toy", root=root, download=False)
    assert before.facts == {}
    (root / "toy" / "notes.md").write_text("")
    (root / "toy" / ".DS_Store").write_text("")
    (root / "toy" / "train" / "worm" / "7.fa").write_text(">7\nACGT\n")
    (root / "toy" / "holdout").mkdir()
    splits = genomic_benchmarks(dataset="toy", root=root, download=False)
    assert splits.facts == {"left out of the folder": "holdout, notes.md, train/worm/7.fa"}


@pytest.mark.parametrize("name", SETS)
def test_labels_are_the_same_in_whatever_order_the_disk_lists(name, tmp_path, cache, shuffled):
    build(tmp_path / name, tiny(name))
    found = []
    for seed in range(4):
        shuffled(seed)
        for path in cache.glob("*"):
            path.unlink()
        found.append(genomic_benchmarks(dataset=name, root=tmp_path))
    assert len({*map(fingerprint, found)}) == 1
    for split in (found[0].train, found[0].test):
        assert split.class_names == SETS[name].classes
        # the first base of a sequence is that of its class
        assert np.array_equal(split.codes[:, 0], split.labels)
        assert [name.partition("/")[0] for name in split.names] == [
            split.class_names[label] for label in split.labels
        ]
    assert [len(found[0].train), len(found[0].test)] == (
        [7, 3] if len(SETS[name].classes) == 2 else [12, 6]
    )


def test_the_order_of_the_disk_does_not_change_the_packed_file(root, cache, shuffled, monkeypatch):
    genomic_benchmarks(dataset="toy", root=root)
    monkeypatch.setattr(module, "letters_of_file", pytest.fail)
    for seed in range(4):
        shuffled(seed)
        genomic_benchmarks(dataset="toy", root=root)


def test_the_package_itself_labels_by_the_order_of_the_disk(root, shuffled, monkeypatch):
    """What is mended here; when it no longer holds, our words about it are to go."""
    getters = package("dataset_getters.pytorch_datasets")
    monkeypatch.setattr(getters, "CACHE_PATH", root)
    monkeypatch.setattr(getters, "is_downloaded", lambda name: True)
    labels = set()
    for seed in range(8):
        shuffled(seed)
        labels.add(dict(getters.GenomicClfDataset("toy", "test", version=0))["CC"])
    assert labels == {0, 1}


def test_the_second_time_nothing_is_read_but_the_packed_file(root, cache, monkeypatch):
    first = genomic_benchmarks(dataset="toy", root=root)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(module, "letters_of_file", pytest.fail)
    second = genomic_benchmarks(dataset="toy", root=root)
    assert fingerprint(second) == fingerprint(first)
    assert second.note == first.note == "toy of genomic-benchmarks, with its own split."


def test_a_changed_folder_is_read_anew_and_its_old_packed_file_goes(root, cache):
    genomic_benchmarks(dataset="toy", root=root)
    (root / "toy" / "test" / "worm" / "8.txt").write_text("AAA")
    assert genomic_benchmarks(dataset="toy", root=root).test.names[-1] == "worm/8"
    same_size = root / "toy" / "test" / "worm" / "8.txt"
    same_size.write_text("TTT")
    os.utime(same_size, ns=(0, 1))
    assert to_letters(genomic_benchmarks(dataset="toy", root=root).test.codes)[-1] == "TTT"
    same_size.rename(same_size.with_name("9.txt"))
    assert genomic_benchmarks(dataset="toy", root=root).test.names[-1] == "worm/9"
    assert len(list(cache.iterdir())) == 1


def test_folders_of_one_name_keep_a_packed_file_each(root, tmp_path, cache):
    build(tmp_path / "other" / "toy", SEQUENCES | {("test", "worm", "9"): "GGGGG"})
    for place, count in ((root, 2), (tmp_path / "other", 3), (root, 2)):
        assert len(genomic_benchmarks(dataset="toy", root=place).test) == count
    assert len(list(cache.iterdir())) == 2


def test_the_root_is_the_option_then_the_variable_then_the_packages(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    build(tmp_path / ".genomic_benchmarks" / "toy")
    assert len(genomic_benchmarks(dataset="toy").test) == 2
    build(tmp_path / "sets" / "toy", SEQUENCES | {("test", "worm", "9"): "GGGGG"})
    monkeypatch.setenv("XAIBENCH_GENOMIC_BENCHMARKS", str(tmp_path / "sets"))
    assert len(genomic_benchmarks(dataset="toy").test) == 3
    assert len(genomic_benchmarks(dataset="toy", root=tmp_path / ".genomic_benchmarks").test) == 2


def test_letters_of_ambiguity_are_n_and_counted(tmp_path, cache):
    build(tmp_path / "toy", SEQUENCES | {("train", "worm", "2"): "acRtyN"})
    for _ in range(2):
        splits = genomic_benchmarks(dataset="toy", root=tmp_path)
        assert splits.facts == {"letters of ambiguity read as N": 2}
    assert to_letters(splits.train.codes)[1] == "ACNT"


def test_a_part_of_a_published_set_is_read_and_said_to_be_one(tmp_path, cache):
    build(tmp_path / "demo_human_or_worm")
    splits = genomic_benchmarks(dataset="demo_human_or_worm", root=tmp_path)
    assert splits.facts == {"sequences of the published set that are here": "5 of 100,000"}


def test_a_part_of_a_set_where_the_package_downloads_to_is_refused(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    build(tmp_path / ".genomic_benchmarks" / "demo_human_or_worm")
    message = (
        "expected all of demo_human_or_worm, got 1 of 37,500 files in train/human; if a download "
        "was cut short, move it away and run `xaibench data fetch demo_human_or_worm`"
    )
    with pytest.raises(UsageError, match=message):
        genomic_benchmarks(dataset="demo_human_or_worm")
    assert not cache.exists()


def test_a_missing_set_is_fetched(tmp_path, cache, monkeypatch, capsys):
    name, asked = "dummy_mouse_enhancers_ensembl", []

    def download(set_name, version, dest_path):
        asked.append((set_name, version))
        sequences = {
            (split, label, str(number)): "ACGT"
            for split, label, count in SETS[name].counts()
            for number in range(count)
        }
        return build(dest_path / set_name, sequences)

    monkeypatch.setattr(package("loc2seq"), "download_dataset", download)
    for _ in range(2):
        splits = genomic_benchmarks(dataset=name, root=tmp_path / "new")
    assert asked == [(name, 0)]
    assert (len(splits.train), len(splits.test)) == (968, 242)
    assert splits.facts == {}
    assert f"{name}: " in capsys.readouterr().err


def test_download_can_be_forbidden(tmp_path, cache):
    message = r"no folder .*demo_human_or_worm, and download is off; run `xaibench data fetch"
    with pytest.raises(UsageError, match=message):
        genomic_benchmarks(dataset="demo_human_or_worm", root=tmp_path, download=False)


def test_a_missing_folder_of_no_set_is_answered_by_the_nearest(tmp_path, cache):
    message = r"no folder .*demo_human_or_wurm, and no .*; did you mean 'demo_human_or_worm'"
    with pytest.raises(UsageError, match=message):
        genomic_benchmarks(dataset="demo_human_or_wurm", root=tmp_path)


@pytest.mark.parametrize("dataset", ["../toy", "", "a/b", ".hidden"])
def test_a_dataset_is_a_name(tmp_path, dataset):
    with pytest.raises(UsageError, match="dataset: expected a name, got"):
        genomic_benchmarks(dataset=dataset, root=tmp_path)


WORM = ("test", "worm", "3")
BAD = {
    "a split": ({k: v for k, v in SEQUENCES.items() if k[0] == "train"}, "and test, got no test"),
    "a class in test": (
        {k: v for k, v in SEQUENCES.items() if k[:2] != ("test", "worm")},
        "expected the same classes in train and test, got 'worm' in train only",
    ),
    "a class in train": (
        SEQUENCES | {("test", "yeast", "1"): "ACGT"},
        "expected the same classes in train and test, got 'yeast' in test only",
    ),
    "a second class": (
        {k: v for k, v in SEQUENCES.items() if k[1] == "worm"},
        "expected two classes or more, got 'worm' only",
    ),
    "sequences of a class": (
        SEQUENCES | {("train", "yeast", "1.fa/x"): "", ("test", "yeast", "1"): "ACGT"},
        "train/yeast: expected files ID.txt, got none",
    ),
    "letters": (SEQUENCES | {WORM: ""}, "3.txt: expected a sequence, got an empty file"),
    "more than blanks": (
        SEQUENCES | {WORM: " \n"},
        "3.txt: expected a sequence, got an empty file",
    ),
    "IUPAC letters": (SEQUENCES | {WORM: "AC-"}, "3.txt: expected .* '-' at position 2"),
    "one line": (SEQUENCES | {WORM: "AC\nGT"}, r"3.txt: expected .* '\\n' at position 2"),
}


@pytest.mark.parametrize("dataset", ["toy", "demo_human_or_worm"])
@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_lacks_something_is_refused(tmp_path, cache, case, dataset):
    sequences, message = BAD[case]
    build(tmp_path / dataset, sequences)
    with pytest.raises(UsageError, match=message) as caught:
        genomic_benchmarks(dataset=dataset, root=tmp_path)
    assert "\n" not in str(caught.value)
    assert not cache.exists()


def test_a_half_downloaded_set_is_to_be_fetched_again(tmp_path, cache):
    sequences, message = BAD["a split"]
    build(tmp_path / "demo_human_or_worm", sequences)
    with pytest.raises(UsageError, match=message + "; if .* fetch demo_human_or_worm`"):
        genomic_benchmarks(dataset="demo_human_or_worm", root=tmp_path)


def test_folders_without_classes_are_refused(tmp_path, cache):
    for name in ("train", "test/.hidden"):
        (tmp_path / "toy" / name).mkdir(parents=True)
    with pytest.raises(UsageError, match="expected a folder for each class in train and test, got"):
        genomic_benchmarks(dataset="toy", root=tmp_path)


def test_what_cannot_be_read_is_named(root, cache):
    (root / "toy" / "test" / "worm" / "5.txt").mkdir()
    with pytest.raises(UsageError, match=r"5\.txt: cannot be read: Is a directory"):
        genomic_benchmarks(dataset="toy", root=root)
    (root / "toy" / "test" / "worm" / "5.txt").rmdir()
    (root / "toy" / "test" / "worm" / "5.txt").symlink_to("nowhere")
    with pytest.raises(UsageError, match=r"5\.txt: cannot be read: No such file"):
        genomic_benchmarks(dataset="toy", root=root)


@pytest.mark.parametrize(
    ("place", "layout"),
    [
        ("intervals/toy", "{split}/{label}.csv.gz"),
        ("intervals", "{split}/{label}.csv.gz"),
        ("intervals", "{split}_{label}.csv.gz"),
    ],
)
def test_interval_tables_are_matched_by_id(root, tmp_path, place, layout):
    build_tables(tmp_path / place, layout=layout)
    for _ in range(2):
        splits = genomic_benchmarks(dataset="toy", root=root, intervals=tmp_path / "intervals")
        where = splits.train.intervals
        assert where.chromosomes == splits.train.groups == ("chr1", "II", "X")
        assert where.starts.tolist() == [0, 5, 100]
        assert where.ends.tolist() == [4, 10, 107]
        assert where.strands.tolist() == [-1, -1, 1]
        assert splits.test.groups == ("chr7", "I")
    assert genomic_benchmarks(dataset="toy", root=root).train.intervals is None


def test_a_changed_interval_table_is_read_anew(root, tmp_path):
    folder = build_tables(tmp_path / "intervals")
    genomic_benchmarks(dataset="toy", root=root, intervals=folder)
    build_tables(folder, {("test", "worm"): "3,MtDNA,33,35,\n"})
    splits = genomic_benchmarks(dataset="toy", root=root, intervals=folder)
    assert splits.test.groups == ("chr7", "MtDNA")


BAD_TABLES = {
    "a table": (
        {key: rows for key, rows in TABLES.items() if key != ("train", "worm")},
        "intervals: expected a table for train/worm, got none",
    ),
    "ids": (
        TABLES | {("train", "worm"): "9,II,7,8,+\n10,X,100,107,+\n"},
        "expected the id of every .*, the table for train/worm lacks 1 of 2, the first '2'",
    ),
    "ids that differ": (
        TABLES | {("train", "worm"): "2,II,5,10,-\n10,X,100,107,+\n10,X,5,12,+\n"},
        "column 'id': expected names that differ, got '10' in row 1 and in row 2",
    ),
    "the length": (
        TABLES | {("train", "worm"): "2,II,5,10,-\n10,X,100,108,+\n"},
        r"worm/10\.txt: expected as many letters as its interval X:100-108 has, got 7",
    ),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_interval_tables_that_lack_something_are_refused(root, tmp_path, cache, case):
    tables, message = BAD_TABLES[case]
    with pytest.raises(UsageError, match=message):
        genomic_benchmarks(
            dataset="toy", root=root, intervals=build_tables(tmp_path / "intervals", tables)
        )
    assert not cache.exists()


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_official_sequences_are_read_with_their_intervals(tmp_path, cache):
    data = Path(os.environ["XAIBENCH_DATA"])
    with gzip.open(data / "human_or_worm_official_subset.csv.gz", "rt") as text:
        # a field of free text has unquoted commas: the first four fields are what is needed
        rows = [row[:4] for row in csv.reader(text)][1:]
    names = {"0": "human", "1": "worm"}
    build(
        tmp_path / "demo_human_or_worm",
        {(split, names[label], id_): letters for letters, label, split, id_ in rows},
    )
    splits = genomic_benchmarks(
        dataset="demo_human_or_worm",
        root=tmp_path,
        intervals=data / "demo_human_or_worm_intervals",
    )
    assert len(splits.train) + len(splits.test) == len(rows) == 947
    assert splits.facts == {"sequences of the published set that are here": "947 of 100,000"}
    assert splits.train.codes.shape[1] == 200
    whole = np.concatenate([splits.train.labels, splits.test.labels])
    assert np.bincount(whole).tolist() == [29, 918]
    letters = {letters.upper().rstrip("N") for letters, *_ in rows}  # eight are all N
    assert set(to_letters(splits.train.codes)) <= letters
    assert {"I", "II", "chr1"} < {*splits.train.groups}
    train, validation = cut_validation(splits.train, 0.2, data_seed=0)
    assert {*train.groups}.isdisjoint(validation.groups)
