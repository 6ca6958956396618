"""A dataset of a plan: what every one of them can be told."""

from pathlib import Path

import numpy as np
import pytest

from xaibench.data.loading import BECAUSE, STANDS_IN, load_splits
from xaibench.errors import UsageError
from xaibench.plan.schema import Use
from xaibench.plugins.options import resolve
from xaibench.plugins.registry import load

PLUGIN = """
import numpy as np
from xaibench.errors import Absent
from xaibench.values import Sequences, Splits

def some(*, data_seed, one_class: bool = False, twice: bool = False):
    def split(which, seed):
        codes = np.random.default_rng(seed).integers(0, 4, (8, 60)).astype(np.uint8)
        labels = np.zeros(8, np.int64) if one_class else np.arange(8) % 2
        names = tuple(f"{which} {0 if twice else row}" for row in range(8))
        return Sequences(codes, labels, names, ("no", "yes"))
    train, test = split("train", 0), split("test", 1)
    test.codes[0] = 3 - train.codes[2, ::-1]
    train.codes[1, 10:30] = test.codes[1, 10:30]
    return Splits(train, test)

def of_one_class(*, data_seed):
    splits = some(data_seed=data_seed, one_class=True)
    return Splits(splits.train.take(np.empty(0, np.intp)), splits.test)

def broken(*, data_seed):
    raise RuntimeError("on purpose")

def none(*, data_seed):
    return 3

def absent(*, data_seed):
    raise Absent("absent: not on this disk")
"""


WITHOUT_BASES = """
import numpy as np
from xaibench.values import Sequences, Splits

def unknown(*, data_seed, which: str = "test", largest: int = 1):
    def split(name):
        codes = np.full((4, 30), 4 if name == which else 0, np.uint8)
        names = tuple(f"{name} {row}" for row in range(4))
        evidence = np.full(codes.shape, largest, np.int16)
        return Sequences(codes, np.arange(4) % 2, names, ("no", "yes"), evidence=evidence)
    return Splits(split("train"), split("test"), split("validation"))

def hungry(*, data_seed):
    raise MemoryError

"""


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("some.py").write_text(PLUGIN + WITHOUT_BASES)

    def loaded(name="some", **options):
        resolved = resolve(load("datasets", name, ("some.py",)), options, where="dataset")
        use = Use(use=name, options=resolved)
        return load_splits(use, data_seed=0, source="plan.yaml", plugins=("some.py",))

    return loaded


def test_what_leaks_stays_unless_it_is_asked_to_go(loaded):
    assert len(loaded().test) == 8
    without = loaded(deduplicated=True)  # validation is cut from train before anything goes
    assert without.test.names == tuple(f"test {row}" for row in range(1, 8))
    assert len(without.train) + len(without.validation) == 8
    assert any("test" in key for key in without.facts)


def test_sites_give_any_dataset_its_truth(loaded, tmp_path):
    (tmp_path / "sites.bed").write_text("train 1\t3\t7\n".replace("train 1\t", "train 1\t"))
    splits = loaded(truth={"sites": "sites.bed", "speaks_for": "yes"})
    assert splits.train.evidence is not None
    assert np.argwhere(splits.train.evidence == 1).tolist() == [[1, place] for place in range(3, 7)]
    assert (splits.test.evidence == -1).all()


def test_a_missing_file_of_sites_is_one_line(loaded):
    with pytest.raises(UsageError, match=r"no file 'none\.bed'"):
        loaded(truth={"sites": "none.bed", "speaks_for": "yes"})


def test_scanned_motifs_give_any_dataset_its_truth(loaded):
    pytest.importorskip("memelite")
    splits = loaded(truth={"motifs": {"GATA1": "yes"}, "p_value": 0.01})
    assert (splits.train.evidence == 1).any()
    with pytest.raises(UsageError, match="expected a dataset that does not know"):
        loaded("planted", train=10, test=10, truth={"motifs": {"GATA1": "CTCF"}})


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("some", {"one_class": True}, "dataset: expected every class in train, got none of 'yes'"),
        ("some", {"twice": True}, "dataset: expected names that differ, train has one twice"),
        ("broken", {}, "dataset 'broken': RuntimeError: on purpose"),
        ("none", {}, "dataset 'none': expected Splits, got int"),
    ],
)
def test_a_dataset_that_cannot_be_used_is_one_line(loaded, name, options, message):
    with pytest.raises(UsageError, match=message):
        loaded(name, **options)


def test_a_dataset_that_is_not_here_may_be_stood_in_for_loudly(loaded):
    splits = loaded("absent", fallback={"name": "some"})
    assert splits.facts[STANDS_IN] == "absent"
    assert splits.facts[BECAUSE] == "absent: not on this disk"
    assert splits.note.startswith("NOT absent, which could not be had, but some.")
    assert len(splits.test) == 8


def test_a_mistake_is_not_stood_in_for(loaded):
    with pytest.raises(UsageError, match="on purpose"):
        loaded("broken", fallback={"name": "some"})
    misspelt = {"dataset": "demo_human_or_wrm"}
    with pytest.raises(UsageError, match="no set of that name; did you mean"):
        loaded("genomic_benchmarks", **misspelt, fallback={"name": "some"})


def test_a_set_that_may_not_be_downloaded_is_stood_in_for(loaded, tmp_path):
    options = {"dataset": "demo_human_or_worm", "root": str(tmp_path), "download": False}
    splits = loaded("genomic_benchmarks", **options, fallback={"name": "some"})
    assert "download is off" in splits.facts[BECAUSE]


def test_a_dataset_that_is_here_is_not_stood_in_for(loaded):
    splits = loaded(fallback={"name": "broken"})
    assert STANDS_IN not in splits.facts


@pytest.mark.parametrize(
    ("fallback", "message"),
    [
        ({"path": "a.csv"}, r"dataset\.fallback: expected name: NAME and its options, got"),
        ({"name": "some", "twise": True}, r"dataset\.fallback: unknown key 'twise'; did you mean"),
        ({"name": "none"}, "expected Splits, got int"),
    ],
)
def test_a_fallback_that_cannot_be_used_is_one_line(loaded, fallback, message):
    with pytest.raises(UsageError, match=message):
        loaded("absent", fallback=fallback)


@pytest.mark.parametrize("name", ["train", "test", "validation"])
def test_a_split_of_unknown_bases_alone_is_refused(loaded, name):
    with pytest.raises(UsageError, match=f"known bases in {name}, got N alone in all 4"):
        loaded("unknown", which=name)


def test_evidence_for_a_class_that_is_none_is_refused(loaded):
    assert len(loaded("unknown", which="none").test) == 4
    with pytest.raises(UsageError, match="expected evidence of -1 to 1 in train, got 2 to 2"):
        loaded("unknown", which="none", largest=2)


def test_too_little_memory_is_one_line(loaded):
    with pytest.raises(UsageError, match="'hungry': the data need more memory than there is"):
        loaded("hungry")


def test_where_nothing_is_learnt_one_class_may_be_all_there_is(loaded):
    assert set(loaded("of_one_class").test.labels) == {0}
