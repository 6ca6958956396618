"""Datasets in one file each: what comes out, when it is made again, what is left behind."""

import os
from dataclasses import replace

import numpy as np
import pytest

from xaibench.data.packing import cached_splits, file_key, key_of
from xaibench.data.splitting import fingerprint
from xaibench.errors import UsageError
from xaibench.values import Intervals, Sequences, Splits


def sequences(count, *, length=7, classes=3):
    generator = np.random.default_rng(count)
    return Sequences(
        generator.integers(5, size=(count, length)).astype(np.uint8),
        generator.integers(classes, size=count),
        tuple(f"id {row}\n\tä" for row in range(count)),
        tuple("öbc"[:classes]),
    )


def with_everything(count):
    generator = np.random.default_rng(count)
    chromosomes = tuple(f"chr{row % 2}" for row in range(count))
    starts = generator.integers(2**40, size=count)
    strands = generator.choice([-1, 1], size=count).astype(np.int8)
    return replace(
        sequences(count),
        groups=chromosomes,
        evidence=generator.integers(-1, 3, size=(count, 7)).astype(np.int8),
        intervals=Intervals(chromosomes, starts, starts + 7, strands),
        responses=generator.normal(size=count),
    )


FACTS = {"letters": 3, "share": 0.25, "said": "a word"}
SPLITS = {
    "plain": Splits(sequences(5), sequences(2)),
    "with everything": Splits(
        with_everything(5), with_everything(2), with_everything(4), "A note.", FACTS
    ),
    "no train": Splits(with_everything(3).take(np.arange(0)), with_everything(2)),
    "one nameless sequence": Splits(
        replace(sequences(1), names=("",)), sequences(2).take(np.arange(0))
    ),
    "a name with the separator": Splits(
        replace(sequences(2), names=("a\0b", "c")), sequences(3), note="Never read back."
    ),
}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def must_not_be_made():
    pytest.fail("made again")


@pytest.mark.parametrize("case", SPLITS)
def test_what_comes_out_is_what_went_in(case):
    splits, key = SPLITS[case], key_of("all")
    again = must_not_be_made if "separator" not in case else lambda: splits
    for make in (lambda: splits, again):
        found = cached_splits("toy", key, make)
        assert fingerprint(found) == fingerprint(splits)
        assert (found.note, dict(found.facts)) == (splits.note, dict(splits.facts))
    assert found.train.labels.dtype == np.int64
    assert found.train.codes.flags.writeable


def test_another_key_replaces_the_file_and_leaves_other_names_alone(cache):
    first, second = (Splits(sequences(count), sequences(1)) for count in (3, 4))
    for name in ("toy", "toy-2", "other"):
        cached_splits(name, key_of("first"), lambda: first)
    assert len(cached_splits("toy", key_of("second"), lambda: second).train) == 4
    keys = {"toy": "second", "toy-2": "first", "other": "first"}
    assert {path.name for path in cache.iterdir()} == {
        f"{name}-{key_of(key)}.npz" for name, key in keys.items()
    }


def test_a_packed_file_damaged_anywhere_is_made_again(cache):
    splits, key = SPLITS["with everything"], key_of("all")
    cached_splits("toy", key, lambda: splits)
    path = next(cache.iterdir())
    whole, expected = path.read_bytes(), fingerprint(splits)
    generator = np.random.default_rng(0)
    made = 0

    def make():
        nonlocal made
        made += 1
        return splits

    for place in generator.integers(len(whole), size=300):
        damaged = bytearray(whole)
        damaged[place] ^= int(generator.integers(1, 256))
        path.write_bytes(damaged)
        assert fingerprint(cached_splits("toy", key, make)) == expected
    # what was changed may be a byte that nobody reads, a date in the archive
    assert made > 200
    for data in (b"", b"no zip", b"PK\x03\x04 half", whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(data)
        before = made
        assert fingerprint(cached_splits("toy", key, make)) == expected
        assert made == before + 1
        assert path.read_bytes() == whole


def half(stream, **arrays):
    stream.write(b"half")
    raise KeyboardInterrupt


def without_its_name(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("module", "name", "interrupted"),
    [(np, "savez", half), (os, "replace", without_its_name)],
    ids=["while it is written", "before it has its name"],
)
def test_an_interrupted_packing_leaves_nothing(cache, monkeypatch, module, name, interrupted):
    monkeypatch.setattr(module, name, interrupted)
    with pytest.raises(KeyboardInterrupt):
        cached_splits("toy", key_of("all"), lambda: SPLITS["plain"])
    assert list(cache.iterdir()) == []


def test_what_a_killed_writer_left_is_deleted_when_it_is_old(cache):
    cache.mkdir()
    (cache / ".making-old").write_bytes(b"half")
    (cache / ".making-new").write_bytes(b"half")
    os.utime(cache / ".making-old", (0, 0))
    cached_splits("toy", key_of("all"), lambda: SPLITS["plain"])
    left = {path.name for path in cache.iterdir()}
    assert left == {".making-new", f"toy-{key_of('all')}.npz"}


def test_nothing_is_written_where_making_fails(cache):
    def make():
        raise UsageError("bad input")

    with pytest.raises(UsageError, match="bad input"):
        cached_splits("toy", key_of("all"), make)
    assert not cache.exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("XAIBENCH_CACHE", str(tmp_path / "taken"))
    with pytest.raises(UsageError, match=r"taken: expected a folder .* set XAIBENCH_CACHE"):
        cached_splits("toy", key_of("all"), lambda: SPLITS["plain"])


def test_without_the_variable_the_cache_is_the_users(tmp_path, monkeypatch):
    monkeypatch.delenv("XAIBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    cached_splits("toy", key_of("all"), lambda: SPLITS["plain"])
    assert len(list((tmp_path / "home" / "xaibench").iterdir())) == 1


def test_keys_tell_parts_apart():
    keys = [key_of("a", "b"), key_of("ab"), key_of("ab", ""), key_of("b", "a"), key_of("\udcff")]
    assert len({*keys}) == len(keys)
    assert all(len(key) == 24 for key in keys)


def test_the_key_of_a_file_follows_its_place_size_and_time(tmp_path):
    path = tmp_path / "genome.fa"
    path.write_text(">1\nACGT\n")
    keys = [file_key(path)]
    os.utime(path, ns=(0, 1))
    keys.append(file_key(path))
    path.write_text(">1\nACGTA\n")
    os.utime(path, ns=(0, 1))
    keys.append(file_key(path))
    path.rename(tmp_path / "other.fa")
    keys.append(file_key(tmp_path / "other.fa"))
    assert len({*keys}) == 4
    with pytest.raises(UsageError, match=r"genome\.fa: expected a file, got: No such file"):
        file_key(path)
