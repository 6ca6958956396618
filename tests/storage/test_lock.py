"""Two runs do not write into one folder."""

import errno
import fcntl

import pytest

from xaibench.errors import UsageError
from xaibench.storage.lock import alone


def test_a_second_run_in_a_folder_is_refused_and_a_third_after_them_is_not(tmp_path):
    store = tmp_path / "run" / "store"
    with alone(store):
        with (
            pytest.raises(UsageError, match=r"run: another run is under way .* with -o$"),
            alone(store),
        ):
            pass
        with alone(tmp_path / "other" / "store"):
            pass
    with alone(store):
        pass


def test_a_folder_that_is_left_by_an_error_is_free(tmp_path):
    with pytest.raises(ZeroDivisionError), alone(tmp_path / "store"):
        raise ZeroDivisionError
    with alone(tmp_path / "store"):
        pass


def test_a_store_in_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="run: cannot be written: Not a directory"):
        with alone(tmp_path / "file" / "run" / "store"):
            pass


def test_what_a_killed_process_had_not_finished_is_removed_and_nothing_else(tmp_path):
    for name in (".making-a", ".training-b", "model-c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").touch()
    (tmp_path / ".making-data.json").touch()
    with alone(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {".training-b", "model-c", "lock"}
        (tmp_path / ".making-d").mkdir()
    assert not (tmp_path / ".making-d").exists()


def test_where_there_are_no_locks_a_run_goes_on_and_removes_nothing(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    (tmp_path / ".making-a").mkdir()
    with alone(tmp_path), alone(tmp_path):
        pass
    assert (tmp_path / ".making-a").exists()
