"""Arrays in one file, and arrays that stay on the disk."""

import mmap
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from xaibench.storage import arrays, files

ARRAYS = {
    "scores": np.arange(6, dtype=np.float32).reshape(2, 3),
    "targets": np.array([3, 1]),
    "codes": np.arange(5, dtype=np.uint8),
    "none": np.zeros((0, 5), np.float32),
    "share": np.array(0.25),
    "known": np.array([True, False, True]),
    "columns": np.arange(12, dtype=np.int32).reshape(3, 4).T,
}


@pytest.fixture
def mapped(monkeypatch):
    """Everything counts as large."""
    for module in (arrays, files):
        monkeypatch.setattr(module, "MAPPED", 0)


def test_safetensors_reads_what_is_written():
    read = load(b"".join(arrays.as_safetensors(ARRAYS)))
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array, strict=True)


def test_what_safetensors_writes_is_read(tmp_path, mapped):
    path = tmp_path / "arrays.safetensors"
    path.write_bytes(save({name: np.array(each, order="C") for name, each in ARRAYS.items()}))
    content = files.read_or_map(path)
    assert isinstance(content, mmap.mmap)
    read = arrays.unpacked(content)
    assert read.keys() == ARRAYS.keys()
    for name, array in read.items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"[0,24]", b"[0,25]", "got 25 bytes"),
        (b"[0,24]", b"[8,99]", "got 91 bytes"),
        (b"[2,3]", b"[2,4]", "expected .* of F32, got 24 bytes"),
    ],
)
def test_an_array_that_is_not_all_there_is_refused(old, new, message):
    content = b"".join(arrays.as_safetensors({"scores": ARRAYS["scores"]}))
    with pytest.raises(ValueError, match=message):
        arrays.unpacked(content.replace(old, new))


def test_a_header_beyond_the_end_is_refused():
    with pytest.raises(ValueError, match="longer than the file"):
        arrays.unpacked((99).to_bytes(8, "little") + b"{}")


def test_what_is_released_keeps_its_content(tmp_path, mapped):
    made = arrays.empty((3, 70_000), np.int64, tmp_path)
    made[:] = np.arange(210_000).reshape(made.shape)
    arrays.release(made[1:], ARRAYS["codes"])
    assert made.sum() == 210_000 * 209_999 // 2
    assert not list(tmp_path.iterdir())


def test_an_array_that_the_disk_has_no_room_for_is_an_error(tmp_path):
    if not hasattr(os, "posix_fallocate"):
        pytest.skip("no room can be reserved on this system")
    limit = (arrays.MAPPED, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    try:
        with pytest.raises(OSError, match="File too large"):
            arrays.empty((arrays.MAPPED,), np.int64, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WALK = """
import sys
from pathlib import Path
import numpy as np
from xaibench.storage import arrays, files

path = Path(sys.argv[1]) / "scores"
made = arrays.empty((600_000, 100), np.float32, path.parent)
for part in arrays.parts(*made.shape):
    made[part] = part.start
    arrays.release(made)
path.open("wb").writelines(arrays.as_safetensors({"scores": made}))
content = files.read_or_map(path)
assert sum(map(len, files.in_pieces(content))) > made.nbytes
read = arrays.unpacked(content)["scores"]
for part in arrays.parts(*read.shape):
    assert (read[part] == part.start).all()
    arrays.release(read)
lines = Path("/proc/self/status").read_text().splitlines()
print(next(line for line in lines if line.startswith("VmHWM")).split()[1])
"""


def test_a_walk_over_what_is_mapped_takes_the_memory_of_a_part(tmp_path):
    """240 MB are written, copied and read; without ``release`` the walk peaks above them. Not by
    rusage, which counts the process that this one was forked from."""
    if not Path("/proc/self/status").is_file():
        pytest.skip("no peak is told on this system")
    words = [sys.executable, "-c", WALK, str(tmp_path)]
    peak = int(subprocess.run(words, check=True, capture_output=True, timeout=60).stdout)
    assert peak < 160_000, f"{peak} kB"


def test_parts_hold_whole_batches_and_every_sequence_once():
    for count, length, together in [(0, 7, 3), (5, 7, 3), (40_000, 200, 163), (9, 2**23, 2)]:
        parts = list(arrays.parts(count, length, together=together))
        assert [row for part in parts for row in range(count)[part]] == list(range(count))
        assert all((part.stop - part.start) % together == 0 for part in parts[:-1])
    assert len(list(arrays.parts(40_000, 200, together=163))) == 2
