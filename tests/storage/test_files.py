"""Files are written whole and inside of their folder, and nothing but a file is read."""

import errno
import os
import resource

import pytest

from xaibench.errors import UsageError
from xaibench.storage.files import digest_of_file, read_file, write_below, write_file


@pytest.fixture
def victim(tmp_path):
    file = tmp_path / "victim"
    file.write_text("untouched")
    return file


@pytest.mark.parametrize("name", [".making-report.md", "report.md"])
def test_a_link_in_the_way_is_not_followed(tmp_path, victim, name):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / name).symlink_to(victim)
    write_file(folder / "report.md", "ours")
    assert victim.read_text() == "untouched"
    assert (folder / "report.md").read_text() == "ours"
    assert not (folder / "report.md").is_symlink()


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out", "", "..", "a\\..\\out"])
def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path, name):
    (tmp_path / "run").mkdir()
    with pytest.raises(UsageError, match="expected the name of a file in this folder"):
        write_below(tmp_path / "run", name, "x")
    assert [path.name for path in tmp_path.rglob("*")] == ["run"]


def test_a_folder_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run" / "figures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="figures: is a link, expected a folder to write in"):
        write_below(tmp_path / "run", "figures/a.svg", "x")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path):
    (tmp_path / "figures").touch()
    with pytest.raises(UsageError, match="figures: is no folder, expected one to write in"):
        write_below(tmp_path, "figures/a.svg", "x")


def test_folders_on_the_way_are_made(tmp_path):
    assert write_below(tmp_path, "a/b/c.txt", "x").read_text() == "x"


def test_what_is_no_file_is_not_read_and_not_waited_for(tmp_path, victim):
    (tmp_path / "link").symlink_to(victim)
    os.mkfifo(tmp_path / "pipe")
    for name, why in [("link", "is a link"), ("pipe", "no regular"), ("", "is a folder")]:
        with pytest.raises(OSError, match=why):
            read_file(tmp_path / name)
    assert read_file(victim) == b"untouched"


def test_a_sparse_file_of_a_terabyte_is_neither_read_nor_hashed(tmp_path):
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(OSError, match="is a sparse file"):
        read_file(tmp_path / "sparse")
    assert digest_of_file(tmp_path / "sparse") == ""


def test_an_error_names_the_file_and_leaves_the_old_content(tmp_path, victim):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="File too large") as raised:
            write_file(victim, b"x" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (raised.value.errno, raised.value.filename) == (errno.EFBIG, str(victim))
    assert victim.read_text() == "untouched"
    assert os.listdir(tmp_path) == ["victim"]


def test_a_file_is_readable_as_the_umask_says(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a", "x")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_many_writers_of_one_file_do_not_meet(tmp_path):
    """Each with a temporary name of its own."""
    made = set()
    rename = os.replace

    class Watched(type(tmp_path)):
        def replace(self, target):
            made.add(self.name)
            return rename(self, target)

    for _ in range(5):
        write_file(Watched(tmp_path / "a"), "x")
    assert len(made) == 5
