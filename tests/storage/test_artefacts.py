import json
import os
from hashlib import blake2b

import pytest

from xaibench.storage import artefacts, files
from xaibench.storage.artefacts import FAILED, NOT_APPLICABLE, Store, key
from xaibench.storage.files import write_file

SPEC = {"kind": "model", "seed": 3}


def make(text):
    return lambda folder: (folder / "text").write_text(text) and None


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_an_artefact_is_named_by_its_spec_whatever_the_order_of_keys():
    assert key(SPEC) == key({"seed": 3, "kind": "model"})
    assert key(SPEC) != key({"kind": "model", "seed": 4})
    assert key(SPEC).startswith("model-")


def test_what_is_there_is_not_made_again(store):
    store.keep(SPEC, make("first"))
    store.keep(SPEC, make("second"))
    assert (store.path(SPEC) / "text").read_text() == "first"
    assert json.loads((store.path(SPEC) / "spec.json").read_text())["spec"] == SPEC


def test_an_interrupted_artefact_leaves_nothing(store):
    def interrupted(folder):
        (folder / "text").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.keep(SPEC, interrupted)
    assert not store.holds(SPEC)
    assert list(store.root.iterdir()) == []


def test_a_failure_is_tried_again_and_a_refusal_is_not(store):
    store.keep(SPEC, make("x"), status=FAILED, reason="no luck")
    assert store.outcome(SPEC) == (FAILED, "no luck")
    assert not store.holds(SPEC)
    store.keep(SPEC, make("y"))
    assert store.holds(SPEC)
    other = {**SPEC, "seed": 5}
    store.keep(other, make("z"), status=NOT_APPLICABLE, reason="no attention")
    assert store.holds(other)


def test_of_two_that_make_the_same_the_first_stays(store):
    def slow(folder):
        Store(store.root).keep(SPEC, make("quick"))
        (folder / "text").write_text("slow")

    store.keep(SPEC, slow)
    assert (store.path(SPEC) / "text").read_text() == "quick"
    assert len(list(store.root.iterdir())) == 1


def test_a_file_is_replaced_as_a_whole(tmp_path):
    write_file(tmp_path / "a.txt", "one")
    write_file(tmp_path / "a.txt", b"two")
    assert (tmp_path / "a.txt").read_text() == "two"
    assert len(list(tmp_path.iterdir())) == 1


def test_what_was_read_once_is_read_again_once_it_has_changed(store):
    path = store.keep(SPEC, make("x")) / "spec.json"
    assert store.holds(SPEC)
    times, content = path.stat(), bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert not store.holds(SPEC)


def test_a_piece_of_a_mapped_file_is_verified_before_it_is_given_back(store, monkeypatch):
    store.keep(SPEC, lambda folder: write_file(folder / "large", bytes(range(250)) * 4))
    pieces, seen = artefacts.in_pieces, []

    class Digest:
        def __init__(self, **options):
            self.made = blake2b(**options)
            self.hexdigest = self.made.hexdigest

        def update(self, piece):
            seen.append("read")
            self.made.update(piece)

    def given_back(content):
        for piece in pieces(content):
            yield piece
            seen.append("given back")

    monkeypatch.setattr(files, "COPIED", 400)
    monkeypatch.setattr(artefacts, "in_pieces", given_back)
    monkeypatch.setattr(artefacts, "blake2b", Digest)
    store.content(SPEC, "large")
    assert seen[-6:] == ["read", "given back"] * 3
