"""A run folder that an object store has too goes on from there, to the same bits."""

from contextlib import nullcontext
from itertools import count
from time import sleep

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFile, MemoryFileSystem
from small_run import LEAN

from xaibench.errors import Halted, UsageError
from xaibench.storage import objects
from xaibench.storage.artefacts import Store, verify
from xaibench.storage.lock import alone
from xaibench.storage.objects import LOCK, also_at

NUMBERS = count()


@pytest.fixture(params=["memory", "file"])
def there(request, tmp_path):
    """A place in a store, as its URL, its file system and its root."""
    place = f"/{next(NUMBERS)}" if request.param == "memory" else f"{tmp_path}/bucket"
    url = f"{request.param}://{place}/run"
    return url, *fsspec.url_to_fs(url)


def names(there):
    _, system, root = there
    return {path.removeprefix(f"{root}/") for path in system.find(root)}


def write(folder, content):
    for name, text in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def enter(context, then=lambda: None):
    with context:
        then()


def test_files_are_fetched_and_what_is_written_or_removed_is_followed(there, tmp_path):
    with also_at(there[0], tmp_path / "a"):
        assert not (tmp_path / "a").exists()
        assert names(there) == {LOCK}
        write(tmp_path / "a", {"a.csv": "1", "b.csv": "2", "store/data.json": "{}"})
        write(tmp_path / "a", {"store/lock": "", ".making-x": "", "store/.training-x/a": "3"})
    assert names(there) == {"a.csv", "b.csv", "store/data.json"}
    with also_at(there[0], tmp_path / "b"):
        assert (tmp_path / "b" / "a.csv").read_text() == "1"
        (tmp_path / "b" / "a.csv").unlink()
        write(tmp_path / "b", {"b.csv": "22"})
    assert names(there) == {"b.csv", "store/data.json"}
    with also_at(there[0], tmp_path / "c"):
        assert (tmp_path / "c" / "b.csv").read_text() == "22"


def test_what_ends_a_run_does_not_lose_what_it_made(there, tmp_path):
    write(tmp_path / "a", {"a.csv": "1"})
    with pytest.raises(ZeroDivisionError):
        enter(also_at(there[0], tmp_path / "a"), lambda: 1 / 0)
    assert names(there) == {"a.csv"}


def test_one_run_at_a_time(there, tmp_path):
    url, system, root = there
    with also_at(url, tmp_path / "a"):
        with pytest.raises(UsageError, match=r"a run of .*/a is under way"):
            enter(also_at(url, tmp_path / "b"))
    for content, line in [
        (b'{"who": "x:/b", "since": "2026"}', rf"a run of x:/b .* 2026; .* delete {url}/{LOCK}"),
        (b"garbage", "a run of somebody is under way"),
        (b"[]", "a run of somebody is under way"),
    ]:
        system.pipe_file(f"{root}/{LOCK}", content)
        with pytest.raises(UsageError, match=line):
            enter(also_at(url, tmp_path / "a"))
    assert [path.name for path in tmp_path.iterdir() if path.name in "ab"] == []


def test_a_run_that_was_killed_here_goes_on_here(there, tmp_path):
    url, system, root = there
    with also_at(url, tmp_path / "a"):
        left = system.cat_file(f"{root}/{LOCK}")
    system.pipe_file(f"{root}/{LOCK}", left)
    enter(also_at(url, tmp_path / "a"))
    assert names(there) == set()


def test_a_folder_that_a_run_is_in_is_refused(there, tmp_path):
    with alone(tmp_path / "a" / "store"):
        with pytest.raises(UsageError, match="another run is under way in this folder"):
            enter(also_at(there[0], tmp_path / "a"))


ARTEFACT = f"model-{'0' * 20}"


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("../outside", "expected the name of a file in this folder, got '../outside'"),
        ("store/../../outside", "expected the name of a file in this folder"),
        ("link/outside", "is a link, expected a folder to write in"),
        (f"../store/{ARTEFACT}/spec.json", "expected the name of a file in this folder"),
        (f"store/{ARTEFACT}/spec.json", ""),  # of no artefact: it is not taken
    ],
)
def test_names_that_lead_out_of_the_folder_are_refused(tmp_path, name, line):
    url = f"memory:///{next(NUMBERS)}/run"
    system, root = fsspec.url_to_fs(url)
    system.store[f"{root}/{name}"] = MemoryFile(system, f"{root}/{name}", b"content")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    with pytest.raises(UsageError, match=line) if line else nullcontext():
        enter(also_at(url, tmp_path / "a"))
    assert {path.name for path in tmp_path.rglob("*")} <= {"a", "link", "store"}


@pytest.mark.parametrize("url", ["nosuch://a/b", "zip://a::file:///nowhere.zip"])
def test_a_place_that_cannot_be_is_one_line(tmp_path, url):
    with pytest.raises(UsageError, match=r"^-o: expected a folder or a place in an object store"):
        enter(also_at(url, tmp_path / "a"))
    assert [*tmp_path.iterdir()] == []


def broken(*_, **__):
    raise ConnectionError("no network")


@pytest.mark.parametrize(
    ("call_of_store", "kind", "line"),
    [
        ("pipe_file", UsageError, "cannot be written: ConnectionError: no network"),
        ("find", UsageError, "cannot be read: ConnectionError: no network"),
        ("put_file", Halted, "cannot be written; all is in .*/a, and the same command puts it"),
        ("rm_file", Halted, "run.lock cannot be deleted: ConnectionError"),
    ],
)
def test_a_store_that_is_lost_is_one_line(tmp_path, monkeypatch, call_of_store, kind, line):
    write(tmp_path / "a", {"a.csv": "1"})
    monkeypatch.setattr(MemoryFileSystem, call_of_store, broken)
    with pytest.raises(kind, match=line):
        enter(also_at(f"memory:///{next(NUMBERS)}/run", tmp_path / "a"))


def test_what_cannot_be_put_is_said_and_tried_again(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(objects, "SECONDS_TO_PUT", 0.01)
    url = f"memory:///{next(NUMBERS)}/run"
    system, root = fsspec.url_to_fs(url)
    with also_at(url, tmp_path / "a"):
        with monkeypatch.context() as lost:
            lost.setattr(MemoryFileSystem, "put_file", broken)
            made = Store(tmp_path / "a" / "store").keep({"kind": "model"}, lambda path: None)
            while "no network; tried again" not in capsys.readouterr().err:
                sleep(0.01)
        while not system.exists(f"{root}/store/{made.name}/spec.json"):
            sleep(0.01)
    monkeypatch.setattr(MemoryFileSystem, "put_file", broken)
    write(tmp_path / "a", {"a.csv": "1"})
    with pytest.raises(ZeroDivisionError):
        enter(also_at(url, tmp_path / "a"), lambda: 1 / 0)
    assert capsys.readouterr().err.endswith("cannot be written: ConnectionError: no network\n")


def test_failures_are_not_put(there, tmp_path):
    with also_at(there[0], tmp_path / "a"):
        store = Store(tmp_path / "a" / "store")
        store.keep({"kind": "model"}, lambda path: None, status="failed", reason="why")
    assert names(there) == set()


def test_a_run_goes_on_elsewhere_from_what_is_whole_there(call, tmp_path, monkeypatch):
    """Where a model is not there as a whole, and a curve is damaged."""
    (tmp_path / "lean.yaml").write_text(LEAN)
    there = tmp_path / "bucket" / "lean"

    def said_at(place):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        code, out, err = call("run", "../lean.yaml", "-o", f"file://{there}", "--engine", "here")
        assert code == 0, err
        return out.splitlines()[0]

    assert said_at("one") == "20 of 20 tasks computed"
    model, curve = (min(there.glob(f"store/{kind}-*")) for kind in ("model", "curve"))
    (model / "spec.json").unlink()
    (curve / "arrays.safetensors").write_bytes(b"x" * 200)
    assert said_at("two").endswith("of 20 tasks computed")
    assert verify(model)
    assert verify(curve)
    assert said_at("three") == "nothing to compute: all 20 tasks were there"
    for name in ("results.parquet", "estimates.csv"):
        tables = [tmp_path / place / "runs" / "lean" / name for place in ("one", "two", "three")]
        assert len({table.read_bytes() for table in [*tables, there / name]}) == 1
