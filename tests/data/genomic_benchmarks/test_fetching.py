"""Sets that come by the package's download, which is replaced here: there is no network."""

import fcntl
import importlib
import os
import shutil
import threading
import time
import warnings
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from xaibench.data.genomic_benchmarks import fetching
from xaibench.data.genomic_benchmarks.benchmark_sets import SETS
from xaibench.data.genomic_benchmarks.fetching import fetch_set
from xaibench.errors import UsageError

NAME = "dummy_mouse_enhancers_ensembl"
WHOLE = SETS[NAME].sequences


def build(folder, *, letters="ACGT"):
    for split, label, count in SETS[NAME].counts():
        (folder / split / label).mkdir(parents=True)
        for number in range(count):
            (folder / split / label / f"{number}.txt").write_text(letters)
    return folder


@pytest.fixture
def package():
    """The package's module; its imports warn."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return importlib.import_module("genomic_benchmarks.loc2seq")


@pytest.fixture
def downloads(package, monkeypatch):
    """What was asked of the package, which gives the whole set."""
    asked = []

    def download(name, version, dest_path):
        asked.append((name, version))
        assert [path.name for path in dest_path.iterdir()] == ["lock"]
        return build(dest_path / name)

    monkeypatch.setattr(package, "download_dataset", download)
    return asked


@pytest.fixture
def failing(package, monkeypatch):
    """What the package is to do after half of its work."""

    def fails_with(error):
        def download(name, version, dest_path):
            (build(dest_path / name) / "test" / "negative" / "5.txt").unlink()
            if error is not None:
                raise error
            return dest_path / name

        monkeypatch.setattr(package, "download_dataset", download)

    return fails_with


def test_a_set_is_fetched_once(tmp_path, downloads):
    said = []
    for _ in range(2):
        folder = fetch_set(NAME, root=tmp_path / "new", progress=lambda *words: said.append(words))
        assert folder == tmp_path / "new" / NAME
        assert len(list(folder.glob("*/*/*.txt"))) == WHOLE
    assert downloads == [(NAME, 0)]
    assert [path.name for path in (tmp_path / "new").iterdir()] == [NAME]
    assert said[-2:] == [
        (WHOLE, WHOLE, "sequences"),
        (WHOLE, WHOLE, "sequences, already there"),
    ]


def test_the_root_is_the_option_then_the_variable_then_the_packages(
    tmp_path, monkeypatch, downloads
):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert fetch_set(NAME) == tmp_path / "home" / ".genomic_benchmarks" / NAME
    monkeypatch.setenv("XAIBENCH_GENOMIC_BENCHMARKS", "~/sets")
    assert fetch_set(NAME) == tmp_path / "home" / "sets" / NAME
    assert fetch_set(NAME, root=tmp_path / "own") == tmp_path / "own" / NAME
    assert len(downloads) == 3


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A host on this machine for the description and the archive of the set."""
    description = tmp_path / "served" / "datasets" / NAME / "metadata.yaml"
    description.parent.mkdir(parents=True)
    description.write_text("version: 0\nclasses: {}\n")
    build(tmp_path / "packed" / NAME)
    archive = tmp_path / "served" / "files" / f"{NAME}_v0"
    shutil.make_archive(archive, "zip", tmp_path / "packed", NAME)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    handler = partial(Quiet, directory=tmp_path / "served")
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as host:
        thread = threading.Thread(target=host.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{host.server_port}"
        host.shutdown()
        thread.join()


def test_the_packages_own_download_gives_a_set(tmp_path, package, server, monkeypatch):
    datasets = importlib.import_module("genomic_benchmarks.utils.datasets")
    monkeypatch.setattr(datasets, "DATASET_URL_PATH", datasets.URL(f"{server}/datasets/"))
    monkeypatch.setitem(package.loc2seq.CLOUD_CACHE, (NAME, 0), server)
    folder = fetch_set(NAME, root=tmp_path / "new")
    assert len(list(folder.glob("*/*/*.txt"))) == WHOLE
    assert [path.name for path in folder.parent.iterdir()] == [NAME]


def test_bytes_and_then_files_are_told_of(tmp_path, package, monkeypatch):
    monkeypatch.setattr(fetching, "SECONDS_BETWEEN_LOOKS", 0.001)
    said = []

    def wait_for(*words):
        until = time.monotonic() + 10
        while words not in said:
            assert time.monotonic() < until
            time.sleep(0.001)

    def download(name, version, dest_path):
        archive = dest_path / f"{name}.zip"
        archive.write_bytes(b"x" * 123)
        wait_for(123, None, "bytes")
        build(dest_path / name)
        wait_for(WHOLE, WHOLE, "sequences unpacked")
        archive.unlink()
        return dest_path / name

    monkeypatch.setattr(package, "download_dataset", download)
    fetch_set(NAME, root=tmp_path, progress=lambda *words: said.append(words))
    assert said[-1] == (WHOLE, WHOLE, "sequences")


def test_a_failed_download_says_what_to_do_and_leaves_nothing(tmp_path, failing):
    failing(ConnectionError("no\nroute"))
    message = (
        rf"no folder .*{NAME}, .* failed \(ConnectionError: no route\); run `xaibench data fetch "
        rf"{NAME}` where there is a network and copy .* XAIBENCH_GENOMIC_BENCHMARKS"
    )
    with pytest.raises(UsageError, match=message) as caught:
        fetch_set(NAME, root=tmp_path / "new")
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_an_interrupted_download_leaves_nothing(tmp_path, failing):
    failing(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        fetch_set(NAME, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_download_that_lacks_something_gets_no_name(tmp_path, failing):
    failing(None)
    message = "the download gave 120 of 121 files in test/negative; run .* again"
    with pytest.raises(UsageError, match=message):
        fetch_set(NAME, root=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_no_sequence(tmp_path, package, monkeypatch):
    def download(name, version, dest_path):
        (build(dest_path / name) / "train" / "positive" / "7.txt").write_text("")
        return dest_path / name

    monkeypatch.setattr(package, "download_dataset", download)
    with pytest.raises(UsageError, match=r"gave an empty file, train/positive/7\.txt; run"):
        fetch_set(NAME, root=tmp_path)


def test_what_a_killed_fetch_left_is_deleted(tmp_path, downloads):
    left = tmp_path / f".fetching-{NAME}"
    (left / NAME / "train").mkdir(parents=True)
    (left / f"{NAME}.zip").write_bytes(b"half")
    (left / "lock").touch()
    fetch_set(NAME, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_second_fetch_at_the_same_time_is_refused(tmp_path, downloads):
    (tmp_path / f".fetching-{NAME}").mkdir()
    with (tmp_path / f".fetching-{NAME}" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(UsageError, match="another process is fetching it; wait"):
            fetch_set(NAME, root=tmp_path)
    assert downloads == []


def test_a_file_system_without_locks_is_no_obstacle(tmp_path, downloads, monkeypatch):
    def unsupported(*_):
        raise OSError(38, os.strerror(38))

    monkeypatch.setattr(fcntl, "flock", unsupported)
    fetch_set(NAME, root=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [NAME]


def test_a_part_of_the_set_is_not_touched(tmp_path, downloads):
    (build(tmp_path / NAME) / "train" / "positive" / "3.txt").unlink()
    message = (
        rf"expected all of {NAME}, got 483 of 484 files in train/positive; move it away and run"
    )
    with pytest.raises(UsageError, match=message):
        fetch_set(NAME, root=tmp_path)
    assert downloads == []
    assert len(list((tmp_path / NAME).glob("*/*/*.txt"))) == WHOLE - 1


def test_an_unknown_name_is_answered_by_the_nearest(tmp_path, downloads):
    message = "got 'human_or_worm'; did you mean 'demo_human_or_worm'"
    with pytest.raises(UsageError, match=message):
        fetch_set("human_or_worm", root=tmp_path)


def test_a_working_folder_that_the_package_would_misread_is_named(tmp_path, downloads, monkeypatch):
    (tmp_path / NAME).mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=f"expected a working folder without {NAME} in it"):
        fetch_set(NAME, root=tmp_path / "new")


def test_a_root_that_cannot_be_written_is_named(tmp_path, downloads):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UsageError, match="taken: expected a folder to write to, got: "):
        fetch_set(NAME, root=tmp_path / "taken")
