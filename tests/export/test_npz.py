import numpy as np
import pytest
from explained import npz_of

from xaibench.export.npz import growing_npz


def test_rows_that_come_in_blocks_are_read_as_one_array(tmp_path):
    whole = np.arange(60, dtype=np.float32).reshape(5, 3, 4)
    with growing_npz(tmp_path / "a.npz") as append:
        for part in (whole[:2], whole[2:2], whole[2:]):
            append("arr_0", part)
            append("bits", part[:, 0, 0].astype(np.int8))
    read = npz_of(tmp_path / "a.npz")
    assert np.array_equal(read["arr_0"], whole)
    assert read["arr_0"].dtype == np.float32
    assert read["bits"].tolist() == [0, 12, 24, 36, 48]


def test_texts_may_grow_longer_from_block_to_block(tmp_path):
    with growing_npz(tmp_path / "a.npz") as append:
        append("names", np.array(["a", "b"]))
        append("names", np.array(["a longer one, ä"]))
    assert npz_of(tmp_path / "a.npz")["names"].tolist() == ["a", "b", "a longer one, ä"]


def test_the_same_arrays_are_the_same_bytes(tmp_path):
    for name in ("a.npz", "b.npz"):
        with growing_npz(tmp_path / name) as append:
            append("x", np.arange(7, dtype=np.int8))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_nothing_is_left_where_a_block_fails(tmp_path):
    def write(second):
        with growing_npz(tmp_path / "a.npz") as append:
            append("x", np.zeros((2, 3)))
            append("x", second)

    with pytest.raises(ValueError, match=r"x: expected float64 \(row, 3\), got float64 \(2, 4\)"):
        write(np.zeros((2, 4)))
    assert list(tmp_path.iterdir()) == []


def test_one_hot_arrays_are_compressed_and_scores_are_not(tmp_path):
    with growing_npz(tmp_path / "a.npz") as append:
        append("one_hot", np.zeros((100, 4, 50), np.int8))
    with growing_npz(tmp_path / "b.npz") as append:
        append("scores", np.zeros((100, 50), np.float32))
    assert (tmp_path / "a.npz").stat().st_size < 1000
    assert (tmp_path / "b.npz").stat().st_size > 100 * 50 * 4
