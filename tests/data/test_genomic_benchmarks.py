"""Folders of genomic-benchmarks, their packed copy, and the package's download."""

import csv
import gzip
import importlib
import os
import warnings
from pathlib import Path

import numpy as np
import pytest

import xaibench.data.genomic_benchmarks as module
from xaibench.data.genomic_benchmarks import genomic_benchmarks
from xaibench.dna import to_letters
from xaibench.errors import UsageError

SEQUENCES = {
    ("train", "worm", "10"): "ACGTACG",
    ("train", "worm", "2"): "acgtn",
    ("train", "human", "3"): "TTTT\n",
    ("test", "human", "4"): "NGG",
    ("test", "worm", "3"): "CC",
}


def build(folder, sequences=SEQUENCES):
    for (split, label, name), letters in sequences.items():
        path = folder / split / label / f"{name}.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(letters)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def root(tmp_path, cache):
    build(tmp_path / "root" / "toy")
    return tmp_path / "root"


@pytest.fixture
def package():
    """The package's module; its imports warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("genomic_benchmarks.loc2seq")


def test_classes_are_sorted_and_the_same_in_both_splits(root):
    splits = genomic_benchmarks(dataset="toy", root=root)
    assert splits.train.class_names == splits.test.class_names == ("human", "worm")
    assert splits.train.labels.tolist() == [0, 1, 1]
    assert splits.test.labels.tolist() == [0, 1]


def test_sequences_come_by_class_and_number_and_padded(root):
    splits = genomic_benchmarks(dataset="toy", root=root)
    assert splits.train.names == ("human/3", "worm/2", "worm/10")
    assert to_letters(splits.train.codes) == ["TTTT", "ACGT", "ACGTACG"]
    assert to_letters(splits.test.codes) == ["NGG", "CC"]
    assert splits.train.codes.shape[1] == splits.test.codes.shape[1] == 7
    assert splits.validation is None


def test_the_order_of_the_disk_does_not_matter(root, monkeypatch):
    listed = Path.iterdir
    in_order = genomic_benchmarks(dataset="toy", root=root).train
    for reverse in (False, True):
        monkeypatch.setattr(
            Path, "iterdir", lambda path, r=reverse: iter(sorted(listed(path), reverse=r))
        )
        monkeypatch.setenv("XAIBENCH_CACHE", str(root / f"cache {reverse}"))
        train = genomic_benchmarks(dataset="toy", root=root).train
        assert train.names == in_order.names
        assert train.labels.tolist() == in_order.labels.tolist()


def test_the_second_time_nothing_is_read_but_the_packed_file(root, cache, monkeypatch):
    first = genomic_benchmarks(dataset="toy", root=root)
    assert len(list(cache.iterdir())) == 1
    monkeypatch.setattr(module, "_letters", pytest.fail)
    second = genomic_benchmarks(dataset="toy", root=root)
    assert np.array_equal(second.train.codes, first.train.codes)
    assert second.test.names == first.test.names
    assert second.train.class_names == first.train.class_names


def test_a_changed_folder_is_read_anew(root, cache):
    genomic_benchmarks(dataset="toy", root=root)
    (root / "toy" / "test" / "worm" / "8.txt").write_text("AAA")
    assert genomic_benchmarks(dataset="toy", root=root).test.names[-1] == "worm/8"
    same_size = root / "toy" / "test" / "worm" / "8.txt"
    same_size.write_text("TTT")
    os.utime(same_size, ns=(0, 1))
    assert to_letters(genomic_benchmarks(dataset="toy", root=root).test.codes)[-1] == "TTT"


def test_an_interrupted_packing_leaves_nothing(root, cache, monkeypatch):
    def interrupted(stream, **arrays):
        stream.write(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", interrupted)
    with pytest.raises(KeyboardInterrupt):
        genomic_benchmarks(dataset="toy", root=root)
    assert list(cache.iterdir()) == []
    monkeypatch.undo()
    monkeypatch.setenv("XAIBENCH_CACHE", str(cache))
    assert len(genomic_benchmarks(dataset="toy", root=root).train) == 3


def test_without_the_variable_the_cache_is_the_users(root, tmp_path, monkeypatch):
    monkeypatch.delenv("XAIBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    genomic_benchmarks(dataset="toy", root=root)
    assert len(list((tmp_path / "home" / "xaibench").iterdir())) == 1


def test_the_root_is_that_of_the_package(tmp_path, cache, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    build(tmp_path / ".genomic_benchmarks" / "toy")
    assert len(genomic_benchmarks(dataset="toy").train) == 3


def test_a_missing_folder_is_downloaded_by_the_package(tmp_path, cache, package, monkeypatch):
    asked = []

    def download(name, version, dest_path):
        asked.append((name, version))
        build(dest_path / name)
        return dest_path / name

    monkeypatch.setattr(package, "download_dataset", download)
    for _ in range(2):
        splits = genomic_benchmarks(dataset="toy", root=tmp_path / "new")
    assert asked == [("toy", 0)]
    assert len(splits.train) == 3
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["toy"]


def test_a_failed_download_says_what_to_do(tmp_path, cache, package, monkeypatch):
    def download(name, version, dest_path):
        build(dest_path / name)
        raise ConnectionError("no\nroute")

    monkeypatch.setattr(package, "download_dataset", download)
    message = r"no folder .*toy, .* failed \(ConnectionError: no route\); on a machine with"
    with pytest.raises(UsageError, match=message) as caught:
        genomic_benchmarks(dataset="toy", root=tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_download_can_be_forbidden(tmp_path, cache):
    with pytest.raises(UsageError, match=r"no folder .*toy, and download is off; on a machine"):
        genomic_benchmarks(dataset="toy", root=tmp_path, download=False)


@pytest.mark.parametrize("dataset", ["../toy", "", "a/b", ".hidden"])
def test_a_dataset_is_a_name(tmp_path, dataset):
    with pytest.raises(UsageError, match="dataset: wanted a name, got"):
        genomic_benchmarks(dataset=dataset, root=tmp_path)


BAD = {
    "a split": ({k: v for k, v in SEQUENCES.items() if k[0] == "train"}, "and test, got no test"),
    "a class in test": (
        {k: v for k, v in SEQUENCES.items() if k[:2] != ("test", "worm")},
        r"wanted the same two classes .* got \['human', 'worm'\] and \['human'\]",
    ),
    "a second class": (
        {k: v for k, v in SEQUENCES.items() if k[1] == "worm"},
        r"wanted the same two classes .* got \['worm'\] and \['worm'\]",
    ),
    "letters": (SEQUENCES | {("test", "worm", "3"): ""}, "3.txt: wanted a sequence, got an empty"),
    "ACGTN": (SEQUENCES | {("test", "worm", "3"): "AC-"}, "3.txt: wanted .* '-' at position 2"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_folder_that_lacks_something_is_refused(tmp_path, cache, case):
    sequences, message = BAD[case]
    build(tmp_path / "toy", sequences)
    with pytest.raises(UsageError, match=message):
        genomic_benchmarks(dataset="toy", root=tmp_path)


def test_a_cache_that_cannot_be_written_is_named(root, tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "taken"))
    with pytest.raises(UsageError, match=r"taken: wanted a folder .* set XAIBENCH_CACHE"):
        genomic_benchmarks(dataset="toy", root=root)


@pytest.mark.parametrize("data", [b"no zip", b"", b"PK\x03\x04 half"])
def test_a_broken_packed_file_is_named(root, cache, data):
    genomic_benchmarks(dataset="toy", root=root)
    next(cache.iterdir()).write_bytes(data)
    with pytest.raises(UsageError, match=r"toy-.*\.npz: wanted a packed dataset.*delete it"):
        genomic_benchmarks(dataset="toy", root=root)


@pytest.mark.skipif("XAIBENCH_DATA" not in os.environ, reason="XAIBENCH_DATA is not set")
def test_official_sequences_are_read_from_the_package_layout(tmp_path, cache):
    path = Path(os.environ["XAIBENCH_DATA"]) / "human_or_worm_official_subset.csv.gz"
    with gzip.open(path, "rt") as text:
        # a field of free text has unquoted commas: the first four fields are what is needed
        rows = [row[:4] for row in csv.reader(text)][1:]
    names = {"0": "human", "1": "worm"}
    build(
        tmp_path / "demo",
        {(split, names[label], id_): letters for letters, label, split, id_ in rows},
    )
    splits = genomic_benchmarks(dataset="demo", root=tmp_path)
    assert len(splits.train) + len(splits.test) == len(rows) == 947
    assert splits.train.codes.shape[1] == 200
    whole = np.concatenate([splits.train.labels, splits.test.labels])
    assert np.bincount(whole).tolist() == [29, 918]
    letters = {letters.upper().rstrip("N") for letters, *_ in rows}  # eight are all N
    assert set(to_letters(splits.train.codes)) <= letters
