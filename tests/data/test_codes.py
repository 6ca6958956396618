"""Codes that stay on the disk are those that are held in memory."""

from dataclasses import fields
from mmap import mmap

import numpy as np
import pytest

from xaibench.data.codes import read_codes, sequences_at
from xaibench.dna.encoding import to_codes
from xaibench.errors import UsageError
from xaibench.storage import arrays
from xaibench.values import Intervals, Sequences

LETTERS = ["ACGTACG", "ACU", "", "nACGRA", "T"]


@pytest.fixture
def on_disk(monkeypatch):
    """Everything counts as large, and a part is two sequences."""
    monkeypatch.setattr(arrays, "MAPPED", 0)
    monkeypatch.setattr(arrays, "PART_POSITIONS", 14)


def is_mapped(array):
    owner = array
    while isinstance(owner, np.ndarray | memoryview):
        owner = owner.base if isinstance(owner, np.ndarray) else owner.obj
    return isinstance(owner, mmap)


def test_letters_are_read_as_in_memory(on_disk):
    codes = read_codes(LETTERS, "row {}".format)
    assert is_mapped(codes)
    np.testing.assert_array_equal(codes, to_codes(LETTERS), strict=True)


def test_a_letter_without_a_code_is_named_by_the_row_of_the_file(on_disk):
    with pytest.raises(UsageError, match=r"^row 4: .* got '!' at position 1"):
        read_codes([*LETTERS[:4], "A!"], "row {}".format)


@pytest.mark.parametrize("rows", [[3, 1, 1, 0], [1, 2, 3], []])
def test_rows_that_are_taken_are_those_in_memory(on_disk, rows):
    numbers = np.arange(5)
    where = Intervals(tuple("abcde"), numbers, numbers + 7, np.ones(5, np.int8))
    codes = to_codes(LETTERS)
    whole = Sequences(
        *(codes, numbers % 2, tuple("vwxyz"), ("no", "yes"), tuple("ghijk")),
        *((codes % 3).astype(np.int8) - 1, where, numbers / 4),
    )
    got, expected = (
        take(whole, np.array(rows, np.intp)) for take in (sequences_at, Sequences.take)
    )
    for field in fields(Sequences):
        if field.name == "intervals":
            assert got.intervals.chromosomes == expected.intervals.chromosomes
            assert got.intervals.starts.tolist() == rows
        else:
            one, other = (getattr(each, field.name) for each in (got, expected))
            np.testing.assert_array_equal(one, other)
    assert got.codes.tolist() == [codes[row].tolist() for row in rows]


def test_memory_serves_where_there_is_no_room_on_the_disk(on_disk, monkeypatch, tmp_path):
    monkeypatch.setattr(arrays, "gettempdir", lambda: str(tmp_path / "full"))
    codes = read_codes(LETTERS, "row {}".format)
    assert not is_mapped(codes)
    np.testing.assert_array_equal(codes, to_codes(LETTERS), strict=True)
